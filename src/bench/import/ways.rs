//! The ways into a store: by the import command, through a server, and past everything but the store.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::bench::child;
use crate::bench::measure::{number, peak_resident_mb_of};
use crate::bench::served::Server;
use crate::client::Client;
use crate::engine::{ImportCounts, NewMemory};
use crate::limits::{BATCH_UNITS_MAX, GROUP_COMMIT_UNITS_MAX};
use crate::store::{
    Commit, CommitLog as _, MemoryKey, MemoryRecord, OpenOptions, RequestKey, RequestRecord,
    SledStore, UnitWrite,
};
use crate::unit::{Lang, MemoryName, Scoring, Timestamp, Unit, UnitContent, UnitId};

/// The memory that units are imported into.
pub(in crate::bench) const MEMORY: &str = "bench";

pub(in crate::bench) fn open_options() -> OpenOptions {
    OpenOptions { create: true, accept_data_loss: false, purpose: "bench".to_owned() }
}

/// The cost of an import.
pub(in crate::bench) struct Run {
    pub(in crate::bench) units_per_second: f64,
    pub(in crate::bench) stored: f64,
    /// Including the start of the program and the final checkpoint.
    pub(in crate::bench) wall: Duration,
    /// Processor time of the client; 0 where it is this process.
    pub(in crate::bench) cpu_seconds: f64,
    pub(in crate::bench) peak_resident_mb: f64,
}

/// By the import command, into a directory of its own. Blocks.
pub(in crate::bench) fn embedded(store: &Path, file: &Path) -> anyhow::Result<Run> {
    import(file, |command| command.arg("--data").arg(store), None)
}

/// By the import command through a server. Blocks.
pub(super) fn served(store: &Path, file: &Path) -> anyhow::Result<Run> {
    std::fs::create_dir_all(store)?;
    let server = Server::start(store)?;
    import(file, |command| command.args(["--server", &server.url]), Some(server.id()))
}

/// As a file that the server reads. Blocks.
pub(super) fn uploaded(store: &Path, file: &Path, langs: [&Lang; 2]) -> anyhow::Result<Run> {
    std::fs::create_dir_all(store)?;
    let server = Server::start(store)?;
    let mut peak_resident_mb: f64 = 0.0;
    let since = Instant::now();
    let file = File::open(file)?;
    let counts = std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(upload(&server.url, file, langs))
        });
        while !sending.is_finished() {
            peak_resident_mb = peak_resident_mb.max(peak_resident_mb_of(&server.id().to_string()));
            std::thread::sleep(child::LOOK_EVERY);
        }
        sending.join().map_err(|_| anyhow::anyhow!("sending the file panicked"))?
    })?;
    let wall = since.elapsed();
    let count = |count: u64| anyhow::Ok(number(usize::try_from(count)?));
    Ok(Run {
        units_per_second: count(counts.read)? / wall.as_secs_f64(),
        stored: count(counts.stored)?,
        wall,
        cpu_seconds: 0.0,
        peak_resident_mb,
    })
}

async fn upload(
    url: &str,
    file: File,
    [source_lang, target_lang]: [&Lang; 2],
) -> anyhow::Result<ImportCounts> {
    let mut client = Client::connect(url).await?;
    let name: MemoryName = MEMORY.parse()?;
    let size_bytes = file.metadata()?.len();
    let memory = NewMemory::new(name.clone(), source_lang.clone(), target_lang.clone());
    client.create_memory(memory).await?;
    Ok(client.import_file(&name, uuid::Uuid::new_v4(), (file, size_bytes)).await?)
}

fn import(
    file: &Path,
    place: impl FnOnce(&mut Command) -> &mut Command,
    server: Option<u32>,
) -> anyhow::Result<Run> {
    let mut command = child::dhakira(["import", "--json", "--memory", MEMORY])?;
    place(&mut command).arg(file);
    let ended = child::run(command, server)?;
    let sums: serde_json::Value =
        serde_json::from_slice(&ended.output).context("the import's sums")?;
    let figure = |name: &str| sums[name].as_f64().with_context(|| format!("no {name}"));
    Ok(Run {
        units_per_second: figure("read")? / figure("seconds")?,
        stored: figure("stored")?,
        wall: ended.wall,
        cpu_seconds: ended.cpu_seconds,
        peak_resident_mb: ended.peak_resident_mb,
    })
}

/// How long the store takes for so many units: transactions and groups as an import makes them, and nothing else.
pub(in crate::bench) fn store_alone(
    directory: &Path,
    [source_lang, target_lang]: [&Lang; 2],
    mut contents: impl Iterator<Item = UnitContent>,
) -> anyhow::Result<Duration> {
    let store = SledStore::open(directory, &open_options())?;
    let mut record = MemoryRecord {
        key: MemoryKey(1),
        name: MEMORY.parse::<MemoryName>()?,
        display_name: String::new(),
        description: String::new(),
        source_lang: source_lang.clone(),
        target_lang: target_lang.clone(),
        created: Timestamp::default(),
        changed: Timestamp::default(),
        revision: 1,
        unit_count: 0,
        next_unit: UnitId(1),
        deleted: false,
        unfinished_penalty: None,
        scoring: Scoring::default(),
    };
    let request =
        RequestRecord { time: Timestamp::default(), fingerprint: 0, outcome: vec![0; 16] };
    let mut taken = Duration::ZERO;
    loop {
        let group: Vec<UnitContent> = contents.by_ref().take(GROUP_COMMIT_UNITS_MAX).collect();
        if group.is_empty() {
            return Ok(taken);
        }
        let mut commits = Vec::new();
        let mut group = group.into_iter().peekable();
        while group.peek().is_some() {
            let mut commit = Commit::default();
            for content in group.by_ref().take(BATCH_UNITS_MAX) {
                let unit = Unit::new(record.next_unit, 1, content);
                record.next_unit.0 += 1;
                record.unit_count += 1;
                commit.units.push(UnitWrite::Create(record.key, Arc::new(unit)));
            }
            commit.memories.push(record.clone());
            commit.requests.push((RequestKey([1; 16]), request.clone()));
            commits.push(commit);
        }
        let since = Instant::now();
        store.append(store.end()?, &commits).into_result()?;
        taken += since.elapsed();
    }
}
