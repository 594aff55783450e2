//! Keeps the best hits of a search.

use std::cmp::Reverse;

use crate::unit::Score;

use crate::matching::score::{Hit, MatchKind, Rank, Scorer};

/// The best hits seen so far, one for each pair of source and target: a pair that is stored in many contexts is one answer,
/// in the context that fits best, and leaves room for others.
///
/// This keeps the answer complete: a hit is left out only for a better one of the same pair, or because there are `limit`
/// better ones of different pairs, whatever comes after it.
#[derive(Debug)]
pub(crate) struct Best {
    limit: usize,
    /// In order, at most `limit`... and a few more that are cut off from time to time.
    hits: Vec<Hit>,
    /// The last hit that still counts, once there are `limit` of them.
    worst: Option<Rank>,
}

impl Best {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, hits: Vec::new(), worst: None }
    }

    /// Keeps a hit if it is among the best.
    pub(crate) fn push(&mut self, hit: Hit) {
        if self.limit == 0 || self.worst.is_some_and(|worst| hit.rank() >= worst) {
            return;
        }
        self.hits.push(hit);
        // While few are asked for the bound is kept tight; many are sorted rarely.
        let room = if self.limit <= 64 { 0 } else { self.limit };
        if self.hits.len() >= self.limit.saturating_add(room) {
            self.cut();
        }
    }

    /// Least base, in hundredths, of a hit that would still count.
    pub(crate) fn base_min(&self, judge: &Scorer<'_>) -> u16 {
        let wanted = judge.base_min();
        match self.worst {
            None | Some((MatchKind::Fuzzy, Reverse(Score::ZERO), ..)) => wanted,
            // Equal canonical texts have a full base.
            Some((MatchKind::Context | MatchKind::Exact, ..)) => wanted.max(10_000),
            Some((MatchKind::Fuzzy, Reverse(score), ..)) => {
                wanted.max(score.hundredths().saturating_add(judge.options.penalty))
            }
        }
    }

    fn cut(&mut self) {
        self.hits.sort_unstable_by_key(|hit| (hit.pair, hit.rank()));
        self.hits.dedup_by_key(|hit| hit.pair);
        self.hits.sort_unstable_by_key(Hit::rank);
        self.hits.truncate(self.limit);
        if self.hits.len() == self.limit {
            self.worst = self.hits.last().map(Hit::rank);
        }
    }

    /// The best, in order.
    pub(crate) fn finish(mut self) -> Vec<Hit> {
        self.cut();
        self.hits
    }
}
