//! `dhakira bench import`: measures imports and exports, embedded and through a server.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;

use crate::client::Client;
use crate::engine::{Engine, ExportQuery, ImportCounts, NewMemory};
use crate::formats::{self, FileHeader, Format};
use crate::grpc::Api;
use crate::limits::{BATCH_UNITS_MAX, GROUP_COMMIT_UNITS_MAX};
use crate::store::{
    Commit, CommitLog as _, MemoryKey, MemoryRecord, OpenOptions, RequestKey, RequestRecord,
    SledStore, UnitWrite,
};
use crate::unit::{Lang, MemoryName, Scoring, Timestamp, Unit, UnitContent, UnitId};

use super::corpus::grown;
use super::measure::{Figures, bytes_on_disk, median, number, peak_resident_mb_of};
use super::served::Server;

/// Imports a memory as TMX and as TSV into empty stores by the import command, embedded and through a server on loopback,
/// exports it again, and writes the same units to the store alone, which is the ceiling.
#[derive(Debug, Args)]
pub(super) struct BenchImport {
    /// File with the memory.
    file: PathBuf,
    /// Units: the real ones and changed copies of them up to this number. Only the real ones when not given.
    #[arg(long)]
    units: Option<usize>,
    /// Runs of each way; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=99))]
    runs: u8,
    /// Only these parts; all when not given.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Language of the sources.
    #[arg(long, default_value = "ar")]
    source_lang: Lang,
    /// Language of the targets.
    #[arg(long, default_value = "en")]
    target_lang: Lang,
    /// Directory for files and stores, on the disk to be measured; each run makes and removes its own.
    #[arg(long, default_value = "./dhakira-bench")]
    data: PathBuf,
    /// One JSON object with all figures.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// TMX into a store of the command.
    Tmx,
    /// TSV into a store of the command.
    Tsv,
    /// TMX through a server, read by the client.
    Grpc,
    /// TMX through a server, read by the server.
    File,
    /// From a store.
    Export,
    /// Units to the store alone.
    Store,
}

const MEMORY: &str = "bench";

