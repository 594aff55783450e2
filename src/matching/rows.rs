//! How are stored segments kept? As rows: plain, small, cheap to make and to join.
//!
//! Knows nothing of texts (only of their numbers), of queries or of locks.

use std::io::{self, Read, Write};

use crate::unit::{Context, Timestamp, UnitId};

use super::checkpoint::{read_lists, write_lists};
use super::crowds::CROWD_UNITS_MIN;
use super::form::Token;
use super::hashes::{ContentHash, HashFilter, Identity};
use super::lists::Lists;
use super::plain::{PlainReader, PlainWriter};
use super::vocabulary::{GAP_EMPTY, GAP_SPACE, Vocabulary};
use super::{Facts, Form, IndexEntry};

/// What is known of a stored segment beside its words and gaps; texts as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RowFacts {
    pub(super) unit: UnitId,
    pub(super) source_hash: u64,
    pub(super) content_hash: ContentHash,
    pub(super) tags: u64,
    pub(super) changed: Timestamp,
    pub(super) neighbours: Neighbours,
    pub(super) document: u32,
    pub(super) author: u32,
    pub(super) revision: u32,
    pub(super) unfinished: bool,
}

impl RowFacts {
    pub(super) fn identity(&self) -> Identity {
        let Self { source_hash, content_hash, neighbours, .. } = *self;
        Identity { source_hash, content_hash, neighbours }
    }
}

/// The neighbours of a segment, 32 bits of each hash; 0 for none. A false equal, one in four billion, can only put one
/// exact match before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
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
    pub(super) fn numbers(self) -> (u32, u32) {
        (self.previous, self.next)
    }

    pub(super) fn of_numbers((previous, next): (u32, u32)) -> Self {
        Self { previous, next }
    }

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

/// Segments, in any order.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    facts: Vec<RowFacts>,
    words: Lists<u32>,
    gaps: Lists<UnusualGap>,
    target: Lists<u32>,
    /// Rows in order of their units.
    by_unit: Vec<u32>,
    /// Rows in order of their source hashes.
    by_hash: Vec<u32>,
    /// Tells of most hashes that are not among them, with one look: what an import asks all the time.
    hashes: HashFilter,
}

/// One row, borrowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) facts: &'a RowFacts,
    pub(super) words: &'a [u32],
    pub(super) gaps: &'a [UnusualGap],
    /// Words of the translation.
    pub(super) target: &'a [u32],
}

/// An entry in the numbers of a vocabulary, on its way into rows.
#[derive(Debug, Clone)]
pub struct NumberedEntry {
    facts: RowFacts,
    words: Vec<u32>,
    gaps: Vec<UnusualGap>,
    target: Vec<u32>,
}

