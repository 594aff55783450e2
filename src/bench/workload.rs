//! A memory and the segments that are looked up in it, the same every time: of files, or made of the sample memory.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::engine::QuerySegment;
use crate::matching::{MemoryIndex, Options, Query};
use crate::text::Analyzer;
use crate::unit::{Context, Score, UnitContent};

use super::corpus::{changed_copies, grown_from, queries, read_units, sample_units};
use super::search::build;

/// A memory and queries.
pub(super) struct Workload {
    pub(super) units: Vec<UnitContent>,
    pub(super) queries: Vec<QuerySegment>,
}

impl Workload {
    /// Changed copies of the sample memory of the program, for memory and queries.
    pub(super) fn sample(units: usize, count: usize) -> anyhow::Result<Self> {
        Ok(Self::of_units(sample_units()?, None, units, count))
    }

    /// The units of a file and changed copies of them; queries from another file, or changed copies too.
    pub(super) fn read(
        corpus: &Path,
        queried: Option<&Path>,
        units: usize,
        count: usize,
    ) -> anyhow::Result<Self> {
        let real = read_units(corpus, usize::MAX)?;
        anyhow::ensure!(!real.is_empty(), "{} holds no unit", corpus.display());
        let queried = queried.map(|file| queries(file, count)).transpose()?;
        Ok(Self::of_units(real, queried, units, count))
    }

    fn of_units(
        real: Vec<UnitContent>,
        queries: Option<Vec<QuerySegment>>,
        units: usize,
        count: usize,
    ) -> Self {
        let queries = queries.unwrap_or_else(|| changed_copies(&real, count));
        Self { units: grown_from(real).take(units).collect(), queries }
    }

    /// An index of the memory, and what is searched in it.
    pub(super) fn index(&self) -> anyhow::Result<(MemoryIndex, Vec<Query>)> {
        let analyzer = Analyzer::new(&"ar".parse()?);
        let index = build(self.units.iter().map(|unit| unit.source.text.clone()), &analyzer);
        Ok((index, self.analyzed(&analyzer)))
    }

    /// The queries as the index takes them.
    pub(super) fn analyzed(&self, analyzer: &Analyzer) -> Vec<Query> {
        let texts = self.queries.iter().map(|query| &query.segment.text);
        texts.map(|text| Query::new(&analyzer.analyze(text), 0, Context::default())).collect()
    }
}

/// Searches the index alone, one query after the other.
pub(super) fn search_all(index: &MemoryIndex, queries: &[Query]) -> anyhow::Result<Vec<Duration>> {
    let options = Options { min_score: Score::from_points(70.0)?, limit: 5, ..Options::default() };
    let timed = queries.iter().map(|query| {
        let since = Instant::now();
        std::hint::black_box(index.search(query, &options)?);
        Ok(since.elapsed())
    });
    timed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_memory_and_queries_are_made_each_time() {
        let (one, other) = (Workload::sample(600, 20).unwrap(), Workload::sample(600, 20).unwrap());
        assert_eq!((one.units.len(), one.queries.len()), (600, 20));
        assert!(one.units == other.units);
        let texts = |workload: &Workload| -> Vec<String> {
            workload.queries.iter().map(|it| it.segment.text.clone()).collect()
        };
        assert_eq!(texts(&one), texts(&other));
        let made = one.units[500..].iter().map(|unit| &unit.source.text);
        assert!(
            made.clone().any(|text| !one.units[..420].iter().any(|it| it.source.text == *text))
        );
    }
}
