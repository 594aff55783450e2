//! Plans writes and commits them in groups.

pub(crate) mod batches;
pub(crate) mod commit_loop;
pub(crate) mod duplicates;
pub(crate) mod idempotency;
pub(crate) mod import_session;
pub(crate) mod outcome;
pub(crate) mod patch;
pub(crate) mod plan;
pub(crate) mod prepare;
pub(crate) mod progress;
pub(crate) mod queue;
pub(crate) mod update;
pub(crate) mod work;