impl NumberedEntry {
    /// `number` gives a word its number in the vocabulary.
    pub(super) fn new(
        entry: &IndexEntry,
        vocabulary: &Vocabulary,
        number: impl FnMut(Token<'_>) -> u32,
    ) -> Self {
        let texts = (&entry.form, &entry.target);
        Self::of_texts(entry.unit, texts, &entry.facts, vocabulary, number)
    }

    /// The same of the parts of an entry.
    pub(super) fn of_texts(
        unit: UnitId,
        (source, target): (&Form, &Form),
        facts: &Facts,
        vocabulary: &Vocabulary,
        mut number: impl FnMut(Token<'_>) -> u32,
    ) -> Self {
        let words: Vec<u32> = source.tokens().map(&mut number).collect();
        let names = [&facts.document, &facts.author].map(|name| vocabulary.intern_text(name));
        Self {
            facts: facts_of(unit, source.tags(), facts, names),
            gaps: unusual_gaps(source.gaps().map(|gap| vocabulary.intern_gap(gap)), words.len()),
            target: target.tokens().map(number).collect(),
            words,
        }
    }

    /// Of numbers of words and names that were given before.
    pub(super) fn of_numbers(
        (unit, tags): (UnitId, u64),
        (words, target): (Vec<u32>, Vec<u32>),
        gaps: Vec<UnusualGap>,
        (facts, names): (&Facts, [u32; 2]),
    ) -> Self {
        Self { facts: facts_of(unit, tags, facts, names), words, gaps, target }
    }

    /// The same entry as that of a unit whose number, revision and date are known only now.
    #[must_use]
    pub fn at(mut self, unit: UnitId, revision: u32, changed: Timestamp) -> Self {
        self.facts.unit = unit;
        self.facts.revision = revision;
        self.facts.changed = changed;
        self
    }

    /// The same entry, found in another context.
    pub fn set_context(&mut self, context: Context, key: Option<u64>) {
        self.facts.neighbours = context.into();
        self.facts.content_hash = self.facts.content_hash.with_key(key);
    }

    /// What tells its unit from others.
    pub fn identity(&self) -> Identity {
        self.facts.identity()
    }

    pub(super) fn unit(&self) -> UnitId {
        self.facts.unit
    }

    pub(super) fn row(&self) -> Row<'_> {
        let Self { facts, words, gaps, target } = self;
        Row { facts, words, gaps, target }
    }
}

impl Rows {
    /// The given rows, in their order.
    pub(super) fn collect<'a>(given: impl Iterator<Item = Row<'a>>) -> Self {
        let mut rows = Self::default();
        given.for_each(|row| rows.push(row));
        rows.sorted()
    }

    /// Adds a row; to be [`sorted`](Self::sorted) before anything is looked for.
    pub(super) fn push(&mut self, row: Row<'_>) {
        self.facts.push(*row.facts);
        self.words.push(row.words);
        self.gaps.push(row.gaps);
        self.target.push(row.target);
    }

    /// Ready to be looked into.
    pub(super) fn sorted(mut self) -> Self {
        self.by_unit = self.order(|facts| facts.unit.0);
        self.by_hash = self.order(|facts| facts.source_hash);
        self.hashes = filter_of(&self.facts);
        self.facts.shrink_to_fit();
        self.words.shrink_to_fit();
        self.gaps.shrink_to_fit();
        self.target.shrink_to_fit();
        self
    }

