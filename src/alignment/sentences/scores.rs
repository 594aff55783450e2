//! How good is each bead that might be? Its lengths, its words and its marks.
//!
//! A score is the logarithm of how much likelier the bead's texts are as translations than by chance. A sentence that stands
//! alone is explained by chance: it scores nothing, so the bead that takes it in must explain it better. Knows nothing of paths,
//! nor of how common beads of its kind are.

use rayon::prelude::*;

use crate::alignment::cancel::{Cancelled, Stop};
use crate::alignment::features::{Side, length_u32};
use crate::alignment::lexicon::Pairs;

use super::band::Band;
use super::evidence::{ROWS_AT_ONCE, RowWords, Words};
use super::kinds::{KINDS, Priors};
use super::lengths::Lengths;
use super::marks::Marks;
use super::wording::Wording;

/// Lengths so far off are not looked at further, in standard deviations.
const DEVIATION_MAX: f32 = 3.0;
/// Nor are words of beads that lengths, marks and the prior of their kind make less probable than e to this.
const LOG_PROBABILITY_MIN: f32 = -9.0;

/// What scores are made of.
#[derive(Clone, Copy)]
pub(crate) struct Model<'a> {
    pub(crate) source: &'a Side,
    pub(crate) target: &'a Side,
    pub(crate) lengths: &'a Lengths,
    pub(crate) marks: &'a Marks,
    pub(crate) priors: &'a Priors,
    /// Nothing: words do not count.
    pub(crate) words: Option<(&'a Pairs, &'a Wording)>,
}

/// Scores of all beads in a band, without priors.
#[derive(Debug)]
pub(crate) struct Scores {
    rows: Vec<Row>,
}

/// Scores of the beads that begin in a row: most kinds cannot be at most cells.
#[derive(Debug, Default)]
struct Row {
    /// Of each cell: where its scores begin, and which kinds have one, a bit for each.
    cells: Vec<(u32, u32)>,
    scores: Vec<f32>,
}

const _: () = assert!(KINDS.len() <= 32, "a bit for each kind");

impl Row {
    /// Adds the scores of the next cell; an infinite one is of a bead that cannot be.
    fn push(&mut self, scores: &[f32; KINDS.len()]) {
        let first = length_u32(self.scores.len());
        let mut kinds = 0;
        for (kind, &score) in scores.iter().enumerate() {
            if score > f32::NEG_INFINITY {
                kinds |= 1 << kind;
                self.scores.push(score);
            }
        }
        self.cells.push((first, kinds));
    }
}

impl Scores {
    /// Of the beads that begin at each cell of the band.
    pub(crate) fn new(model: Model<'_>, band: &Band, stop: Stop<'_>) -> Result<Self, Cancelled> {
        let rows = model.source.len() + 1;
        let words = model.words.map(|(pairs, _)| Words::new(model.source, model.target, pairs));
        let some_rows = |first: usize| {
            let rows = first..(first + ROWS_AT_ONCE).min(rows);
            let mut words = words.as_ref().map(|it| it.rows(band, rows.clone()));
            let row = |i: usize| {
                if stop() {
                    return Err(Cancelled);
                }
                let mut row = Row::default();
                band.row(i).for_each(|j| row.push(&model.cell(words.as_mut(), (i, j))));
                row.scores.shrink_to_fit();
                Ok(row)
            };
            rows.map(row).collect::<Result<Vec<_>, _>>()
        };
        let firsts: Vec<usize> = (0..rows).step_by(ROWS_AT_ONCE).collect();
        let rows = firsts.into_par_iter().map(some_rows).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { rows: rows.into_iter().flatten().collect() })
    }

    /// Of the bead of a kind that begins at a cell, if it can be.
    pub(crate) fn of(&self, band: &Band, (i, j): (usize, usize), kind: usize) -> Option<f32> {
        let row = &self.rows[i];
        let (first, kinds) = row.cells[j - band.row(i).start];
        let before = kinds & ((1 << kind) - 1);
        (kinds & (1 << kind) != 0)
            .then(|| row.scores[first as usize + before.count_ones() as usize])
    }
}

impl Model<'_> {
    fn cell(
        &self,
        mut words: Option<&mut RowWords<'_>>,
        (i, j): (usize, usize),
    ) -> [f32; KINDS.len()] {
        let mut scores = [f32::NEG_INFINITY; KINDS.len()];
        for (kind, &(n, m)) in KINDS.iter().enumerate() {
            if i + n > self.source.len() || j + m > self.target.len() {
                continue;
            }
            let Some(of_lengths) = self.lengths.score((i, n), (j, m), DEVIATION_MAX) else {
                continue;
            };
            let mut score = of_lengths + self.marks.score((i, n), (j, m));
            if let (Some(words), Some((_, wording))) = (&mut words, self.words) {
                if score + self.priors.kinds[kind] < LOG_PROBABILITY_MIN {
                    continue;
                }
                score += wording.score(&words.evidence((i, n), (j, m)));
            }
            scores[kind] = score;
        }
        scores
    }
}
