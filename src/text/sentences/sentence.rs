//! A sentence as ranges of a text, and the options of splitting.

use std::ops::Range;

/// A sentence of a text, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// The sentence with the white space after it; the first piece also has the white space before it. All pieces
    /// together are the text.
    pub piece: Range<usize>,
    /// The sentence without white space; empty only when the whole text is white space.
    pub text: Range<usize>,
}

/// Options of splitting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SentenceOptions {
    /// Whether semicolons end sentences too.
    pub semicolons: bool,
    /// Whether lines are wrapped: then only an empty line ends a paragraph, otherwise every line end does.
    pub wrapped_lines: bool,
}

/// The range of a piece without the white space around it.
pub(super) fn trimmed(text: &str, piece: &Range<usize>) -> Range<usize> {
    let whole = &text[piece.clone()];
    let start = piece.start + (whole.len() - whole.trim_start().len());
    start..start + whole.trim().len()
}
