//! Limits the search of long documents to a band of cells around a path, so that time and memory grow with the length of the
//! documents and not with its square.
//!
//! The path is the heaviest monotone chain of pairs of sentences that share rare terms. Knows nothing of beads.

use std::ops::Range;

use crate::alignment::cancel::{Cancelled, Stop};
use crate::alignment::features::{Side, length_u32};
use crate::alignment::lexicon::Pairs;

/// Documents with at most so many cells are searched entirely.
const WHOLE_CELLS_MAX: usize = 10_000;
/// Most sentences that a rare term occurs in.
const RARE_SENTENCES_MAX: usize = 12;
/// Least probability of a translation that is used for the path.
const PROBABILITY_MIN: f32 = 0.05;
/// Heaviest pairs kept for each source sentence.
const KEPT_OF_SENTENCE: usize = 12;
/// Cells on each side of the path.
const HALF_WIDTH: usize = 12;

/// Most cells between two points of the path for which all are searched.
const CORNER_CELLS_MAX: usize = 10_000;
/// Most cells in stretches without points, in total.
const CELLS_MAX: usize = 1_500_000;

/// For each boundary between source sentences, the range of boundaries between target sentences that may align with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Band {
    rows: Vec<Range<usize>>,
}

impl Band {
    /// A band around the rare terms that both sides share.
    pub(crate) fn new(
        source: &Side,
        target: &Side,
        pairs: &Pairs,
        stop: Stop<'_>,
    ) -> Result<Self, Cancelled> {
        let (n, m) = (source.len(), target.len());
        if (n + 1) * (m + 1) <= WHOLE_CELLS_MAX {
            return Ok(Self { rows: vec![0..m + 1; n + 1] });
        }
        let mut path = vec![(0, 0)];
        path.extend(chain(&shared_terms(source, target, pairs, stop)?, m));
        path.push((n, m));
        Ok(Self::around(&path, (n, m), |_| HALF_WIDTH))
    }

    /// A band around a monotone path of boundaries, with a width for each row.
    pub(crate) fn around(
        path: &[(usize, usize)],
        (n, m): (usize, usize),
        half_width: impl Fn(usize) -> usize,
    ) -> Self {
        let mut centre = vec![0; n + 1];
        for pair in path.windows(2) {
            let ((from_i, from_j), (to_i, to_j)) = (pair[0], pair[1]);
            let rows = (to_i - from_i).max(1);
            for (step, row) in centre[from_i..=to_i].iter_mut().enumerate() {
                *row = from_j + (to_j - from_j) * step.min(rows) / rows;
            }
        }
        let mut rows: Vec<Range<usize>> = centre.iter().map(|&j| j..j + 1).collect();
        let widest = CELLS_MAX / (2 * (n + 1));
        for pair in path.windows(2) {
            let ((from_i, from_j), (to_i, to_j)) = (pair[0], pair[1]);
            let (sources, targets) = (to_i - from_i, to_j - from_j);
            for row in &mut rows[from_i..=to_i] {
                if sources * targets <= CORNER_CELLS_MAX {
                    // Between two points, the path may take any cell.
                    *row = row.start.min(from_j)..row.end.max(to_j + 1);
                } else {
                    let more = (sources.max(targets) / 8).min(widest);
                    *row = row.start.saturating_sub(more)..row.end + more;
                }
            }
        }
        for (i, row) in rows.iter_mut().enumerate() {
            let width = half_width(i);
            *row = row.start.saturating_sub(width)..(row.end + width).min(m + 1);
        }
        rows[0].start = 0;
        rows[n].end = m + 1;
        let mut band = Self { rows };
        band.close();
        band
    }

    /// Makes rows monotone and adjacent to the previous ones.
    fn close(&mut self) {
        for i in 1..self.rows.len() {
            self.rows[i].end = self.rows[i].end.max(self.rows[i - 1].end);
        }
        for i in (1..self.rows.len()).rev() {
            self.rows[i - 1].start = self.rows[i - 1].start.min(self.rows[i].start);
            self.rows[i - 1].end =
                self.rows[i - 1].end.max((self.rows[i].start + 1).min(self.rows[i].end));
        }
    }

    /// The target boundaries that may align with a source boundary.
    pub(crate) fn row(&self, i: usize) -> Range<usize> {
        self.rows[i].clone()
    }

    pub(crate) fn contains(&self, i: usize, j: usize) -> bool {
        self.rows.get(i).is_some_and(|row| row.contains(&j))
    }

