//! A translation unit: content given by a client or a file, and what the store adds.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::segment::Segment;

/// The number of a unit within its memory; assigned by the store in rising order and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnitId(pub u64);

impl fmt::Display for UnitId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// A point in time: microseconds since 1970-01-01T00:00:00 UTC.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Timestamp {
    /// Microseconds since the Unix epoch; negative before it.
    pub micros: i64,
}

/// The neighbours of a segment in its document, as hashes of their canonical texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Context {
    /// Hash of the segment before; `None` when unknown or at the beginning.
    pub previous: Option<u64>,
    /// Hash of the segment after; `None` when unknown or at the end.
    pub next: Option<u64>,
}

/// What a client or a file provides of a unit.
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
    /// When it was last changed; the store's clock fills it in on writes that do not set it.
    pub changed: Option<Timestamp>,
    /// All other properties by name: `client`, `subject`, a TMX property or note.
    pub attributes: BTreeMap<String, String>,
}

/// The attribute with the key under which a file keeps a unit (gettext's `msgctxt`): one text under two keys is two
/// units.
pub const CONTEXT_KEY_ATTRIBUTE: &str = "msgctxt";

impl UnitContent {
    /// The key under which a file keeps the unit.
    pub fn context_key(&self) -> Option<&str> {
        self.attributes.get(CONTEXT_KEY_ATTRIBUTE).map(String::as_str)
    }
}

/// A stored translation unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Its number in its memory.
    pub id: UnitId,
    /// 1 when created, plus one for each change.
    pub revision: u64,
    /// Its content. `created` and `changed` are always set in a stored unit.
    pub content: UnitContent,
}
