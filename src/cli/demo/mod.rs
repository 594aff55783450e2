//! `dhakira demo`: a tour with a sample memory: store, import, serve, look up over gRPC.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::engine::{
    CheckAction, DuplicatePolicy, Engine, Explain, LookupSettings, MemoryChoice, NewMemory,
    QuerySegment, UnitFilter,
};
use crate::formats::ReadOptions;
use crate::grpc::Api;
use crate::server::{Bound, Shutdown};
use crate::store::{OpenOptions, SledStore};
use crate::unit::{MemoryName, Score, Segment};

use super::found::match_block;
use super::import::{Job, Report, Source, Summary, TargetMemory, import_source};
use super::visit::TemporaryDirectory;

use super::outcome::Outcome;
use crate::terminal::{counted, grouped, isolate};

/// The sample memory, written for this project.
const SAMPLE: &[u8] = include_bytes!("sample.tsv");
const QUERIES: &str = include_str!("queries.txt");
const MEMORY: &str = "sample";

/// Show a tour: a sample memory in an embedded store, a server on a free port, ten lookups through it.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Keep the store in this directory; a temporary one is used, and removed, when not given.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Demo {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        let temporary = TemporaryDirectory::new("demo");
        let directory = self.data.clone().unwrap_or_else(|| temporary.path().to_owned());
        say!("1. Opening an embedded store in {}", directory.display())?;
        let options =
            OpenOptions { create: true, accept_data_loss: false, purpose: "demo".to_owned() };
        let store = SledStore::open(&directory, &options)?;
        let engine = Engine::open(Arc::new(store), None, &mut |_| ())?;
        engine.warm_up();
        let api = Api::ready(engine);

        let bound = Bound::new("127.0.0.1:0".parse()?).await?;
        let url = format!("http://{}", bound.address());
        say!("2. Serving it over gRPC on {url}")?;
        let shutdown = Shutdown::default();
        let server = tokio::spawn(bound.serve(api, shutdown.clone()));
        let mut client = Client::connect(&url).await?;

        let summary = import_sample(&mut client).await?;
        say!(
            "3. Importing the sample memory: {} stored, {} already there\n",
            counted(summary.stored, "unit"),
            grouped(summary.duplicates)
        )?;
        look_up(&mut client).await?;
        shutdown.request();
        server.await??;
        show!("{}", self.what_next())?;
        Ok(Outcome::Done)
    }

    fn what_next(&self) -> String {
        let keep = match &self.data {
            Some(directory) => format!("dhakira serve --data {}", directory.display()),
            None => "dhakira demo --data ./dhakira-data && dhakira serve".to_owned(),
        };
        format!(
            "What next:\n\
             \x20 {keep:<58}  serve the sample memory\n\
             \x20 {:<58}  your own translations\n\
             \x20 {:<58}  segments, one a line\n\
             \x20 {:<58}  all commands\n",
            "dhakira import --memory mine FILE.tmx",
            "dhakira lookup --memory mine < segments.txt",
            "dhakira --help",
        )
    }
}

async fn import_sample(client: &mut Client) -> anyhow::Result<Summary> {
    let name: MemoryName = MEMORY.parse()?;
    let new = NewMemory {
        display_name: "Sample".to_owned(),
        description: "news, software and everyday text, written for Dhakira".to_owned(),
        ..NewMemory::new(name.clone(), "ar".parse()?, "en".parse()?)
    };
    let memory = match client.memory(&name).await {
        Ok(memory) => memory,
        Err(error) if error.is_not_found() => client.create_memory(new.clone()).await?,
        Err(error) => return Err(error.into()),
    };
    let source = Source::Bytes("the sample memory", SAMPLE);
    let job = Job {
        policy: DuplicatePolicy::SkipIdentical,
        check: CheckAction::None,
        again: false,
        stop: CancellationToken::new(),
        options: ReadOptions::new(new.source_lang, new.target_lang, source.name()),
    };
    let since = Instant::now();
    let mut report = Report::default();
    let mut memory = TargetMemory::existing(memory);
    import_source(client, (&job, &mut memory), &source, &mut report)
        .await
        .context("importing the sample memory")?;
    report.finish(since)
}

async fn look_up(client: &mut Client) -> anyhow::Result<()> {
    let settings = LookupSettings {
        memories: vec![MemoryChoice { memory: MEMORY.parse()?, penalty: None }],
        min_score: Score::from_points(70.0)?,
        max_matches: 2,
        exhaustive: false,
        filter: UnitFilter::default(),
        penalty_rules: Vec::new(),
        explain: Explain::default(),
    };
    for (number, text) in (1..).zip(QUERIES.lines().filter(|line| !line.trim().is_empty())) {
        let query = QuerySegment::new(Segment::plain(text));
        let since = Instant::now();
        let found = client.lookup(&settings, vec![query]).await?.pop().unwrap_or_default();
        let micros = since.elapsed().as_micros();
        say!("{:<17} {}", format!("Query {number} ({micros} \u{b5}s)"), isolate(text))?;
        if found.is_empty() {
            say!("  no match of 70 points or more")?;
        }
        for found in &found {
            show!("{}", match_block(found))?;
        }
        say!("")?;
    }
    Ok(())
}
