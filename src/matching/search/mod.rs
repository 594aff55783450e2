//! Searches an index: the most similar segments ([`fuzzy()`], checked against [`scan()`]) and those that contain an
//! expression ([`concordance()`]).

mod best;
mod bounds;
mod concordance;
mod expression;
mod fuzzy;
mod scan;
mod terms;

pub use concordance::{Page, Passage, Place};
pub use expression::{ConcordanceMode, Expression, WordForm};
pub use fuzzy::SearchStats;

pub(crate) use concordance::search as concordance;
pub(crate) use fuzzy::{Scratch, search as fuzzy};
pub(crate) use scan::scan;
