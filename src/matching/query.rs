//! What can be asked of an index, and what does it answer? Queries, options, hits, and the one order of hits.
//!
//! Knows nothing of how hits are found.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::limits::STATE_PENALTY_HUNDREDTHS;
use crate::text::Analysis;
use crate::unit::{Context, Score, Timestamp, UnitId};

use super::form::Form;
use super::judge::Judge;
use super::score::Deductions;

/// A segment to look for, made ready once for any number of memories.
#[derive(Debug, Clone, Default)]
pub struct Query {
    pub(super) form: Form,
    pub(super) context: Context,
    /// Only numbers, codes, links and their like: nothing of it is translated.
    pub(super) placeables_only: bool,
}

impl Query {
    /// For an analysed text, the signature of its inline tags (0 for none) and its neighbours as far as they are known.
    pub fn new(analysis: &Analysis, tags: u64, context: Context) -> Self {
        let form = Form::new(analysis, tags);
        let placeables_only = !form.is_empty() && !analysis.has_words();
        Self { form, context, placeables_only }
    }

    /// What is compared.
    pub fn form(&self) -> &Form {
        &self.form
    }
}

/// Which units may be found at all; what is `None` lets every unit through.
#[derive(Clone, Copy, Default)]
pub struct Filter<'a> {
    /// Only units of one of these documents.
    pub documents: Option<&'a BTreeSet<String>>,
    /// Only units by one of these authors.
    pub authors: Option<&'a BTreeSet<String>>,
    /// Only units changed at this moment or later.
    pub changed_from: Option<Timestamp>,
    /// Only units changed before this moment.
    pub changed_before: Option<Timestamp>,
    /// Only units that the caller accepts. Asked last, of units that would be answered otherwise.
    pub accept: Option<&'a (dyn Fn(UnitId) -> bool + Sync)>,
}

/// How to look.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Least final score, penalty included.
    pub min_score: Score,
    /// Most hits.
    pub limit: usize,
    /// What every hit of this memory loses, in hundredths.
    pub penalty: u16,
    /// What a hit loses whose translation is not finished, in hundredths.
    pub state_penalty: u16,
    /// Which units may be found.
    pub filter: Filter<'a>,
    /// Asked often; the search stops soon after it says true.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

impl Default for Options<'_> {
    /// 70 points or more, five hits, no penalty of the memory, no filter, never cancelled.
    fn default() -> Self {
        Self {
            min_score: Score::FULL.minus_hundredths(3_000),
            limit: 5,
            penalty: 0,
            state_penalty: STATE_PENALTY_HUNDREDTHS,
            filter: Filter::default(),
            cancelled: &|| false,
        }
    }
}

/// The search was cancelled; it has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the search was cancelled")]
pub struct Cancelled;

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
    /// [`Identity::pair`](super::Identity::pair) of the unit.
    pub pair: u64,
}

/// Sorts hits of one memory, the best first.
pub(super) type Rank = (MatchKind, Reverse<Score>, u16, Reverse<Timestamp>, UnitId);

impl Hit {
    /// The place of a hit in the order: kind, score, penalty, the newest first, unit.
    pub(super) fn rank(&self) -> Rank {
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

/// The best hits seen so far, one for each pair of source and target: a pair that is stored in many contexts is one answer,
/// in the context that fits best, and leaves room for others.
///
/// This keeps the answer complete: a hit is left out only for a better one of the same pair, or because there are `limit`
/// better ones of different pairs, whatever comes after it.
#[derive(Debug)]
pub(super) struct Best {
    limit: usize,
    /// In order, at most `limit`... and a few more that are cut off from time to time.
    hits: Vec<Hit>,
    /// The last hit that still counts, once there are `limit` of them.
    worst: Option<Rank>,
}

impl Best {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, hits: Vec::new(), worst: None }
    }

    /// Keeps a hit if it is among the best.
    pub(super) fn push(&mut self, hit: Hit) {
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
    pub(super) fn base_min(&self, judge: &Judge<'_>) -> u16 {
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
    pub(super) fn finish(mut self) -> Vec<Hit> {
        self.cut();
        self.hits
    }
}
