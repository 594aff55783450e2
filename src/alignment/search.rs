//! Which beads together are the best, and how sure is each? Dynamic programming over the cells of a band: the best path, and
//! the probability of each bead among all paths.
//!
//! A run of sentences that stand on one side only costs more for its first than for each further one, so a cell has two
//! states: in such a run, or not. Knows nothing of words or lengths.

use super::band::Band;
use super::beads::{KINDS, KindCounts, Priors, Scores};
use super::{Cancelled, Stop};

/// A bead as numbers: source sentences from and count, target sentences from and count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) source: (usize, usize),
    pub(super) target: (usize, usize),
}

impl Link {
    /// Whether there are sentences on both sides.
    pub(super) fn has_both(&self) -> bool {
        self.source.1 > 0 && self.target.1 > 0
    }
}

/// A value for each state of a cell: after a bead with both sides, or at the beginning; in a run of source sentences that
/// stand alone; in a run of target sentences that stand alone. Source sentences come first where both stand alone: one way
/// for one meaning.
type Cell = [f32; 3];

const BEADS: usize = 0;
const NOWHERE: Cell = [f32::NEG_INFINITY; 3];
/// Steps to sentences that stand alone: which state they lead to, from which, and over how many sentences.
const GAPS: [(usize, usize, (usize, usize)); 5] =
    [(1, BEADS, (1, 0)), (1, 1, (1, 0)), (2, BEADS, (0, 1)), (2, 1, (0, 1)), (2, 2, (0, 1))];

/// A value for each cell of a band.
struct Cells {
    rows: Vec<Vec<Cell>>,
}

impl Cells {
    fn new(band: &Band, sources: usize) -> Self {
        Self { rows: (0..=sources).map(|i| vec![NOWHERE; band.row(i).len()]).collect() }
    }

    fn get(&self, band: &Band, i: usize, j: usize) -> Cell {
        if band.contains(i, j) { self.rows[i][j - band.row(i).start] } else { NOWHERE }
    }

    fn set(&mut self, band: &Band, i: usize, j: usize, cell: Cell) {
        self.rows[i][j - band.row(i).start] = cell;
    }
}

/// What the search looks at.
pub(super) struct Search<'a> {
    pub(super) sizes: (usize, usize),
    pub(super) band: &'a Band,
    pub(super) scores: &'a Scores,
    pub(super) priors: &'a Priors,
    pub(super) stop: Stop<'a>,
}

