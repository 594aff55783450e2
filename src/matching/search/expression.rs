//! What to look for in a concordance.

use crate::matching::encode::Side;
use crate::text::{Analysis, Token, TokenKind};

/// How the words of an expression belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConcordanceMode {
    /// All of them, anywhere in the segment.
    Words,
    /// Side by side, in their order; what stands between them (spaces, punctuation, tags) does not matter.
    Phrase,
    /// A phrase whose last word may go on.
    Prefix,
}

/// When two words are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WordForm {
    /// When they fold to the same: marks, letter variants, case do not matter.
    Folded,
    /// When they have one class: clitics and endings do not matter either. Numbers are the same when their values are.
    Class,
}

/// What to look for.
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
    /// `None` where only the very same is meant: numbers, tags.
    pub(crate) class: Option<String>,
    pub(crate) is_tag: bool,
}

impl Expression {
    /// The words of an analysed text; `None` when it has none.
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

    /// How many words it has, each part of a composed one counted.
    pub fn words_len(&self) -> usize {
        self.parts.len()
    }

    /// In which text it is looked for.
    pub fn side(&self) -> Side {
        self.side
    }
}

fn token_is_tag(token: &Token) -> bool {
    token.kind == TokenKind::Tag
}
