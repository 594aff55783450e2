//! Serving status and lookup counters.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::engine::FoundMatch;
use crate::matching::MatchKind;

/// The kinds of best matches, as metrics name them.
const STAGES: [&str; 4] = ["context", "exact", "fuzzy", "none"];

/// Segments looked up, by the kind of their best match.
#[derive(Debug, Default)]
pub struct LookupCounts([AtomicU64; STAGES.len()]);

impl LookupCounts {
    /// Counts the results of a lookup.
    pub(super) fn count(&self, found: &[Vec<FoundMatch>]) {
        for matches in found {
            let stage = match matches.first().map(|found| found.kind) {
                Some(MatchKind::DoubleContext | MatchKind::Context) => 0,
                Some(MatchKind::Exact) => 1,
                Some(MatchKind::Fuzzy) => 2,
                None => 3,
            };
            self.0[stage].fetch_add(1, Relaxed);
        }
    }

    /// `context`, `exact`, `fuzzy`, `none`, each with its count.
    pub fn read(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        STAGES.into_iter().zip(self.0.iter().map(|count| count.load(Relaxed)))
    }
}

/// Whether the memories can be used, and how much they hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServingStatus {
    /// Why they cannot be used; `None` when they can.
    pub trouble: Option<String>,
    /// Whether lookups are answered all the same.
    pub can_read: bool,
    /// Number of memories.
    pub memories: usize,
    /// Units of all memories.
    pub units: u64,
    /// Number of the last commit.
    pub sequence: u64,
}
