//! Models how literally the beads of a document are translated, from word for word to so freely that a lexicon finds little.
//!
//! Each bead has one of a few levels of wording; at a level, a fixed share of the known words is translated as the lexicon
//! predicts. The shares of the levels are fitted to the document. At the lowest level, free wording, words are no evidence, which
//! limits how far they can speak against a bead. If no word is known, all levels agree and lengths decide alone.

/// Share of the known words that are translated as the lexicon predicts, by level.
pub(crate) const LEVELS: [f32; 3] = [0.2, 0.45, 0.75];
/// Initial shares of free wording and of those levels, and their weight in beads. Fitted on the development documents, as is the
/// weight below.
const SHARES: [f32; LEVELS.len() + 1] = [0.05, 0.14, 0.33, 0.48];
const SHARES_BEADS: f32 = 10.0;
/// Least share of a level.
const SHARE_MIN: f32 = 1e-6;
/// Weight of words relative to lengths: two directions are added, and the words of a sentence are not independent.
const LEXICAL_WEIGHT: f32 = 0.4;

/// Log likelihood ratios of the words of a bead as translations and by chance, by level.
pub(crate) type Evidence = [f32; LEVELS.len()];

/// The shares of the levels in a document, free wording first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wording {
    log_shares: [f32; LEVELS.len() + 1],
}

impl Default for Wording {
    fn default() -> Self {
        Self { log_shares: SHARES.map(f32::ln) }
    }
}

impl Wording {
    /// Log likelihood ratio of the words of a bead as translations and by chance, over all levels.
    pub(crate) fn score(&self, evidence: &Evidence) -> f32 {
        let (terms, max) = self.terms(evidence);
        max + terms.iter().map(|term| (term - max).exp()).sum::<f32>().ln()
    }

    fn terms(&self, evidence: &Evidence) -> ([f32; LEVELS.len() + 1], f32) {
        let mut terms = self.log_shares;
        for (term, evidence) in terms[1..].iter_mut().zip(evidence) {
            *term += LEXICAL_WEIGHT * evidence;
        }
        (terms, terms.iter().copied().fold(f32::NEG_INFINITY, f32::max))
    }

    /// Fits the shares to the evidence of beads, weighted by their probabilities: one step of expectation maximization.
    pub(crate) fn refit(&self, beads: impl Iterator<Item = (Evidence, f32)>) -> Self {
        let mut counts = SHARES.map(|share| share * SHARES_BEADS);
        for (evidence, probability) in beads {
            let all = self.score(&evidence);
            for (count, term) in counts.iter_mut().zip(self.terms(&evidence).0) {
                *count += probability * (term - all).exp();
            }
        }
        let all: f32 = counts.iter().sum();
        Self { log_shares: counts.map(|count| (count / all).max(SHARE_MIN).ln()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_say_nothing_count_for_nothing() {
        assert!(Wording::default().score(&[0.0; LEVELS.len()]).abs() < 1e-5);
    }

    #[test]
    fn words_that_do_not_fit_speak_against_a_bead_only_so_far() {
        let wording = Wording::default();
        let floor = SHARES[0].ln() - 1e-4;
        for against in [1.0, 10.0, 100.0, 1e6] {
            let score = wording.score(&LEVELS.map(|level| -level * against));
            assert!((floor..0.0).contains(&score), "{against}: {score}");
        }
    }

    #[test]
    fn a_free_document_becomes_more_forgiving() {
        let free = LEVELS.map(|level| -20.0 * level);
        let fitted = Wording::default().refit((0..40).map(|_| (free, 1.0)));
        assert!(fitted.score(&free) > Wording::default().score(&free) + 1.0);
        assert!(fitted.score(&free) < 0.0);
    }
}
