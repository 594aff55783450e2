//! The form of a text that matching compares: its tokens that count, the gaps between them, and its tags.
//!
//! A form owns its strings, so that it can be built on any thread and outlive the analysis.

use std::ops::Range;

use crate::text::Analysis;

/// One side of a comparison.
#[derive(Debug, Clone, Default)]
pub struct Form {
    /// All strings of the form in a row.
    strings: String,
    tokens: Vec<TokenPlaces>,
    /// One more than tokens: before the first, between, after the last.
    gaps: Vec<GapPlaces>,
    tags: u64,
}

#[derive(Debug, Clone, Copy)]
struct TokenPlaces {
    surface: (u32, u32),
    folded: (u32, u32),
    class: (u32, u32),
    number_like: bool,
}

#[derive(Debug, Clone, Copy)]
struct GapPlaces {
    canonical: (u32, u32),
    folded: (u32, u32),
}

/// A token in its three forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Token<'a> {
    pub(crate) surface: &'a str,
    pub(crate) folded: &'a str,
    pub(crate) class: &'a str,
    pub(crate) number_like: bool,
}

/// What is between two tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap<'a> {
    pub(crate) canonical: &'a str,
    pub(crate) folded: &'a str,
}

impl Form {
    /// Builds the form of an analysed text with the signature of its inline tags: 0 for none, equal for equal tags.
    pub fn new(analysis: &Analysis, tags: u64) -> Self {
        let mut form = Self { tags, ..Self::words_of(analysis) };
        form.gaps.reserve_exact(form.tokens.len() + 1);
        for gap in analysis.gaps() {
            let canonical = form.store(gap.canonical);
            let folded = form.store_beside(gap.folded, canonical);
            form.gaps.push(GapPlaces { canonical, folded });
        }
        form
    }

    /// Builds a form of the words alone, without gaps: enough for finding words.
    pub fn words_of(analysis: &Analysis) -> Self {
        let mut form = Self {
            // Most tokens have the same text in all forms.
            strings: String::with_capacity(analysis.canonical().len() * 3 / 2),
            tokens: Vec::with_capacity(analysis.words().count()),
            ..Self::default()
        };
        for token in analysis.words() {
            let surface = form.store(analysis.surface(token));
            let folded = form.store_beside(analysis.folded(token), surface);
            let class = form.store_beside(analysis.class(token), folded);
            let number_like = token.kind.is_number_like();
            form.tokens.push(TokenPlaces { surface, folded, class, number_like });
        }
        form
    }

    /// Number of tokens that count.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether no token counts.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Signature of the inline tags.
    pub fn tags(&self) -> u64 {
        self.tags
    }

    pub(crate) fn token(&self, number: usize) -> Token<'_> {
        let places = &self.tokens[number];
        Token {
            surface: self.string(places.surface),
            folded: self.string(places.folded),
            class: self.string(places.class),
            number_like: places.number_like,
        }
    }

    pub(crate) fn tokens(&self) -> impl ExactSizeIterator<Item = Token<'_>> {
        (0..self.tokens.len()).map(|number| self.token(number))
    }

    /// The gap before a token, or after the last one.
    pub(crate) fn gap(&self, number: usize) -> Gap<'_> {
        let places = &self.gaps[number];
        Gap { canonical: self.string(places.canonical), folded: self.string(places.folded) }
    }

    pub(crate) fn gaps(&self) -> impl ExactSizeIterator<Item = Gap<'_>> {
        (0..self.gaps.len()).map(|number| self.gap(number))
    }

    fn store(&mut self, string: &str) -> (u32, u32) {
        let start = self.strings.len();
        self.strings.push_str(string);
        (place(start), place(self.strings.len()))
    }

    fn store_beside(&mut self, string: &str, other: (u32, u32)) -> (u32, u32) {
        if self.string(other) == string { other } else { self.store(string) }
    }

    fn string(&self, (start, end): (u32, u32)) -> &str {
        let range: Range<usize> = start as usize..end as usize;
        &self.strings[range]
    }
}

fn place(offset: usize) -> u32 {
    // A segment has at most SEGMENT_BYTES_MAX bytes, its strings a few times that.
    u32::try_from(offset).unwrap_or(u32::MAX)
}
