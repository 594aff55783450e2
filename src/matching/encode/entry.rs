//! A unit as matching needs it: as given by the caller ([`IndexEntry`]), and encoded ([`EncodedEntry`], [`Row`]).
//!
//! Knows nothing of how rows are stored, or of queries.

use crate::matching::packed_lists::List;
use crate::unit::{Context, Timestamp, UnitId};

use super::form::{Form, Token};
use super::gaps::{Gaps, UnusualGap, unusual_gaps};
use super::identity::{ContentHash, Identity, Neighbours};
use super::vocabulary::Vocabulary;

/// One of the two texts of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The source text.
    Source,
    /// The translation.
    Target,
}

/// A unit to be put into an index.
#[derive(Debug, Clone)]
pub struct IndexEntry {
    /// The unit.
    pub unit: UnitId,
    /// Its source.
    pub form: Form,
    /// The words of its target, see [`Form::words_of`].
    pub target: Form,
    /// Everything else that a search needs.
    pub facts: Facts,
}

/// What a search knows of a unit besides its texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Hash of canonical source text and tags, for [`MemoryIndex::same_source`](crate::matching::MemoryIndex::same_source).
    pub source_hash: u64,
    /// Hash of both sides and of the context key.
    pub content_hash: ContentHash,
    /// The neighbours in its document.
    pub context: Context,
    /// When it was last changed, by the clock of the writer.
    pub changed: Timestamp,
    /// The low 32 bits of its revision: they tell whether a unit is still the one that was found.
    pub revision: u32,
    /// Its document; empty when unknown.
    pub document: String,
    /// Its author; empty when unknown.
    pub author: String,
    /// Whether its translation is not finished.
    pub unfinished: bool,
}

impl Facts {
    /// What distinguishes the unit from others.
    pub fn identity(&self) -> Identity {
        let Self { source_hash, content_hash, context, .. } = *self;
        Identity { source_hash, content_hash, neighbours: Neighbours::sources(context) }
    }
}

/// Facts of a stored segment; names as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowFacts {
    pub(crate) unit: UnitId,
    pub(crate) source_hash: u64,
    pub(crate) content_hash: ContentHash,
    pub(crate) tags: u64,
    pub(crate) changed: Timestamp,
    pub(crate) neighbours: Neighbours,
    pub(crate) target_neighbours: Neighbours,
    pub(crate) document: u32,
    pub(crate) author: u32,
    pub(crate) revision: u32,
    pub(crate) unfinished: bool,
}

impl RowFacts {
    pub(crate) fn identity(&self) -> Identity {
        let Self { source_hash, content_hash, neighbours, .. } = *self;
        Identity { source_hash, content_hash, neighbours }
    }
}

/// An encoded segment, borrowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) facts: RowFacts,
    pub(crate) words: &'a [u32],
    pub(crate) gaps: Gaps<'a>,
    /// Words of the translation.
    pub(crate) target: List<'a>,
}

/// A unit encoded in the numbers of a vocabulary.
#[derive(Debug, Clone)]
pub struct EncodedEntry {
    facts: RowFacts,
    words: Vec<u32>,
    gaps: Vec<UnusualGap>,
    target: Vec<u32>,
}

impl EncodedEntry {
    /// Encodes an entry; `number` returns the number of a word.
    pub(crate) fn new(
        entry: &IndexEntry,
        vocabulary: &Vocabulary,
        number: impl FnMut(Token<'_>) -> u32,
    ) -> Self {
        let texts = (&entry.form, &entry.target);
        Self::from_forms(entry.unit, texts, &entry.facts, vocabulary, number)
    }

    /// Encodes the parts of an entry.
    pub(crate) fn from_forms(
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

    /// Builds an entry from encoded words and names.
    pub(crate) fn from_numbers(
        (unit, tags): (UnitId, u64),
        (words, target): (Vec<u32>, Vec<u32>),
        gaps: Vec<UnusualGap>,
        (facts, names): (&Facts, [u32; 2]),
    ) -> Self {
        Self { facts: facts_of(unit, tags, facts, names), words, gaps, target }
    }

    /// Sets unit, revision and time of change, which are known only when the unit is committed.
    #[must_use]
    pub fn at(mut self, unit: UnitId, revision: u32, changed: Timestamp) -> Self {
        self.facts.unit = unit;
        self.facts.revision = revision;
        self.facts.changed = changed;
        self
    }

    /// Sets the context.
    pub fn set_context(&mut self, context: Context, key: Option<u64>) {
        self.facts.neighbours = Neighbours::sources(context);
        self.facts.target_neighbours = Neighbours::targets(context);
        self.facts.content_hash = self.facts.content_hash.with_key(key);
    }

    /// What distinguishes the unit from others.
    pub fn identity(&self) -> Identity {
        self.facts.identity()
    }

    pub(crate) fn unit(&self) -> UnitId {
        self.facts.unit
    }

    pub(crate) fn row(&self) -> Row<'_> {
        let Self { facts, words, gaps, target } = self;
        Row { facts: *facts, words, gaps: Gaps::Wide(gaps), target: List::Plain(target) }
    }
}

fn facts_of(unit: UnitId, tags: u64, facts: &Facts, [document, author]: [u32; 2]) -> RowFacts {
    let Facts { source_hash, content_hash, context, changed, revision, unfinished, .. } = *facts;
    RowFacts {
        unit,
        source_hash,
        content_hash,
        tags,
        changed,
        neighbours: Neighbours::sources(context),
        target_neighbours: Neighbours::targets(context),
        document,
        author,
        revision,
        unfinished,
    }
}
