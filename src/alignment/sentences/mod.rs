//! Aligns the sentences of two documents: scores of candidate beads, and the search for the best chain of them.

mod band;
mod beads;
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
mod search;
mod speech;
mod wording;

pub use document::{Bead, align_document};
pub(crate) use marks::Mark;
pub(crate) use speech::Speech;
