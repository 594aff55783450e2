//! Answers lookups, concordance searches, analyses, extractions, lists and exports.

pub(crate) mod analysis;
pub(crate) mod concordance;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod extract;
pub(crate) mod filter;
pub(crate) mod history;
pub(crate) mod links;
pub(crate) mod list;
pub(crate) mod lookup;
pub(crate) mod penalties;
pub(crate) mod query_segment;
pub(crate) mod watch;
pub(crate) mod words;
