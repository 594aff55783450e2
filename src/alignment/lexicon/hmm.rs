//! Aligns words by a hidden Markov model of one sentence pair, in which adjacent words tend to come from adjacent words
//! (Vogel, Ney and Tillmann, "HMM-based word alignment in statistical translation", COLING 1996), with an empty word (Och and
//! Ney, "A systematic comparison of various statistical alignment models", Computational Linguistics 29, 2003).

use serde::{Deserialize, Serialize};

use crate::alignment::cancel::{Cancelled, Stop};

/// Longest jump that is distinguished; longer ones are as likely.
const JUMP_MAX: usize = 10;
const BUCKETS: usize = 2 * JUMP_MAX + 1;
/// Probability that a word comes from the empty word.
const NONE: f32 = 0.03;
/// Added to the probability of every jump, so that none is impossible.
const EVEN: f32 = 0.001;

/// Less probable states are left out of the counts.
const WEIGHT_MIN: f32 = 1e-5;

/// Probabilities of jumps, from [`JUMP_MAX`] backward to [`JUMP_MAX`] forward.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Jumps([f32; BUCKETS]);

impl Default for Jumps {
    /// One word forward is the most likely; likelihood falls with the distance from it.
    fn default() -> Self {
        let mut weights = [0.0; BUCKETS];
        for (at, weight) in weights.iter_mut().enumerate() {
            *weight = 0.6_f32.powi(i32::try_from(at.abs_diff(JUMP_MAX + 1)).unwrap_or(i32::MAX));
        }
        Self(weights)
    }
}

impl Jumps {
    fn bucket(from: isize, to: usize) -> usize {
        let jump = to.cast_signed() - from;
        let max = JUMP_MAX.cast_signed();
        (jump.clamp(-max, max) + max).cast_unsigned()
    }

    /// Normalizes expected counts.
    pub(crate) fn fitted(counts: &[f32; BUCKETS]) -> Self {
        let sum: f32 = counts.iter().sum();
        Self(counts.map(|count| (1.0 - EVEN) * count / sum.max(f32::MIN_POSITIVE) + EVEN))
    }
}

/// Expected counts of jumps.
pub(crate) type JumpCounts = [f32; BUCKETS];

/// The model of one sentence pair, reused for the next: `to` words come from `from` words.
#[derive(Debug, Default)]
pub(crate) struct Lattice {
    from: usize,
    to: usize,
    /// Probability of each `to` word given each `from` word: `to` rows.
    pub(crate) emissions: Vec<f32>,
    /// The same given the empty word.
    pub(crate) none: Vec<f32>,
    /// After [`Self::run`]: the probability that each `to` word comes from each `from` word.
    pub(crate) posteriors: Vec<f32>,
    /// Transition probabilities, by rows: from a word, or from before the sentence (the last row), to each word.
    moves: Vec<f32>,
    /// The same by columns: to a word, from each word and from before the sentence.
    moves_to: Vec<f32>,
    /// For each `to` word: the words that it may come from, then, if it comes from the empty word, the last word before that did
    /// not (the last place: no word so far).
    forward: Vec<f32>,
    meetings: Vec<f32>,
}

impl Lattice {
    /// Clears it for the next pair of sentences.
    pub(crate) fn reset(&mut self, from: usize, to: usize) {
        (self.from, self.to) = (from, to);
        self.emissions.clear();
        self.none.clear();
    }

