//! The tokens of a segment with their spans and kinds, and the forms of single tokens.

use std::ops::Range;

use super::canonical::Canonical;
use super::chars::{Chars, Part};
use super::conventions::Convention;
use super::kinds::TokenKind;
use super::written::Written;
use super::{hamza, measures, parts, stem};

/// A token of a [`Scan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Its kind.
    pub kind: TokenKind,
    pub(super) canonical: Stretch,
    /// Its index among the tokens.
    pub(super) number: u32,
}

/// A range of bytes: start and end.
pub(super) type Stretch = (u32, u32);

/// The text between two tokens that count: punctuation and white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap<'a> {
    /// Its canonical text.
    pub canonical: &'a str,
    /// Its folded form, without white space.
    pub folded: &'a str,
}

/// The tokens of one segment. Reuse it for the next segment to keep its memory.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    pub(super) canonical: Canonical,
    pub(super) original_len: usize,
    pub(super) english: bool,
    pub(super) convention: Convention,
    pub(super) tokens: Vec<Token>,
    /// One more than the tokens that count.
    pub(super) gaps: Vec<Stretch>,
}

impl Scan {
    /// The canonical form of the whole segment.
    pub fn canonical(&self) -> &str {
        &self.canonical.text
    }

    /// All tokens in order, punctuation included.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The tokens that count for the score, in order.
    pub fn words(&self) -> impl Iterator<Item = &Token> {
        self.tokens.iter().filter(|token| token.kind.counts())
    }

    /// Length of the original text, in bytes.
    pub fn original_len(&self) -> usize {
        self.original_len
    }

    /// The span of a token in the original text, in bytes.
    pub fn span(&self, token: &Token) -> Range<usize> {
        self.original(range(token.canonical))
    }

    /// The bytes of the original text that a range of the canonical text stands for.
    pub fn original(&self, canonical: Range<usize>) -> Range<usize> {
        self.canonical.original(canonical)
    }

    /// The canonical text of a token.
    pub fn surface(&self, token: &Token) -> &str {
        &self.canonical.text[range(token.canonical)]
    }

    /// The notation of the digits of a token; `None` for words and for dates with a month in words.
    pub fn written(&self, token: &Token) -> Option<Written<'_>> {
        if !token.kind.is_number_like() {
            return None;
        }
        let written = Written::read(self.surface(token), self.convention)?;
        (token.kind != TokenKind::Date || written.is_bare()).then_some(written)
    }

    /// Whether there is something to translate: a word that is neither a unit after a number nor (part of) a code
    /// such as `AB-1234`, `D365` or `user_id`.
    pub fn has_words(&self) -> bool {
        self.tokens.iter().enumerate().any(|(number, token)| {
            let after_number = number.checked_sub(1).map(|before| self.tokens[before]);
            let after_number = after_number.is_some_and(|it| it.kind == TokenKind::Number);
            token.kind == TokenKind::Word
                && !self.is_code_word(token)
                && !(after_number && measures::is_unit(self.surface(token)))
        })
    }

    /// Whether a word is a code, which is carried over: it has a digit or an underscore, or consists of capital
    /// letters next to digits.
    pub fn is_code_word(&self, token: &Token) -> bool {
        /// Characters further away do not matter.
        const CODE_BYTES_MAX: usize = 64;
        let surface = self.surface(token);
        if token.kind != TokenKind::Word || !surface.is_ascii() {
            return false;
        }
        let has_digit = |text: &str| text.bytes().any(|it| it.is_ascii_digit());
        if has_digit(surface) || surface.contains('_') {
            return true;
        }
        let range = range(token.canonical);
        let (before, after) = self.canonical.text.as_bytes().split_at(range.start);
        let glued = |byte: &&u8| byte.is_ascii_graphic();
        let has_digit_near = |bytes: &mut dyn Iterator<Item = &u8>| {
            bytes.take(CODE_BYTES_MAX).take_while(glued).any(u8::is_ascii_digit)
        };
        !surface.bytes().any(|it| it.is_ascii_lowercase())
            && (has_digit_near(&mut before.iter().rev()) || has_digit_near(&mut after.iter()))
    }

    /// The canonical text before, between and after the tokens that count: one more than there are tokens.
    pub fn canonical_gaps(&self) -> impl ExactSizeIterator<Item = &str> {
        self.gaps.iter().map(|gap| &self.canonical.text[range(*gap)])
    }

    /// The folded form and class of one token, for callers that cache them: kind, surface and language determine
    /// both.
    pub fn forms<'f>(&self, token: &Token, memory: &'f mut FormsMemory) -> (&'f str, &'f str) {
        memory.forms.clear();
        let (folded, class) = self.write_forms(token, memory);
        (&memory.forms[range(folded)], &memory.forms[range(class)])
    }

    /// Appends folded form and class of a token.
    pub(super) fn write_forms(
        &self,
        token: &Token,
        memory: &mut FormsMemory,
    ) -> (Stretch, Stretch) {
        let FormsMemory { forms, word, letters } = memory;
        let chars = Chars::get();
        let start = forms.len();
        let surface = self.surface(token);
        if let Some(written) = self.written(token) {
            // Signs go after the number, wherever they are written: `12 %`, `%12`, `12%`.
            written.write_plain(forms);
            written.signs().for_each(|sign| chars.fold_into(forms, sign));
        } else if matches!(token.kind, TokenKind::Code | TokenKind::Tag) {
            parts::write_code(surface, forms);
        } else {
            let spaceless = token.kind.is_number_like() && token.kind != TokenKind::Date;
            for character in surface.chars() {
                if !spaceless || character != ' ' {
                    chars.fold_into(forms, character);
                }
            }
        }
        if forms.len() == start {
            // A token of nothing but marks keeps them.
            forms.push_str(surface);
        }
        if token.kind == TokenKind::Word {
            hamza::unify(surface, forms, start, letters);
        }
        let folded = stretch(start, forms.len());
        if let Some(class) = token.kind.class() {
            forms.push_str(class);
        } else {
            word.clear();
            word.push_str(&forms[range(folded)]);
            stem::class_of(word, self.english, forms);
        }
        (folded, (folded.1, stretch(0, forms.len()).1))
    }
}

/// Appends the folded form of a gap.
pub(super) fn write_folded_gap(gap: &str, forms: &mut String) {
    let chars = Chars::get();
    for character in gap.chars() {
        if chars.part(character) != Part::Space {
            chars.fold_into(forms, character);
        }
    }
}

/// The folded form of a [gap](Scan::canonical_gaps).
pub fn folded_gap(gap: &str) -> String {
    let mut folded = String::new();
    write_folded_gap(gap, &mut folded);
    folded
}

/// Working memory for forms of tokens.
#[derive(Debug, Clone, Default)]
pub struct FormsMemory {
    pub(super) forms: String,
    /// The word to be stemmed.
    word: String,
    /// The letters of the word to be unified.
    letters: Vec<char>,
}

pub(super) fn range(stretch: Stretch) -> Range<usize> {
    stretch.0 as usize..stretch.1 as usize
}

pub(super) fn stretch(start: usize, end: usize) -> Stretch {
    // A segment is far below 4 GiB, and so are its forms.
    let index = |byte: usize| u32::try_from(byte).unwrap_or(u32::MAX);
    (index(start), index(end))
}
