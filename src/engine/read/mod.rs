//! Answers lookups, concordance searches, analyses and exports.

pub(crate) mod analysis;
pub(crate) mod concordance;
pub(crate) mod export;
pub(crate) mod filter;
pub(crate) mod lookup;
