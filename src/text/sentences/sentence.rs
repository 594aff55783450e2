//! A sentence as ranges of its text, and how to split.

use std::ops::Range;

/// A sentence of a text, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// The sentence with the white space after it, and before it at the beginning of the text: these pieces, joined, are the
    /// whole text.
    pub piece: Range<usize>,
    /// The sentence alone; empty only when the whole text is white space.
    pub text: Range<usize>,
}

/// How to split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SentenceOptions {
    /// Semicolons end sentences too.
    pub semicolons: bool,
    /// Lines are wrapped: only an empty line ends a paragraph. Otherwise every line end does.
    pub wrapped_lines: bool,
}

/// A piece of a text without the white space around it.
pub(super) fn trimmed(text: &str, piece: &Range<usize>) -> Range<usize> {
    let whole = &text[piece.clone()];
    let start = piece.start + (whole.len() - whole.trim_start().len());
    start..start + whole.trim().len()
}
