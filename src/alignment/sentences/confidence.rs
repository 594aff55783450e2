//! Calibrates the probability of a bead to its confidence.
//!
//! The model is overconfident, because the words of a bead are not independent. It errs most about the ends of beads where
//! sentences are short: there, people draw larger beads than necessary, and a bead of few letters is often a part of theirs.
//! Knows nothing of how probabilities are computed.

use crate::alignment::features::Side;

use super::span::BeadSpan;

/// Limit of the log odds.
const LOG_ODDS_MAX: f32 = 8.0;
/// Range of the logarithm of the mean letters of a source sentence in which the constants below were fitted.
const SENTENCE_RANGE: (f32, f32) = (3.5, 4.7);
/// Range of the logarithm of the letters of a bead, likewise.
const BEAD_RANGE: (f32, f32) = (3.0, 6.0);
/// The factor of the log odds, and how it grows with the logarithm of the sentences' letters. Fitted, as are the constants
/// below, on the development documents by logistic regression, families of documents weighted by the root of their size.
const FACTOR: (f32, f32) = (-1.174, 0.395);
/// The shift of the log odds, and how it grows with the same.
const SHIFT: (f32, f32) = (-7.277, 0.308);
/// How it grows with the logarithm of the bead's letters.
const SHIFT_OF_BEAD: f32 = 1.305;
/// The same for a one-sided bead, of any size.
const SHIFT_OF_ONE_SIDED: f32 = 6.273;

/// Factor and shift of the log odds of the beads of a document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calibration {
    factor: f32,
    shift: f32,
}

impl Calibration {
    /// The calibration for a document with this source.
    pub(crate) fn new(source: &Side) -> Self {
        let letters = log_of(source.letters_of((0, source.len()))) - log_of(source.len());
        let letters = letters.clamp(SENTENCE_RANGE.0, SENTENCE_RANGE.1);
        Self { factor: FACTOR.0 + FACTOR.1 * letters, shift: SHIFT.0 + SHIFT.1 * letters }
    }

    /// The probability that a bead is right, by the model's probability and its letters on both sides.
    pub(crate) fn confidence(self, link: BeadSpan, letters: usize, probability: f32) -> f32 {
        let probability = probability.clamp(1e-6, 1.0 - 1e-6);
        let log_odds = (probability / (1.0 - probability)).ln().clamp(-LOG_ODDS_MAX, LOG_ODDS_MAX);
        let of_bead = if link.has_both() {
            SHIFT_OF_BEAD * log_of(letters + 1).clamp(BEAD_RANGE.0, BEAD_RANGE.1)
        } else {
            SHIFT_OF_ONE_SIDED
        };
        1.0 / (1.0 + (-self.shift - of_bead - self.factor * log_odds).exp())
    }
}

#[expect(clippy::cast_precision_loss)]
fn log_of(count: usize) -> f32 {
    (count.max(1) as f32).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Analyzer;

    fn calibration(sentence: &str) -> Calibration {
        let analyzer = Analyzer::new(&"en".parse().unwrap());
        Calibration::new(&Side::new([sentence; 5], &analyzer))
    }

    const BOTH: BeadSpan = BeadSpan { source: (0, 1), target: (0, 1) };
    const ONE_SIDED: BeadSpan = BeadSpan { source: (0, 1), target: (0, 0) };

    #[test]
    fn what_is_more_probable_is_surer() {
        for sentence in ["", "No.", "One two three four five six seven", &"many words ".repeat(50)]
        {
            let calibration = calibration(sentence);
            for (link, letters) in [(BOTH, 5), (BOTH, 200), (ONE_SIDED, 40)] {
                let sure = |it: u8| calibration.confidence(link, letters, f32::from(it) / 20.0);
                assert!((0..20).all(|it| sure(it) < sure(it + 1)), "{sentence}");
                assert!(sure(0) > 0.0 && sure(20) < 1.0, "{sentence}");
            }
        }
    }

    #[test]
    fn larger_beads_and_those_of_long_sentences_are_surer() {
        let (short, long) = (calibration("Now go."), calibration(&"some more words ".repeat(8)));
        assert!(short.confidence(BOTH, 40, 0.9) < short.confidence(BOTH, 150, 0.9));
        assert!(short.confidence(BOTH, 150, 0.9) < long.confidence(BOTH, 150, 0.9));
    }
}
