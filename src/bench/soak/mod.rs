//! `dhakira bench soak`: a mixed load on a server for minutes or hours, and a comparison of the store with what was written.

mod clients;
mod tally;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::sync::Barrier;
use tokio_stream::StreamExt as _;
use xxhash_rust::xxh3::xxh3_64;

use crate::client::Client;
use crate::engine::{Engine, ExportQuery, QuerySegment};
use crate::store::{OpenOptions, SledStore};
use crate::unit::{MemoryName, Unit};

use crate::bench::corpus::{grown_from, read_units, sample_units, spread};
use crate::bench::lookup::fill;
use crate::bench::measure::{Figures, bytes_on_disk, number};
use crate::bench::served::Server;

use clients::{Load, Worker, Written};
use tally::Tally;

/// Many clients on a server of its own: lookups, writes, imports, watches, and cancelled calls.
#[derive(Debug, Args)]
pub(super) struct BenchSoak {
    /// Units of the memory that is searched.
    #[arg(long, default_value_t = 100_000)]
    units: usize,
    /// Clients, each with a connection of its own.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=500))]
    clients: u16,
    /// How long.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    minutes: u16,
    /// Milliseconds that a client thinks between its calls.
    #[arg(long, default_value_t = 10)]
    pause_ms: u64,
    /// After half of the time, compact the store under the load and truncate its commit log, as an operator would at night.
    #[arg(long)]
    compact: bool,
    /// File whose units are grown to the memory; the sample memory when not given.
    #[arg(long)]
    corpus: Option<PathBuf>,
    /// Directory of the memories, which is kept; a temporary one when not given.
    #[arg(long)]
    data: Option<PathBuf>,
    /// One JSON object with all figures.
    #[arg(long)]
    json: bool,
}

/// The memory that is searched; nothing writes to it.
const SEARCHED: &str = "searched";

impl BenchSoak {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let data = self.data.clone().unwrap_or_else(|| {
            PathBuf::from("./dhakira-bench").join(uuid::Uuid::new_v4().to_string())
        });
        let figures = self.measure(&data).await;
        if self.data.is_none() {
            std::fs::remove_dir_all(&data)?;
        }
        let figures = figures?;
        figures.show(self.json)?;
        let wrong: f64 =
            ["units_lost", "units_doubled", "units_unexpected", "watch_faults", "searched_changed"]
                .iter()
                .map(|name| figures.get(name))
                .sum();
        anyhow::ensure!(wrong == 0.0, "the store is not what was written to it");
        Ok(())
    }

    async fn measure(&self, data: &Path) -> anyhow::Result<Figures> {
        let mut figures = Figures::default();
        let queries = {
            let (data, corpus, units) = (data.to_owned(), self.corpus.clone(), self.units);
            tokio::task::spawn_blocking(move || prepare(&data, corpus.as_deref(), units)).await??
        };
        let server = start(data).await?;
        let mut client = Client::connect(&server.url).await?;
        let searched: MemoryName = SEARCHED.parse()?;
        let before = fingerprint(&mut client, &searched).await?;
        figures.put("units", number(before.0));
        figures.put("clients", f64::from(self.clients));
        figures.put("rss_after_open_mb", server.resident_mb());

        let begin = Instant::now();
        let load = Arc::new(Load {
            url: server.url.clone(),
            searched: searched.clone(),
            queries,
            pause: Duration::from_millis(self.pause_ms),
            begin,
            ready: Barrier::new(usize::from(self.clients)),
            end: begin + Duration::from_secs(u64::from(self.minutes) * 60),
        });
        let mut workers = tokio::task::JoinSet::new();
        for index in 0..usize::from(self.clients) {
            let worker = Worker::new(load.clone(), index);
            workers.spawn(worker.work());
        }
        let half = begin + Duration::from_secs(u64::from(self.minutes) * 30);
        let compaction =
            async { if self.compact { Some(compact(&server.url, half).await) } else { None } };
        let ((), compaction) =
            tokio::join!(self.watch_memory(&mut figures, &server, begin), compaction);
        let (mut tally, mut model) = (Tally::default(), BTreeMap::new());
        while let Some(done) = workers.join_next().await {
            let (of_worker, written) = done??;
            tally.add(of_worker);
            for (memory, units) in written {
                model.entry(memory).or_insert_with(BTreeMap::new).extend(units);
            }
        }
        figures.put("rss_end_mb", server.resident_mb());
        if let Some(compaction) = compaction {
            let (seconds, [before, after]) = compaction?;
            figures.put("compaction_seconds", seconds);
            figures.put("compaction_disk_mb_before", before);
            figures.put("compaction_disk_mb_after", after);
        }
        // In the first half the memories that are written to fill; what grows after that is a leak.
        let half = minute_figure(u64::from(self.minutes.div_ceil(2)));
        for (name, warm) in [("rss_growth", minute_figure(1)), ("rss_growth_second_half", half)] {
            let growth = figures.get("rss_end_mb") / figures.get(&warm) - 1.0;
            figures.put(format!("{name}_percent"), growth * 100.0);
        }
        tally.show(&mut figures, begin.elapsed());

        // After a restart, the store must hold what was acknowledged, and nothing else.
        let ended = tokio::task::spawn_blocking(move || server.stop()).await??;
        anyhow::ensure!(ended, "the server did not exit successfully");
        let server = start(data).await?;
        let mut client = Client::connect(&server.url).await?;
        // Growth of the store remains after a restart: it keeps every version that the log names.
        figures.put("rss_after_restart_mb", server.resident_mb());
        figures.put("disk_mb", number(usize::try_from(bytes_on_disk(data)?)?) / 1e6);
        let after = fingerprint(&mut client, &searched).await?;
        figures.put("searched_changed", f64::from(u8::from(before != after)));
        compare(&mut figures, &mut client, model).await?;
        Ok(figures)
    }

    /// Records the memory of the server at the end of each minute.
    async fn watch_memory(&self, figures: &mut Figures, server: &Server, begin: Instant) {
        for minute in 1..=u64::from(self.minutes) {
            tokio::time::sleep_until((begin + Duration::from_secs(60 * minute)).into()).await;
            let resident_mb = server.resident_mb();
            figures.put(minute_figure(minute), resident_mb);
            note!("dhakira: minute {minute} of {}, {resident_mb:.0} MB", self.minutes);
        }
    }
}

