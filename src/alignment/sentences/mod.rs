//! Aligns the sentences of two documents: scores of candidate beads, and the search for the best chain of them.

mod band;
mod confidence;
mod coupling;
mod decode;
mod document;
mod evidence;
mod kinds;
mod known;
pub(crate) mod lengths;
mod marks;
mod posteriors;
mod scores;
mod search;
mod span;
mod speech;
mod wording;

pub use document::{Bead, align_document};
