//! Computes the posterior probability of every bead over all alignments, by the forward-backward algorithm on a band.
//!
//! A run of one-sided sentences costs more for its first sentence than for each further one, so a cell has three states: in a run
//! of source sentences, in a run of target sentences, or neither. Knows nothing of words or lengths.

use rayon::prelude::*;

use crate::alignment::cancel::{Cancelled, Stop};

use super::band::Band;
use super::kinds::{KINDS, Priors, SOURCES_MAX};
use super::posteriors::Posteriors;
use super::scores::Scores;

/// A value for each state of a cell: after a two-sided bead or at the beginning; in a run of source-only sentences; in a run of
/// target-only sentences; and their sum, each with the cost of leaving it for a two-sided bead. Source-only sentences precede
/// target-only ones, so that every alignment is one path.
type Cell = [f32; 4];

const BEADS: usize = 0;
const SOURCES: usize = 1;
const TARGETS: usize = 2;
const LEAVING: usize = 3;
const STATES: usize = 3;
const NOWHERE: Cell = [f32::NEG_INFINITY; 4];
/// Steps over one-sided sentences: the state they lead to, the state they leave, and the sentences they take.
const GAPS: [(usize, usize, (usize, usize)); 5] = [
    (SOURCES, BEADS, (1, 0)),
    (SOURCES, SOURCES, (1, 0)),
    (TARGETS, BEADS, (0, 1)),
    (TARGETS, SOURCES, (0, 1)),
    (TARGETS, TARGETS, (0, 1)),
];
/// Rows per unit of parallel work.
const ROWS_AT_ONCE: usize = 256;
/// Beads with a smaller log probability are left out.
const LOG_PROBABILITY_MIN: f32 = -9.0;

/// A log value for each cell of a band, relative to one of its row: the sums of long documents exceed single precision.
struct Cells {
    rows: Vec<Vec<Cell>>,
    bases: Vec<f64>,
}

impl Cells {
    fn new(band: &Band, sources: usize) -> Self {
        let rows = (0..=sources).map(|i| vec![NOWHERE; band.row(i).len()]).collect();
        Self { rows, bases: vec![0.0; sources + 1] }
    }

    fn get(&self, band: &Band, i: usize, j: usize) -> Cell {
        if band.contains(i, j) { self.rows[i][j - band.row(i).start] } else { NOWHERE }
    }

    fn set(&mut self, band: &Band, i: usize, j: usize, cell: Cell) {
        self.rows[i][j - band.row(i).start] = cell;
    }

    /// The difference between the bases of two rows.
    #[expect(clippy::cast_possible_truncation)]
    fn shift(&self, from: usize, to: usize) -> f32 {
        (self.bases[from] - self.bases[to]) as f32
    }

    /// Moves the maximum of a row into its base.
    fn rebase(&mut self, i: usize) {
        let max = self.rows[i].iter().flatten().copied().fold(f32::NEG_INFINITY, f32::max);
        if max > f32::NEG_INFINITY {
            self.bases[i] += f64::from(max);
            self.rows[i].iter_mut().flatten().for_each(|it| *it -= max);
        }
    }
}

/// Computes the logarithm of a sum from the logarithms of its terms.
#[derive(Default)]
struct LogSum(Vec<f32>);

impl LogSum {
    fn add(&mut self, log: f32) {
        if log > f32::NEG_INFINITY {
            self.0.push(log);
        }
    }

    /// Returns the sum and clears the terms.
    fn take(&mut self) -> f32 {
        let max = self.0.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // Terms below a millionth do not change the sum.
        let sum: f32 =
            self.0.iter().map(|it| it - max).filter(|it| *it > -14.0).map(f32::exp).sum();
        let many = self.0.len() > 1;
        self.0.clear();
        if many { max + sum.ln() } else { max }
    }
}

/// The input of the search.
pub(crate) struct Search<'a> {
    pub(crate) sizes: (usize, usize),
    pub(crate) band: &'a Band,
    pub(crate) scores: &'a Scores,
    pub(crate) priors: &'a Priors,
    pub(crate) stop: Stop<'a>,
}