/// Compacts at a given moment; returns the seconds it took, and the megabytes before and after.
async fn compact(url: &str, moment: Instant) -> anyhow::Result<(f64, [f64; 2])> {
    let mut client = Client::connect(url).await?;
    tokio::time::sleep_until(moment.into()).await;
    let since = Instant::now();
    let info = client.compact(0, &mut |_| ()).await?;
    let megabytes = |bytes: u64| anyhow::Ok(number(usize::try_from(bytes)?) / 1e6);
    let bytes = [megabytes(info.bytes.0)?, megabytes(info.bytes.1)?];
    Ok((since.elapsed().as_secs_f64(), bytes))
}

fn minute_figure(minute: u64) -> String {
    format!("rss_minute_{minute:02}_mb")
}

async fn start(data: &Path) -> anyhow::Result<Server> {
    let data = data.to_owned();
    tokio::task::spawn_blocking(move || Server::start(&data)).await?
}

/// Fills the searched memory if the directory is new; segments to look up. Blocks.
fn prepare(data: &Path, corpus: Option<&Path>, units: usize) -> anyhow::Result<Vec<QuerySegment>> {
    let real = match corpus {
        Some(file) => read_units(file, usize::MAX)?,
        None => sample_units()?,
    };
    anyhow::ensure!(!real.is_empty(), "the corpus holds no unit");
    // Some are stored as they are, some are found by likeness, some not at all.
    let mut queries = spread(real.clone(), 500);
    queries.extend(grown_from(real.clone()).skip(units + real.len()).take(500));
    let options =
        OpenOptions { create: true, accept_data_loss: false, purpose: "bench".to_owned() };
    let store = Arc::new(SledStore::open(data, &options)?);
    let engine = Engine::open(store, Some(data.join("checkpoints")), &mut |_| ())?;
    if engine.loaded().units == 0 {
        fill(&engine, &SEARCHED.parse()?, grown_from(real).take(units))?;
    }
    let query = |unit: crate::unit::UnitContent| QuerySegment::new(unit.source);
    Ok(queries.into_iter().map(query).collect())
}

/// The number of units of a memory, and a checksum of their content.
async fn fingerprint(client: &mut Client, memory: &MemoryName) -> anyhow::Result<(usize, u64)> {
    let (mut count, mut sum) = (0, 0_u64);
    let mut pages = client.export(memory, ExportQuery::default()).await?;
    while let Some(page) = pages.next().await {
        for Unit { id, revision, content, .. } in page? {
            let text = format!("{id} {revision} {}\n{}", content.source.text, content.target.text);
            sum = sum.wrapping_add(xxh3_64(text.as_bytes()));
            count += 1;
        }
    }
    Ok((count, sum))
}

/// Compares the memories with what was written to them.
async fn compare(
    figures: &mut Figures,
    client: &mut Client,
    model: BTreeMap<MemoryName, Written>,
) -> anyhow::Result<()> {
    let (mut lost, mut doubled, mut unexpected, mut compared) = (0, 0, 0, 0);
    for (memory, mut written) in model {
        compared += written.len();
        let mut seen = BTreeSet::new();
        let mut pages = client.export(&memory, ExportQuery::default()).await?;
        while let Some(page) = pages.next().await {
            for unit in page? {
                let (source, target) = (unit.content.source.text, unit.content.target.text);
                let again = !seen.insert(source.clone());
                match written.remove(&source) {
                    _ if again => doubled += 1,
                    Some(expected) if expected == target => {}
                    Some(_) => lost += 1,
                    None => unexpected += 1,
                }
            }
        }
        lost += written.len();
    }
    figures.put("units_compared", number(compared));
    figures.put("units_lost", number(lost));
    figures.put("units_doubled", number(doubled));
    figures.put("units_unexpected", number(unexpected));
    Ok(())
}
