//! How far an import is, and what became of its units.

use serde::{Deserialize, Serialize};

/// Sums over a whole import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportCounts {
    /// Units that came.
    pub read: u64,
    /// Units that are in the store because of it.
    pub stored: u64,
    /// Of those, the ones that took the place of an older unit.
    pub replaced: u64,
    /// Units that were there already.
    pub duplicates: u64,
    /// Units that were not stored because something is wrong with them.
    pub rejected: u64,
}

/// How far an import is on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportProgress {
    /// Batches 1 to this are stored.
    pub acked_through: u64,
    /// What became of their units.
    pub counts: ImportCounts,
    /// Whether its last batch is among them.
    #[serde(skip)]
    pub complete: bool,
}

/// What became of a unit of an import that passed its checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitOutcome {
    /// It is a new unit.
    Stored,
    /// It took the place of an older unit.
    Replaced,
    /// It was there already.
    Duplicate,
}

/// A batch of an import that is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBatch {
    /// How far the import is with it, at least.
    pub progress: ImportProgress,
    /// What became of its units, in their order; empty when it was on disk before.
    pub verdicts: Vec<UnitOutcome>,
}