impl BenchImport {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let directory = self.data.join(uuid::Uuid::new_v4().to_string());
        std::fs::create_dir_all(&directory)?;
        let json = self.json;
        let here = directory.clone();
        let figures = self.measure(&here).await;
        std::fs::remove_dir_all(&directory)?;
        figures?.show(json)
    }

    fn does(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    async fn measure(self, directory: &Path) -> anyhow::Result<Figures> {
        let mut figures = Figures::default();
        let tmx = directory.join("memory.tmx");
        let tsv = directory.join("memory.tsv");
        let units = self.write_tmx(&tmx)?;
        self.write_tsv(&tsv)?;
        figures.put("units", number(units));
        for (name, file) in [("tmx", &tmx), ("tsv", &tsv)] {
            figures.put(
                format!("{name}_file_mb"),
                number(usize::try_from(file.metadata()?.len())?) / 1e6,
            );
        }
        for (part, name, file) in [(Part::Tmx, "tmx", &tmx), (Part::Tsv, "tsv", &tsv)] {
            if self.does(part) {
                let run = |store: &Path| embedded(store, file);
                self.repeat(&mut figures, name, directory, run)?;
            }
        }
        if self.does(Part::Grpc) {
            self.repeat(&mut figures, "grpc_tmx", directory, |store| served(store, &tmx))?;
        }
        if self.does(Part::File) {
            let langs = [&self.source_lang, &self.target_lang];
            self.repeat(&mut figures, "grpc_file", directory, |store| {
                uploaded(store, &tmx, langs)
            })?;
        }
        if self.does(Part::Export) {
            let store = directory.join("store");
            embedded(&store, &tsv)?;
            self.exports(&mut figures, &store, directory).await?;
            std::fs::remove_dir_all(&store)?;
        }
        if self.does(Part::Store) {
            let mut rates = Vec::new();
            for _ in 0..self.runs {
                let store = directory.join("store");
                rates.push(number(units) / self.store_alone(&store, units)?.as_secs_f64());
                std::fs::remove_dir_all(&store)?;
            }
            figures.put("store_alone_units_per_second", median(rates));
        }
        Ok(figures)
    }

    /// Writes the memory as TMX; how many units.
    fn write_tmx(&self, path: &Path) -> anyhow::Result<usize> {
        let header = FileHeader {
            source_lang: self.source_lang.clone(),
            target_lang: self.target_lang.clone(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        let mut out = formats::create(Format::Tmx, &header, file)?;
        let mut units = 0;
        for content in self.contents()? {
            units += 1;
            out.write(&Unit::new(UnitId(units), 1, content))?;
        }
        out.finish()?.flush()?;
        Ok(usize::try_from(units)?)
    }

    /// Writes it as plain TSV: document, source, target.
    fn write_tsv(&self, path: &Path) -> anyhow::Result<()> {
        let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
        writeln!(out, "document\t{}\t{}", self.source_lang, self.target_lang)?;
        let flat = |text: &str| text.replace(['\t', '\n', '\r'], " ");
        for content in self.contents()? {
            let UnitContent { source, target, document, .. } = content;
            writeln!(out, "{}\t{}\t{}", flat(&document), flat(&source.text), flat(&target.text))?;
        }
        out.flush()?;
        Ok(())
    }

    /// The units of the memory.
    fn contents(&self) -> anyhow::Result<Box<dyn Iterator<Item = UnitContent>>> {
        Ok(match self.units {
            Some(units) => Box::new(grown(&self.file)?.take(units)),
            None => Box::new(super::corpus::read_units(&self.file, usize::MAX)?.into_iter()),
        })
    }

    fn repeat(
        &self,
        figures: &mut Figures,
        name: &str,
        directory: &Path,
        run: impl Fn(&Path) -> anyhow::Result<Run>,
    ) -> anyhow::Result<()> {
        let (mut rates, mut walls, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.runs {
            let store = directory.join("store");
            let run = run(&store);
            let bytes = bytes_on_disk(&store).unwrap_or_default();
            std::fs::remove_dir_all(&store)?;
            let run = run?;
            rates.push(run.units_per_second);
            walls.push(run.wall.as_secs_f64());
            peaks.push(run.peak_resident_mb);
            figures.put(format!("{name}_disk_mb"), number(usize::try_from(bytes)?) / 1e6);
            figures.put(format!("{name}_units_stored"), run.stored);
        }
        figures.put(format!("{name}_units_per_second"), median(rates));
        figures.put(format!("{name}_wall_seconds"), median(walls));
        figures.put(format!("{name}_peak_resident_mb"), median(peaks));
        Ok(())
    }

    async fn exports(
        &self,
        figures: &mut Figures,
        store: &Path,
        directory: &Path,
    ) -> anyhow::Result<()> {
        let store = SledStore::open(store, &open_options())?;
        let api = Api::ready(Engine::open(Arc::new(store), None, &mut |_| ())?);
        let mut client = Client::local(&api);
        let memory = client.memory(&MEMORY.parse()?).await?;
        for format in Format::written() {
            let path = directory.join(format!("export.{format}"));
            let mut rates = Vec::new();
            for _ in 0..self.runs {
                let since = Instant::now();
                let file = BufWriter::with_capacity(1 << 16, File::create(&path)?);
                let wanted = ExportQuery::default();
                let written = client.export_to(&memory, wanted, format, file).await;
                let (mut file, units) = written.with_context(|| format!("exporting {format}"))?;
                file.flush()?;
                rates.push(number(usize::try_from(units)?) / since.elapsed().as_secs_f64());
            }
            figures.put(format!("export_{format}_units_per_second"), median(rates));
        }
        Ok(())
    }

    /// How long the store takes for the same units: transactions and groups as an import makes them, and nothing else.
    fn store_alone(&self, directory: &Path, units: usize) -> anyhow::Result<Duration> {
        let store = SledStore::open(directory, &open_options())?;
        let mut record = MemoryRecord {
            key: MemoryKey(1),
            name: MEMORY.parse::<MemoryName>()?,
            display_name: String::new(),
            description: String::new(),
            source_lang: self.source_lang.clone(),
            target_lang: self.target_lang.clone(),
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
        let mut contents = self.contents()?;
        let mut taken = Duration::ZERO;
        let mut left = units;
        while left > 0 {
            let group: Vec<UnitContent> = contents.by_ref().take(GROUP_COMMIT_UNITS_MAX).collect();
            left = left.saturating_sub(group.len().max(1));
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
        Ok(taken)
    }
}

fn open_options() -> OpenOptions {
    OpenOptions { create: true, accept_data_loss: false, purpose: "bench".to_owned() }
}

/// The cost of an import.
struct Run {
    units_per_second: f64,
    stored: f64,
    /// Including the start of the program and the final checkpoint.
    wall: Duration,
    peak_resident_mb: f64,
}

/// By the import command, into a directory of its own. Blocks.
fn embedded(store: &Path, file: &Path) -> anyhow::Result<Run> {
    import(file, |command| command.arg("--data").arg(store), None)
}

/// By the import command through a server. Blocks.
fn served(store: &Path, file: &Path) -> anyhow::Result<Run> {
    std::fs::create_dir_all(store)?;
    let server = Server::start(store)?;
    import(file, |command| command.args(["--server", &server.url]), Some(server.id()))
}

/// As a file that the server reads. Blocks.
fn uploaded(store: &Path, file: &Path, langs: [&Lang; 2]) -> anyhow::Result<Run> {
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
            std::thread::sleep(LOOK_EVERY);
        }
        sending.join().map_err(|_| anyhow::anyhow!("sending the file panicked"))?
    })?;
    let wall = since.elapsed();
    let count = |count: u64| anyhow::Ok(number(usize::try_from(count)?));
    Ok(Run {
        units_per_second: count(counts.read)? / wall.as_secs_f64(),
        stored: count(counts.stored)?,
        wall,
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

/// How often memory is sampled. The kernel keeps the peak, so a rare sample misses only the last moments.
const LOOK_EVERY: Duration = Duration::from_millis(20);

fn import(
    file: &Path,
    place: impl FnOnce(&mut Command) -> &mut Command,
    server: Option<u32>,
) -> anyhow::Result<Run> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["import", "--json", "--memory", MEMORY]);
    place(&mut command).arg(file).stdout(Stdio::piped()).stderr(Stdio::null());
    let since = Instant::now();
    let mut child = command.spawn()?;
    let measured = server.unwrap_or(child.id()).to_string();
    let mut peak_resident_mb: f64 = 0.0;
    let status = loop {
        peak_resident_mb = peak_resident_mb.max(peak_resident_mb_of(&measured));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(LOOK_EVERY);
    };
    let wall = since.elapsed();
    anyhow::ensure!(status.success(), "the import failed");
    let output = child.wait_with_output()?.stdout;
    let sums: serde_json::Value = serde_json::from_slice(&output).context("the import's sums")?;
    let figure = |name: &str| sums[name].as_f64().with_context(|| format!("no {name}"));
    Ok(Run {
        units_per_second: figure("read")? / figure("seconds")?,
        stored: figure("stored")?,
        wall,
        peak_resident_mb,
    })
}
