//! `dhakira bench lookup`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use crate::engine::{
    Cancel, DuplicatePolicy, Engine, Import, LookupSettings, MemoryChoice, NewMemory, Prepared,
    QuerySegment, UnitFilter,
};
use crate::formats::{self, Event, ReadOptions};
use crate::limits::BATCH_UNITS_MAX;
use crate::server::{Bound, Shutdown};
use crate::service::Api;
use crate::service::client::Client;
use crate::store::{InMemoryStore, RequestKey};
use crate::unit::{MemoryName, Score, Segment, UnitContent};

use super::grow::Grower;
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
    /// Units of the memory: the real ones and changed copies of them up to this number. Only the real ones when not given.
    #[arg(long)]
    units: Option<usize>,
    /// How many segments are looked up, spread over the file.
    #[arg(long, default_value_t = 1_000)]
    count: usize,
    /// Segments in each call of the batched part.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    batch: u16,
    /// Calls under way at the same time in the part that loads the server.
    #[arg(long, default_value_t = 8)]
    clients: usize,
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
    /// The real units, and changed copies up to the number that was asked for.
    fn grown(&self, mut units: Vec<UnitContent>) -> Vec<UnitContent> {
        let wanted = self.units.unwrap_or(units.len());
        units.truncate(wanted);
        let real = units.len();
        let sources = units.iter().map(|unit| unit.source.text.clone()).collect();
        let mut grower = Grower::new(sources, 1);
        while units.len() < wanted && real > 0 {
            let mut copy = units[units.len() % real].clone();
            copy.source = Segment::plain(grower.changed_copy());
            units.push(copy);
        }
        units
    }

    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut figures = Figures::default();
        let name: MemoryName = "bench".parse()?;
        let engine = Engine::open(Arc::new(InMemoryStore::default()), None, &mut |_| ())?;
        let units = self.grown(read_units(&self.corpus, usize::MAX)?);
        let queries: Vec<QuerySegment> = spread(read_units(&self.queries, usize::MAX)?, self.count)
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
            filter: UnitFilter::default(),
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
        for query in &queries {
            let since = Instant::now();
            client.lookup(&settings, vec![query.clone()]).await?;
            times.push(since.elapsed());
        }
        figures.percentiles("grpc", times);
        let since = Instant::now();
        for batch in queries.chunks(usize::from(self.batch)) {
            client.lookup(&settings, batch.to_vec()).await?;
        }
        let seconds = since.elapsed().as_secs_f64();
        figures.put("grpc_batched_segments_per_second", number(queries.len()) / seconds);
        let seconds = loaded(&client, &settings, &queries, self.clients.max(1)).await?;
        figures.put("grpc_loaded_lookups_per_second", number(queries.len()) / seconds);
        figures.put("peak_resident_mb", peak_resident_mb());
        figures.show(self.json)
    }
}

/// Looks segments up one a call, so many calls at the same time over one connection; how long it took.
async fn loaded(
    client: &Client,
    settings: &LookupSettings,
    queries: &[QuerySegment],
    clients: usize,
) -> anyhow::Result<f64> {
    let since = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    for part in queries.chunks(queries.len().div_ceil(clients).max(1)) {
        let (mut client, settings, part) = (client.clone(), settings.clone(), part.to_vec());
        calls.spawn(async move {
            for query in part {
                client.lookup(&settings, vec![query]).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = calls.join_next().await {
        done??;
    }
    Ok(since.elapsed().as_secs_f64())
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

/// Some of many, spread evenly.
pub(super) fn spread<T>(all: Vec<T>, count: usize) -> Vec<T> {
    let step = all.len().div_ceil(count.max(1)).max(1);
    all.into_iter().step_by(step).collect()
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
