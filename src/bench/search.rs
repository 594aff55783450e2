//! `dhakira bench search`: the index alone, on one core, against the scan.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use rayon::prelude::*;

use crate::matching::{
    ContentHash, Facts, Form, Hit, IndexEntry, MemoryIndex, Options, Query, SearchStats,
};
use crate::text::Analyzer;
use crate::unit::{Context, Score, Timestamp, UnitId};

use super::corpus::{read_units, spread};
use super::grow::Grower;
use super::measure::{Figures, number, peak_resident_mb, resident_mb};

/// Searches the index of a grown memory on one core, without server and store.
#[derive(Debug, Args)]
pub(super) struct BenchSearch {
    /// File with the real memory.
    #[arg(long)]
    corpus: PathBuf,
    /// File whose source segments are looked up, spread over the whole; changed copies of the corpus when not given.
    #[arg(long)]
    queries: Option<PathBuf>,
    /// Units of the memory: the real ones and as many changed copies as it takes.
    #[arg(long, default_value_t = 1_000_000)]
    units: usize,
    /// Only segments of at least so many words, in memory and queries.
    #[arg(long, default_value_t = 0)]
    words_min: usize,
    /// Segments looked up.
    #[arg(long, default_value_t = 2_000)]
    count: usize,
    /// Least scores.
    #[arg(long, default_values_t = [50.0, 60.0, 70.0, 80.0])]
    min_score: Vec<f64>,
    /// Most matches for a segment.
    #[arg(long, default_value_t = 5)]
    max: usize,
    /// Times that everything is measured; medians are shown.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Compare so many of the segments with a scan, at 50, 60, 70 and 80 points and for 1, 5 and all matches.
    #[arg(long, default_value_t = 0)]
    verify: usize,
    /// Look so many of the segments up by a full scan over words with the `rapidfuzz` crate too, at the first least score;
    /// needs a program that was built with `--features rapidfuzz`.
    #[arg(long, default_value_t = 0)]
    rapidfuzz: usize,
    /// One JSON object with all figures.
    #[arg(long)]
    json: bool,
}

/// Units analysed at a time.
const CHUNK_UNITS: usize = 20_000;

impl BenchSearch {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut figures = Figures::default();
        let analyzer = Analyzer::new(&"ar".parse()?);
        let mut grower = Grower::new(self.sources(&self.corpus)?, 1);
        let before_mb = resident_mb();
        let since = Instant::now();
        let index = build((0..self.units).map(|unit| grower.segment(unit)), &analyzer);
        figures.put("build_seconds", since.elapsed().as_secs_f64());
        let bytes = index.bytes();
        figures.put("units", number(index.len()));
        figures.put("tokens_per_unit", number(index.tokens()) / number(index.len()));
        figures.put("index_bytes_per_token", number(bytes.postings) / number(index.tokens()));
        figures.put("rows_bytes_per_token", number(bytes.rows) / number(index.tokens()));
        figures.put("index_resident_mb", resident_mb() - before_mb);
        let texts = match &self.queries {
            Some(file) => spread(self.sources(file)?, self.count),
            None => (0..self.count).map(|_| grower.changed_copy()).collect(),
        };
        let queries: Vec<Query> = texts
            .iter()
            .map(|text| Query::new(&analyzer.analyze(text), 0, Context::default()))
            .collect();
        figures.put("queries", number(queries.len()));
        for &points in &self.min_score {
            let options = Options {
                min_score: Score::from_points(points)?,
                limit: self.max,
                ..Options::default()
            };
            let runs: Vec<Run> =
                (0..self.runs.max(1)).map(|_| run(&index, &queries, &options)).collect();
            put(&mut figures, &format!("at_{points}"), runs);
        }
        if self.rapidfuzz > 0 {
            let mut grower = Grower::new(self.sources(&self.corpus)?, 1);
            let memory = (0..self.units).map(|unit| grower.segment(unit));
            let points = self.min_score.first().copied().unwrap_or(70.0);
            let times = scan_by_words(memory, &spread(texts, self.rapidfuzz), points / 100.0)?;
            figures.percentiles("rapidfuzz", times);
        }
        if self.verify > 0 {
            let (compared, different) = verify(&index, &queries[..self.verify.min(queries.len())])?;
            figures.put("verified_answers", number(compared));
            figures.put("verified_different", number(different));
        }
        figures.put("peak_resident_mb", peak_resident_mb());
        figures.show(self.json)
    }

    /// The sources of a file that are long enough.
    fn sources(&self, file: &std::path::Path) -> anyhow::Result<Vec<String>> {
        let units = read_units(file, usize::MAX)?.into_iter().map(|unit| unit.source.text);
        let long = |text: &String| text.split_whitespace().count() >= self.words_min;
        let sources: Vec<String> = units.filter(long).collect();
        let (file, words) = (file.display(), self.words_min);
        anyhow::ensure!(!sources.is_empty(), "{file} has no segment of {words} words or more");
        Ok(sources)
    }
}

