//! The expression that a concordance search looks for.

use std::collections::HashSet;

use crate::matching::encode::Side;
use crate::text::{Analysis, Token, TokenKind};

/// How the words of an expression belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConcordanceMode {
    /// All words, anywhere in the segment.
    Words,
    /// Adjacent words in order; spaces, punctuation and tags between them do not matter.
    Phrase,
    /// A phrase whose last word is a prefix.
    Prefix,
}

/// When two words are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WordForm {
    /// By folded text: marks, letter variants and case do not matter.
    Folded,
    /// By class: clitics and endings do not matter either. Numbers are equal when their values are.
    Class,
}

/// Words to search for on one side.
#[derive(Debug, Clone)]
pub struct Expression {
    pub(super) side: Side,
    pub(super) mode: ConcordanceMode,
    pub(super) word_form: WordForm,
    pub(super) parts: Vec<ExpressionPart>,
}

/// A part of an expression, see [`Analysis::search_parts`].
#[derive(Debug, Clone)]
pub(crate) struct ExpressionPart {
    pub(crate) folded: String,
    /// `None` for parts that match only literally: numbers, tags.
    pub(crate) class: Option<String>,
    pub(crate) is_tag: bool,
}

impl Expression {
    /// Builds an expression from the words of an analysed text; `None` when it has none.
    pub fn new(
        text: &Analysis,
        side: Side,
        mode: ConcordanceMode,
        word_form: WordForm,
    ) -> Option<Self> {
        let of_token = |token| {
            let is_tag = token_is_tag(token);
            let parts = text.search_parts(token).into_iter();
            parts.map(move |(folded, class)| ExpressionPart { folded, class, is_tag })
        };
        let parts: Vec<ExpressionPart> = text.words().flat_map(of_token).collect();
        (!parts.is_empty()).then_some(Self { side, mode, word_form, parts })
    }

    /// Number of words; each part of a compound counts.
    pub fn words_len(&self) -> usize {
        self.parts.len()
    }

    /// Whether every word occurs in a text, anywhere, by its folded form: what a search with
    /// [`ConcordanceMode::Words`] and [`WordForm::Folded`] finds.
    pub fn occurs_in(&self, text: &Analysis) -> bool {
        let mut words = HashSet::new();
        for token in text.words() {
            words.extend(text.search_parts(token).into_iter().map(|(folded, _)| folded));
            words.insert(text.folded(token).to_owned());
        }
        self.parts.iter().all(|part| words.contains(&part.folded))
    }
}

fn token_is_tag(token: &Token) -> bool {
    token.kind == TokenKind::Tag
}
