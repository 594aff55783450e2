//! Models how closely a property at the ends of beads agrees between both sides.
//!
//! In a share of the beads, fitted to the document, the target's value follows from the source's; in the rest both are
//! independent. Knows nothing of the property.

/// Initial share of coupled beads.
const COUPLED: f32 = 0.5;
/// Weight of an initial share, in beads.
pub(crate) const BEADS: f32 = 10.0;
/// Largest share.
pub(crate) const SHARE_MAX: f32 = 0.97;
/// Weight of marks and speech relative to lengths. Fitted on the development documents, as are the constants above.
pub(crate) const WEIGHT: f32 = 0.7;

/// The coupling of `N` values on both sides.
#[derive(Debug)]
pub(crate) struct Coupling<const N: usize> {
    /// Likelihood ratio of coupled beads and of chance, by the values of source and target.
    ratios: [[f32; N]; N],
    coupled: f32,
    /// Log scores by the values of source and target.
    scores: [[f32; N]; N],
}

impl<const N: usize> Coupling<N> {
    pub(crate) fn new(ratios: [[f32; N]; N]) -> Self {
        let mut coupling = Self { ratios, coupled: COUPLED, scores: ratios };
        coupling.set_scores();
        coupling
    }

    fn set_scores(&mut self) {
        let coupled = self.coupled;
        let score = |ratio: f32| WEIGHT * (coupled * ratio + 1.0 - coupled).ln();
        self.scores = self.ratios.map(|row| row.map(score));
    }

    /// Log likelihood ratio of two values at the ends of a bead and of unrelated sentences.
    pub(crate) fn score(&self, source: usize, target: usize) -> f32 {
        self.scores[source][target]
    }

    /// Fits the coupled share to beads, each with the values of its sides and its probability: one step of expectation
    /// maximization.
    pub(crate) fn refit(&mut self, beads: impl Iterator<Item = (usize, usize, f32)>) {
        let (mut coupled, mut all) = (COUPLED * BEADS, BEADS);
        for (source, target, probability) in beads {
            let part = self.coupled * self.ratios[source][target];
            coupled += probability * part / (part + 1.0 - self.coupled);
            all += probability;
        }
        self.coupled = (coupled / all).min(SHARE_MAX);
        self.set_scores();
    }
}