    /// Whether it holds every cell.
    pub(crate) fn is_whole(&self, (n, m): (usize, usize)) -> bool {
        self.rows.len() == n + 1 && self.rows.iter().all(|row| *row == (0..m + 1))
    }

    /// Whether a boundary is at the edge, so that a wider band might hold a better path.
    pub(crate) fn at_edge(&self, i: usize, j: usize, end: usize) -> bool {
        let row = &self.rows[i];
        (row.start > 0 && j <= row.start + 1) || (row.end <= end && j + 2 >= row.end)
    }
}

/// The pairs of sentences that share rare terms with their weights, in order.
fn shared_terms(
    source: &Side,
    target: &Side,
    pairs: &Pairs,
    stop: Stop<'_>,
) -> Result<Vec<(usize, usize, f32)>, Cancelled> {
    let occurrences = |side: &Side| -> Vec<Vec<u32>> {
        let mut places = vec![Vec::new(); side.terms.len()];
        for sentence in 0..side.len() {
            for &term in side.tokens(sentence) {
                let places: &mut Vec<u32> = &mut places[term as usize];
                if places.last() != Some(&length_u32(sentence)) {
                    places.push(length_u32(sentence));
                }
            }
        }
        places
    };
    let (of_source, of_target) = (occurrences(source), occurrences(target));
    // For each source sentence, a target sentence and a weight for each term that they share.
    let mut weights: Vec<Vec<(u32, f32)>> = vec![Vec::new(); source.len()];
    for (places, row) in of_source.iter().zip(&pairs.forward.rows) {
        if stop() {
            return Err(Cancelled);
        }
        if places.len() > RARE_SENTENCES_MAX {
            continue;
        }
        for &(term, probability) in row.iter().filter(|entry| entry.1 >= PROBABILITY_MIN) {
            let others = &of_target[term as usize];
            if others.len() > RARE_SENTENCES_MAX {
                continue;
            }
            #[expect(clippy::cast_precision_loss)]
            let weight = probability / (places.len() * others.len()) as f32;
            for &i in places {
                weights[i as usize].extend(others.iter().map(|&j| (j, weight)));
            }
        }
    }
    let mut kept: Vec<(usize, usize, f32)> = Vec::new();
    for (i, mut of_sentence) in weights.into_iter().enumerate() {
        if stop() {
            return Err(Cancelled);
        }
        of_sentence.sort_by_key(|entry| entry.0);
        of_sentence.dedup_by(|later, first| {
            let same = later.0 == first.0;
            first.1 += if same { later.1 } else { 0.0 };
            same
        });
        of_sentence.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        of_sentence.truncate(KEPT_OF_SENTENCE);
        kept.extend(of_sentence.into_iter().map(|(j, weight)| (i, j as usize, weight)));
    }
    Ok(kept)
}

/// The heaviest monotone chain of pairs; `end` is the number of target sentences.
fn chain(pairs: &[(usize, usize, f32)], end: usize) -> Vec<(usize, usize)> {
    // A Fenwick tree of the heaviest chain that ends before each target sentence.
    let mut best: Vec<(f32, usize)> = vec![(0.0, usize::MAX); end + 1];
    let mut before = vec![usize::MAX; pairs.len()];
    let mut first = 0;
    for of_sentence in pairs.chunk_by(|a, b| a.0 == b.0) {
        let mut found = Vec::with_capacity(of_sentence.len());
        for &(_, j, weight) in of_sentence {
            let (mut sum, mut last, mut at) = (0.0, usize::MAX, j);
            while at > 0 {
                if best[at].0 > sum {
                    (sum, last) = best[at];
                }
                at &= at - 1;
            }
            found.push((sum + weight, last));
        }
        for (number, (&(_, j, _), &(sum, last))) in (first..).zip(of_sentence.iter().zip(&found)) {
            before[number] = last;
            let mut at = j + 1;
            while at <= end {
                if sum > best[at].0 {
                    best[at] = (sum, number);
                }
                at += at & at.wrapping_neg();
            }
        }
        first += of_sentence.len();
    }
    let (mut sum, mut last, mut at) = (0.0, usize::MAX, end);
    while at > 0 {
        if best[at].0 > sum {
            (sum, last) = best[at];
        }
        at &= at - 1;
    }
    let mut path = Vec::new();
    while let Some(&(i, j, _)) = pairs.get(last) {
        path.push((i, j));
        last = before[last];
    }
    path.reverse();
    path
}
