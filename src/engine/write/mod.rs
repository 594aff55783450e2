//! The use cases that write: memories, units, imports.

pub(crate) mod batches;
pub(crate) mod import_session;
pub(crate) mod matching;
pub(crate) mod memories;
pub(crate) mod patch;
pub(crate) mod units;
pub(crate) mod update;
