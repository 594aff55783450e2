//! Do speech and quotations begin and end at the same places on both sides?
//!
//! In news and in novels, a bead that opens a quotation opens one on both sides, and one that closes it does. Knows nothing
//! of words.

use crate::alignment::features::{Sentence, Side};

use super::coupling::Coupling;
use super::posteriors::Posteriors;

/// Whether speech begins with a sentence, and whether it ends with it. Words that name the speaker do not count: Arabic has
/// them before the speech, English likes to have them behind it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Speech {
    pub(crate) begins: bool,
    pub(crate) ends: bool,
}

impl Speech {
    /// Of a sentence: by the marks before its first letter and behind its last one, and by what most of it is.
    pub(crate) fn of(text: &str) -> Self {
        let is_mark = |it: &char| !it.is_alphanumeric();
        let mut before = text.chars().take_while(is_mark);
        let attributed = |(at, mark): (usize, &str)| text[at + mark.len()..].starts_with(is_quote);
        let (most, closed) = mostly_speech(text);
        Self {
            begins: before.any(|it| is_quote(it) || is_dash(it)) || most,
            ends: text.chars().rev().take_while(is_mark).any(is_quote)
                || text.match_indices(SPEECH_ENDS).any(attributed)
                || most && closed,
        }
    }
}

/// Whether most of a text is between quotation marks, or behind one that is not closed; and whether it is closed.
fn mostly_speech(text: &str) -> (bool, bool) {
    let is_double = |it: char| is_quote(it) && !matches!(it, '\'' | '\u{2018}'..='\u{201b}');
    let Some((before, rest)) = text.split_once(is_double) else { return (false, false) };
    let (speech, behind) = rest.rsplit_once(is_double).unwrap_or((rest, ""));
    let letters = |text: &str| text.chars().filter(|it| it.is_alphanumeric()).count();
    let closed = rest.contains(is_double);
    let ends_only = !closed && before.ends_with(SPEECH_ENDS);
    (!ends_only && letters(speech) > letters(before) + letters(behind), closed)
}

/// What stands before the quotation mark that ends a speech inside of a sentence.
const SPEECH_ENDS: [char; 5] = [',', '\u{60c}', '?', '\u{61f}', '!'];

/// Quotation marks of all shapes: Arabic writers use each of them for both ends.
fn is_quote(it: char) -> bool {
    matches!(
        it,
        '"' | '\'' | '\u{ab}' | '\u{bb}' | '\u{2018}'..='\u{201f}' | '\u{2039}' | '\u{203a}'
    )
}

/// Dialogue may begin with a dash in place of a quotation mark.
fn is_dash(it: char) -> bool {
    matches!(it, '-' | '\u{2010}'..='\u{2015}')
}

/// Sentences with and without speech that are added to those of a document. Fitted on the development documents.
const ADDED: f32 = 0.5;
/// Where speech begins and ends on both sides, and how far that agrees.
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

    /// Logarithm of how much likelier the speech of a bead is than that of sentences that have nothing to do with each other.
    pub(crate) fn score(&self, (i, n): (usize, usize), (j, m): (usize, usize)) -> f32 {
        self.begins.score(i, j) + self.ends.score(i + n - 1, j + m - 1)
    }

    /// Fits what belongs to the document to the probabilities of beads.
    pub(crate) fn refit(&mut self, posteriors: &Posteriors) {
        self.begins.refit(posteriors.beads().map(|(i, j, _, probability)| (i, j, probability)));
        self.ends.refit(posteriors.ends());
    }
}

/// Whether something is at each sentence of the source and of the target, and how closely that is coupled.
///
/// A side that hardly ever has it cannot be copied from, so it says nothing there: a translation without quotation marks is no
/// reason to doubt those of the other side.
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

    /// Fits to pairs of sentences, each with its probability.
    fn refit(&mut self, pairs: impl Iterator<Item = (usize, usize, f32)>) {
        let [source, target] = &self.sides;
        let pairs = pairs.map(|(i, j, probability)| {
            (usize::from(source[i]), usize::from(target[j]), probability)
        });
        self.coupling.refit(pairs);
    }
}

/// Of the maximal coupling of two distributions (Lindvall, "Lectures on the Coupling Method", 1992), beside their product:
/// what both have in common meets itself, and the rest of one meets the rest of the other.
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
    fn speech_begins_and_ends_with_its_marks() {
        for (text, begins, ends) in [
            ("\u{201c}Go,\u{201d} she said.", true, true),
            ("She said: \u{201c}Go home, all of you.\u{201d}", true, true),
            ("She said: \u{201c}Go home, all of you.", true, false),
            ("She only said it to be rid of us: \u{201c}Go.\u{201d}", false, true),
            ("Go,\u{201d} she said to all who were still there.", false, true),
            (
                "\u{642}\u{627}\u{644}\u{62a}:\u{201c}\u{627}\u{630}\u{647}\u{628}\u{648}\u{627}\u{201d}.",
                true,
                true,
            ),
            ("\u{201c}Go.", true, false),
            ("She said: go, it's time.", false, false),
            ("Then go.\u{201d}", false, true),
            ("\u{ab}\u{627}\u{630}\u{647}\u{628}\u{bb}.", true, true),
            ("\u{2013} \u{646}\u{639}\u{645}.", true, false),
            ("The \u{201c}old\u{201d} harbour.", false, false),
            ("- ", true, false),
            ("", false, false),
        ] {
            assert_eq!(Speech::of(text), Speech { begins, ends }, "{text}");
        }
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
