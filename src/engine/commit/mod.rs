//! Plans writes and commits them in groups.

pub(crate) mod commit_loop;
pub(crate) mod duplicates;
pub(crate) mod idempotency;
pub(crate) mod outcome;
pub(crate) mod plan;
pub(crate) mod prepare;
pub(crate) mod progress;
pub(crate) mod queue;
pub(crate) mod work;
