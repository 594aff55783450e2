//! `dhakira bench profile`: measures where the time of a lookup, or of an imported unit, goes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use crate::client::Client;
use crate::engine::{Engine, Explain, LookupSettings};
use crate::store::SledStore;
use crate::terminal::table;
use crate::text::Analyzer;
use crate::unit::{MemoryName, UnitContent};

use super::corpus::read_units;
use super::import::{MEMORY, open_options, store_alone, write_tsv};
use super::lookup::{fill, lookup_settings, time_lookups};
use super::measure::{Figures, cpu_seconds, number};
use super::served::{Server, empty_calls, one_by_one};
use super::workload::{Workload, search_all};

/// Measures where the time of a lookup, or of an imported unit, goes, by leaving parts out one after the other.
///
/// Lookups: mean time of the five best matches of at least 70 points, one after the other. Imports: processor time of a unit. The
/// memory is made of the sample memory of the program unless files are given.
#[derive(Debug, Args)]
pub(super) struct BenchProfile {
    /// What to look into.
    #[arg(value_enum)]
    of: Of,
    /// File with the memory.
    #[arg(long)]
    corpus: Option<PathBuf>,
    /// File whose source segments are looked up; changed copies of the memory when not given.
    #[arg(long, requires = "corpus")]
    queries: Option<PathBuf>,
    /// Units of the memory: the real ones and changed copies of them up to this number.
    #[arg(long, default_value_t = 100_000)]
    units: usize,
    /// Segments looked up.
    #[arg(long, default_value_t = 2_000)]
    count: usize,
    /// Times that everything is measured; the least times are shown.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=99))]
    runs: u8,
    /// One JSON object with all figures.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Of {
    /// A lookup, from the call over gRPC to the index.
    Lookup,
    /// A unit of a file, until it can be found.
    Import,
}

/// Microseconds of the stages, in their order, and what each does.
type Stages = Vec<(&'static str, &'static str, f64)>;

impl BenchProfile {
    /// Blocks.
    pub(super) fn run(self) -> anyhow::Result<()> {
        let workload = match &self.corpus {
            Some(corpus) => {
                Workload::read(corpus, self.queries.as_deref(), self.units, self.count)?
            }
            None => Workload::sample(self.units, self.count)?,
        };
        let directory = PathBuf::from("./dhakira-bench").join(uuid::Uuid::new_v4().to_string());
        std::fs::create_dir_all(&directory)?;
        let stages = match self.of {
            Of::Lookup => self.lookup(&directory.join("store"), &workload),
            Of::Import => self.import(&directory, &workload.units),
        };
        std::fs::remove_dir_all(&directory)?;
        self.show(&stages?)
    }

    fn show(&self, stages: &Stages) -> anyhow::Result<()> {
        let sum: f64 = stages.iter().map(|(.., micros)| micros).sum();
        if self.json {
            let mut figures = Figures::default();
            for (name, _, micros) in stages {
                figures.put(format!("{name}_us"), *micros);
            }
            figures.put("all_us", sum);
            return figures.show(true);
        }
        let row = |name: &str, micros: f64, what: &str| {
            let share = format!("{:.0} %", 100.0 * micros / sum);
            vec![name.to_owned(), format!("{micros:.1}"), share, what.to_owned()]
        };
        let mut rows = vec![["stage", "µs", "share", "what"].map(str::to_owned).to_vec()];
        rows.extend(stages.iter().map(|(name, what, micros)| row(name, *micros, what)));
        rows.push(row("all", sum, ""));
        show!("{}", table(&rows))
    }

