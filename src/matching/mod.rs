//! Which stored text is close? The score and its reasons, the edits, and the index of a memory.
//!
//! Segments are compared as tokens with a surface, a folded form and a class (see `crate::text`). Pure: no I/O, no clock,
//! no async; locks only inside [`MemoryIndex`]. Knows nothing of stores, protocols or languages.

mod adapt;
mod align;
mod bounds;
mod checkpoint;
mod concordance;
mod crowds;
mod edits;
mod families;
mod form;
mod hashes;
mod index;
mod intern;
mod judge;
mod levenshtein;
mod lists;
mod numbering;
mod occurrences;
mod plain;
mod postings;
mod query;
mod rows;
mod same_source;
mod scan;
mod score;
mod search;
mod sets;
mod signature;
mod terms;
mod ticker;
mod vocabulary;

#[cfg(test)]
mod edited;

use crate::unit::{Context, Timestamp, UnitId};

pub use adapt::{Adapted, Substitution, adapt, changed_placeables};
pub use concordance::{Expression, Page, Passage, Place, SameWord, Side, Together};
pub use crowds::{CROWD_UNITS_MIN, Question};
pub use edits::{Comparison, Edit, EditKind, compare};
pub use form::Form;
pub use hashes::{ContentHash, Identity};
pub use index::{Frozen, IndexBytes, Loader, MemoryIndex};
pub use numbering::Numbering;
pub use plain::{PlainReader, PlainWriter};
pub use query::{Cancelled, Filter, Hit, MatchKind, Options, Query, merge};
pub use rows::NumberedEntry;
pub use same_source::{Rank, SameSource};
pub use score::{Deductions, GRADED_CHARS_MAX, NUMBER_COST, Reason, SCORE_VERSION, WORD_COST};
pub use search::SearchWork;

/// One change of an index.
#[derive(Debug, Clone)]
pub enum IndexChange {
    /// A new unit, or an old one with new content.
    Put(IndexEntry),
    /// The same, numbered before by [`MemoryIndex::numbering`] of the same index.
    PutNumbered(NumberedEntry),
    /// The unit is gone (or never was).
    Remove(UnitId),
}

/// A unit as the index holds it.
#[derive(Debug, Clone)]
pub struct IndexEntry {
    /// Which.
    pub unit: UnitId,
    /// Its source.
    pub form: Form,
    /// The words of its target, see [`Form::words_of`].
    pub target: Form,
    /// Everything else that a search looks at.
    pub facts: Facts,
}

/// What a search knows of a unit beside its source text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Hash of canonical source text and tags, for [`MemoryIndex::same_source`].
    pub source_hash: u64,
    /// Hash of both sides and of the key of the context.
    pub content_hash: ContentHash,
    /// The neighbours it was translated between.
    pub context: Context,
    /// When it was last changed, by the clock of whoever changed it.
    pub changed: Timestamp,
    /// Its revision, the last 32 bits: tells whoever reads the unit whether it is still what was found.
    pub revision: u32,
    /// Its document; empty when unknown.
    pub document: String,
    /// Its author; empty when unknown.
    pub author: String,
    /// Whether its translation is not finished.
    pub unfinished: bool,
}

impl Facts {
    /// What tells the unit from others.
    pub fn identity(&self) -> Identity {
        let Self { source_hash, content_hash, context, .. } = *self;
        Identity { source_hash, content_hash, neighbours: context.into() }
    }
}
