//! `dhakira bench import`: measures imports and exports, embedded and through a server.

mod files;
mod ways;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;

use crate::client::Client;
use crate::engine::{Engine, ExportQuery};
use crate::formats::Format;
use crate::grpc::Api;
use crate::store::SledStore;
use crate::unit::{Lang, UnitContent};

use super::corpus::grown;
use super::measure::{Figures, bytes_on_disk, median, number};

pub(super) use files::{Size, write_tmx, write_tsv};
pub(super) use ways::{MEMORY, Run, embedded, open_options, store_alone};
use ways::{served, uploaded};

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
        let langs = [&self.source_lang, &self.target_lang];
        write_tmx(&tmx, langs, self.contents()?)?;
        let size = write_tsv(&tsv, langs, self.contents()?)?;
        figures.put("units", number(size.units));
        figures.put("text_bytes_per_unit", number(size.text_bytes) / number(size.units));
        for (name, file) in [("tmx", &tmx), ("tsv", &tsv)] {
            figures.put(
                format!("{name}_file_mb"),
                number(usize::try_from(file.metadata()?.len())?) / 1e6,
            );
        }
        for (part, name, file) in [(Part::Tmx, "tmx", &tmx), (Part::Tsv, "tsv", &tsv)] {
            if self.does(part) {
                let run = |store: &Path| embedded(store, file);
                self.repeat(&mut figures, (name, size), directory, run)?;
            }
        }
        if self.does(Part::Grpc) {
            let run = |store: &Path| served(store, &tmx);
            self.repeat(&mut figures, ("grpc_tmx", size), directory, run)?;
        }
        if self.does(Part::File) {
            let run = |store: &Path| uploaded(store, &tmx, langs);
            self.repeat(&mut figures, ("grpc_file", size), directory, run)?;
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
                let taken = store_alone(&store, langs, self.contents()?)?;
                rates.push(number(size.units) / taken.as_secs_f64());
                std::fs::remove_dir_all(&store)?;
            }
            figures.put("store_alone_units_per_second", median(rates));
        }
        Ok(figures)
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
        (name, size): (&str, Size),
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
            let bytes = number(usize::try_from(bytes)?);
            figures.put(format!("{name}_disk_mb"), bytes / 1e6);
            figures.put(format!("{name}_disk_bytes_per_unit"), bytes / number(size.units));
            figures.put(format!("{name}_disk_to_text"), bytes / number(size.text_bytes));
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
}
