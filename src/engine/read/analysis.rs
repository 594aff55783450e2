//! Analyses a job: counts its segments and words by match band, the basis of translators' pay.

use std::collections::HashSet;

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use xxhash_rust::xxh3::xxh3_128;

use crate::limits::ANALYSIS_BANDS_MAX;
use crate::text::canonical_of_segment;
use crate::unit::{Context, Score, Segment, ValidationError};

use super::lookup::LookupSettings;
use super::query_segment::QuerySegment;
use crate::engine::Engine;
use crate::engine::cancel::Cancel;
use crate::engine::error::EngineError;
use crate::engine::replica::encoding::context_hash;

/// The least match rates of the bands of an analysis, falling. What reaches none of them is in a last band, of rate 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchBands(Vec<u16>);

impl Default for MatchBands {
    fn default() -> Self {
        Self(vec![102, RATE_OF_CONTEXT, 100, 95, 85, 75, 70])
    }
}

/// Repetitions cost less than everything with a lower rate.
const RATE_OF_CONTEXT: u16 = 101;

impl MatchBands {
    /// Bands with these least rates.
    ///
    /// # Errors
    /// They do not fall, or are not from 1 to 102, or are too many.
    pub fn new(min_rates: Vec<u16>) -> Result<Self, ValidationError> {
        let is_good = min_rates.iter().all(|rate| (1..=102).contains(rate))
            && min_rates.is_sorted_by(|a, b| a > b);
        if !is_good || min_rates.len() > ANALYSIS_BANDS_MAX {
            return Err(ValidationError(format!(
                "give at most {ANALYSIS_BANDS_MAX} rates from 102 to 1, each lower than the one before"
            )));
        }
        Ok(Self(min_rates))
    }

    /// The least rate of each band, falling; 0 for the last.
    pub fn min_rates(&self) -> impl Iterator<Item = u16> {
        self.0.iter().copied().chain([0])
    }

    /// The place of the band of a match rate.
    fn of(&self, rate: u16) -> usize {
        self.0.partition_point(|least| *least > rate)
    }

    /// The least score of a match that may be in a band above the last.
    fn min_score(&self) -> Score {
        // A double context match reaches its rate with two points less.
        let lowest = self.0.last().map_or(100, |rate| (*rate).min(98));
        Score::from_hundredths(u32::from(lowest) * 100).unwrap_or(Score::FULL)
    }
}

/// Segments and words of each band, and of repetitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BandCounts {
    /// The least rate of each band, falling, with its counts; the last has rate 0.
    pub bands: Vec<(u16, BandCount)>,
    /// Segments with the text of an earlier segment of the job that are no context match.
    pub repetitions: BandCount,
}

/// The counts of a band.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BandCount {
    /// Segments.
    pub segments: u64,
    /// Words: texts between spaces that contain a letter or a digit.
    pub words: u64,
}

impl BandCounts {
    /// Nothing counted yet.
    pub fn new(bands: &MatchBands) -> Self {
        let bands = bands.min_rates().map(|rate| (rate, BandCount::default()));
        Self { bands: bands.collect(), ..Self::default() }
    }

    /// Everything counted.
    pub fn total(&self) -> BandCount {
        let mut total = self.repetitions;
        self.bands.iter().for_each(|(_, count)| total += *count);
        total
    }
}

impl std::ops::AddAssign for BandCount {
    fn add_assign(&mut self, other: Self) {
        self.segments += other.segments;
        self.words += other.words;
    }
}

/// Of the same bands.
impl std::ops::AddAssign<&Self> for BandCounts {
    fn add_assign(&mut self, other: &Self) {
        self.repetitions += other.repetitions;
        for ((_, mine), (_, theirs)) in self.bands.iter_mut().zip(&other.bands) {
            *mine += *theirs;
        }
    }
}

/// A running analysis of a job, file by file, with segments in order.
pub struct JobAnalysis {
    settings: LookupSettings,
    bands: MatchBands,
    seen: HashSet<u128>,
    /// Hash of the segment before the waiting one, and the one waiting for its successor, with its hash.
    previous: Option<u64>,
    waiting: Option<(Segment, u64)>,
    counts: BandCounts,
}

impl JobAnalysis {
    /// Uses the memories and penalties of the settings; ignores their least score and number of matches.
    pub fn new(mut settings: LookupSettings, bands: MatchBands) -> Self {
        settings.min_score = bands.min_score();
        settings.max_matches = 1;
        Self {
            counts: BandCounts::new(&bands),
            settings,
            bands,
            seen: HashSet::new(),
            previous: None,
            waiting: None,
        }
    }

    /// Adds the next segments of a file; empty ones are skipped.
    ///
    /// # Errors
    /// An invalid segment; cancelled; the store.
    pub fn add(
        &mut self,
        engine: &Engine,
        segments: Vec<Segment>,
        cancel: &Cancel,
    ) -> Result<(), EngineError> {
        let mut queries: Vec<QuerySegment> = Vec::with_capacity(segments.len());
        for segment in segments.into_iter().filter(|segment| !segment.text.trim().is_empty()) {
            let hash = context_hash(&segment.text);
            let Some((waiting, waiting_hash)) = self.waiting.replace((segment, hash)) else {
                continue;
            };
            let previous = self.previous.replace(waiting_hash);
            let context = Context { previous, next: Some(hash), ..Context::default() };
            queries.push(QuerySegment { context, ..QuerySegment::new(waiting) });
        }
        self.count(engine, &queries, cancel)
    }

