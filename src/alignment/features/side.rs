//! Extracts the sentences and terms of one side of a document: lengths, classes of words, values of numbers and dates, and
//! what translators copy.
//!
//! Knows nothing of the other side.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use unicode_normalization::char::is_combining_mark;

use crate::text::{Analysis, Analyzer, TokenKind, Value, beginning};

use super::clitics::{Vocabulary, split, write_word};
use super::mark::Mark;
use super::names::Skeleton;
use super::numerals::Numerals;
use super::speech::Speech;

/// Tokens of a sentence that are read; longer ones are tables or chapters, for which the length is enough.
const TOKENS_MAX: usize = 1_000;
/// Bytes of a sentence that are analysed: the same number of very long tokens.
const ANALYSED_BYTES_MAX: usize = 256 * TOKENS_MAX;

/// Tokens of a sentence whose words are linked; the work grows with their cube.
const PIECES_MAX: usize = 500;

/// The place of an absent token.
pub(crate) const NO_TOKEN: u32 = u32::MAX;

/// One side of a document.
#[derive(Debug, Default)]
pub struct Side {
    pub(crate) sentences: Vec<Sentence>,
    /// Terms of all sentences, concatenated.
    tokens: Vec<u32>,
    pub(crate) terms: Vec<Term>,
    numbers: HashMap<Arc<str>, u32, FixedState>,
}

/// A sentence of a side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sentence {
    /// Letters and digits, without marks.
    pub(crate) letters: u32,
    /// The mark at its end.
    pub(crate) mark: Mark,
    /// Whether its first letter is lower-case.
    pub(crate) begins_small: bool,
    pub(crate) speech: Speech,
    tokens: (u32, u32),
}

/// A term that the other side may share.
#[derive(Debug)]
pub(crate) struct Term {
    pub(crate) text: Arc<str>,
    /// How often it occurs in the side.
    pub(crate) count: u32,
    /// Its skeletons as a name, without and with what looks like clitics.
    pub(crate) skeletons: [Skeleton; 2],
    /// Whether its spelling permits a name: a capital inside a sentence, or a script without capitals.
    pub(crate) maybe_name: bool,
}