    /// Computes the posterior probabilities and adds the expected jumps to `counts`. The work per word grows with the square of
    /// the `from` words, so `stop` is checked at each.
    pub(crate) fn run(
        &mut self,
        jumps: &Jumps,
        counts: Option<&mut JumpCounts>,
        stop: Stop<'_>,
    ) -> Result<(), Cancelled> {
        let (from, to) = (self.from, self.to);
        self.posteriors.clear();
        self.posteriors.resize(from * to, 0.0);
        if from == 0 || to == 0 {
            return Ok(());
        }
        self.set_moves(jumps);
        let width = 2 * from + 1;
        self.forward.clear();
        self.forward.resize(width * to, 0.0);
        let mut before = vec![0.0_f32; from + 1];
        before[from] = 1.0;
        for j in 0..to {
            if stop() {
                return Err(Cancelled);
            }
            let row = &mut self.forward[j * width..][..width];
            let (words, nones) = row.split_at_mut(from);
            for (i, &weight) in before.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
                add_scaled(words, weight * (1.0 - NONE), &self.moves[i * from..][..from]);
                nones[i] = weight * NONE * self.none[j];
            }
            for (word, emission) in words.iter_mut().zip(&self.emissions[j * from..]) {
                *word *= emission;
            }
            let sum: f32 = row.iter().sum();
            let scale = 1.0 / sum.max(f32::MIN_POSITIVE);
            scale_all(row, scale);
            before.clear();
            before.extend(last_words(row, from));
        }
        self.backward(counts, stop)
    }

    fn set_moves(&mut self, Jumps(weights): &Jumps) {
        let from = self.from;
        self.moves.clear();
        for before in (0..from.cast_signed()).chain([-1]) {
            let row = self.moves.len();
            self.moves.extend((0..from).map(|to| weights[Jumps::bucket(before, to)]));
            let row = &mut self.moves[row..];
            let scale = 1.0 / row.iter().sum::<f32>().max(f32::MIN_POSITIVE);
            scale_all(row, scale);
        }
        self.moves_to.clear();
        for to in 0..from {
            self.moves_to.extend(self.moves.iter().skip(to).step_by(from));
        }
    }

    fn backward(
        &mut self,
        counts: Option<&mut JumpCounts>,
        stop: Stop<'_>,
    ) -> Result<(), Cancelled> {
        let (from, to, width) = (self.from, self.to, 2 * self.from + 1);
        if counts.is_some() {
            self.meetings.clear();
            self.meetings.resize((from + 1) * from, 0.0);
        }
        // By the last word: what follows does not depend on whether this `to` word comes from it or from the empty word.
        let mut after = vec![1.0_f32; from + 1];
        let mut next = vec![0.0_f32; from + 1];
        let mut weighted = vec![0.0_f32; from];
        let mut before: Vec<f32> = Vec::new();
        for j in (0..to).rev() {
            if stop() {
                return Err(Cancelled);
            }
            let row = &self.forward[j * width..][..width];
            let posteriors = &mut self.posteriors[j * from..][..from];
            let sum: f32 = last_words(row, from).zip(&after).map(|(a, b)| a * b).sum();
            let scale = 1.0 / sum.max(f32::MIN_POSITIVE);
            for i in 0..from {
                posteriors[i] = row[i] * after[i] * scale;
                weighted[i] = self.emissions[j * from + i] * after[i] * (1.0 - NONE);
            }
            next.fill(0.0);
            // By columns, because sums of a row cannot be computed side by side.
            for (&weight, column) in weighted.iter().zip(self.moves_to.chunks_exact(from + 1)) {
                add_scaled(&mut next, weight, column);
            }
            let mut total = 0.0;
            for (next, after) in next.iter_mut().zip(&after) {
                *next += NONE * self.none[j] * after;
                total += *next;
            }
            if counts.is_some() {
                before.clear();
                match j.checked_sub(1) {
                    None => before.extend((0..=from).map(|i| f32::from(u8::from(i == from)))),
                    Some(j) => before.extend(last_words(&self.forward[j * width..][..width], from)),
                }
                let sum: f32 = before.iter().zip(&next).map(|(a, b)| a * b).sum();
                let scale = 1.0 / sum.max(f32::MIN_POSITIVE);
                for (row, weight) in self.meetings.chunks_exact_mut(from).zip(&before) {
                    if weight * scale > WEIGHT_MIN {
                        add_scaled(row, weight * scale, &weighted);
                    }
                }
            }
            let scale = 1.0 / total.max(f32::MIN_POSITIVE);
            after.copy_from_slice(&next);
            scale_all(&mut after, scale);
        }
        if let Some(counts) = counts {
            for (before, row) in (0..from.cast_signed()).chain([-1]).zip(0..) {
                for i in 0..from {
                    let at = row * from + i;
                    counts[Jumps::bucket(before, i)] += self.meetings[at] * self.moves[at];
                }
            }
        }
        Ok(())
    }
}

/// Probability of each word to be the last one used so far, and of none.
fn last_words(row: &[f32], from: usize) -> impl Iterator<Item = f32> {
    let words = row[..from].iter().chain(&[0.0]);
    words.zip(&row[from..]).map(|(word, none)| word + none)
}

fn scale_all(row: &mut [f32], scale: f32) {
    for it in row {
        *it *= scale;
    }
}

fn add_scaled(sums: &mut [f32], weight: f32, row: &[f32]) {
    for (sum, it) in sums.iter_mut().zip(row) {
        *sum += weight * it;
    }
}

#[cfg(test)]
mod tests {
    use super::{Jumps, Lattice, NONE};

    /// The oracle: sums over all alignments.
    fn all_ways(lattice: &Lattice, jumps: &Jumps, from: usize, to: usize) -> Vec<f32> {
        let mut posteriors = vec![0.0; from * to];
        let mut all = 0.0;
        for way in 0..(from + 1).pow(u32::try_from(to).unwrap()) {
            let (mut rest, mut last, mut probability) = (way, -1_isize, 1.0);
            let mut sources = Vec::new();
            for j in 0..to {
                let i = rest % (from + 1);
                rest /= from + 1;
                sources.push(i);
                if i == from {
                    probability *= NONE * lattice.none[j];
                    continue;
                }
                let moves: f32 = (0..from).map(|it| jumps.0[Jumps::bucket(last, it)]).sum();
                let jump = jumps.0[Jumps::bucket(last, i)] / moves;
                probability *= (1.0 - NONE) * jump * lattice.emissions[j * from + i];
                last = i.cast_signed();
            }
            all += probability;
            for (j, &i) in sources.iter().enumerate().filter(|(_, i)| **i < from) {
                posteriors[j * from + i] += probability;
            }
        }
        posteriors.iter().map(|it| it / all).collect()
    }

    #[test]
    fn posteriors_are_those_of_all_ways() {
        let mut lattice = Lattice::default();
        for (from, to) in [(1, 1), (1, 3), (3, 1), (3, 4), (4, 3)] {
            lattice.reset(from, to);
            let value = |at: usize| f32::from(u16::try_from(at * 7919 % 97 + 1).unwrap()) / 200.0;
            lattice.emissions.extend((0..from * to).map(value));
            lattice.none.extend((0..to).map(|j| value(j + 50) / 10.0));
            let mut counts = super::JumpCounts::default();
            let jumps = Jumps::default();
            lattice.run(&jumps, Some(&mut counts), &|| false).unwrap();
            let expected = all_ways(&lattice, &jumps, from, to);
            for (found, expected) in lattice.posteriors.iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-4, "{from} {to}: {found} {expected}");
            }
            // Each word that comes from one was jumped to.
            let (jumped, come): (f32, f32) = (counts.iter().sum(), expected.iter().sum());
            assert!((jumped - come).abs() < 1e-3, "{from} {to}: {jumped} {come}");
        }
    }
}
