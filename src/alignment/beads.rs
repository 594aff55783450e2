//! How good is each bead that might be? Its lengths, its words, and how common beads of its kind are.
//!
//! A score is the logarithm of how much likelier the bead's texts are as translations than by chance; a bead with one side
//! only has none but the prior of its kind. Knows nothing of paths.

use rayon::prelude::*;

use super::band::Band;
use super::lengths::Lengths;
use super::pairs::Pairs;
use super::side::Side;
use super::words::{RowWords, Words};
use super::{Cancelled, Stop};

/// Kinds of beads with both sides: source and target sentences. Literary Arabic needs up to eight for one.
pub(super) const KINDS: [(usize, usize); 19] = [
    (1, 1),
    (1, 2),
    (2, 1),
    (1, 3),
    (3, 1),
    (2, 2),
    (1, 4),
    (4, 1),
    (2, 3),
    (3, 2),
    (1, 5),
    (5, 1),
    (3, 3),
    (2, 4),
    (4, 2),
    (6, 1),
    (1, 6),
    (1, 7),
    (1, 8),
];
/// Most source sentences of a bead.
pub(super) const SOURCES_MAX: usize = 6;
/// Most target sentences of a bead.
pub(super) const TARGETS_MAX: usize = 8;
/// Lengths so far off are not looked at further, in standard deviations.
const DEVIATION_MAX: f32 = 3.0;
/// What words count for beside lengths: two directions are added, and words of a sentence do not come independently. Fitted
/// on the development documents, as are the shares and the deviation below.
const LEXICAL_WEIGHT: f32 = 0.33;
/// Rows whose words are compared at once, by one thread.
const ROWS_AT_ONCE: usize = 32;

/// How common beads of each kind are, as logarithms.
#[derive(Debug, Clone)]
pub(super) struct Priors {
    /// In the order of [`KINDS`].
    pub(super) kinds: [f32; KINDS.len()],
    /// The first of a run of sentences that stand on one side only: source, target.
    pub(super) gap: [f32; 2],
    /// Each further one.
    pub(super) gap_more: f32,
}

/// Shares of the kinds in all beads, before the document has been looked at.
const SHARES: [f32; KINDS.len()] = [
    0.80, 0.05, 0.05, 0.01, 0.01, 0.004, 0.003, 0.003, 0.002, 0.002, 0.001, 0.001, 0.001, 0.0006,
    0.0006, 0.0004, 0.0004, 0.0002, 0.0001,
];
const GAP_SHARE: f32 = 0.03;
const GAP_MORE_SHARE: f32 = 0.4;
/// Beads of evidence that the shares above count for.
const SHARES_BEADS: f32 = 30.0;

impl Default for Priors {
    fn default() -> Self {
        Self { kinds: SHARES.map(f32::ln), gap: [GAP_SHARE.ln(); 2], gap_more: GAP_MORE_SHARE.ln() }
    }
}

/// How many beads of each kind there were: expected counts of a pass.
#[derive(Debug, Clone, Default)]
pub(super) struct KindCounts {
    pub(super) kinds: [f32; KINDS.len()],
    pub(super) gap: [f32; 2],
    pub(super) gap_more: f32,
}

impl Priors {
    /// Fitted to a document.
    pub(super) fn fitted(counts: &KindCounts) -> Self {
        let all = counts.kinds.iter().chain(&counts.gap).sum::<f32>() + SHARES_BEADS;
        let share = |count: f32, before: f32| ((count + before * SHARES_BEADS) / all).ln();
        let gaps: f32 = counts.gap.iter().sum();
        let mut kinds = counts.kinds;
        for (kind, before) in kinds.iter_mut().zip(SHARES) {
            *kind = share(*kind, before);
        }
        Self {
            kinds,
            gap: counts.gap.map(|count| share(count, GAP_SHARE)),
            gap_more: ((counts.gap_more + GAP_MORE_SHARE * 5.0) / (counts.gap_more + gaps + 5.0))
                .ln(),
        }
    }
}

/// Scores of all beads in a band, without priors.
#[derive(Debug)]
pub(super) struct Scores {
    rows: Vec<Vec<[f32; KINDS.len()]>>,
}

impl Scores {
    /// Of the beads that begin at each cell of the band.
    pub(super) fn new(
        (source, target): (&Side, &Side),
        band: &Band,
        pairs: &Pairs,
        lengths: &Lengths,
        stop: Stop<'_>,
    ) -> Result<Self, Cancelled> {
        let words = Words::new(source, target, pairs);
        let sizes = (source.len(), target.len());
        let some_rows = |first: usize| {
            let rows = first..(first + ROWS_AT_ONCE).min(sizes.0 + 1);
            let mut words = words.rows(band, rows.clone());
            let row = |i: usize| {
                if stop() {
                    return Err(Cancelled);
                }
                Ok(band.row(i).map(|j| cell(&mut words, lengths, sizes, i, j)).collect())
            };
            rows.map(row).collect::<Result<Vec<_>, _>>()
        };
        let firsts: Vec<usize> = (0..=sizes.0).step_by(ROWS_AT_ONCE).collect();
        let rows = firsts.into_par_iter().map(some_rows).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { rows: rows.into_iter().flatten().collect() })
    }

    /// Of the beads that begin at a cell, by kind; without likelihood for those that leave the documents.
    pub(super) fn of(&self, band: &Band, i: usize, j: usize) -> &[f32; KINDS.len()] {
        &self.rows[i][j - band.row(i).start]
    }
}

fn cell(
    words: &mut RowWords<'_>,
    lengths: &Lengths,
    sizes: (usize, usize),
    i: usize,
    j: usize,
) -> [f32; KINDS.len()] {
    let mut scores = [f32::NEG_INFINITY; KINDS.len()];
    for (score, &(n, m)) in scores.iter_mut().zip(&KINDS) {
        let leaves = i + n > sizes.0 || j + m > sizes.1;
        if !leaves && lengths.deviation((i, n), (j, m)).abs() <= DEVIATION_MAX {
            let words = words.evidence((i, n), (j, m));
            *score = lengths.score((i, n), (j, m)) + LEXICAL_WEIGHT * words;
        }
    }
    scores
}