impl Side {
    /// Reads the sentences of a document, in order.
    pub fn new<'a>(sentences: impl IntoIterator<Item = &'a str>, analyzer: &Analyzer) -> Self {
        let mut side = Self::default();
        let mut analysis = Analysis::default();
        let mut text = String::new();
        for sentence in sentences {
            let beginning = beginning(sentence, ANALYSED_BYTES_MAX);
            analyzer.analyze_into(beginning, &mut analysis);
            let from = length_u32(side.tokens.len());
            let mut first = true;
            let mut numerals = Numerals::default();
            for token in analysis.tokens().iter().take(TOKENS_MAX) {
                side.add_number(numerals.read(&analysis, token));
                if !write_term(&analysis, token, &mut text) {
                    continue;
                }
                let number = side.number(&text, analysis.folded(token));
                let capital =
                    analysis.surface(token).chars().next().is_some_and(char::is_uppercase);
                let term = &mut side.terms[number as usize];
                term.count += 1;
                term.maybe_name |= token.kind == TokenKind::Word
                    && (capital && !first || !text.is_ascii() || term.count == 1 && capital);
                first = false;
                side.tokens.push(number);
            }
            side.add_number(numerals.finish());
            let rest = sentence[beginning.len()..].chars().filter(|it| is_letter(*it)).count();
            let letters = length_u32(letters_of(&analysis) + rest);
            let tokens = (from, length_u32(side.tokens.len()));
            let mark = Mark::at_end(sentence);
            let first = sentence.chars().find(|it| it.is_alphanumeric());
            let begins_small = first.is_some_and(char::is_lowercase);
            let speech = Speech::of(sentence);
            side.sentences.push(Sentence { letters, mark, begins_small, speech, tokens });
        }
        side
    }

    /// Reads one sentence with clitics split off; also returns the number of the token of each term.
    pub(crate) fn of_pieces(
        analysis: &Analysis,
        vocabularies: &[&Vocabulary],
    ) -> (Self, Vec<usize>) {
        let tokens = analysis.tokens().len().min(PIECES_MAX);
        let mut side = Self {
            terms: Vec::with_capacity(tokens),
            numbers: HashMap::with_capacity_and_hasher(tokens, FixedState::default()),
            ..Self::default()
        };
        let mut places = Vec::with_capacity(tokens);
        let (mut term, mut word, mut text) = (String::new(), String::new(), String::new());
        for (place, token) in analysis.tokens().iter().enumerate().take(PIECES_MAX) {
            if !write_piece(analysis, token, &mut term) {
                continue;
            }
            write_word(analysis, token, &mut word);
            let is_word = !word.is_empty();
            let clitics = split(vocabularies, &word);
            clitics.write(&term, &mut text, |piece| {
                let is_stem = piece == term;
                let number = side.number(piece, if is_stem { analysis.folded(token) } else { "" });
                let term = &mut side.terms[number as usize];
                term.count += 1;
                term.maybe_name |= is_word && is_stem;
                side.tokens.push(number);
                places.push(place);
            });
        }
        (side, places)
    }

    /// Number of sentences.
    pub fn len(&self) -> usize {
        self.sentences.len()
    }

    /// Whether there are no sentences.
    pub fn is_empty(&self) -> bool {
        self.sentences.is_empty()
    }

    /// Terms of a sentence.
    pub(crate) fn tokens(&self, sentence: usize) -> &[u32] {
        let (from, to) = self.sentences[sentence].tokens;
        &self.tokens[from as usize..to as usize]
    }

    /// The place of the first term of a sentence among all terms.
    pub(crate) fn first_token(&self, sentence: usize) -> usize {
        self.sentences.get(sentence).map_or(self.tokens.len(), |it| it.tokens.0 as usize)
    }

    /// Terms of sentences, given by the first one and their count.
    pub(crate) fn tokens_of(&self, (from, count): (usize, usize)) -> &[u32] {
        &self.tokens[self.first_token(from)..self.first_token(from + count)]
    }

    /// Letters of sentences, given by the first one and their count.
    pub(crate) fn letters_of(&self, (from, count): (usize, usize)) -> usize {
        self.sentences[from..from + count].iter().map(|it| it.letters as usize).sum()
    }

    /// For each term of all sentences, the place of its previous occurrence, or [`NO_TOKEN`].
    pub(crate) fn earlier(&self) -> Vec<u32> {
        let mut last = vec![NO_TOKEN; self.terms.len()];
        let places = self.tokens.iter().zip(0..);
        places.map(|(&term, at)| std::mem::replace(&mut last[term as usize], at)).collect()
    }

    /// Terms of all sentences.
    pub(crate) fn all_tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The term with a text.
    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    /// Adds the value of a number in words as the term of the same number in digits.
    fn add_number(&mut self, value: Option<u64>) {
        if let Some(value) = value {
            let number = self.number(&format!("={value}"), "");
            self.terms[number as usize].count += 1;
            self.tokens.push(number);
        }
    }

    fn number(&mut self, text: &str, folded: &str) -> u32 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = length_u32(self.terms.len());
        let text: Arc<str> = text.into();
        self.numbers.insert(Arc::clone(&text), number);
        let skeletons = if text.starts_with('=') || folded.is_empty() {
            Default::default()
        } else {
            [Skeleton::of(without_article(folded)), Skeleton::of(&text)]
        };
        self.terms.push(Term { text, count: 0, skeletons, maybe_name: false });
        number
    }
}

/// Whether a character is a letter or a digit. Vowel marks, which Unicode counts as alphabetic, are not: most writers omit them.
fn is_letter(character: char) -> bool {
    character.is_alphanumeric() && !is_combining_mark(character)
}

/// Letters and digits of a text, without marks.
pub(crate) fn letters_of(analysis: &Analysis) -> usize {
    analysis.canonical().chars().filter(|it| is_letter(*it)).count()
}

/// Strips the article of names, which Latin script omits or joins by a hyphen.
fn without_article(folded: &str) -> &str {
    folded.strip_prefix("\u{627}\u{644}").or_else(|| folded.strip_prefix("al-")).unwrap_or(folded)
}

/// Writes the term of a token; `false` for a token that translations do not share.
pub(crate) fn write_term(
    analysis: &Analysis,
    token: &crate::text::Token,
    text: &mut String,
) -> bool {
    use std::fmt::Write as _;
    text.clear();
    match token.kind {
        TokenKind::Word => text.push_str(analysis.class(token)),
        TokenKind::Punctuation => {
            let folded = analysis.folded(token);
            if folded != "?" {
                return false;
            }
            text.push_str(folded);
        }
        kind if kind.is_number_like() => {
            text.push('=');
            // Writing to a string cannot fail.
            let _ = match analysis.value(token) {
                // Per cent and currencies are often written in words.
                Some(Value::Number(number) | Value::Percent(number) | Value::Amount(number, _)) => {
                    write!(text, "{number}")
                }
                Some(value) => write!(text, "{value}"),
                None => write!(text, "{}", analysis.folded(token)),
            };
        }
        _ => text.push_str(analysis.folded(token)),
    }
    !text.is_empty()
}

/// Writes the term of a token, punctuation included.
pub(crate) fn write_piece(
    analysis: &Analysis,
    token: &crate::text::Token,
    text: &mut String,
) -> bool {
    if token.kind != TokenKind::Punctuation {
        return write_term(analysis, token, text);
    }
    text.clear();
    text.push_str(analysis.folded(token));
    !text.is_empty()
}

/// Converts a count within one document.
pub(crate) fn length_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
