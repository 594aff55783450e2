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

/// The attribute with the number of uses in content read from a file (TMX `usagecount`); an import makes it the usage of the unit.
pub const USE_COUNT_ATTRIBUTE: &str = "usagecount";
/// The same for the time of the last use (TMX `lastusagedate`).
pub const LAST_USE_ATTRIBUTE: &str = "lastusagedate";

impl UnitContent {
    /// The key under which a file keeps the unit.
    pub fn context_key(&self) -> Option<&str> {
        self.attributes.get(CONTEXT_KEY_ATTRIBUTE).map(String::as_str)
    }
}

/// How often tools have used a unit. It is no part of the content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Usage {
    /// Number of uses.
    pub count: u64,
    /// The last use; `None` when it was never used or the time is unknown.
    pub last: Option<Timestamp>,
    /// Revisions of the unit that changed its usage alone.
    pub revisions: u64,
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
    /// How often it was used. Stored only in the layouts that can hold it, see `codec` of the store.
    #[serde(skip)]
    pub usage: Usage,
}

impl Unit {
    /// A unit that was never used.
    pub fn new(id: UnitId, revision: u64, content: UnitContent) -> Self {
        Self { id, revision, content, usage: Usage::default() }
    }

    /// Number of the content: as `revision`, but uses do not change it.
    pub fn content_revision(&self) -> u64 {
        self.revision.saturating_sub(self.usage.revisions)
    }
}
