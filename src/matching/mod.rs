//! Which stored text is close? The score and its reasons, the edits, and the index of a memory.
//!
//! Segments are compared as tokens with a surface, a folded form and a class (see `crate::text`). Pure: no I/O, no clock,
//! no async; locks only inside [`MemoryIndex`]. Knows nothing of stores, protocols or languages.

mod array_codec;
mod cancel;
mod encode;
mod index;
mod jagged_array;
mod memory_index;
mod score;
mod search;

pub use array_codec::{ArrayReader, ArrayWriter};
pub use cancel::Cancelled;
pub use encode::{
    ContentHash, EncodedEntry, Encoder, Facts, Filter, Form, Identity, IndexEntry, Question, Side,
};
pub use index::{CROWD_UNITS_MIN, Frozen, IndexChange, Loader, Rank, SameSource};
pub use memory_index::{IndexBytes, MemoryIndex};
pub use score::{
    Adapted, Comparison, Deductions, Edit, EditKind, GRADED_CHARS_MAX, Hit, MatchKind, NUMBER_COST,
    Options, Query, Reason, SCORE_VERSION, Substitution, WORD_COST, adapt, changed_placeables,
    compare, merge,
};
pub use search::{ConcordanceMode, Expression, Page, Passage, Place, SearchWork, WordForm};
