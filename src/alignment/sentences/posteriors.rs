//! Stores the posterior probabilities of beads, row by row.

use super::kinds::{KINDS, KindCounts};

/// Posterior probabilities of beads over all paths.
#[derive(Debug, Default)]
pub(crate) struct Posteriors {
    /// By row: column, kind and probability, sorted by column.
    pub(crate) rows: Vec<Vec<(u32, u8, f32)>>,
    /// By row and column of the band: the probabilities that the source and the target sentence are one-sided.
    pub(crate) gaps: Vec<Vec<[f32; 2]>>,
    pub(crate) counts: KindCounts,
}

impl Posteriors {
    /// Appends the rows that follow.
    pub(crate) fn append(&mut self, next: Self) {
        self.rows.extend(next.rows);
        self.gaps.extend(next.gaps);
        self.counts.add(&next.counts);
    }

    /// Beads with both sides: source sentence, target sentence, number of the kind, and probability.
    pub(crate) fn beads(&self) -> impl Iterator<Item = (usize, usize, usize, f32)> {
        let rows = 0..self.rows.len();
        rows.flat_map(|i| self.beads_of(i).map(move |(j, kind, it)| (i, j, kind, it)))
    }

    /// The last source and target sentences of beads, with their probabilities.
    pub(crate) fn ends(&self) -> impl Iterator<Item = (usize, usize, f32)> {
        self.beads().map(|(i, j, kind, probability)| {
            let (n, m) = KINDS[kind];
            (i + n - 1, j + m - 1, probability)
        })
    }

    /// The beads that begin in a row: target sentence, number of the kind, and probability.
    pub(crate) fn beads_of(&self, i: usize) -> impl Iterator<Item = (usize, usize, f32)> {
        self.rows[i].iter().map(|&(j, kind, it)| (j as usize, usize::from(kind), it))
    }

    /// The probabilities that the source and the target sentence at a cell of the band are one-sided.
    pub(crate) fn gaps(&self, i: usize, column: usize) -> [f32; 2] {
        self.gaps[i][column]
    }
}
