//! Analyses a job: counts its segments and words by match band, the basis of translators' pay.

use std::collections::HashSet;

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use xxhash_rust::xxh3::xxh3_128;

use crate::matching::MatchKind;
use crate::text::canonical_of_segment;
use crate::unit::{Score, Segment};

use super::lookup::{LookupSettings, QuerySegment};
use crate::engine::Engine;
use crate::engine::cancel::Cancel;
use crate::engine::error::EngineError;

/// A range of match quality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Band {
    /// The same text between the same neighbours.
    Context,
    /// The same text as an earlier segment of the job, and no context match.
    Repetition,
    /// The same text.
    Exact,
    /// From 95 to below 100 points.
    From95,
    /// From 85 to below 95.
    From85,
    /// From 75 to below 85.
    From75,
    /// From 70 to below 75.
    From70,
    /// Nothing of 70 points.
    None,
}

impl Band {
    /// Every band, the cheapest first.
    pub const ALL: [Self; 8] = [
        Self::Context,
        Self::Repetition,
        Self::Exact,
        Self::From95,
        Self::From85,
        Self::From75,
        Self::From70,
        Self::None,
    ];

    /// A stable name for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Context => "context",
            Self::Repetition => "repetition",
            Self::Exact => "exact",
            Self::From95 => "95-99",
            Self::From85 => "85-94",
            Self::From75 => "75-84",
            Self::From70 => "70-74",
            Self::None => "none",
        }
    }

    /// Least score of the bands above none, in hundredths.
    const FLOORS: [(u16, Self); 4] = [
        (9_500, Self::From95),
        (8_500, Self::From85),
        (7_500, Self::From75),
        (7_000, Self::From70),
    ];

    fn of(kind: MatchKind, score: Score) -> Self {
        match kind {
            MatchKind::Context if score == Score::FULL => return Self::Context,
            MatchKind::Exact if score == Score::FULL => return Self::Exact,
            // With a penalty it counts as a fuzzy match of its score.
            MatchKind::Context | MatchKind::Exact | MatchKind::Fuzzy => {}
        }
        let floor = Self::FLOORS.iter().find(|(floor, _)| score.hundredths() >= *floor);
        floor.map_or(Self::None, |(_, band)| *band)
    }
}

/// Segments and words of each band, in the order of [`Band::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BandCounts([BandCount; Band::ALL.len()]);

/// The counts of a band.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BandCount {
    /// Segments.
    pub segments: u64,
    /// Words: texts between spaces that contain a letter or a digit.
    pub words: u64,
}

impl BandCounts {
    /// Each band with its counts.
    pub fn iter(&self) -> impl Iterator<Item = (Band, BandCount)> {
        Band::ALL.into_iter().zip(self.0)
    }

    fn add(&mut self, band: Band, words: u64) {
        self.0[band as usize] += BandCount { segments: 1, words };
    }
}

impl FromIterator<(Band, BandCount)> for BandCounts {
    fn from_iter<T: IntoIterator<Item = (Band, BandCount)>>(counted: T) -> Self {
        let mut counts = Self::default();
        for (band, count) in counted {
            counts.0[band as usize] += count;
        }
        counts
    }
}

impl std::ops::AddAssign for BandCount {
    fn add_assign(&mut self, other: Self) {
        self.segments += other.segments;
        self.words += other.words;
    }
}

impl std::ops::AddAssign for BandCounts {
    fn add_assign(&mut self, other: Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

/// A running analysis of a job, file by file, with segments in order.
pub struct JobAnalysis {
    settings: LookupSettings,
    seen: HashSet<u128>,
    /// The segment before the waiting one, and the one waiting for its successor.
    previous: Option<String>,
    waiting: Option<Segment>,
    counts: BandCounts,
}

impl JobAnalysis {
    /// Uses the memories and penalties of the settings; ignores their least score and number of matches.
    pub fn new(mut settings: LookupSettings) -> Self {
        let lowest =
            Band::FLOORS.last().and_then(|(floor, _)| Score::from_hundredths((*floor).into()));
        settings.min_score = lowest.unwrap_or(Score::FULL);
        settings.max_matches = 1;
        Self {
            settings,
            seen: HashSet::new(),
            previous: None,
            waiting: None,
            counts: BandCounts::default(),
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
            let next = Some(segment.text.clone());
            let Some(waiting) = self.waiting.replace(segment) else { continue };
            let previous = self.previous.replace(waiting.text.clone());
            queries.push(QuerySegment { segment: waiting, previous, next });
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
        if let Some(last) = self.waiting.take() {
            let last = QuerySegment { segment: last, previous, next: None };
            self.count(engine, &[last], cancel)?;
        }
        Ok(std::mem::take(&mut self.counts))
    }

    fn count(
        &mut self,
        engine: &Engine,
        queries: &[QuerySegment],
        cancel: &Cancel,
    ) -> Result<(), EngineError> {
        let bands = engine.bands(&self.settings, queries, cancel)?;
        for (query, band) in queries.iter().zip(bands) {
            let canonical = canonical_of_segment(&query.segment);
            let repeated = !self.seen.insert(xxh3_128(canonical.as_bytes()));
            let band = if repeated { band.min(Band::Repetition) } else { band };
            self.counts.add(band, words(&query.segment));
        }
        Ok(())
    }
}

impl Engine {
    /// The band of each segment's best match.
    fn bands(
        &self,
        settings: &LookupSettings,
        queries: &[QuerySegment],
        cancel: &Cancel,
    ) -> Result<Vec<Band>, EngineError> {
        let search = self.searcher(settings, queries, cancel)?;
        let best = |query| search.best(query);
        let best: Vec<_> = queries.par_iter().map(best).collect::<Result<_, _>>()?;
        let band = |best: Option<(MatchKind, Score)>| {
            best.map_or(Band::None, |(kind, score)| Band::of(kind, score))
        };
        Ok(best.into_iter().map(band).collect())
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
    fn bands_begin_where_their_names_say() {
        let band = |points| Band::of(MatchKind::Fuzzy, Score::from_points(points).unwrap());
        for (points, name) in [
            (99.99, "95-99"),
            (95.0, "95-99"),
            (94.99, "85-94"),
            (85.0, "85-94"),
            (75.0, "75-84"),
            (74.99, "70-74"),
            (70.0, "70-74"),
            (69.99, "none"),
        ] {
            assert_eq!(band(points).name(), name, "{points}");
        }
        assert_eq!(Band::of(MatchKind::Exact, Score::from_points(98.0).unwrap()), Band::From95);
        assert_eq!(Band::of(MatchKind::Context, Score::FULL), Band::Context);
    }
}