    /// Rows in order of a key, those with the same one in their order.
    fn order(&self, key: impl Fn(&RowFacts) -> u64) -> Vec<u32> {
        // The keys beside the rows: looking each up at every comparison is what would cost.
        let mut order: Vec<(u64, u32)> = self.facts.iter().map(key).zip(0..).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, row)| row).collect()
    }

    /// With room for as many rows as others have, and for all that those hold.
    pub(super) fn with_room_of<'a>(others: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let sum = |of: fn(&Self) -> usize| others.clone().map(of).sum::<usize>();
        let rows = sum(Self::len);
        Self {
            facts: Vec::with_capacity(rows),
            words: Lists::with_capacity(rows, sum(|it| it.words.all().len())),
            gaps: Lists::with_capacity(rows, sum(|it| it.gaps.all().len())),
            target: Lists::with_capacity(rows, sum(|it| it.target.all().len())),
            ..Self::default()
        }
    }

    pub(super) fn len(&self) -> usize {
        self.facts.len()
    }

    pub(super) fn row(&self, number: usize) -> Row<'_> {
        Row {
            facts: &self.facts[number],
            words: self.words.get(number),
            gaps: self.gaps.get(number),
            target: self.target.get(number),
        }
    }

    pub(super) fn facts(&self, number: usize) -> &RowFacts {
        &self.facts[number]
    }

    /// Tokens of a row.
    pub(super) fn length(&self, number: usize) -> usize {
        self.words.range(number).len()
    }

    /// The words of all rows.
    pub(super) fn words(&self) -> &Lists<u32> {
        &self.words
    }

    /// The words of the translations of all rows.
    pub(super) fn target(&self) -> &Lists<u32> {
        &self.target
    }

    /// The highest unit.
    pub(super) fn last_unit(&self) -> Option<UnitId> {
        self.by_unit.last().map(|&row| self.facts[row as usize].unit)
    }

    /// The row of a unit.
    pub(super) fn find(&self, unit: UnitId) -> Option<usize> {
        let unit_of = |&row: &u32| self.facts[row as usize].unit;
        self.by_unit.binary_search_by_key(&unit, unit_of).ok().map(|at| self.by_unit[at] as usize)
    }

    /// The source hashes of all rows.
    pub(super) fn source_hashes(&self) -> impl Iterator<Item = u64> {
        self.facts.iter().map(|facts| facts.source_hash)
    }

    /// The rows with a source hash.
    pub(super) fn with_hash(&self, hash: u64) -> &[u32] {
        if !self.hashes.may_hold(hash) {
            return &[];
        }
        let hash_of = |&row: &u32| self.facts[row as usize].source_hash;
        let from = self.by_hash.partition_point(|row| hash_of(row) < hash);
        let rest = &self.by_hash[from..];
        // Mostly none or one has it; after as many as make a crowd it is worth searching for the last.
        let few = rest.iter().take(CROWD_UNITS_MIN).take_while(|row| hash_of(row) == hash).count();
        let same = match few {
            CROWD_UNITS_MIN => rest.partition_point(|row| hash_of(row) == hash),
            few => few,
        };
        &rest[..same]
    }

    pub(super) fn write(&self, out: &mut PlainWriter<impl Write>) -> io::Result<()> {
        out.array(&self.facts)?;
        write_lists(&self.words, out)?;
        write_lists(&self.gaps, out)?;
        write_lists(&self.target, out)?;
        out.array(&self.by_unit)?;
        out.array(&self.by_hash)
    }

    pub(super) fn read(input: &mut PlainReader<impl Read>) -> io::Result<Self> {
        let facts: Vec<RowFacts> = input.array()?;
        Ok(Self {
            hashes: filter_of(&facts),
            facts,
            words: read_lists(input)?,
            gaps: read_lists(input)?,
            target: read_lists(input)?,
            by_unit: input.array()?,
            by_hash: input.array()?,
        })
    }

    /// Whether all parts are of the same rows, with so many words in the vocabulary.
    pub(super) fn fits(&self, words: u32) -> bool {
        let rows = self.len();
        let among =
            |order: &[u32]| order.len() == rows && order.iter().all(|&row| (row as usize) < rows);
        let known = |lists: &Lists<u32>| {
            lists.len() == rows && lists.all().iter().all(|&word| word < words)
        };
        known(&self.words)
            && known(&self.target)
            && self.gaps.len() == rows
            && among(&self.by_unit)
            && among(&self.by_hash)
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        size_of::<RowFacts>() * self.facts.capacity()
            + self.words.bytes()
            + self.gaps.bytes()
            + self.target.bytes()
            + 4 * (self.by_unit.capacity() + self.by_hash.capacity())
            + self.hashes.bytes()
    }
}

fn filter_of(facts: &[RowFacts]) -> HashFilter {
    HashFilter::of(facts.len(), facts.iter().map(|facts| facts.source_hash))
}

/// The gaps that are not the usual ones, with their places; in numbers.
pub(super) fn unusual_gaps(gaps: impl Iterator<Item = u32>, words: usize) -> Vec<UnusualGap> {
    let unusual = gaps.zip(0..).filter(|&(gap, place)| gap != usual_gap(place as usize, words));
    unusual.map(|(gap, place)| (place, gap)).collect()
}

fn facts_of(unit: UnitId, tags: u64, facts: &Facts, [document, author]: [u32; 2]) -> RowFacts {
    let Facts { source_hash, content_hash, context, changed, revision, unfinished, .. } = *facts;
    RowFacts {
        unit,
        source_hash,
        content_hash,
        tags,
        changed,
        neighbours: context.into(),
        document,
        author,
        revision,
        unfinished,
    }
}

/// Counts inside one set of rows stay far below 2³²: a set is sealed long before.
pub(super) fn length_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
