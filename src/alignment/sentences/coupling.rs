//! How far do the two sides of a bead agree in what stands at their ends?
//!
//! In a part of the beads, which belongs to the document, what stands on the target's side follows from what stands on the
//! source's; in the rest both are independent. Knows nothing of what it is.

/// The coupled part before the document has been looked at.
const COUPLED: f32 = 0.5;
/// The beads of evidence that a part counts for before the document has been looked at.
pub(crate) const BEADS: f32 = 10.0;
/// The most that a part can come to.
pub(crate) const PART_MAX: f32 = 0.97;
/// What marks and speech count for beside lengths. Fitted on the development documents, as are the constants above.
pub(crate) const WEIGHT: f32 = 0.7;

/// How closely kinds on one side are coupled to kinds on the other, by their numbers.
#[derive(Debug)]
pub(crate) struct Coupling<const KINDS: usize> {
    /// How much likelier it is that both meet in the coupled part than by chance, by the kind in the source and in the
    /// target.
    ratios: [[f32; KINDS]; KINDS],
    coupled: f32,
    /// Logarithms.
    scores: [[f32; KINDS]; KINDS],
}

impl<const KINDS: usize> Coupling<KINDS> {
    pub(crate) fn new(ratios: [[f32; KINDS]; KINDS]) -> Self {
        let mut coupling = Self { ratios, coupled: COUPLED, scores: ratios };
        coupling.set_scores();
        coupling
    }

    fn set_scores(&mut self) {
        let coupled = self.coupled;
        let score = |ratio: f32| WEIGHT * (coupled * ratio + 1.0 - coupled).ln();
        self.scores = self.ratios.map(|row| row.map(score));
    }

    /// Logarithm of how much likelier both are at the ends of a bead than at those of sentences that have nothing to do with
    /// each other.
    pub(crate) fn score(&self, source: usize, target: usize) -> f32 {
        self.scores[source][target]
    }

    /// Fits the coupled part to beads, each with the kinds of its sides and its probability: one step of expectation and
    /// maximisation.
    pub(crate) fn refit(&mut self, beads: impl Iterator<Item = (usize, usize, f32)>) {
        let (mut coupled, mut all) = (COUPLED * BEADS, BEADS);
        for (source, target, probability) in beads {
            let part = self.coupled * self.ratios[source][target];
            coupled += probability * part / (part + 1.0 - self.coupled);
            all += probability;
        }
        self.coupled = (coupled / all).min(PART_MAX);
        self.set_scores();
    }
}
