//! Stores the encoded segments of a memory in immutable sets, and finds rows by class, word, source hash and unit.

mod all_hashes;
mod background;
mod changes;
mod checkpoint;
mod context_index;
mod fact_table;
mod gap_lists;
mod hash_filter;
mod loader;
mod occurrences;
mod postings;
mod prefix;
mod rows;
mod same_source;
mod sets;
mod shared;
mod signature;

pub use changes::IndexChange;
pub use checkpoint::Frozen;
pub use loader::Loader;
pub use rows::CONTEXT_INDEX_UNITS_MIN;
pub use same_source::{Rank, SameSource};

pub(crate) use background::{AtStart, merge};
pub(crate) use checkpoint::read;
pub(crate) use occurrences::BlockSet;
pub(crate) use postings::{LENGTH_MAX, MARKS, Posting, Postings, Quantizer, mark};
pub(crate) use prefix::{BASE_MIN, edits_max, shared_min};
pub(crate) use rows::Rows;
pub(crate) use sets::{Sealed, Set, Snapshot};
pub(crate) use shared::Shared;
pub(crate) use signature::QuerySignature;

#[cfg(test)]
pub(crate) use prefix::prefix_len;
