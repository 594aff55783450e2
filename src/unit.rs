//! What are we talking about? The vocabulary as types: segments, units, memories, languages, diagnostics.
//!
//! Every type with a rule has private fields and one fallible constructor, so a value that exists is a legal one.
//! Knows nothing of text rules, storage, files or protocols.

mod diagnostics;
mod names;
mod white_space;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use diagnostics::{Cause, Diagnostic, Place};
pub use names::{Lang, MemoryName};
pub use white_space::is_white_space_code;

/// A value that breaks the rule of its type: which rule, and what was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

/// The number of a unit inside its memory, given by the store in rising order and never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnitId(pub u64);

impl fmt::Display for UnitId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// A moment: microseconds since 1970-01-01T00:00:00 UTC.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Timestamp {
    /// Microseconds since the Unix epoch; negative before it.
    pub micros: i64,
}

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

/// What stood before and after a segment in its document: hashes of the canonical neighbour texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Context {
    /// Hash of the segment before; `None` when unknown or at the beginning.
    pub previous: Option<u64>,
    /// Hash of the segment after; `None` when unknown or at the end.
    pub next: Option<u64>,
}

/// What a client or a file says of a unit; the rest is given by the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitContent {
    /// The text that was translated.
    pub source: Segment,
    /// Its translation.
    pub target: Segment,
    /// Its neighbours in the document it came from.
    pub context: Context,
    /// The document it came from; empty when unknown.
    pub document: String,
    /// Who wrote or last changed the translation; empty when unknown.
    pub author: String,
    /// When it was first translated; the store's clock fills it in on creation.
    pub created: Option<Timestamp>,
    /// When it was last changed; the store's clock fills it in on every write that does not name it.
    pub changed: Option<Timestamp>,
    /// Everything else that is known of it, by name: `client`, `subject`, a TMX property or note.
    pub attributes: BTreeMap<String, String>,
}

/// The attribute that says under which key its file keeps a unit (gettext's `msgctxt`): one text under two keys is two units.
pub const CONTEXT_KEY_ATTRIBUTE: &str = "msgctxt";

impl UnitContent {
    /// The key under which its file keeps it.
    pub fn context_key(&self) -> Option<&str> {
        self.attributes.get(CONTEXT_KEY_ATTRIBUTE).map(String::as_str)
    }
}

/// A stored translation unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Its number in its memory.
    pub id: UnitId,
    /// 1 when created, one more with each change.
    pub revision: u64,
    /// What it holds. `created` and `changed` are always set in a stored unit.
    pub content: UnitContent,
}

/// A score in hundredths of a point, 0 to 10,000: integer arithmetic, so every machine orders alike.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Score {
    hundredths: u16,
}

impl Score {
    /// The best there is.
    pub const FULL: Self = Self { hundredths: 10_000 };
    /// The least there is.
    pub const ZERO: Self = Self { hundredths: 0 };

    /// From hundredths of a point; `None` above 10,000.
    pub fn from_hundredths(hundredths: u32) -> Option<Self> {
        let hundredths = u16::try_from(hundredths).ok().filter(|&value| value <= 10_000)?;
        Some(Self { hundredths })
    }

    /// From points, 0.0 to 100.0, rounded to the hundredth.
    ///
    /// # Errors
    /// When the value is not a number from 0 to 100.
    pub fn from_points(points: f64) -> Result<Self, Invalid> {
        if !(0.0..=100.0).contains(&points) {
            return Err(Invalid(format!("{points} is not a score: a number from 0 to 100")));
        }
        // In range by the check above.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let hundredths = (points * 100.0).round() as u16;
        Ok(Self { hundredths })
    }

    /// Hundredths of a point, 0 to 10,000.
    pub fn hundredths(self) -> u16 {
        self.hundredths
    }

    /// Points, 0.0 to 100.0.
    pub fn points(self) -> f64 {
        f64::from(self.hundredths) / 100.0
    }

    /// What is left after a deduction; never below zero.
    #[must_use]
    pub fn minus_hundredths(self, hundredths: u32) -> Self {
        let lost = u16::try_from(hundredths).unwrap_or(u16::MAX);
        Self { hundredths: self.hundredths.saturating_sub(lost) }
    }
}
