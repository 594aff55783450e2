//! `dhakira bench scale`: measures what a memory costs at several sizes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;

use crate::engine::Engine;
use crate::store::SledStore;
use crate::terminal::counted;
use crate::unit::MemoryName;

use super::child;
use super::corpus::{changed_copies, grown, phrases, queries, read_units};
use super::import::{MEMORY, Size, embedded, open_options, write_tsv};
use super::lookup::{lookup_settings, time_lookups, time_phrases};
use super::measure::{Figures, bytes_on_disk, number, remove_directory};
use super::record::Record;
use super::served::Server;

/// Measures what a memory costs at several sizes: import, disk, memory, start, lookup, concordance, compaction, backup.
///
/// Each size has a process and a directory of its own, which is removed. Units are made, written and imported as a stream; the
/// directory needs room for three times the store.
#[derive(Debug, Args)]
pub(super) struct BenchScale {
    /// File with the real memory.
    #[arg(long)]
    corpus: PathBuf,
    /// File whose source segments are looked up; changed copies of the corpus when not given.
    #[arg(long)]
    queries: Option<PathBuf>,
    /// Units of the memories: the real ones and changed copies of them up to these numbers.
    #[arg(long, value_name = "UNITS", value_delimiter = ',', default_values_t = [10_000, 100_000, 1_000_000])]
    sizes: Vec<usize>,
    /// How many segments are looked up, spread over the file.
    #[arg(long, default_value_t = 2_000)]
    count: usize,
    /// Times that lookups are measured; medians are shown.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=99))]
    runs: u8,
    /// Directory for files and stores, on the disk to be measured; each size makes and removes its own.
    #[arg(long, default_value = "./dhakira-bench")]
    data: PathBuf,
    /// One JSON object with commit, date, machine, and the figures of each size.
    #[arg(long)]
    json: bool,
}

