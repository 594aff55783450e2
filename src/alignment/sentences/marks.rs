//! Scores beads by the punctuation at the boundaries of sentences: a question ends as a question, and a sentence that continues
//! after a comma usually does so inside a bead.
//!
//! At the end of a bead, the target's mark either copies the source's or is arbitrary; inside a bead, a mark is either that of a
//! broken sentence or arbitrary. How often is fitted to the document: one without full stops gives no evidence. Knows nothing of
//! words.

use crate::alignment::features::{Mark, Sentence, Side};

use super::coupling::{BEADS, Coupling, SHARE_MAX, WEIGHT};
use super::kinds::KINDS;
use super::posteriors::Posteriors;
use super::speech::Speeches;

const MARKS: usize = 6;
const ALL: [Mark; MARKS] =
    [Mark::Stop, Mark::Question, Mark::Exclamation, Mark::Pause, Mark::None, Mark::Continued];
/// Distribution of marks in broken sentences.
const BROKEN: [f32; MARKS] = [0.0, 0.0, 0.0, 0.45, 0.15, 0.4];
/// Count added to each mark of a document.
const ADDED: f32 = 0.3;
/// Initial probability that a boundary inside a bead breaks a sentence. Fitted on the development documents, as are the constants
/// above.
const BREAKS: f32 = 0.15;

/// The marks of both sides, and how closely they agree.
#[derive(Debug)]
pub(crate) struct Marks {
    /// The mark at the end of each sentence of the source and of the target.
    sides: [Vec<Mark>; 2],
    /// The share of each mark.
    shares: [[f32; MARKS]; 2],
    /// The coupling at the end of a bead.
    ends: Coupling<MARKS>,
    speeches: Speeches,
    breaks: [f32; 2],
    /// Cumulative log scores of the marks inside a bead, up to each sentence.
    inside: [Vec<f32>; 2],
}

impl Marks {
    pub(crate) fn new(source: &Side, target: &Side) -> Self {
        let sides = [source, target].map(marks_of);
        let shares = sides.each_ref().map(shares_of);
        let mut marks = Self {
            sides,
            ends: Coupling::new(copies(&shares[1])),
            shares,
            speeches: Speeches::new(source, target),
            breaks: [BREAKS; 2],
            inside: Default::default(),
        };
        marks.set_inside();
        marks
    }

    fn set_inside(&mut self) {
        for side in 0..2 {
            let mut sum = 0.0;
            let marks = self.sides[side].iter().map(|&mark| {
                sum += WEIGHT * (self.broken(side, mark) + 1.0 - self.breaks[side]).ln();
                sum
            });
            self.inside[side] = std::iter::once(0.0).chain(marks).collect();
        }
    }

    /// Likelihood ratio of a mark in a broken sentence, times the probability of one.
    fn broken(&self, side: usize, mark: Mark) -> f32 {
        self.breaks[side] * BROKEN[mark as usize] / self.shares[side][mark as usize]
    }

    /// Log likelihood ratio of the marks as those of a bead and of unrelated sentences.
    pub(crate) fn score(&self, (i, n): (usize, usize), (j, m): (usize, usize)) -> f32 {
        let (here, there) = (i + n - 1, j + m - 1);
        self.ends.score(self.sides[0][here] as usize, self.sides[1][there] as usize)
            + (self.inside[0][here] - self.inside[0][i])
            + (self.inside[1][there] - self.inside[1][j])
            + self.speeches.score((i, n), (j, m))
    }

    /// Fits the parameters of the document to the probabilities of beads: one step of expectation maximization.
    pub(crate) fn refit(&mut self, posteriors: &Posteriors) {
        let mut breaks = [(BREAKS * BEADS, BEADS); 2];
        for (i, j, kind, probability) in posteriors.beads() {
            let (n, m) = KINDS[kind];
            for (side, range) in [(0, i..i + n - 1), (1, j..j + m - 1)] {
                for &mark in &self.sides[side][range] {
                    let broken = self.broken(side, mark);
                    breaks[side].0 += probability * broken / (broken + 1.0 - self.breaks[side]);
                    breaks[side].1 += probability;
                }
            }
        }
        self.breaks = breaks.map(|(broken, all)| (broken / all).min(SHARE_MAX));
        self.set_inside();
        let ends = posteriors.ends().map(|(here, there, probability)| {
            let (source, target) = (self.sides[0][here] as usize, self.sides[1][there] as usize);
            (source, target, probability)
        });
        self.ends.refit(ends);
        self.speeches.refit(posteriors);
    }
}

/// Likelihood ratio of a target mark that copies the source mark and one by chance; `shares` are those of the target.
fn copies(shares: &[f32; MARKS]) -> [[f32; MARKS]; MARKS] {
    ALL.map(|source| {
        let alike = ALL.iter().filter(|target| source.is_like(**target));
        let share: f32 = alike.map(|&target| shares[target as usize]).sum();
        ALL.map(|target| if source.is_like(target) { 1.0 / share } else { 0.0 })
    })
}

fn marks_of(side: &Side) -> Vec<Mark> {
    let next = side.sentences.iter().skip(1).map(|it| it.begins_small).chain([false]);
    let mark = |(sentence, continues): (&Sentence, bool)| {
        if continues { Mark::Continued } else { sentence.mark }
    };
    side.sentences.iter().zip(next).map(mark).collect()
}

fn shares_of(marks: &Vec<Mark>) -> [f32; MARKS] {
    let mut counts = [ADDED; MARKS];
    for &mark in marks {
        counts[mark as usize] += 1.0;
    }
    let all: f32 = counts.iter().sum();
    counts.map(|count| count / all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Analyzer;

    fn side(texts: &[&str]) -> Side {
        Side::new(texts.iter().copied(), &Analyzer::new(&"en".parse().unwrap()))
    }

    #[test]
    fn marks_that_are_everywhere_say_nothing() {
        let (source, target) = (side(&["One"; 400]), side(&["Two"; 400]));
        let marks = Marks::new(&source, &target);
        assert!(marks.score((3, 1), (3, 1)).abs() < 0.01);
    }

    #[test]
    fn questions_stand_for_questions_and_commas_inside() {
        let texts = ["Is it so?", "It is.", "And then,", "they left.", "Nothing more."];
        let marks = Marks::new(&side(&texts), &side(&texts));
        assert!(marks.score((0, 1), (0, 1)) > 0.5);
        assert!(marks.score((0, 1), (1, 1)) < -0.1);
        assert!(marks.score((2, 1), (2, 2)) < marks.score((2, 2), (2, 2)));
        assert!(marks.score((1, 1), (2, 2)) > marks.score((1, 1), (1, 2)));
    }
}