impl Search<'_> {
    /// The posterior probabilities of all beads.
    pub(crate) fn posteriors(&self) -> Result<Posteriors, Cancelled> {
        let (before, after) = rayon::join(|| self.forward(), || self.backward());
        let (before, after) = (before?, after?);
        let (n, m) = self.sizes;
        let all = f64::from(before.get(self.band, n, m)[LEAVING]) + before.bases[n];
        let some_rows = |first: usize| {
            let rows = first..(first + ROWS_AT_ONCE).min(n + 1);
            let mut found = Posteriors::default();
            for i in rows {
                self.add_row(&mut found, i, (&before, &after), all);
            }
            found
        };
        let firsts: Vec<usize> = (0..=n).step_by(ROWS_AT_ONCE).collect();
        let parts: Vec<Posteriors> = firsts.into_par_iter().map(some_rows).collect();
        let mut found = Posteriors::default();
        for part in parts {
            found.append(part);
        }
        Ok(found)
    }

    /// Adds the next row.
    fn add_row(
        &self,
        found: &mut Posteriors,
        i: usize,
        (before, after): (&Cells, &Cells),
        all: f64,
    ) {
        found.rows.push(Vec::new());
        found.gaps.push(vec![[0.0; 2]; self.band.row(i).len()]);
        // By source sentences of the step.
        #[expect(clippy::cast_possible_truncation)]
        let shifts: [f32; SOURCES_MAX + 1] = std::array::from_fn(|step| {
            let to = after.bases.get(i + step).copied().unwrap_or(0.0);
            (before.bases[i] + to - all) as f32
        });
        for j in self.band.row(i) {
            let cell = before.get(self.band, i, j);
            self.add_beads(found, after, (i, j), (cell[LEAVING], &shifts));
            self.add_gaps(found, after, (i, j), (cell, &shifts));
        }
    }

    fn add_beads(
        &self,
        found: &mut Posteriors,
        after: &Cells,
        (i, j): (usize, usize),
        (leaving, shifts): (f32, &[f32]),
    ) {
        for (kind, &(n, m)) in (0_u8..).zip(&KINDS) {
            let to = after.get(self.band, i + n, j + m)[BEADS];
            let score = self.bead_from(i, j, usize::from(kind)).unwrap_or(f32::NEG_INFINITY);
            let log = leaving + score + to + shifts[n];
            if log > LOG_PROBABILITY_MIN {
                let probability = log.exp().min(1.0);
                found.counts.kinds[usize::from(kind)] += probability;
                let Some(row) = found.rows.last_mut() else { return };
                row.push((crate::alignment::features::length_u32(j), kind, probability));
            }
        }
    }

    fn add_gaps(
        &self,
        found: &mut Posteriors,
        after: &Cells,
        (i, j): (usize, usize),
        (cell, shifts): (Cell, &[f32]),
    ) {
        let column = j - self.band.row(i).start;
        for (state, from, (n, m)) in GAPS {
            let to = after.get(self.band, i + n, j + m)[state];
            let log = cell[from] + self.gap(state, from) + to + shifts[n];
            if log > LOG_PROBABILITY_MIN {
                let probability = log.exp().min(1.0);
                let Some(row) = found.gaps.last_mut() else { return };
                row[column][state - 1] += probability;
                let counts = &mut found.counts;
                *match (state, from) {
                    (TARGETS, SOURCES) => &mut counts.crossing,
                    (state, BEADS) => &mut counts.gap[state - 1],
                    (state, _) => &mut counts.gap_more[state - 1],
                } += probability;
            }
        }
    }

    fn gap(&self, state: usize, from: usize) -> f32 {
        match (state, from) {
            (TARGETS, SOURCES) => self.priors.crossing,
            (state, BEADS) => self.priors.gap[state - 1],
            (state, _) => self.priors.gap_more[state - 1],
        }
    }

    /// The cost of leaving a state for a two-sided bead or the end of the documents.
    fn leave(&self, state: usize) -> f32 {
        state.checked_sub(1).map_or(0.0, |gap| self.priors.gap_end[gap])
    }

    /// The score of a bead with its prior; `None` if it is excluded.
    fn bead_from(&self, i: usize, j: usize, kind: usize) -> Option<f32> {
        let score =
            if self.band.contains(i, j) { self.scores.of(self.band, (i, j), kind) } else { None };
        Some(score? + self.priors.kinds[kind])
    }

    /// Sums over all paths from the beginning to each cell.
    fn forward(&self) -> Result<Cells, Cancelled> {
        let mut cells = Cells::new(self.band, self.sizes.0);
        let mut sum = LogSum::default();
        for i in 0..=self.sizes.0 {
            if (self.stop)() {
                return Err(Cancelled);
            }
            cells.bases[i] = i.checked_sub(1).map_or(0.0, |before| cells.bases[before]);
            let shifts: [f32; SOURCES_MAX + 1] =
                std::array::from_fn(|n| i.checked_sub(n).map_or(0.0, |it| cells.shift(it, i)));
            for j in self.band.row(i) {
                let mut cell = NOWHERE;
                if (i, j) == (0, 0) {
                    sum.add(0.0);
                }
                for (kind, &(n, m)) in KINDS.iter().enumerate() {
                    if i >= n
                        && j >= m
                        && let Some(score) = self.bead_from(i - n, j - m, kind)
                    {
                        let from = cells.get(self.band, i - n, j - m)[LEAVING];
                        sum.add(from + score + shifts[n]);
                    }
                }
                cell[BEADS] = sum.take();
                for to in [SOURCES, TARGETS] {
                    for (state, from, (n, m)) in GAPS {
                        if state == to && i >= n && j >= m {
                            let before = cells.get(self.band, i - n, j - m)[from];
                            sum.add(before + self.gap(state, from) + shifts[n]);
                        }
                    }
                    cell[to] = sum.take();
                }
                (0..STATES).for_each(|state| sum.add(cell[state] + self.leave(state)));
                cell[LEAVING] = sum.take();
                cells.set(self.band, i, j, cell);
            }
            cells.rebase(i);
        }
        Ok(cells)
    }

    /// Sums over all paths from each cell to the end; that of leaving is over all two-sided beads.
    fn backward(&self) -> Result<Cells, Cancelled> {
        let last = self.sizes.0;
        let mut cells = Cells::new(self.band, last);
        let mut sum = LogSum::default();
        for i in (0..=last).rev() {
            if (self.stop)() {
                return Err(Cancelled);
            }
            cells.bases[i] = cells.bases.get(i + 1).copied().unwrap_or(0.0);
            let shifts: [f32; SOURCES_MAX + 1] =
                std::array::from_fn(|n| if i + n <= last { cells.shift(i + n, i) } else { 0.0 });
            for j in self.band.row(i).rev() {
                let mut cell = NOWHERE;
                if (i, j) == self.sizes {
                    sum.add(0.0);
                }
                for (kind, &(n, m)) in KINDS.iter().enumerate() {
                    let to = cells.get(self.band, i + n, j + m)[BEADS];
                    if to > f32::NEG_INFINITY
                        && let Some(score) = self.bead_from(i, j, kind)
                    {
                        sum.add(to + score + shifts[n]);
                    }
                }
                cell[LEAVING] = sum.take();
                for here in 0..STATES {
                    sum.add(cell[LEAVING] + self.leave(here));
                    for (state, from, (n, m)) in GAPS {
                        if from == here {
                            let to = cells.get(self.band, i + n, j + m)[state];
                            sum.add(to + self.gap(state, from) + shifts[n]);
                        }
                    }
                    cell[here] = sum.take();
                }
                cells.set(self.band, i, j, cell);
            }
            cells.rebase(i);
        }
        Ok(cells)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use crate::alignment::features::Side;
    use crate::alignment::lexicon::{Counts, Pairs};
    use crate::alignment::sentences::lengths::Lengths;
    use crate::alignment::sentences::marks::Marks;
    use crate::alignment::sentences::scores::Model;
    use crate::alignment::sentences::span::BeadSpan;
    use crate::alignment::sentences::wording::Wording;
    use crate::text::Analyzer;

    use super::*;

    pub(in crate::alignment) type Path = Vec<BeadSpan>;

    /// Every path from a cell to the end, with its score; in a run, source sentences come before target sentences.
    fn paths(
        search: &Search<'_>,
        (i, j): (usize, usize),
        state: usize,
        score: f32,
        path: &mut Path,
        found: &mut Vec<(f32, Path)>,
    ) {
        if (i, j) == search.sizes {
            found.push((score + search.leave(state), path.clone()));
            return;
        }
        let mut step = |(n, m): (usize, usize), state: usize, more: f32| {
            if i + n <= search.sizes.0 && j + m <= search.sizes.1 && more > f32::NEG_INFINITY {
                path.push(BeadSpan { source: (i, n), target: (j, m) });
                paths(search, (i + n, j + m), state, score + more, path, found);
                path.pop();
            }
        };
        for (kind, &size) in KINDS.iter().enumerate() {
            if let Some(score) = search.bead_from(i, j, kind) {
                step(size, BEADS, search.leave(state) + score);
            }
        }
        for (to, from, size) in GAPS {
            if from == state {
                step(size, to, search.gap(to, from));
            }
        }
    }

    /// Searches small documents: the search, its posteriors, and all paths with their scores.
    pub(in crate::alignment) fn with_all_paths(
        mut check: impl FnMut(&Search<'_>, &Posteriors, &[(f32, Path)]),
    ) {
        let analyzer = Analyzer::new(&"en".parse().unwrap());
        let texts = ["One two three.", "Four.", "Five and six and seven.", "8", "Nine or ten."];
        for (n, m) in [(1, 1), (2, 3), (4, 4), (5, 3), (0, 2)] {
            let source = Side::new(texts[..n].iter().copied(), &analyzer);
            let target = Side::new(texts[5 - m..].iter().copied(), &analyzer);
            let pairs = Pairs::new(&source, &target, &[], &Counts::default(), &|| false).unwrap();
            let band = Band::new(&source, &target, &pairs, &|| false).unwrap();
            let (lengths, marks) = (Lengths::new(&source, &target), Marks::new(&source, &target));
            let words = Some((&pairs, &Wording::default()));
            let priors = Priors::new((n, m));
            let model = Model {
                source: &source,
                target: &target,
                lengths: &lengths,
                marks: &marks,
                priors: &priors,
                words,
            };
            let scores = Scores::new(model, &band, &|| false).unwrap();
            let search = Search {
                sizes: (n, m),
                band: &band,
                scores: &scores,
                priors: &priors,
                stop: &|| false,
            };
            let mut all = Vec::new();
            paths(&search, (0, 0), BEADS, 0.0, &mut Vec::new(), &mut all);
            check(&search, &search.posteriors().unwrap(), &all);
        }
    }

    #[test]
    fn probabilities_are_those_of_all_paths() {
        with_all_paths(|search, posteriors, all| {
            let mut weights: BTreeMap<(usize, usize, usize, usize), f64> = BTreeMap::new();
            let mut sum = 0.0;
            for (score, path) in all {
                let weight = f64::from(*score).exp();
                sum += weight;
                for link in path {
                    let key = (link.source.0, link.target.0, link.source.1, link.target.1);
                    *weights.entry(key).or_default() += weight;
                }
            }
            let mut found: BTreeMap<(usize, usize, usize, usize), f64> = BTreeMap::new();
            for (i, j, kind, probability) in posteriors.beads() {
                found.insert((i, j, KINDS[kind].0, KINDS[kind].1), probability.into());
            }
            for i in 0..=search.sizes.0 {
                for (column, j) in search.band.row(i).enumerate() {
                    let [source, target] = posteriors.gaps(i, column);
                    found.insert((i, j, 1, 0), source.into());
                    found.insert((i, j, 0, 1), target.into());
                }
            }
            for (key, weight) in weights {
                let found = found.get(&key).copied().unwrap_or(0.0);
                assert!((found - weight / sum).abs() < 1e-3, "{key:?}: {found}, {}", weight / sum);
            }
        });
    }
}