/// The index of a memory with these sources.
pub(super) fn build(sources: impl Iterator<Item = String>, analyzer: &Analyzer) -> MemoryIndex {
    let index = MemoryIndex::new();
    let mut loader = index.loader();
    let mut sources = sources.enumerate();
    loop {
        let texts: Vec<(usize, String)> = sources.by_ref().take(CHUNK_UNITS).collect();
        if texts.is_empty() {
            break;
        }
        let encoded = texts.par_iter().map_init(
            || loader.encoder(),
            |encoder, (unit, text)| encoder.encode(&entry(*unit, text, analyzer)),
        );
        let entries: Vec<_> = encoded.collect();
        loader.add(entries);
    }
    loader.finish();
    index
}

fn entry(unit: usize, text: &str, analyzer: &Analyzer) -> IndexEntry {
    let analysis = analyzer.analyze(text);
    let facts = Facts {
        source_hash: xxhash_rust::xxh3::xxh3_64(analysis.canonical().as_bytes()),
        content_hash: ContentHash::new((unit as u64) << 24, None),
        changed: Timestamp { micros: 0 },
        ..Facts::default()
    };
    IndexEntry {
        unit: UnitId(unit as u64 + 1),
        form: Form::new(&analysis, 0),
        target: Form::default(),
        facts,
    }
}

struct Run {
    times: Vec<Duration>,
    work: SearchStats,
    matched: usize,
}

fn run(index: &MemoryIndex, queries: &[Query], options: &Options<'_>) -> Run {
    let mut run = Run { times: Vec::new(), work: SearchStats::default(), matched: 0 };
    for query in queries {
        let since = Instant::now();
        let found = index.search_measured(query, options);
        run.times.push(since.elapsed());
        if let Ok((hits, work)) = found {
            run.work += work;
            run.matched += usize::from(!hits.is_empty());
        }
    }
    run
}

/// Figures of one bound: medians over the runs, and where the work went, for one lookup.
fn put(figures: &mut Figures, name: &str, runs: Vec<Run>) {
    let Some(first) = runs.first() else { return };
    let queries = number(first.times.len());
    let work = first.work;
    figures.put(format!("{name}_matched"), number(first.matched));
    let stages = [
        ("postings", work.postings),
        ("candidates", work.candidates),
        ("after_signature", work.after_signature),
        ("after_distance", work.after_distance),
        ("hits", work.hits),
    ];
    for (stage, count) in stages {
        figures.put(
            format!("{name}_work_{stage}"),
            number(usize::try_from(count).unwrap_or(0)) / queries,
        );
    }
    figures.median_percentiles(name, runs.into_iter().map(|run| run.times).collect());
}

/// Measures a full scan that compares whole words, as one would without an index: one core, words as numbers, the distance
/// bounded by the score.
#[cfg(feature = "rapidfuzz")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature it fails")]
fn scan_by_words(
    memory: impl Iterator<Item = String>,
    queries: &[String],
    similarity_min: f64,
) -> anyhow::Result<Vec<Duration>> {
    use std::collections::HashMap;

    use rapidfuzz::distance::levenshtein::{Args, BatchComparator};

    let mut numbers: HashMap<String, u32> = HashMap::new();
    let mut words = |text: &str| -> Vec<u32> {
        let number = |word: &str| {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            *numbers.entry(word.to_owned()).or_insert(next)
        };
        text.split_whitespace().map(number).collect()
    };
    let memory: Vec<Vec<u32>> = memory.map(|text| words(&text)).collect();
    let mut times = Vec::with_capacity(queries.len());
    for query in queries {
        let query = words(query);
        let since = Instant::now();
        let comparator = BatchComparator::new(query.iter().copied());
        let arguments = Args::default().score_cutoff(similarity_min);
        let found = memory.iter().filter(|segment| {
            let segment = segment.iter().copied();
            comparator.normalized_similarity_with_args(segment, &arguments).is_some()
        });
        std::hint::black_box(found.count());
        times.push(since.elapsed());
    }
    Ok(times)
}

#[cfg(not(feature = "rapidfuzz"))]
fn scan_by_words(
    _memory: impl Iterator<Item = String>,
    _queries: &[String],
    _similarity_min: f64,
) -> anyhow::Result<Vec<Duration>> {
    anyhow::bail!("this program was built without the crate; build it with --features rapidfuzz")
}

/// Answers compared with a scan, and how many are different.
fn verify(index: &MemoryIndex, queries: &[Query]) -> anyhow::Result<(usize, usize)> {
    let (mut compared, mut different) = (0, 0);
    for query in queries {
        let everything = Options {
            min_score: Score::from_points(50.0)?,
            limit: usize::MAX,
            ..Options::default()
        };
        // One scan holds the answers to all narrower questions.
        let all = index.scan(query, &everything)?;
        for points in [50.0, 60.0, 70.0, 80.0] {
            let min_score = Score::from_points(points)?;
            for limit in [1, 5, usize::MAX] {
                let options = Options { min_score, limit, ..Options::default() };
                let truth: Vec<&Hit> =
                    all.iter().filter(|hit| hit.score >= min_score).take(limit).collect();
                let found = index.search(query, &options)?;
                compared += 1;
                different += usize::from(truth != found.iter().collect::<Vec<_>>());
            }
        }
    }
    Ok((compared, different))
}
