//! `dhakira bench lookup`: measures lookups and concordances, in the engine and through a server.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;

use crate::client::Client;
use crate::engine::{
    Cancel, ConcordanceSettings, DuplicatePolicy, Engine, Explain, Import, LookupSettings,
    MemoryChoice, NewMemory, Prepared, PreparedBatch, QuerySegment, UnitFilter, batch_digest,
};
use crate::limits::IMPORT_BATCH_UNITS;
use crate::matching::{ConcordanceMode, Side, WordForm};
use crate::store::{OpenOptions, RequestKey, SledStore};
use crate::unit::{MemoryName, Score, UnitContent};

use super::corpus::{Texts, grown, phrases, queries, read_units};
use super::import::write_tsv;
use super::measure::{Figures, number, remove_directory, resident_mb};
use super::served::{Server, batched, during_import, empty_calls, one_by_one};

/// Looks the segments of one file up in a memory made of another, in the engine and through a server on loopback.
#[derive(Debug, Args)]
pub(super) struct BenchLookup {
    #[command(flatten)]
    texts: Texts,
    /// Segments in each call of the batched part.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    batch: u16,
    /// Calls in flight at the same time in the parts that load the server.
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
    /// Times that everything is measured; medians are shown.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=99))]
    runs: u8,
    /// Units imported while segments are looked up; 50,000 when not given, but not more than the memory has.
    #[arg(long)]
    import: Option<usize>,
    /// Directory of the memory, kept and used again; without it one is made and removed.
    #[arg(long)]
    data: Option<PathBuf>,
    /// One JSON object with all figures.
    #[arg(long)]
    json: bool,
}

/// Most units imported while segments are looked up, unless another number is given.
const IMPORTED_UNITS: usize = 50_000;

impl BenchLookup {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let kept = self.data.clone();
        let data = kept.clone().unwrap_or_else(|| {
            PathBuf::from("./dhakira-bench").join(uuid::Uuid::new_v4().to_string())
        });
        let json = self.json;
        let figures = self.measure(&data).await;
        if kept.is_none() {
            std::fs::remove_dir_all(&data)?;
        }
        figures?.show(json)
    }

    async fn measure(self, data: &Path) -> anyhow::Result<Figures> {
        let mut figures = Figures::default();
        let name: MemoryName = "bench".parse()?;
        let settings = LookupSettings {
            exhaustive: self.exhaustive,
            ..lookup_settings(&name, self.min_score, self.max)?
        };
        let queries = queries(&self.texts.queries, self.texts.count)?;
        figures.put("queries", number(queries.len()));
        let runs = usize::from(self.runs);
        let of_engine = {
            let (data, settings, queries) = (data.to_owned(), settings.clone(), queries.clone());
            let (corpus, units) = (self.texts.corpus.clone(), self.texts.units);
            move || in_process(&data, &corpus, units, &settings, &queries, runs)
        };
        figures.add(tokio::task::spawn_blocking(of_engine).await??);
        let data = data.to_owned();
        let of_server = move || -> anyhow::Result<Figures> {
            // On one thread, as a client that wants its answers soon: handing them from thread to thread takes as long as
            // the server does.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(self.served(&data, &settings, &queries))
        };
        figures.add(tokio::task::spawn_blocking(of_server).await??);
        Ok(figures)
    }

    /// Units of the memory.
    fn units(&self) -> anyhow::Result<usize> {
        match self.texts.units {
            Some(units) => Ok(units),
            None => Ok(read_units(&self.texts.corpus, usize::MAX)?.len()),
        }
    }

    /// Measures the client of a server.
    async fn served(
        &self,
        data: &Path,
        settings: &LookupSettings,
        queries: &[QuerySegment],
    ) -> anyhow::Result<Figures> {
        let mut figures = Figures::default();
        let (name, runs) = (&settings.memories[0].memory, usize::from(self.runs));
        let server = Server::start(data)?;
        figures.put("server_resident_mb", server.resident_mb());
        let mut client = Client::connect(&server.url).await?;
        figures.percentiles("grpc_floor", empty_calls(&mut client, name, queries.len()).await?);
        let mut times = Vec::new();
        for _ in 0..runs {
            times.push(one_by_one(&mut client, settings, queries).await?);
        }
        figures.median_percentiles("grpc", times);
        for (figure, batch) in [
            ("grpc_loaded_lookups_per_second", 1),
            ("grpc_batched_segments_per_second", usize::from(self.batch)),
        ] {
            let mut rates = Vec::new();
            for _ in 0..runs {
                rates.push(batched(&client, settings, queries, batch, self.clients).await?);
            }
            figures.put(figure, super::measure::median(rates));
        }
        figures.put("server_resident_after_lookups_mb", server.resident_mb());
        let import = self.import.unwrap_or(IMPORTED_UNITS.min(self.units()?));
        if import > 0 {
            let file = data.join("import.tsv");
            let langs = [&"ar".parse()?, &"en".parse()?];
            write_tsv(&file, langs, grown(&self.texts.corpus)?.take(import))?;
            let job = (&server, file.as_path(), import);
            during_import(&mut figures, &mut client, settings, queries, job).await?;
            std::fs::remove_file(&file)?;
        }
        Ok(figures)
    }
}

