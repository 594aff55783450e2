//! Keeps the best hits of a running search.

use std::cmp::Reverse;

use crate::unit::Score;

use crate::matching::score::{Hit, MatchKind, Rank, Scorer};

/// The best hits so far, one for each pair of source and target: a pair that is stored in many contexts counts once,
/// in the context that fits best.
///
/// The result is complete: a hit is dropped only for a better one of the same pair, or because there are `limit`
/// better ones of different pairs.
#[derive(Debug)]
pub(crate) struct Best {
    limit: usize,
    /// Up to `limit` hits in order, and more that are dropped from time to time.
    hits: Vec<Hit>,
    /// The last hit that counts, once there are `limit`.
    worst: Option<Rank>,
}

impl Best {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, hits: Vec::new(), worst: None }
    }

    /// Whether a hit is among the best so far.
    pub(crate) fn would_keep(&self, hit: &Hit) -> bool {
        self.limit > 0 && self.worst.is_none_or(|worst| hit.rank() < worst)
    }

    /// Keeps a hit if it is among the best so far.
    pub(crate) fn push(&mut self, hit: Hit) {
        if !self.would_keep(&hit) {
            return;
        }
        self.hits.push(hit);
        // A small list is cut at once to keep the bound tight, a large one rarely.
        let room = if self.limit <= 64 { 0 } else { self.limit };
        if self.hits.len() >= self.limit.saturating_add(room) {
            self.cut();
        }
    }

    /// Least base, in hundredths, of a hit that would still count.
    pub(crate) fn base_min(&self, scorer: &Scorer<'_>) -> u16 {
        let wanted = scorer.base_min();
        match self.worst {
            None | Some((MatchKind::Fuzzy, Reverse(Score::ZERO), ..)) => wanted,
            // Equal canonical texts have a full base.
            Some((MatchKind::DoubleContext | MatchKind::Context | MatchKind::Exact, ..)) => {
                wanted.max(10_000)
            }
            Some((MatchKind::Fuzzy, Reverse(score), ..)) => {
                wanted.max(score.hundredths().saturating_add(scorer.options.penalty))
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

    /// Returns the best hits, in order.
    pub(crate) fn finish(mut self) -> Vec<Hit> {
        self.cut();
        self.hits
    }
}
