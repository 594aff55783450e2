//! Collects pairs of sentences for training, and splits their words into clitics and stems.

use crate::alignment::features::{Clitics, Vocabulary, length_u32, split, write_piece, write_word};
use crate::text::Analysis;

use super::tables::TermNumbers;

/// Fewest pairs of sentences for training; from fewer, more wrong than right translations result.
pub const PAIRS_MIN: usize = 100;

/// Pairs of sentences for training, as numbers of their words.
#[derive(Debug, Default)]
pub struct Corpus {
    pub(super) source: CorpusSide,
    pub(super) target: CorpusSide,
}

/// One language of a corpus: words.
#[derive(Debug, Default)]
pub(super) struct CorpusSide {
    words: TermNumbers,
    /// For each word: its text as a term, its count, and whether it may carry clitics.
    known: Vec<(Box<str>, u32, bool)>,
    tokens: Vec<u32>,
    ends: Vec<u32>,
}

impl CorpusSide {
    fn add(&mut self, analysis: &Analysis) {
        let (mut word, mut term) = (String::new(), String::new());
        for token in analysis.tokens() {
            if !write_piece(analysis, token, &mut term) {
                continue;
            }
            write_word(analysis, token, &mut word);
            let is_word = !word.is_empty();
            let number = self.words.intern(if is_word { &word } else { &term });
            if number as usize == self.known.len() {
                self.known.push((term.as_str().into(), 0, is_word));
            }
            self.known[number as usize].1 += 1;
            self.tokens.push(number);
        }
        self.ends.push(length_u32(self.tokens.len()));
    }

    /// Splits the words into clitics and stems.
    pub(super) fn split(self) -> (Vocabulary, Split) {
        let mut vocabulary = Vocabulary::default();
        for ((_, count, is_word), text) in self.known.iter().zip(self.words.texts()) {
            if *is_word {
                vocabulary.add(text, *count);
            }
        }
        let mut terms = TermNumbers::default();
        terms.intern("");
        let mut text = String::new();
        let (mut pieces, mut ends) = (Vec::new(), Vec::new());
        for ((term, _, is_word), word) in self.known.iter().zip(self.words.texts()) {
            let clitics = if *is_word { split(&[&vocabulary], word) } else { Clitics::default() };
            clitics.write(term, &mut text, |piece| pieces.push(terms.intern(piece)));
            ends.push(pieces.len());
        }
        let mut side = Split { terms, ..Split::default() };
        let mut sentence_ends = self.ends.iter().peekable();
        for at in 0..=self.tokens.len() {
            while sentence_ends.next_if(|end| **end as usize == at).is_some() {
                side.ends.push(length_u32(side.tokens.len()));
            }
            if let Some(&word) = self.tokens.get(at) {
                let from = (word as usize).checked_sub(1).map_or(0, |before| ends[before]);
                side.tokens.extend(&pieces[from..ends[word as usize]]);
            }
        }
        side.counts = vec![0; side.terms.len()];
        for &term in &side.tokens {
            side.counts[term as usize] += 1;
        }
        (vocabulary, side)
    }
}

/// One language of a corpus after splitting: terms. Term 0 is the empty word, to which words without a counterpart are aligned.
#[derive(Debug, Default)]
pub(super) struct Split {
    pub(super) terms: TermNumbers,
    pub(super) counts: Vec<u32>,
    pub(super) tokens: Vec<u32>,
    pub(super) ends: Vec<u32>,
}

impl Split {
    pub(super) fn sentence(&self, number: usize) -> &[u32] {
        let from = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.tokens[from as usize..self.ends[number] as usize]
    }

    #[expect(clippy::cast_precision_loss)]
    pub(super) fn shares(&self) -> Vec<f32> {
        let all = self.tokens.len().max(1) as f32;
        self.counts.iter().map(|&count| count as f32 / all).collect()
    }
}

impl Corpus {
    /// Adds a sentence and its translation.
    pub fn add(&mut self, source: &Analysis, target: &Analysis) {
        self.source.add(source);
        self.target.add(target);
    }

    /// Number of pairs of sentences.
    pub fn len(&self) -> usize {
        self.source.ends.len()
    }

    /// Whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
