//! The data of benchmarks: units of a file, grown to a size, and queries spread over another file.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::engine::QuerySegment;
use crate::formats::{self, Event, ReadOptions};
use crate::unit::{Segment, UnitContent};

use super::grow::Grower;

/// The texts of a benchmark of lookups.
#[derive(Debug, Args)]
pub(super) struct Texts {
    /// File with the memory.
    #[arg(long)]
    pub(super) corpus: PathBuf,
    /// File whose source segments are looked up.
    #[arg(long)]
    pub(super) queries: PathBuf,
    /// Units of the memory: the real ones and changed copies of them up to this number. Only the real ones when not given.
    #[arg(long)]
    pub(super) units: Option<usize>,
    /// How many segments are looked up, spread over the file.
    #[arg(long, default_value_t = 1_000)]
    pub(super) count: usize,
}

/// The sample memory of `dhakira demo`.
const SAMPLE: &[u8] = include_bytes!("../cli/demo/sample.tsv");

/// The units of the sample memory that the program carries with it.
pub(super) fn sample_units() -> anyhow::Result<Vec<UnitContent>> {
    units_of(Box::new(SAMPLE), "sample", usize::MAX)
}

/// The valid units of a file.
pub(super) fn read_units(file: &Path, limit: usize) -> anyhow::Result<Vec<UnitContent>> {
    units_of(Box::new(std::fs::File::open(file)?), &file.display().to_string(), limit)
}

fn units_of(
    bytes: Box<dyn std::io::Read + Send>,
    name: &str,
    limit: usize,
) -> anyhow::Result<Vec<UnitContent>> {
    let options = ReadOptions::new("ar".parse()?, "en".parse()?, name.to_owned());
    let mut units = Vec::new();
    for event in formats::open(bytes, &options)? {
        if let Event::Unit(unit) = event? {
            units.push(unit.content);
        }
        if units.len() == limit {
            break;
        }
    }
    Ok(units)
}

/// Some of many, spread evenly.
pub(super) fn spread<T>(all: Vec<T>, count: usize) -> Vec<T> {
    let step = all.len().div_ceil(count.max(1)).max(1);
    all.into_iter().step_by(step).collect()
}

/// The sources of a file as queries, spread over it.
pub(super) fn queries(file: &Path, count: usize) -> anyhow::Result<Vec<QuerySegment>> {
    let units = spread(read_units(file, usize::MAX)?, count).into_iter();
    let query = |unit: UnitContent| QuerySegment::new(unit.source);
    Ok(units.map(query).collect())
}

/// Changed copies of the sources of units as queries, other ones than those of a grown memory.
pub(super) fn changed_copies(real: &[UnitContent], count: usize) -> Vec<QuerySegment> {
    /// Not that of a grown memory.
    const SEED: u64 = 7;
    let mut grower = Grower::new(real.iter().map(|unit| unit.source.text.clone()).collect(), SEED);
    (0..count).map(|_| QuerySegment::new(Segment::plain(grower.changed_copy()))).collect()
}

/// The units of a file, then endless copies of them with changed sources.
pub(super) fn grown(file: &Path) -> anyhow::Result<impl Iterator<Item = UnitContent> + use<>> {
    let real = read_units(file, usize::MAX)?;
    anyhow::ensure!(!real.is_empty(), "{} holds no unit", file.display());
    Ok(grown_from(real))
}

/// Some units, then endless copies of them with changed sources.
pub(super) fn grown_from(real: Vec<UnitContent>) -> impl Iterator<Item = UnitContent> {
    let mut grower = Grower::new(real.iter().map(|unit| unit.source.text.clone()).collect(), 1);
    (0..).map(move |number| match real.get(number) {
        Some(unit) => unit.clone(),
        None => UnitContent {
            source: Segment::plain(grower.changed_copy()),
            ..real[number % real.len()].clone()
        },
    })
}

/// Phrases of two words that occur in the units, alternately from sources and targets.
pub(super) fn phrases(units: &[UnitContent], count: usize) -> Vec<(String, bool)> {
    let mut random = super::grow::Random::new(2);
    let mut phrases = Vec::with_capacity(count);
    for _ in 0..100 * count {
        let unit = &units[random.below(units.len())];
        let of_source = phrases.len() % 2 == 0;
        let text = if of_source { &unit.source.text } else { &unit.target.text };
        let words: Vec<&str> = text.split_whitespace().collect();
        let place = random.below(words.len().saturating_sub(1));
        if let Some(pair) = words.get(place..place + 2)
            && pair.iter().all(|word| word.chars().all(char::is_alphabetic))
        {
            phrases.push((pair.join(" "), of_source));
        }
        if phrases.len() == count {
            break;
        }
    }
    phrases
}
