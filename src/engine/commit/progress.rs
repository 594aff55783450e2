//! Defines the progress of an import and the outcomes of its units.

use serde::{Deserialize, Serialize};

/// Sums over a whole import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportCounts {
    /// Units received.
    pub read: u64,
    /// Units stored.
    pub stored: u64,
    /// Of those, units that replaced an older one.
    pub replaced: u64,
    /// Units that were stored already.
    pub duplicates: u64,
    /// Units rejected as invalid.
    pub rejected: u64,
}

impl ImportCounts {
    /// Counts a unit that passed its checks; `read` is counted for whole batches.
    pub(crate) fn add(&mut self, outcome: UnitOutcome) {
        match outcome {
            UnitOutcome::Stored => self.stored += 1,
            UnitOutcome::Replaced => {
                self.stored += 1;
                self.replaced += 1;
            }
            UnitOutcome::Duplicate => self.duplicates += 1,
        }
    }
}

/// The durable progress of an import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportProgress {
    /// Batches 1 to this are stored.
    pub acked_through: u64,
    /// Totals of their units.
    pub counts: ImportCounts,
    /// Whether its last batch is among them.
    #[serde(skip)]
    pub complete: bool,
}

/// The outcome of a valid unit that was to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnitOutcome {
    /// It was stored as a new unit.
    Stored,
    /// It replaced an older unit.
    Replaced,
    /// It was stored already.
    Duplicate,
}

/// A durable batch of an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBatch {
    /// The progress of the import, at least through this batch.
    pub progress: ImportProgress,
    /// Outcomes of its units in their order; empty when the batch was already stored.
    pub unit_outcomes: Vec<UnitOutcome>,
}
