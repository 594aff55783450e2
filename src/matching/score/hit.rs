//! A hit of a search, and the order of hits.

use std::cmp::Reverse;
use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::unit::{Score, Timestamp, UnitId};

use super::context_parts::AgreedContexts;
use super::deductions::Deductions;

/// The kind of a match; better kinds order first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MatchKind {
    /// An exact match in the same context: both text flow and context id agree.
    DoubleContext,
    /// An exact match in the same context: text flow or context id agree.
    Context,
    /// Equal canonical texts and equal tags.
    Exact,
    /// Anything else.
    Fuzzy,
}

impl MatchKind {
    /// A stable lower-case name for users and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::DoubleContext => "double-context",
            Self::Context => "context",
            Self::Exact => "exact",
            Self::Fuzzy => "fuzzy",
        }
    }

    /// The match rate that translation tools show: 102 for a double context match, 101 for a context match and 100 for
    /// an exact match, less the points that its score lacks; the score of a fuzzy match. Rounded down.
    pub fn match_rate(self, score: Score) -> u16 {
        let most = match self {
            Self::DoubleContext => 200,
            Self::Context => 100,
            Self::Exact | Self::Fuzzy => 0,
        };
        (score.hundredths() + most) / 100
    }
}

/// A unit found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hit {
    /// The unit.
    pub unit: UnitId,
    /// The kind of match.
    pub kind: MatchKind,
    /// The parts of the context that agree; none for a fuzzy match.
    pub agreed_contexts: AgreedContexts,
    /// The score after all deductions.
    pub score: Score,
    /// Where the other points went, the penalty included.
    pub deductions: Deductions,
    /// The penalty of the memory and of all rules, in hundredths; fewer points may have been left to deduct.
    pub penalty: u32,
    /// When the unit was last changed.
    pub changed: Timestamp,
    /// The low 32 bits of the revision that was found.
    pub revision: u32,
    /// [`Identity::pair`](crate::matching::Identity::pair) of the unit.
    pub pair: u64,
}

/// Orders the hits of one memory, the best first.
pub(crate) type Rank = (MatchKind, Reverse<Score>, u32, Reverse<Timestamp>, UnitId);

impl Hit {
    /// [`MatchKind::match_rate`]
    pub fn match_rate(&self) -> u16 {
        self.kind.match_rate(self.score)
    }

    /// The sort key of a hit: kind, score, penalty, newest first, unit.
    pub(crate) fn rank(&self) -> Rank {
        (self.kind, Reverse(self.score), self.penalty, Reverse(self.changed), self.unit)
    }
}

/// Merges the hits of several memories, each list in order, into the best `limit`, as (index of the memory, hit).
///
/// The order is kind, score, penalty, newest first, order of the memories, unit.
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

/// Merges the hits of the parts of one memory, each list the complete best `limit` of its part, into the best `limit` of the whole
/// memory, whichever way its units are spread over the parts.
///
/// A pair of source and target is found once, by the best of its units, as in a search of the whole.
pub fn merge_parts(parts: &[Vec<Hit>], limit: usize) -> Vec<Hit> {
    let mut all: Vec<Hit> = parts.iter().flatten().copied().collect();
    all.sort_unstable_by_key(Hit::rank);
    let mut pairs = HashSet::new();
    all.retain(|hit| pairs.len() < limit && pairs.insert(hit.pair));
    all
}
