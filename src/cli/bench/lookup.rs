//! `dhakira bench lookup`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use crate::engine::{
    Cancel, DuplicatePolicy, Engine, Import, LookupSettings, MemoryChoice, NewMemory, Prepared,
    QuerySegment,
};
use crate::formats::{self, Event, ReadOptions};
use crate::limits::BATCH_UNITS_MAX;
use crate::server::{Bound, Shutdown};
use crate::service::Api;
use crate::service::client::Client;
use crate::store::{InMemoryStore, RequestKey};
use crate::unit::{MemoryName, Score, Segment, UnitContent};

use super::measure::{Figures, number, peak_resident_mb};

/// Looks the segments of one file up in a memory made of another, in the engine and over gRPC on loopback.
#[derive(Debug, Args)]
pub(super) struct BenchLookup {
    /// File with the memory.
    #[arg(long)]
    corpus: PathBuf,
    /// File whose source segments are looked up.
    #[arg(long)]
    queries: PathBuf,
    /// How many of them.
    #[arg(long, default_value_t = 1_000)]
    count: usize,
    /// Least score of a match.
    #[arg(long, default_value_t = 70.0)]
    min_score: f64,
    /// Most matches for a segment.
    #[arg(long, default_value_t = 5)]
    max: usize,
    /// Answer from a scan of every unit.
    #[arg(long)]
    exhaustive: bool,
    /// One JSON object with all figures.
    #[arg(long)]
    json: bool,
}

impl BenchLookup {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut figures = Figures::default();
        let name: MemoryName = "bench".parse()?;
        let engine = Engine::open(Arc::new(InMemoryStore::default()), &mut |_| ())?;
        let units = read_units(&self.corpus, usize::MAX)?;
        let queries: Vec<QuerySegment> = read_units(&self.queries, self.count)?
            .into_iter()
            .map(|unit| QuerySegment {
                segment: Segment::plain(unit.source.text),
                previous: None,
                next: None,
            })
            .collect();
        figures.put("units", number(units.len()));
        figures.put("queries", number(queries.len()));
        let (engine, seconds) = {
            let name = name.clone();
            tokio::task::spawn_blocking(move || fill(engine, &name, units)).await??
        };
        figures.put("fill_seconds", seconds);
        let settings = LookupSettings {
            memories: vec![MemoryChoice { memory: name, penalty: Score::ZERO }],
            min_score: Score::from_points(self.min_score)?,
            max_matches: self.max,
            exhaustive: self.exhaustive,
        };
        let api = {
            let (settings, queries) = (settings.clone(), queries.clone());
            let call = move || -> anyhow::Result<_> {
                let times = time_engine(&engine, &settings, &queries)?;
                Ok((engine, times))
            };
            let (engine, (times, matched)) = tokio::task::spawn_blocking(call).await??;
            figures.percentiles("engine", times);
            figures.put("queries_with_match", number(matched));
            Api::ready(engine)
        };
        let bound = Bound::new("127.0.0.1:0".parse()?).await?;
        let mut client = {
            let url = format!("http://{}", bound.address());
            tokio::spawn(bound.serve(api, Shutdown::default()));
            Client::connect(&url).await?
        };
        let mut times = Vec::with_capacity(queries.len());
        for query in queries {
            let since = Instant::now();
            client.lookup(&settings, vec![query]).await?;
            times.push(since.elapsed());
        }
        figures.percentiles("grpc", times);
        figures.put("peak_resident_mb", peak_resident_mb());
        figures.show(self.json)
    }
}

fn time_engine(
    engine: &Engine,
    settings: &LookupSettings,
    queries: &[QuerySegment],
) -> anyhow::Result<(Vec<Duration>, usize)> {
    let mut times = Vec::with_capacity(queries.len());
    let mut matched = 0;
    for query in queries {
        let since = Instant::now();
        let found = engine.lookup(settings, std::slice::from_ref(query), &Cancel::default())?;
        times.push(since.elapsed());
        matched += usize::from(found.iter().any(|matches| !matches.is_empty()));
    }
    Ok((times, matched))
}

/// The good units of a file.
pub(super) fn read_units(file: &Path, limit: usize) -> anyhow::Result<Vec<UnitContent>> {
    let options = ReadOptions {
        source_lang: "ar".parse()?,
        target_lang: "en".parse()?,
        format: None,
        source_column: None,
        target_column: None,
        file_name: file.display().to_string(),
    };
    let mut units = Vec::new();
    for event in formats::open(Box::new(std::fs::File::open(file)?), &options)? {
        if let Event::Unit(unit) = event? {
            units.push(unit.content);
        }
        if units.len() == limit {
            break;
        }
    }
    Ok(units)
}

/// Puts units into a new memory; gives the engine back, and how long it took. Blocks.
fn fill(
    engine: Engine,
    name: &MemoryName,
    units: Vec<UnitContent>,
) -> anyhow::Result<(Engine, f64)> {
    let since = Instant::now();
    let new = NewMemory {
        name: name.clone(),
        display_name: String::new(),
        description: String::new(),
        source_lang: "ar".parse()?,
        target_lang: "en".parse()?,
    };
    engine.create_memory(new, None)?;
    let import = Import {
        id: RequestKey(*uuid::Uuid::new_v4().as_bytes()),
        memory: name.clone(),
        policy: DuplicatePolicy::KeepAll,
    };
    let mut units = units.into_iter();
    let mut last = None;
    for number in 1.. {
        let batch: Vec<UnitContent> = units.by_ref().take(BATCH_UNITS_MAX).collect();
        if batch.is_empty() {
            break;
        }
        let prepared = engine.prepare(name, batch)?;
        let prepared: Vec<Prepared> = prepared.into_iter().collect::<Result<_, _>>()?;
        last = Some(engine.import(&import, number, prepared, 0)?);
    }
    if let Some(answer) = last {
        answer.wait()?;
    }
    Ok((engine, since.elapsed().as_secs_f64()))
}
