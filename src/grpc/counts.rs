//! How does it go in there? Counts for metrics, and whether the memories are fit to be used.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::proto::{Match, MatchKind, SegmentMatches};

/// What is told of segments that were looked up, by the kind of their best match.
const STAGES: [&str; 4] = ["context", "exact", "fuzzy", "none"];

/// Segments looked up, by the kind of their best match.
#[derive(Debug, Default)]
pub struct LookupCounts([AtomicU64; STAGES.len()]);

impl LookupCounts {
    /// Counts what was found.
    pub(super) fn count(&self, found: &[SegmentMatches]) {
        for segment in found {
            let stage = match segment.matches.first().map(Match::kind) {
                Some(MatchKind::Context) => 0,
                Some(MatchKind::Exact) => 1,
                Some(MatchKind::Fuzzy | MatchKind::Unspecified) => 2,
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

/// How the memories stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Why they are not fit to be used, if they are not.
    pub trouble: Option<String>,
    /// How many there are.
    pub memories: usize,
    /// What they hold.
    pub units: u64,
    /// Number of the last commit.
    pub sequence: u64,
}
