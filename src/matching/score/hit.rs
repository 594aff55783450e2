//! A match, and the one order of matches.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::unit::{Score, Timestamp, UnitId};

use super::deductions::Deductions;

/// What kind of match a hit is; the better comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MatchKind {
    /// Exact, and every neighbour that the query names is the stored one (it names at least one).
    Context,
    /// Equal canonical text and equal tags.
    Exact,
    /// Anything else.
    Fuzzy,
}

impl MatchKind {
    /// A stable lower-case name for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Context => "context",
            Self::Exact => "exact",
            Self::Fuzzy => "fuzzy",
        }
    }
}

/// A unit found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hit {
    /// Which.
    pub unit: UnitId,
    /// What kind of match.
    pub kind: MatchKind,
    /// What is left after all deductions.
    pub score: Score,
    /// Where the other points went, the penalty among them.
    pub deductions: Deductions,
    /// The penalty that the search was asked to take, in hundredths (it may be more than there was to take).
    pub penalty: u16,
    /// When the unit was last changed.
    pub changed: Timestamp,
    /// The revision that was found, the last 32 bits.
    pub revision: u32,
    /// [`Identity::pair`](crate::matching::Identity::pair) of the unit.
    pub pair: u64,
}

/// Sorts hits of one memory, the best first.
pub(crate) type Rank = (MatchKind, Reverse<Score>, u16, Reverse<Timestamp>, UnitId);

impl Hit {
    /// The place of a hit in the order: kind, score, penalty, the newest first, unit.
    pub(crate) fn rank(&self) -> Rank {
        (self.kind, Reverse(self.score), self.penalty, Reverse(self.changed), self.unit)
    }
}

/// The best hits of several memories, each list in order, as (number of the memory in the list, hit).
///
/// The order: kind, score, penalty, the newest first, the order of the memories, unit.
pub fn merge(memories: &[Vec<Hit>], limit: usize) -> Vec<(usize, Hit)> {
    let numbered = memories.iter().enumerate();
    let mut all: Vec<(usize, Hit)> =
        numbered.flat_map(|(memory, hits)| hits.iter().map(move |&hit| (memory, hit))).collect();
    all.sort_by_key(|(memory, hit)| {
        let (kind, score, penalty, changed, unit) = hit.rank();
        (kind, score, penalty, changed, *memory, unit)
    });
    all.truncate(limit);
    all
}
