//! A client of a server in Rust: creates a memory, stores two units, looks two segments up, deletes the memory.
//!
//! `cargo run --example client -- http://127.0.0.1:50051 [TOKEN]`
//!
//! It uses the client of this crate. A program that needs the protocol alone can generate its own from `proto/dhakira/v1`, as
//! `build.rs` does.

use std::error::Error;

use dhakira::client::{Client, Credentials};
use dhakira::engine::{Explain, LookupSettings, MemoryChoice, NewMemory, QuerySegment, UnitFilter};
use dhakira::unit::{MemoryName, Score, Segment, UnitContent};
use uuid::Uuid;

/// A line for each unit: source, tab, target.
const UNITS: &str = include_str!("units.tsv");
/// A line for each segment to look up.
const QUERIES: &str = include_str!("queries.txt");

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("usage: client URL [TOKEN]")?;
    for line in run(&url, arguments.next()).await? {
        println!("{line}");
    }
    Ok(())
}

/// Runs the example on a server; a line for each match.
pub(crate) async fn run(url: &str, token: Option<String>) -> Result<Vec<String>, Box<dyn Error>> {
    let credentials = Credentials { token, ..Credentials::default() };
    let mut client = Client::connect_with(url, &credentials).await?;
    let name: MemoryName = format!("example-{}", Uuid::new_v4()).parse()?;
    client.create_memory(NewMemory::new(name.clone(), "ar".parse()?, "en".parse()?)).await?;

    let units = UNITS.lines().filter_map(|line| line.split_once('\t'));
    let units = units.map(|(source, target)| UnitContent {
        source: Segment::plain(source),
        target: Segment::plain(target),
        ..UnitContent::default()
    });
    // The request id makes the write safe to repeat.
    client.create_units(&name, units.collect(), Uuid::new_v4()).await?;

    let settings = LookupSettings {
        memories: vec![MemoryChoice { memory: name.clone(), penalty: None }],
        min_score: Score::from_points(60.0)?,
        max_matches: 5,
        exhaustive: false,
        filter: UnitFilter::default(),
        penalty_rules: Vec::new(),
        explain: Explain::default(),
    };
    let queries = QUERIES.lines().map(|text| QuerySegment::new(Segment::plain(text)));
    let found = client.lookup(&settings, queries.collect()).await?;
    client.delete_memory(&name, true).await?;

    let line = |found: &dhakira::engine::FoundMatch| {
        let reasons = found.deductions.iter();
        let reasons = reasons
            .map(|(reason, points)| format!("{} -{}", reason.name(), f64::from(points) / 100.0));
        let reasons = reasons.collect::<Vec<_>>().join(", ");
        format!("{:.2} {} ({reasons})", found.score.points(), found.unit.content.target.text)
    };
    Ok(found.iter().flatten().map(line).collect())
}