impl Search<'_> {
    /// The best path.
    pub(super) fn best(&self) -> Result<Vec<Link>, Cancelled> {
        let best = self.forward(f32::max)?;
        let (mut i, mut j) = self.sizes;
        let mut state = highest(best.get(self.band, i, j));
        let mut path = Vec::new();
        while (i, j) != (0, 0) {
            let (n, m, from) = if state == BEADS {
                let into = |kind: usize| {
                    let (n, m) = KINDS[kind];
                    let from = best.get(self.band, i.checked_sub(n)?, j.checked_sub(m)?);
                    let score = self.bead_from(i - n, j - m, kind)?;
                    Some((from[highest(from)] + score, (n, m, highest(from))))
                };
                let best_into =
                    (0..KINDS.len()).filter_map(into).max_by(|a, b| a.0.total_cmp(&b.0));
                let Some((_, step)) = best_into else { break };
                step
            } else {
                let into = |&(_, from, (n, m)): &(usize, usize, (usize, usize))| {
                    let before = best.get(self.band, i.checked_sub(n)?, j.checked_sub(m)?);
                    Some((before[from] + self.gap(state, from), (n, m, from)))
                };
                let steps = GAPS.iter().filter(|gap| gap.0 == state);
                let best_into = steps.filter_map(into).max_by(|a, b| a.0.total_cmp(&b.0));
                let Some((_, step)) = best_into else { break };
                step
            };
            (i, j, state) = (i - n, j - m, from);
            path.push(Link { source: (i, n), target: (j, m) });
        }
        path.reverse();
        Ok(path)
    }

    fn gap(&self, state: usize, from: usize) -> f32 {
        if state == from { self.priors.gap_more } else { self.priors.gap[state - 1] }
    }

    fn bead(&self, i: usize, j: usize, kind: usize) -> f32 {
        self.scores.of(self.band, i, j)[kind] + self.priors.kinds[kind]
    }

    /// The score of a bead, if it can be.
    fn bead_from(&self, i: usize, j: usize, kind: usize) -> Option<f32> {
        let score = self.band.contains(i, j).then(|| self.bead(i, j, kind))?;
        (score > f32::NEG_INFINITY).then_some(score)
    }

    /// Values from the beginning to each cell.
    fn forward(&self, join: impl Fn(f32, f32) -> f32) -> Result<Cells, Cancelled> {
        let mut cells = Cells::new(self.band, self.sizes.0);
        for i in 0..=self.sizes.0 {
            if (self.stop)() {
                return Err(Cancelled);
            }
            for j in self.band.row(i) {
                let mut cell = NOWHERE;
                if (i, j) == (0, 0) {
                    cell[BEADS] = 0.0;
                }
                for (kind, &(n, m)) in KINDS.iter().enumerate() {
                    if i >= n
                        && j >= m
                        && let Some(score) = self.bead_from(i - n, j - m, kind)
                    {
                        let from = cells.get(self.band, i - n, j - m);
                        let from = from.into_iter().fold(f32::NEG_INFINITY, &join);
                        cell[BEADS] = join(cell[BEADS], from + score);
                    }
                }
                for (state, from, (n, m)) in GAPS {
                    if i >= n && j >= m {
                        let before = cells.get(self.band, i - n, j - m)[from];
                        cell[state] = join(cell[state], before + self.gap(state, from));
                    }
                }
                cells.set(self.band, i, j, cell);
            }
        }
        Ok(cells)
    }

    /// Values from each cell to the end.
    fn backward(&self) -> Result<Cells, Cancelled> {
        let mut cells = Cells::new(self.band, self.sizes.0);
        for i in (0..=self.sizes.0).rev() {
            if (self.stop)() {
                return Err(Cancelled);
            }
            for j in self.band.row(i).rev() {
                let mut onward = if (i, j) == self.sizes { 0.0 } else { f32::NEG_INFINITY };
                for (kind, &(n, m)) in KINDS.iter().enumerate() {
                    let to = cells.get(self.band, i + n, j + m)[BEADS];
                    if to > f32::NEG_INFINITY
                        && let Some(score) = self.bead_from(i, j, kind)
                    {
                        onward = log_add(onward, to + score);
                    }
                }
                let mut cell = [onward; 3];
                for (state, from, (n, m)) in GAPS {
                    let to = cells.get(self.band, i + n, j + m)[state];
                    cell[from] = log_add(cell[from], to + self.gap(state, from));
                }
                cells.set(self.band, i, j, cell);
            }
        }
        Ok(cells)
    }

    /// Probability of each bead of a path among all paths.
    pub(super) fn probabilities(&self, path: &[Link]) -> Result<Vec<f32>, Cancelled> {
        let before = self.forward(log_add)?;
        let after = self.backward()?;
        let sum = |cell: Cell| cell.into_iter().fold(f32::NEG_INFINITY, log_add);
        let all = sum(before.get(self.band, self.sizes.0, self.sizes.1));
        let through = |i: usize, j: usize, kind: usize| {
            let (n, m) = KINDS[kind];
            let to = after.get(self.band, i + n, j + m)[BEADS];
            let score = self.bead_from(i, j, kind).unwrap_or(f32::NEG_INFINITY);
            probability(sum(before.get(self.band, i, j)) + score + to - all)
        };
        let through_gap = |i: usize, j: usize, gap: usize| {
            let (state, from, (n, m)) = GAPS[gap];
            let to = after.get(self.band, i + n, j + m)[state];
            probability(before.get(self.band, i, j)[from] + self.gap(state, from) + to - all)
        };
        let of_link = |link: &Link| {
            let ((i, n), (j, m)) = (link.source, link.target);
            let kind = KINDS.iter().position(|kind| *kind == (n, m));
            let gaps = || (0..GAPS.len()).filter(|&gap| GAPS[gap].2 == (n, m));
            let probability = kind.map_or_else(
                || gaps().map(|gap| through_gap(i, j, gap)).sum(),
                |kind| through(i, j, kind),
            );
            probability.clamp(0.0, 1.0)
        };
        Ok(path.iter().map(of_link).collect())
    }
}

