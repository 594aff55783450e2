//! How are stored segments kept until they are sealed? As rows: plain, small, cheap to make and to join.
//!
//! Knows nothing of texts (only of their numbers), of queries or of locks.

use crate::unit::{Context, Timestamp, UnitId};

use super::vocabulary::{GAP_EMPTY, GAP_SPACE, Vocabulary};
use super::{Facts, IndexEntry};

/// What is known of a stored segment beside its words and gaps; texts as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowFacts {
    pub(super) unit: UnitId,
    pub(super) source_hash: u64,
    pub(super) content_hash: u64,
    pub(super) tags: u64,
    pub(super) changed: Timestamp,
    pub(super) neighbours: Neighbours,
    pub(super) document: u32,
    pub(super) author: u32,
}

/// The neighbours of a segment, 32 bits of each hash; 0 for none. A false equal, one in four billion, can only put one
/// exact match before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Neighbours {
    pub(super) previous: u32,
    pub(super) next: u32,
}

impl From<Context> for Neighbours {
    fn from(context: Context) -> Self {
        // Both halves of the hash, and never the value that says none.
        #[expect(clippy::cast_possible_truncation)]
        let short =
            |hash: Option<u64>| hash.map_or(0, |hash| ((hash ^ (hash >> 32)) as u32).max(1));
        Self { previous: short(context.previous), next: short(context.next) }
    }
}

impl Neighbours {
    /// Whether a query with these neighbours, at least one of them known, stands where `stored` stands.
    pub(super) fn found_in(self, stored: Self) -> bool {
        let agrees = |asked: u32, stored: u32| asked == 0 || asked == stored;
        self != Self::default()
            && agrees(self.previous, stored.previous)
            && agrees(self.next, stored.next)
    }
}

/// A gap that is not the usual one: which, and its number.
pub(super) type UnusualGap = (u32, u32);

/// The number of the gap that is expected before token `place` of `length`.
pub(super) fn usual_gap(place: usize, length: usize) -> u32 {
    if place == 0 || place == length { GAP_EMPTY } else { GAP_SPACE }
}

/// Segments in order of their units.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    facts: Vec<RowFacts>,
    word_ends: Vec<u32>,
    words: Vec<u32>,
    gap_ends: Vec<u32>,
    gaps: Vec<UnusualGap>,
    /// Source hash and row, in order.
    by_hash: Vec<(u64, u32)>,
}

/// One row, borrowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) facts: &'a RowFacts,
    pub(super) words: &'a [u32],
    pub(super) gaps: &'a [UnusualGap],
}

impl Rows {
    /// Rows for new entries, which come in order of their units.
    pub(super) fn of<'a>(
        entries: impl Iterator<Item = &'a IndexEntry>,
        vocabulary: &Vocabulary,
    ) -> Self {
        let mut rows = Self::default();
        for entry in entries {
            let (words, gaps) = vocabulary.intern_form(&entry.form);
            let unusual = gaps
                .iter()
                .enumerate()
                .filter(|&(place, &gap)| gap != usual_gap(place, words.len()));
            let unusual: Vec<UnusualGap> =
                unusual.map(|(place, &gap)| (length_u32(place), gap)).collect();
            let facts = facts_of(entry, vocabulary);
            rows.push(Row { facts: &facts, words: &words, gaps: &unusual });
        }
        rows.sort_hashes();
        rows
    }

    /// Rows with the given ones in order of their units.
    pub(super) fn collect<'a>(given: impl Iterator<Item = Row<'a>>) -> Self {
        let mut rows = Self::default();
        given.for_each(|row| rows.push(row));
        rows.sort_hashes();
        rows
    }

    fn push(&mut self, row: Row<'_>) {
        self.by_hash.push((row.facts.source_hash, length_u32(self.facts.len())));
        self.facts.push(*row.facts);
        self.words.extend_from_slice(row.words);
        self.word_ends.push(length_u32(self.words.len()));
        self.gaps.extend_from_slice(row.gaps);
        self.gap_ends.push(length_u32(self.gaps.len()));
    }

    fn sort_hashes(&mut self) {
        self.by_hash.sort_unstable();
    }

    pub(super) fn len(&self) -> usize {
        self.facts.len()
    }

    pub(super) fn row(&self, number: usize) -> Row<'_> {
        let range = |ends: &[u32]| {
            let start = if number == 0 { 0 } else { ends[number - 1] };
            start as usize..ends[number] as usize
        };
        Row {
            facts: &self.facts[number],
            words: &self.words[range(&self.word_ends)],
            gaps: &self.gaps[range(&self.gap_ends)],
        }
    }

    /// The row of a unit.
    pub(super) fn find(&self, unit: UnitId) -> Option<usize> {
        self.facts.binary_search_by_key(&unit, |facts| facts.unit).ok()
    }

    /// The rows with a source hash.
    pub(super) fn with_hash(&self, hash: u64) -> impl Iterator<Item = usize> {
        let from = self.by_hash.partition_point(|&(other, _)| other < hash);
        let same = self.by_hash[from..].iter().take_while(move |&&(other, _)| other == hash);
        same.map(|&(_, row)| row as usize)
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        size_of::<RowFacts>() * self.facts.capacity()
            + 4 * (self.word_ends.capacity() + self.words.capacity() + self.gap_ends.capacity())
            + size_of::<UnusualGap>() * self.gaps.capacity()
            + size_of::<(u64, u32)>() * self.by_hash.capacity()
    }
}

fn facts_of(entry: &IndexEntry, vocabulary: &Vocabulary) -> RowFacts {
    let Facts { source_hash, content_hash, context, changed, .. } = entry.facts;
    RowFacts {
        unit: entry.unit,
        source_hash,
        content_hash,
        tags: entry.form.tags(),
        changed,
        neighbours: context.into(),
        document: vocabulary.intern_text(&entry.facts.document),
        author: vocabulary.intern_text(&entry.facts.author),
    }
}

/// Counts inside one set of rows stay far below 2³²: a set is sealed long before.
pub(super) fn length_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
