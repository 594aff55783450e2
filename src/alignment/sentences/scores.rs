//! Scores every candidate bead by its lengths, words and marks.
//!
//! A score is the log likelihood ratio of the texts as translations and by chance. One-sided sentences are explained by chance
//! and score zero, so a bead that includes one must explain it better. Knows nothing of paths or priors.

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

/// Beads whose lengths deviate by more standard deviations are excluded.
const DEVIATION_MAX: f32 = 3.0;
/// Beads with a smaller log score by lengths, marks and prior are excluded before words are compared.
const LOG_PROBABILITY_MIN: f32 = -9.0;

/// The parts of a score.
#[derive(Clone, Copy)]
pub(crate) struct Model<'a> {
    pub(crate) source: &'a Side,
    pub(crate) target: &'a Side,
    pub(crate) lengths: &'a Lengths,
    pub(crate) marks: &'a Marks,
    pub(crate) priors: &'a Priors,
    /// `None` if words do not count.
    pub(crate) words: Option<(&'a Pairs, &'a Wording)>,
}

/// Scores of all beads in a band, without priors.
#[derive(Debug)]
pub(crate) struct Scores {
    rows: Vec<Row>,
}

/// Scores of the beads that begin in a row, stored sparsely: most kinds are excluded at most cells.
#[derive(Debug, Default)]
struct Row {
    /// For each cell: where its scores begin, and a bit for each kind that has one.
    cells: Vec<(u32, u32)>,
    scores: Vec<f32>,
}

const _: () = assert!(KINDS.len() <= 32, "a bit for each kind");

impl Row {
    /// Adds the scores of the next cell; negative infinity marks an excluded bead.
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
    /// Scores the beads that begin at each cell of the band.
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

    /// The score of the bead of a kind that begins at a cell; `None` if it is excluded.
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
