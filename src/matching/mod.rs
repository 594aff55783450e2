//! Finds stored segments that are similar to a query or contain an expression, and scores them. Which stored text is
//! close?
//!
//! Segments are compared as tokens with a surface, a folded form and a class (see `crate::text`). Sub-folders depend
//! on each other in one direction: `encode` (tokens to numbers) ← `score` ← `index` (rows and what finds them) ←
//! `search`. [`MemoryIndex`] puts them together. Pure: no I/O, no clock, no async; locks only inside [`MemoryIndex`].
//! Knows nothing of stores, protocols or languages.

mod array_codec;
mod cancel;
mod column;
mod encode;
mod index;
mod jagged_array;
mod memory_index;
mod packed_lists;
mod score;
mod search;

pub use array_codec::{ArrayReader, ArrayWriter};
pub use cancel::Cancelled;
pub use encode::{
    ContentHash, EncodedEntry, Encoder, Facts, Filter, Form, Identity, IndexEntry, Question, Side,
};
pub use index::{CONTEXT_INDEX_UNITS_MIN, Frozen, IndexChange, Loader, Rank, SameSource};
pub use memory_index::{IndexBytes, MemoryIndex};
pub use score::{
    Adapted, AgreedContexts, ComparedText, Comparison, ContextPart, Deductions, Edit, EditKind,
    GRADED_CHARS_MAX, Hit, MatchKind, NUMBER_COST, Options, Penalties, PenaltyPoints, Query,
    Reason, SCORE_VERSION, Substitution, UnitPenalties, WORD_COST, adapt, changed_placeables,
    compare, merge, merge_parts,
};
pub use search::{ConcordanceMode, Expression, Page, Passage, Place, SearchStats, WordForm};
