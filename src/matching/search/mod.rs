//! Finds the stored segments that are most similar to a query, and those in which an expression occurs.

mod best;
mod bounds;
mod concordance;
mod expression;
mod fuzzy;
mod scan;
mod terms;

pub use concordance::{Page, Passage, Place};
pub use expression::{ConcordanceMode, Expression, WordForm};
pub use fuzzy::SearchWork;

pub(crate) use concordance::search as concordance;
pub(crate) use fuzzy::{Scratch, search as fuzzy};
pub(crate) use scan::scan;
