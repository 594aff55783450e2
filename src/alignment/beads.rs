//! How good is each bead that might be? Its lengths, its words and its marks.
//!
//! A score is the logarithm of how much likelier the bead's texts are as translations than by chance. A sentence that stands
//! alone is explained by chance: it scores nothing, so the bead that takes it in must explain it better. Knows nothing of paths,
//! nor of how common beads of its kind are.

use rayon::prelude::*;

use super::band::Band;
use super::kinds::KINDS;
use super::lengths::Lengths;
use super::marks::Marks;
use super::pairs::Pairs;
use super::side::Side;
use super::wording::Wording;
use super::words::{RowWords, Words};
use super::{Cancelled, Stop};

/// Lengths so far off are not looked at further, in standard deviations.
const DEVIATION_MAX: f32 = 3.0;
/// Rows whose words are compared at once, by one thread.
pub(super) const ROWS_AT_ONCE: usize = 32;

/// What scores are made of.
#[derive(Clone, Copy)]
pub(super) struct Model<'a> {
    pub(super) source: &'a Side,
    pub(super) target: &'a Side,
    pub(super) lengths: &'a Lengths,
    pub(super) marks: &'a Marks,
    /// Nothing: words do not count.
    pub(super) words: Option<(&'a Pairs, &'a Wording)>,
}

/// Scores of all beads in a band, without priors.
#[derive(Debug)]
pub(super) struct Scores {
    rows: Vec<Vec<[f32; KINDS.len()]>>,
}

impl Scores {
    /// Of the beads that begin at each cell of the band.
    pub(super) fn new(model: Model<'_>, band: &Band, stop: Stop<'_>) -> Result<Self, Cancelled> {
        let rows = model.source.len() + 1;
        let words = model.words.map(|(pairs, _)| Words::new(model.source, model.target, pairs));
        let some_rows = |first: usize| {
            let rows = first..(first + ROWS_AT_ONCE).min(rows);
            let mut words = words.as_ref().map(|it| it.rows(band, rows.clone()));
            let row = |i: usize| {
                if stop() {
                    return Err(Cancelled);
                }
                Ok(band.row(i).map(|j| model.cell(words.as_mut(), (i, j))).collect())
            };
            rows.map(row).collect::<Result<Vec<_>, _>>()
        };
        let firsts: Vec<usize> = (0..rows).step_by(ROWS_AT_ONCE).collect();
        let rows = firsts.into_par_iter().map(some_rows).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { rows: rows.into_iter().flatten().collect() })
    }

    /// Of the beads that begin at a cell, by kind; without likelihood for those that leave the documents.
    pub(super) fn of(&self, band: &Band, i: usize, j: usize) -> &[f32; KINDS.len()] {
        &self.rows[i][j - band.row(i).start]
    }
}

impl Model<'_> {
    fn cell(
        &self,
        mut words: Option<&mut RowWords<'_>>,
        (i, j): (usize, usize),
    ) -> [f32; KINDS.len()] {
        let mut scores = [f32::NEG_INFINITY; KINDS.len()];
        for (score, &(n, m)) in scores.iter_mut().zip(&KINDS) {
            let leaves = i + n > self.source.len() || j + m > self.target.len();
            if leaves || self.lengths.deviation((i, n), (j, m)).abs() > DEVIATION_MAX {
                continue;
            }
            *score = self.lengths.score((i, n), (j, m)) + self.marks.score((i, n), (j, m));
            if let (Some(words), Some((_, wording))) = (&mut words, self.words) {
                *score += wording.score(&words.evidence((i, n), (j, m)));
            }
        }
        scores
    }
}