impl BenchScale {
    /// Blocks.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut record = Record::begin();
        for &units in &self.sizes {
            anyhow::ensure!(units > 0, "a memory has at least one unit");
            let since = Instant::now();
            let size = units.to_string();
            // Alone, a size is measured by this process.
            let figures = match self.sizes[..] {
                [_] => self.in_directory(units)?.into_map(),
                _ => self.in_child(&size)?,
            };
            let seconds = since.elapsed().as_secs_f64();
            record.put(&size, figures, seconds);
            record.commands.insert(size, self.shown(units));
        }
        record.show(self.json)
    }

    /// The command for one size, with names in place of files.
    fn shown(&self, units: usize) -> String {
        let queries = if self.queries.is_some() { " --queries QUERIES" } else { "" };
        format!("dhakira bench scale --corpus CORPUS{queries} --sizes {units}")
    }

    fn in_child(&self, size: &str) -> anyhow::Result<super::record::FiguresByName> {
        let (count, runs) = (self.count.to_string(), self.runs.to_string());
        let mut command = child::dhakira(["bench", "scale", "--json", "--sizes", size])?;
        command.args(["--count", &count, "--runs", &runs]);
        command.arg("--corpus").arg(&self.corpus).arg("--data").arg(&self.data);
        if let Some(queries) = &self.queries {
            command.arg("--queries").arg(queries);
        }
        command.stderr(std::process::Stdio::inherit());
        let ended = child::run(command, None)?;
        let mut record: Record = serde_json::from_slice(&ended.output)?;
        record.figures.remove(size).context("no figures of the size")
    }

    fn in_directory(&self, units: usize) -> anyhow::Result<Figures> {
        let directory = self.data.join(uuid::Uuid::new_v4().to_string());
        std::fs::create_dir_all(&directory)?;
        let since = Instant::now();
        note!("dhakira: {}", counted(units, "unit"));
        let figures = self.measure(&directory, units);
        std::fs::remove_dir_all(&directory)?;
        note!("dhakira: took {:.0} s", since.elapsed().as_secs_f64());
        figures
    }

    fn measure(&self, directory: &Path, units: usize) -> anyhow::Result<Figures> {
        let mut figures = Figures::default();
        figures.put("units", number(units));
        let store = directory.join("store");
        let size = self.import(&mut figures, directory, &store, units)?;
        disk(&mut figures, "disk", &store, size)?;
        let empty_mb = idle_server_mb(&directory.join("empty"))?;
        note!("dhakira: starting from the store and from the checkpoint");
        // A small memory has none.
        remove_directory(&store.join("checkpoints"))?;
        let (seconds, _) = start(&store)?;
        figures.put("start_from_store_seconds", seconds);
        let (seconds, resident_mb) = start(&store)?;
        figures.put("start_from_checkpoint_seconds", seconds);
        let index_mb = resident_mb - empty_mb;
        figures.put("memory_bytes_per_unit", index_mb * 1024.0 * 1024.0 / number(units));
        note!("dhakira: looking segments up");
        self.look_up(&mut figures, &store)?;
        note!("dhakira: compacting and backing up");
        for (name, arguments) in [("compaction", vec!["compact"]), ("backup", vec!["backup"])] {
            let mut command = child::dhakira(arguments)?;
            if name == "backup" {
                command.arg(directory.join("backup"));
            }
            command.arg("--data").arg(&store);
            let ended = child::run(command, None)?;
            figures.put(format!("{name}_seconds"), ended.wall.as_secs_f64());
            figures.put(format!("{name}_peak_resident_mb"), ended.peak_resident_mb);
        }
        disk(&mut figures, "compacted_disk", &store, size)?;
        disk(&mut figures, "backup_disk", &directory.join("backup"), size)?;
        Ok(figures)
    }

    /// By the import command, from a file that is removed again.
    fn import(
        &self,
        figures: &mut Figures,
        directory: &Path,
        store: &Path,
        units: usize,
    ) -> anyhow::Result<Size> {
        let file = directory.join("units.tsv");
        note!("dhakira: writing {}", file.display());
        let langs = [&"ar".parse()?, &"en".parse()?];
        let size = write_tsv(&file, langs, grown(&self.corpus)?.take(units))?;
        note!("dhakira: importing");
        let run = embedded(store, &file)?;
        std::fs::remove_file(&file)?;
        figures.put("text_bytes_per_unit", number(size.text_bytes) / number(units));
        figures.put("import_units_per_second", run.units_per_second);
        figures.put("import_wall_seconds", run.wall.as_secs_f64());
        figures.put("import_peak_resident_mb", run.peak_resident_mb);
        Ok(size)
    }

    /// Times the engine on one core.
    fn look_up(&self, figures: &mut Figures, store: &Path) -> anyhow::Result<()> {
        let memory: MemoryName = MEMORY.parse()?;
        let real = read_units(&self.corpus, usize::MAX)?;
        let phrases = phrases(&real, 500);
        let queries = match &self.queries {
            Some(file) => queries(file, self.count)?,
            None => changed_copies(&real, self.count),
        };
        drop(real);
        let opened = SledStore::open(store, &open_options())?;
        let engine = Engine::open(Arc::new(opened), Some(store.join("checkpoints")), &mut |_| ())?;
        let settings = lookup_settings(&memory, 70.0, 5)?;
        let mut times = Vec::new();
        for _ in 0..self.runs {
            times.push(time_lookups(&engine, &settings, &queries)?.0);
        }
        figures.median_percentiles("engine", times);
        let mut times = Vec::new();
        for _ in 0..self.runs {
            times.push(time_phrases(&engine, &memory, &phrases)?);
        }
        figures.median_percentiles("concordance", times);
        Ok(())
    }
}

/// Serves a store until it is ready, and stops: the seconds until then, and the memory. Blocks.
fn start(store: &Path) -> anyhow::Result<(f64, f64)> {
    let since = Instant::now();
    let server = Server::start(store)?;
    let seconds = since.elapsed().as_secs_f64();
    let resident_mb = server.resident_mb();
    anyhow::ensure!(server.stop()?, "the server failed while it stopped");
    Ok((seconds, resident_mb))
}

/// The memory of a server without units. Blocks.
fn idle_server_mb(store: &Path) -> anyhow::Result<f64> {
    std::fs::create_dir_all(store)?;
    start(store).map(|(_, resident_mb)| resident_mb)
}

fn disk(figures: &mut Figures, name: &str, directory: &Path, size: Size) -> anyhow::Result<()> {
    let bytes = number(usize::try_from(bytes_on_disk(directory)?)?);
    figures.put(format!("{name}_bytes_per_unit"), bytes / number(size.units));
    figures.put(format!("{name}_to_text"), bytes / number(size.text_bytes));
    Ok(())
}
