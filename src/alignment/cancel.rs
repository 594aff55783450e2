//! Lets a caller stop long work.

/// Whether to stop; called often during long work.
pub type Stop<'a> = &'a (dyn Fn() -> bool + Sync);

/// The caller stopped the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work was cancelled")]
pub struct Cancelled;