    /// Each stage is what a lookup takes longer with it than without it.
    fn lookup(&self, store: &Path, workload: &Workload) -> anyhow::Result<Stages> {
        let memory: MemoryName = MEMORY.parse()?;
        let everything = lookup_settings(&memory, 70.0, 5)?;
        let without = |explain| LookupSettings { explain, ..everything.clone() };
        let no_links = without(Explain { spans_to_edit: false, ..Explain::default() });
        let nothing = without(Explain { edits: false, adapted: false, spans_to_edit: false });
        let (index, searched) = workload.index()?;
        let analyzer = Analyzer::new(&"ar".parse()?);
        let engine = open(store)?;
        fill(&engine, &memory, workload.units.iter().cloned())?;
        let [mut analysis, mut search, mut bare, mut compared, mut full] =
            [const { Vec::new() }; 5];
        for _ in 0..self.runs {
            let since = Instant::now();
            std::hint::black_box(workload.analyzed(&analyzer));
            analysis.push(since.elapsed().as_secs_f64() * 1e6 / number(workload.queries.len()));
            search.push(mean_us(&search_all(&index, &searched)?));
            for (settings, means) in
                [(&nothing, &mut bare), (&no_links, &mut compared), (&everything, &mut full)]
            {
                means.push(mean_us(&time_lookups(&engine, settings, &workload.queries)?.0));
            }
        }
        drop(engine);
        let (empty_call, call) = self.calls(store, &memory, &everything, workload)?;
        let [analysis, search, bare, compared, full] =
            [analysis, search, bare, compared, full].map(least);
        Ok(vec![
            ("analysis", "forms and tokens of the segment", analysis),
            ("search", "the index alone", search),
            ("units", "reading the units of the hits", bare - search - analysis),
            ("comparison", "analysing hits, edits, adapted targets", compared - bare),
            ("links", "spans of the target to edit", full - compared),
            ("empty_call", "gRPC: a call without work", empty_call),
            ("messages", "gRPC: encoding, decoding, threads", call - empty_call - full),
        ])
    }

    /// An empty call and a lookup over gRPC.
    fn calls(
        &self,
        store: &Path,
        memory: &MemoryName,
        settings: &LookupSettings,
        workload: &Workload,
    ) -> anyhow::Result<(f64, f64)> {
        let server = Server::start(store)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut client = Client::connect(&server.url).await?;
            let (mut empty, mut lookups) = (Vec::new(), Vec::new());
            for _ in 0..self.runs {
                let calls = empty_calls(&mut client, memory, workload.queries.len()).await?;
                empty.push(mean_us(&calls));
                let calls = one_by_one(&mut client, settings, &workload.queries).await?;
                lookups.push(mean_us(&calls));
            }
            Ok((least(empty), least(lookups)))
        })
    }

    /// Each stage alone, as far as it can be; the index is what remains.
    fn import(&self, directory: &Path, units: &[UnitContent]) -> anyhow::Result<Stages> {
        let memory: MemoryName = MEMORY.parse()?;
        let langs = [&"ar".parse()?, &"en".parse()?];
        let file = directory.join("units.tsv");
        write_tsv(&file, langs, units.iter().cloned())?;
        let [mut read, mut prepared, mut stored, mut full] = [const { Vec::new() }; 4];
        let cost = |work: &mut dyn FnMut() -> anyhow::Result<()>| {
            let before = cpu_seconds();
            work()?;
            anyhow::Ok((cpu_seconds() - before) * 1e6 / number(units.len()))
        };
        for run in 0..self.runs {
            let store = directory.join(format!("store-{run}"));
            read.push(cost(&mut || {
                std::hint::black_box(read_units(&file, usize::MAX)?);
                Ok(())
            })?);
            stored.push(cost(&mut || {
                store_alone(&store, langs, units.iter().cloned())?;
                Ok(())
            })?);
            std::fs::remove_dir_all(&store)?;
            full.push(cost(&mut || fill(&open(&store)?, &memory, units.iter().cloned()))?);
            let engine = open(&store)?;
            prepared.push(cost(&mut || {
                for batch in units.chunks(crate::limits::IMPORT_BATCH_UNITS) {
                    std::hint::black_box(engine.prepare(&memory, batch.to_vec())?);
                }
                Ok(())
            })?);
            drop(engine);
            std::fs::remove_dir_all(&store)?;
        }
        let [read, prepared, stored, full] = [read, prepared, stored, full].map(least);
        Ok(vec![
            ("file", "reading TSV", read),
            ("preparation", "checking and analysing units", prepared),
            ("store", "records, transactions, writing to disk", stored),
            ("index", "commits, indexes, checkpoint: the rest", full - prepared - stored),
        ])
    }
}

fn open(directory: &Path) -> anyhow::Result<Engine> {
    let store = Arc::new(SledStore::open(directory, &open_options())?);
    Ok(Engine::open(store, Some(directory.join("checkpoints")), &mut |_| ())?)
}

fn mean_us(times: &[Duration]) -> f64 {
    times.iter().sum::<Duration>().as_secs_f64() * 1e6 / number(times.len())
}

/// The least of several runs: the one that was disturbed least, or else differences would be those of disturbances.
fn least(runs: Vec<f64>) -> f64 {
    runs.into_iter().fold(f64::INFINITY, f64::min)
}
