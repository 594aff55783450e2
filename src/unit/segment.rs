//! A segment: plain text, and inline tags at offsets into it.

use serde::{Deserialize, Serialize};

use super::white_space::{is_white_space_code, is_white_space_name};

/// The role of an inline tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TagKind {
    /// Begins a pair; the `Close` with the same `pair` ends it.
    Open,
    /// Ends a pair.
    Close,
    /// Has no partner: a line break, an image, a field.
    Standalone,
    /// Begins a pair that ends in another segment.
    IsolatedOpen,
    /// Ends a pair that began in another segment.
    IsolatedClose,
}

/// A piece of markup that is kept beside the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InlineTag {
    /// Its place: UTF-8 bytes into the text of its segment, on a character boundary.
    pub offset_bytes: u32,
    /// Its role.
    pub kind: TagKind,
    /// Joins the two halves of a pair within a segment (TMX `i`).
    pub pair: Option<u32>,
    /// Joins the same tag of source and target (TMX `x`).
    pub match_id: Option<u32>,
    /// Its type in the file (TMX `type`: `bold`, `link`, …); empty when unknown.
    pub label: String,
    /// Its native code, verbatim; empty when the file has none. Nested elements (such as TMX `sub`) and attributes
    /// without a field here are embedded as U+FFF9, name and attributes, U+FFFA, content, U+FFFB.
    pub code: String,
}

impl InlineTag {
    /// Whether it stands for white space and so separates the words beside it.
    pub fn is_white_space(&self) -> bool {
        is_white_space_name(&self.label) || is_white_space_code(&self.code)
    }
}

/// A piece of text to be translated: plain text, and inline tags at offsets into it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Segment {
    /// The text without markup, as received: never normalised.
    pub text: String,
    /// In order of offset; tags at one offset in their order in the file.
    pub tags: Vec<InlineTag>,
}

impl Segment {
    /// A segment without inline tags.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), tags: Vec::new() }
    }

    /// Offsets of the tags that stand for white space, in bytes, in order.
    pub fn breaks(&self) -> impl Iterator<Item = usize> + '_ {
        self.tags.iter().filter(|tag| tag.is_white_space()).map(|tag| tag.offset_bytes as usize)
    }
}