    /// Ends a file and returns its counts.
    ///
    /// # Errors
    /// As for [`add`](Self::add).
    pub fn end_file(
        &mut self,
        engine: &Engine,
        cancel: &Cancel,
    ) -> Result<BandCounts, EngineError> {
        let previous = self.previous.take();
        if let Some((last, _)) = self.waiting.take() {
            let context = Context { previous, ..Context::default() };
            let last = QuerySegment { context, ..QuerySegment::new(last) };
            self.count(engine, &[last], cancel)?;
        }
        Ok(std::mem::replace(&mut self.counts, BandCounts::new(&self.bands)))
    }

    fn count(
        &mut self,
        engine: &Engine,
        queries: &[QuerySegment],
        cancel: &Cancel,
    ) -> Result<(), EngineError> {
        let rates = engine.best_rates(&self.settings, queries, cancel)?;
        for (query, rate) in queries.iter().zip(rates) {
            let canonical = canonical_of_segment(&query.segment);
            let repeated = !self.seen.insert(xxh3_128(canonical.as_bytes()));
            let counts = &mut self.counts;
            let count = BandCount { segments: 1, words: words(&query.segment) };
            if repeated && rate < RATE_OF_CONTEXT {
                counts.repetitions += count;
            } else {
                counts.bands[self.bands.of(rate)].1 += count;
            }
        }
        Ok(())
    }
}

impl Engine {
    /// The rate of each segment's best match; 0 without one.
    fn best_rates(
        &self,
        settings: &LookupSettings,
        queries: &[QuerySegment],
        cancel: &Cancel,
    ) -> Result<Vec<u16>, EngineError> {
        let search = self.searcher(settings, queries, cancel)?;
        let best = |query| search.best(query).map(|hit| hit.map_or(0, |hit| hit.match_rate()));
        queries.par_iter().map(best).collect()
    }
}

/// Counts words as they are paid: texts between spaces or tags that contain a letter or a digit.
fn words(segment: &Segment) -> u64 {
    let is_word = |word: &&str| word.contains(char::is_alphanumeric);
    let words = |text: &str| text.split_whitespace().filter(is_word).count() as u64;
    let (mut start, mut count) = (0, 0);
    for end in segment.breaks().chain([segment.text.len()]) {
        count += segment.text.get(start..end).map_or(0, words);
        start = end;
    }
    count
}

#[cfg(test)]
mod tests {
    use crate::matching::MatchKind;
    use crate::unit::{InlineTag, TagKind};

    use super::*;

    #[test]
    fn words_are_what_a_translator_types() {
        let plain = |text: &str| words(&Segment::plain(text));
        assert_eq!(plain("  One, two -- 3 % (four)  "), 4);
        assert_eq!(plain("\u{2026} !"), 0);
        let tag = |offset_bytes, code: &str| InlineTag {
            offset_bytes,
            kind: TagKind::Standalone,
            pair: None,
            match_id: None,
            label: String::new(),
            code: code.into(),
        };
        let tags = vec![tag(0, "<b>"), tag(3, "<br/>"), tag(5, "</b>")];
        assert_eq!(words(&Segment { text: "onetwo three".into(), tags }), 3);
    }

    #[test]
    fn bands_begin_at_their_rates() {
        let bands = MatchBands::default();
        let rates: Vec<u16> = bands.min_rates().collect();
        assert_eq!(rates, [102, 101, 100, 95, 85, 75, 70, 0]);
        let double = MatchKind::DoubleContext;
        for (kind, points, expected) in [
            (double, 100.0, 102),
            (double, 99.0, 101),
            (double, 99.99, 101),
            (MatchKind::Context, 100.0, 101),
            (MatchKind::Context, 98.0, 95),
            (MatchKind::Exact, 100.0, 100),
            (MatchKind::Exact, 99.99, 95),
            (MatchKind::Fuzzy, 99.99, 95),
            (MatchKind::Fuzzy, 95.0, 95),
            (MatchKind::Fuzzy, 94.99, 85),
            (MatchKind::Fuzzy, 70.0, 70),
            (MatchKind::Fuzzy, 69.99, 0),
        ] {
            let rate = kind.match_rate(Score::from_points(points).unwrap());
            assert_eq!(rates[bands.of(rate)], expected, "{kind:?} {points}");
        }
        for bad in [vec![103], vec![0], vec![70, 75], vec![70, 70], (1..=33).rev().collect()] {
            assert!(MatchBands::new(bad.clone()).is_err(), "{bad:?}");
        }
        assert_eq!(MatchBands::new(Vec::new()).unwrap().min_rates().collect::<Vec<_>>(), [0]);
    }
}