/// How many beads of each kind a path has.
pub(super) fn counts(path: &[Link]) -> KindCounts {
    let mut counts = KindCounts::default();
    let mut before = None;
    for link in path {
        let size = (link.source.1, link.target.1);
        match KINDS.iter().position(|kind| *kind == size) {
            Some(kind) => counts.kinds[kind] += 1.0,
            None if before == Some(size) => counts.gap_more += 1.0,
            None => counts.gap[size.1] += 1.0,
        }
        before = Some(size);
    }
    counts
}

fn probability(log: f32) -> f32 {
    // Most are nothing.
    if log > -14.0 { log.exp() } else { 0.0 }
}

fn highest(cell: Cell) -> usize {
    (0..cell.len()).max_by(|&a, &b| cell[a].total_cmp(&cell[b])).unwrap_or(BEADS)
}

/// The logarithm of a sum of which the logarithms are given.
fn log_add(a: f32, b: f32) -> f32 {
    let (more, less) = if a > b { (a, b) } else { (b, a) };
    let difference = less - more;
    // What is less than a part in a million is not seen in the sum; without both, the difference is no number.
    if difference > -14.0 { more + difference.exp().ln_1p() } else { more }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::alignment::band::Band;
    use crate::alignment::lengths::Lengths;
    use crate::alignment::pairs::{Counts, Pairs, TELLING};
    use crate::alignment::side::Side;
    use crate::text::Analyzer;

    use super::*;

    /// Every path from a cell to the end, with its score; in a run, source sentences come before target sentences.
    fn paths(
        search: &Search<'_>,
        (i, j): (usize, usize),
        state: usize,
        score: f32,
        path: &mut Vec<Link>,
        found: &mut Vec<(f32, Vec<Link>)>,
    ) {
        if (i, j) == search.sizes {
            found.push((score, path.clone()));
            return;
        }
        let mut step = |(n, m): (usize, usize), state: usize, more: f32| {
            if i + n <= search.sizes.0 && j + m <= search.sizes.1 && more > f32::NEG_INFINITY {
                path.push(Link { source: (i, n), target: (j, m) });
                paths(search, (i + n, j + m), state, score + more, path, found);
                path.pop();
            }
        };
        for (kind, &size) in KINDS.iter().enumerate() {
            step(size, BEADS, search.bead(i, j, kind));
        }
        for (to, from, size) in GAPS {
            if from == state {
                step(size, to, search.gap(to, from));
            }
        }
    }

    #[test]
    fn the_best_path_and_its_probabilities_are_those_of_all_paths() {
        let analyzer = Analyzer::new(&"en".parse().unwrap());
        let texts = ["One two three.", "Four.", "Five and six and seven.", "8", "Nine or ten."];
        for (n, m) in [(1, 1), (2, 3), (4, 4), (5, 3), (0, 2)] {
            let source = Side::new(texts[..n].iter().copied(), &analyzer);
            let target = Side::new(texts[5 - m..].iter().copied(), &analyzer);
            let pairs = Pairs::new(&source, &target, &[], &Counts::default(), (TELLING, TELLING));
            let band = Band::new(&source, &target, &pairs);
            let lengths = Lengths::new(&source, &target);
            let priors = Priors::default();
            let stop = || false;
            let scores = Scores::new((&source, &target), &band, &pairs, &lengths, &stop).unwrap();
            let search = Search {
                sizes: (n, m),
                band: &band,
                scores: &scores,
                priors: &priors,
                stop: &stop,
            };
            let mut all = Vec::new();
            paths(&search, (0, 0), BEADS, 0.0, &mut Vec::new(), &mut all);
            let best = all.iter().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
            let found = search.best().unwrap();
            assert_eq!(found, best.1, "{n} and {m} sentences");
            let mut weights: BTreeMap<(usize, usize, usize, usize), f64> = BTreeMap::new();
            let mut sum = 0.0;
            for (score, path) in &all {
                let weight = f64::from(*score).exp();
                sum += weight;
                for link in path {
                    let key = (link.source.0, link.source.1, link.target.0, link.target.1);
                    *weights.entry(key).or_default() += weight;
                }
            }
            let probabilities = search.probabilities(&found).unwrap();
            for (link, probability) in found.iter().zip(probabilities) {
                let key = (link.source.0, link.source.1, link.target.0, link.target.1);
                let right = weights[&key] / sum;
                assert!(
                    (f64::from(probability) - right).abs() < 1e-3,
                    "{link:?}: {probability}, {right}"
                );
            }
        }
    }
}
