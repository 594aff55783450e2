//! Scores beads by the lengths of their sides, after Gale and Church ("A program for aligning sentences in bilingual corpora",
//! Computational Linguistics 19, 1993), with the logarithm of the ratio instead of the difference, and the ratio fitted to the
//! document.
//!
//! Lengths are letters without marks. Knows nothing of words.

use crate::alignment::features::Side;

use super::span::BeadSpan;

/// Initial ratio of English to Arabic letters: 1.06 in news, 1.55 in Bibles.
const RATIO: f32 = 1.1;
/// Weight of this ratio, in letters.
const RATIO_LETTERS: f32 = 400.0;
/// Standard deviation of the logarithm of the ratio: of long texts, and its addition for a single letter.
const DEVIATION: (f32, f32) = (0.22, 1.1);
/// Initial factor of these deviations, its weight in beads, and its range.
const SPREAD: f32 = 0.95;
const SPREAD_BEADS: f32 = 15.0;
const SPREAD_RANGE: (f32, f32) = (0.7, 2.0);
/// Standard deviation of the logarithm of the lengths of unrelated sentences.
const CHANCE_DEVIATION: f32 = 0.6;

/// Cumulative lengths of the sentences of a document.
#[derive(Debug)]
pub(crate) struct Lengths {
    source: Vec<u32>,
    target: Vec<u32>,
    /// Logarithm of target letters per source letter.
    log_ratio: f32,
    /// Logarithm of the ratio of mean sentence lengths, target to source.
    log_chance: f32,
    /// Factor of the deviations in this document; free translations scatter more.
    spread: f32,
}

#[expect(clippy::cast_precision_loss)]
impl Lengths {
    pub(crate) fn new(source: &Side, target: &Side) -> Self {
        let sums = |side: &Side| -> Vec<u32> {
            let mut sum = 0_u32;
            let ends = side.sentences.iter().map(|sentence| {
                // A sentence without letters counts as a short word.
                sum = sum.saturating_add(sentence.letters.max(2));
                sum
            });
            std::iter::once(0).chain(ends.collect::<Vec<_>>()).collect()
        };
        let mut lengths = Self {
            source: sums(source),
            target: sums(target),
            log_ratio: 0.0,
            log_chance: 0.0,
            spread: 1.0,
        };
        let total = |sums: &[u32]| sums.last().copied().unwrap_or(0) as f32;
        lengths.set_ratio(total(&lengths.source), total(&lengths.target));
        let sentences = (source.len().max(1) as f32, target.len().max(1) as f32);
        lengths.log_chance = (total(&lengths.target) / sentences.1).max(1.0).ln()
            - (total(&lengths.source) / sentences.0).max(1.0).ln();
        lengths
    }

    /// Fits the ratio and the deviations to beads with both sides, each with its probability.
    pub(crate) fn refit(&mut self, beads: impl Iterator<Item = (BeadSpan, f32)> + Clone) {
        let (mut letters, mut others) = (0.0, 0.0);
        for (link, _) in beads.clone() {
            letters += self.of_source(link.source);
            others += self.of_target(link.target);
        }
        self.set_ratio(letters, others);
        let (mut squares, mut weight) = (SPREAD * SPREAD * SPREAD_BEADS, SPREAD_BEADS);
        for (link, probability) in beads {
            let deviation = self.deviation(link.source, link.target) * self.spread;
            squares += probability * deviation * deviation;
            weight += probability;
        }
        self.spread = (squares / weight).sqrt().clamp(SPREAD_RANGE.0, SPREAD_RANGE.1);
    }

    fn set_ratio(&mut self, source_letters: f32, target_letters: f32) {
        self.log_ratio =
            ((target_letters + RATIO * RATIO_LETTERS) / (source_letters + RATIO_LETTERS)).ln();
    }

    /// Letters of the source sentences `from..from + count`.
    fn of_source(&self, (from, count): (usize, usize)) -> f32 {
        (self.source[from + count] - self.source[from]) as f32
    }

    /// Letters of the target sentences `from..from + count`.
    fn of_target(&self, (from, count): (usize, usize)) -> f32 {
        (self.target[from + count] - self.target[from]) as f32
    }

    /// Deviation of the lengths from the expected ratio, in standard deviations.
    fn deviation(&self, (i, n): (usize, usize), (j, m): (usize, usize)) -> f32 {
        let (source, target) = (self.of_source((i, n)), self.of_target((j, m)));
        (target.ln() - source.ln() - self.log_ratio) / (self.spread * spread(source, target))
    }

    /// Log likelihood ratio of the lengths as a bead and by chance; `None` if they deviate by more than `deviation_max` standard
    /// deviations.
    pub(crate) fn score(
        &self,
        (i, n): (usize, usize),
        (j, m): (usize, usize),
        deviation_max: f32,
    ) -> Option<f32> {
        let (source, target) = (self.of_source((i, n)), self.of_target((j, m)));
        let log = (target / source).ln();
        let expected = self.spread * spread(source, target);
        let as_bead = (log - self.log_ratio) / expected;
        if as_bead.abs() > deviation_max {
            return None;
        }
        let (parts, others) = (n as f32, m as f32);
        let chance = CHANCE_DEVIATION * (1.0 / parts + 1.0 / others).sqrt();
        let by_chance = (log - self.log_chance - (others / parts).ln()) / chance;
        Some((chance / expected).ln() - 0.5 * (as_bead * as_bead - by_chance * by_chance))
    }
}

fn spread(source: f32, target: f32) -> f32 {
    DEVIATION.0 + DEVIATION.1 / f32::midpoint(source, target).sqrt()
}

/// Deviation of the lengths of a pair from the ratio of all documents, in standard deviations.
pub(crate) fn deviation(source: f32, target: f32) -> f32 {
    (target.ln() - source.ln() - RATIO.ln()) / spread(source, target)
}

/// Log likelihood ratio of the lengths of a pair as translations and as unrelated texts.
pub(crate) fn evidence(source: f32, target: f32) -> f32 {
    /// Standard deviation of the logarithm of the ratio of unrelated texts.
    const ANY_DEVIATION: f32 = 1.2;
    let deviation = deviation(source, target);
    let by_chance = (target.ln() - source.ln()) / ANY_DEVIATION;
    (ANY_DEVIATION / spread(source, target)).ln()
        - 0.5 * (deviation * deviation - by_chance * by_chance)
}
