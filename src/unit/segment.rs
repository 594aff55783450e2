//! A segment: plain text, and inline tags at offsets into it.

use serde::{Deserialize, Serialize};

use super::white_space::{is_white_space_code, is_white_space_name};

/// How an inline tag stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TagKind {
    /// Begins a pair; the `Close` with the same `pair` ends it.
    Open,
    /// Ends a pair.
    Close,
    /// Stands alone: a line break, an image, a field.
    Standalone,
    /// Begins a pair that ends in another segment.
    IsolatedOpen,
    /// Ends a pair that began in another segment.
    IsolatedClose,
}

/// A piece of markup kept beside the text, at its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InlineTag {
    /// Where it stands: UTF-8 bytes into the text of its segment, on a character boundary.
    pub offset_bytes: u32,
    /// How it stands.
    pub kind: TagKind,
    /// What joins the two halves of a pair inside one segment (TMX `i`).
    pub pair: Option<u32>,
    /// What joins the same tag of source and target (TMX `x`).
    pub match_id: Option<u32>,
    /// What the file calls its type (TMX `type`: `bold`, `link`, …); empty when it does not say.
    pub label: String,
    /// The native code it carries, verbatim; empty when the file has none. What is more than characters in it (an element
    /// such as TMX `sub`, attributes without a field here) stands in it as U+FFF9, name and attributes, U+FFFA, content,
    /// U+FFFB.
    pub code: String,
}

impl InlineTag {
    /// Whether a reader sees white space in its place, so that it parts the words beside it.
    pub fn is_white_space(&self) -> bool {
        is_white_space_name(&self.label) || is_white_space_code(&self.code)
    }
}

/// One stretch of text to be translated: plain text, and inline tags at offsets into it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Segment {
    /// The text without markup, as it came: never normalised.
    pub text: String,
    /// In order of offset; tags at one offset in the order in which they stand.
    pub tags: Vec<InlineTag>,
}

impl Segment {
    /// A segment without inline tags.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), tags: Vec::new() }
    }

    /// Where tags stand for white space, in bytes, in order.
    pub fn breaks(&self) -> impl Iterator<Item = usize> + '_ {
        self.tags.iter().filter(|tag| tag.is_white_space()).map(|tag| tag.offset_bytes as usize)
    }
}
