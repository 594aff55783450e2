//! The tokens of a segment: where they are, what they are, and their forms one by one.

use std::ops::Range;

use super::canonical::Canonical;
use super::chars::{Chars, Part};
use super::conventions::Convention;
use super::kinds::TokenKind;
use super::written::Written;
use super::{hamza, measures, parts, stem};

/// A token of a [`Scan`], which knows its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    pub(super) canonical: Stretch,
    /// Its place among the tokens.
    pub(super) number: u32,
}

/// Bytes of a text: start and end.
pub(super) type Stretch = (u32, u32);

/// What stands between two tokens that count: punctuation and white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap<'a> {
    /// As in the canonical text.
    pub canonical: &'a str,
    /// Marks of one shape, without white space.
    pub folded: &'a str,
}

/// Where the tokens of one segment are, and what they are. Reuse it for the next segment: its memory stays.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    pub(super) canonical: Canonical,
    pub(super) original_len: usize,
    pub(super) english: bool,
    pub(super) convention: Convention,
    pub(super) tokens: Vec<Token>,
    /// One more than tokens that count.
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

    /// Where a token stands in the original text, in bytes.
    pub fn span(&self, token: &Token) -> Range<usize> {
        self.original(range(token.canonical))
    }

    /// The bytes of the original text that a stretch of the canonical text stands for.
    pub fn original(&self, canonical: Range<usize>) -> Range<usize> {
        self.canonical.original(canonical)
    }

    /// A token as in the canonical text.
    pub fn surface(&self, token: &Token) -> &str {
        &self.canonical.text[range(token.canonical)]
    }

    /// How the digits of a token are written; `None` for words and for dates whose month is a word.
    pub fn written(&self, token: &Token) -> Option<Written<'_>> {
        if !token.kind.is_number_like() {
            return None;
        }
        let written = Written::read(self.surface(token), self.convention)?;
        (token.kind != TokenKind::Date || written.is_bare()).then_some(written)
    }

    /// Whether there is something to translate: a word that is neither a unit behind a number nor (part of) a code such as
    /// `AB-1234`, `D365` or `user_id`.
    pub fn has_words(&self) -> bool {
        self.tokens.iter().enumerate().any(|(number, token)| {
            let after_number = number.checked_sub(1).map(|before| self.tokens[before]);
            let after_number = after_number.is_some_and(|it| it.kind == TokenKind::Number);
            token.kind == TokenKind::Word
                && !self.is_code_word(token)
                && !(after_number && measures::is_unit(self.surface(token)))
        })
    }

    /// Whether a word is a code, which is carried over as it is: it has a digit or an underscore, or it is of capital
    /// letters and digits are glued to it.
    pub fn is_code_word(&self, token: &Token) -> bool {
        /// What is further away is not looked at.
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

    /// What stands before the first token that counts, between two, and after the last, as in the canonical text: one more
    /// than there are.
    pub fn canonical_gaps(&self) -> impl ExactSizeIterator<Item = &str> {
        self.gaps.iter().map(|gap| &self.canonical.text[range(*gap)])
    }

    /// The folded form and the class of one token: for whoever knows most tokens already by kind and surface, which with
    /// the language decide both.
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
            // The signs behind the number, wherever they are written: `12 %`, `%12`, `12%`.
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
            // Nothing but marks: they are all that this token has.
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

/// Appends the folded form of what stands between two tokens.
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
    /// The word whose class is being found.
    word: String,
    /// The word whose spellings are brought together.
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
