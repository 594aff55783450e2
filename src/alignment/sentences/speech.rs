//! Scores beads by whether speech begins and ends on both sides.
//!
//! In news and novels, a bead that opens or closes a quotation does so on both sides. Knows nothing of words.

use crate::alignment::features::{Sentence, Side, Speech};

use super::coupling::Coupling;
use super::posteriors::Posteriors;

/// Count added to the sentences with and without speech. Fitted on the development documents.
const ADDED: f32 = 0.5;
/// Where speech begins and ends on both sides, and how closely that agrees.
#[derive(Debug)]
pub(crate) struct Speeches {
    begins: Places,
    ends: Places,
}

impl Speeches {
    pub(crate) fn new(source: &Side, target: &Side) -> Self {
        let places = |is_there: fn(Speech) -> bool| {
            let is_there = |it: &Sentence| is_there(it.speech);
            let of = |side: &Side| side.sentences.iter().map(is_there).collect();
            Places::new([of(source), of(target)])
        };
        Self { begins: places(|it| it.begins), ends: places(|it| it.ends) }
    }

    /// Log likelihood ratio of the speech as that of a bead and of unrelated sentences.
    pub(crate) fn score(&self, (i, n): (usize, usize), (j, m): (usize, usize)) -> f32 {
        self.begins.score(i, j) + self.ends.score(i + n - 1, j + m - 1)
    }

    /// Fits the parameters of the document to the probabilities of beads.
    pub(crate) fn refit(&mut self, posteriors: &Posteriors) {
        self.begins.refit(posteriors.beads().map(|(i, j, _, probability)| (i, j, probability)));
        self.ends.refit(posteriors.ends());
    }
}

/// Whether each sentence of the source and of the target has a property, and how closely that is coupled.
///
/// If one side hardly ever has it, the property is no evidence: a translation without quotation marks does not speak against a
/// bead.
#[derive(Debug)]
struct Places {
    sides: [Vec<bool>; 2],
    coupling: Coupling<2>,
}

impl Places {
    fn new(sides: [Vec<bool>; 2]) -> Self {
        let shares = sides.each_ref().map(|side| {
            let mut counts = [ADDED; 2];
            for &is_there in side {
                counts[usize::from(is_there)] += 1.0;
            }
            let all = counts[0] + counts[1];
            counts.map(|count| count / all)
        });
        Self { sides, coupling: Coupling::new(ratios(shares)) }
    }

    fn score(&self, i: usize, j: usize) -> f32 {
        self.coupling.score(usize::from(self.sides[0][i]), usize::from(self.sides[1][j]))
    }

    /// Fits the coupling to pairs of sentences, each with its probability.
    fn refit(&mut self, pairs: impl Iterator<Item = (usize, usize, f32)>) {
        let [source, target] = &self.sides;
        let pairs = pairs.map(|(i, j, probability)| {
            (usize::from(source[i]), usize::from(target[j]), probability)
        });
        self.coupling.refit(pairs);
    }
}

/// The ratio of the maximal coupling of two distributions (Lindvall, "Lectures on the Coupling Method", 1992) to their product:
/// the common part meets itself, and the rest of one meets the rest of the other.
fn ratios(shares: [[f32; 2]; 2]) -> [[f32; 2]; 2] {
    let common: [f32; 2] = std::array::from_fn(|it| shares[0][it].min(shares[1][it]));
    std::array::from_fn(|source| {
        std::array::from_fn(|target| {
            let meet = if source == target {
                common[source]
            } else {
                (shares[0][source] - common[source]).max(0.0)
            };
            meet / (shares[0][source] * shares[1][target])
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Analyzer;

    fn side(texts: &[&str]) -> Side {
        Side::new(texts.iter().copied(), &Analyzer::new(&"en".parse().unwrap()))
    }

    #[test]
    fn speech_stands_for_speech() {
        let texts = ["\"Is it so?\"", "It is.", "They left.", "\"Nothing more,", "not today.\""];
        let speeches = Speeches::new(&side(&texts), &side(&texts));
        assert!(speeches.score((0, 1), (0, 1)) > 0.5);
        assert!(speeches.score((0, 1), (1, 1)) < -0.5);
        assert!(speeches.score((3, 2), (3, 2)) > speeches.score((3, 2), (3, 1)));
        assert!(speeches.score((3, 2), (3, 2)) > speeches.score((3, 2), (4, 1)));
    }

    #[test]
    fn a_coupling_keeps_the_shares_of_both_sides() {
        for shares in [[[0.9, 0.1], [0.6, 0.4]], [[0.5, 0.5], [0.8, 0.2]]] {
            let ratios = ratios(shares);
            let meet = |source: usize, target: usize| {
                ratios[source][target] * shares[0][source] * shares[1][target]
            };
            let meets = [[meet(0, 0), meet(0, 1)], [meet(1, 0), meet(1, 1)]];
            for ((row, of_source), (column, of_target)) in
                meets.iter().zip(shares[0]).zip([0, 1].into_iter().zip(shares[1]))
            {
                assert!((row.iter().sum::<f32>() - of_source).abs() < 1e-6);
                assert!((meets[0][column] + meets[1][column] - of_target).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_document_whose_speech_agrees_is_believed_more() {
        let spoken: Vec<bool> = (0..60).map(|it| it % 4 == 0).collect();
        let mut coupling = Places::new([spoken.clone(), spoken]);
        let before = coupling.score(0, 0);
        coupling.refit((0..60).map(|it| (it, it, 1.0)));
        assert!(coupling.score(0, 0) > before);
        coupling.refit((0..60).map(|it| (it, (it + 1) % 60, 1.0)));
        assert!(coupling.score(0, 0) < before);
    }

    #[test]
    fn speech_on_one_side_only_says_nothing() {
        let target = side(&["One."; 40]);
        let speeches = Speeches::new(&side(&["\"One.\""; 40]), &target);
        let (spoken, plain) = (speeches.score((3, 1), (3, 1)), speeches.score((3, 1), (3, 2)));
        assert!((spoken - plain).abs() < 1e-6);
        let speeches = Speeches::new(&target, &target);
        assert!(speeches.score((3, 1), (3, 1)).abs() < 0.02);
    }
}
