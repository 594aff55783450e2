//! Runs long jobs on whole memories or the whole store: alignment, training, quality checks, backup, verification, maintenance.

pub(crate) mod align;
pub mod backup;
pub(crate) mod check;
pub(crate) mod maintenance;
pub(crate) mod train;
pub(crate) mod verify;
