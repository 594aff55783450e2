//! Encodes segments as numbers of a vocabulary, so that comparing is fast and each text is stored once.

mod encoder;
mod entry;
mod filter;
mod form;
mod gaps;
mod identity;
mod intern;
mod surface_forms;
mod vocabulary;

pub use encoder::Encoder;
pub use entry::{EncodedEntry, Facts, IndexEntry, Side};
pub use filter::Filter;
pub use form::Form;
pub use identity::{ContentHash, Identity, Question};

pub(crate) use entry::{Row, RowFacts};
pub(crate) use filter::EncodedFilter;
pub(crate) use form::Token;
pub(crate) use gaps::{Gaps, UnusualGap, narrow, usual_gap};
pub(crate) use identity::Neighbours;
pub(crate) use surface_forms::{SurfaceForms, WordLists, WordPart, WordSet};
pub(crate) use vocabulary::{Numbers, UNKNOWN, Vocabulary};