/// Lookups in one memory, with everything that an answer can hold.
pub(super) fn lookup_settings(
    memory: &MemoryName,
    min_points: f64,
    max_matches: usize,
) -> anyhow::Result<LookupSettings> {
    Ok(LookupSettings {
        memories: vec![MemoryChoice { memory: memory.clone(), penalty: None }],
        min_score: Score::from_points(min_points)?,
        max_matches,
        exhaustive: false,
        filter: UnitFilter::default(),
        penalty_rules: Vec::new(),
        explain: Explain::default(),
    })
}

/// Fills the store if it is new, opens it without and with a checkpoint, and times the engine on one core.
fn in_process(
    data: &Path,
    corpus: &Path,
    units: Option<usize>,
    settings: &LookupSettings,
    queries: &[QuerySegment],
    runs: usize,
) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    let checkpoints = data.join("checkpoints");
    let open = |checkpoints: &Path| {
        let options =
            OpenOptions { create: true, accept_data_loss: false, purpose: "bench".to_owned() };
        let store = Arc::new(SledStore::open(data, &options)?);
        let since = Instant::now();
        let engine = Engine::open(store, Some(checkpoints.to_owned()), &mut |_| ())?;
        anyhow::Ok((engine, since.elapsed().as_secs_f64()))
    };
    let real = read_units(corpus, usize::MAX)?;
    let wanted = units.unwrap_or(real.len());
    let phrases = phrases(&real, 500);
    drop(real);
    let name = &settings.memories[0].memory;
    let (engine, _) = open(&checkpoints)?;
    if engine.loaded().units == 0 {
        let since = Instant::now();
        fill(&engine, name, grown(corpus)?.take(wanted))?;
        figures.put("fill_units_per_second", number(wanted) / since.elapsed().as_secs_f64());
    }
    drop(engine);
    // What earlier steps used is given back as far as the allocator does; the server's figure is the clean one.
    remove_directory(&checkpoints)?;
    let before_mb = resident_mb();
    let (engine, seconds) = open(&checkpoints)?;
    figures.put("build_seconds", seconds);
    figures.put("build_resident_mb", resident_mb() - before_mb);
    figures.put("units", number(usize::try_from(engine.loaded().units)?));
    let since = Instant::now();
    drop(engine);
    figures.put("checkpoint_write_seconds", since.elapsed().as_secs_f64());
    let (engine, seconds) = open(&checkpoints)?;
    figures.put("open_seconds", seconds);
    let mut times = Vec::new();
    for _ in 0..runs {
        let (of_run, matched) = time_lookups(&engine, settings, queries)?;
        times.push(of_run);
        figures.put("queries_with_match", number(matched));
    }
    figures.median_percentiles("engine", times);
    let mut times = Vec::new();
    for _ in 0..runs {
        times.push(time_phrases(&engine, name, &phrases)?);
    }
    figures.median_percentiles("concordance", times);
    Ok(figures)
}

/// One lookup a segment, one after the other; how many have a match. Blocks.
pub(super) fn time_lookups(
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

/// The first page of twenty units for each phrase.
pub(super) fn time_phrases(
    engine: &Engine,
    memory: &MemoryName,
    phrases: &[(String, bool)],
) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(phrases.len());
    for (phrase, of_source) in phrases {
        let settings = ConcordanceSettings {
            memories: vec![memory.clone()],
            text: phrase.clone(),
            side: if *of_source { Side::Source } else { Side::Target },
            mode: ConcordanceMode::Phrase,
            word_form: WordForm::Folded,
            filter: UnitFilter::default(),
        };
        let since = Instant::now();
        engine.concordance(&settings, None, 20, &Cancel::default())?;
        times.push(since.elapsed());
    }
    Ok(times)
}

/// Puts units into a new memory. Blocks.
pub(super) fn fill(
    engine: &Engine,
    name: &MemoryName,
    mut units: impl Iterator<Item = UnitContent>,
) -> anyhow::Result<()> {
    let new = NewMemory::new(name.clone(), "ar".parse()?, "en".parse()?);
    engine.create_memory(new, None)?;
    let id = RequestKey(*uuid::Uuid::new_v4().as_bytes());
    let import = Import::new(id, name.clone(), DuplicatePolicy::KeepAll);
    let mut last = None;
    for number in 1.. {
        let batch: Vec<UnitContent> = units.by_ref().take(IMPORT_BATCH_UNITS).collect();
        if batch.is_empty() {
            break;
        }
        let digest = batch_digest(batch.iter().map(Ok), (0, false))?;
        let prepared = engine.prepare(name, batch)?;
        let units: Vec<Prepared> = prepared.into_iter().collect::<Result<_, _>>()?;
        let batch = PreparedBatch { number, units, rejected: 0, last: false, digest };
        last = Some(engine.import(&import, batch)?);
    }
    if let Some(answer) = last {
        answer.wait()?;
    }
    Ok(())
}
