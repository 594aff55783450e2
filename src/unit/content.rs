//! A translation unit: content given by a client or a file, and what the store adds.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::marked::marked;
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

/// The neighbours of a segment in its document, as hashes of their canonical texts. `None` is unknown, or no neighbour.
///
/// The hashes of targets and the context id of a unit are serialized where they are known, so that they are part of fingerprints
/// and etags, but not deserialized: stored records hold them apart, see [`UnitExtras`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Context {
    /// Of the source before.
    pub previous: Option<u64>,
    /// Of the source after.
    pub next: Option<u64>,
    /// Of the target before.
    #[serde(
        skip_deserializing,
        skip_serializing_if = "Option::is_none",
        serialize_with = "marked::<_, _, 1>"
    )]
    pub previous_target: Option<u64>,
    /// Of the target after.
    #[serde(
        skip_deserializing,
        skip_serializing_if = "Option::is_none",
        serialize_with = "marked::<_, _, 2>"
    )]
    pub next_target: Option<u64>,
}

impl Context {
    /// The same where source and target have changed places.
    #[must_use]
    pub fn swapped(self) -> Self {
        let Self { previous, next, previous_target, next_target } = self;
        Self {
            previous: previous_target,
            next: next_target,
            previous_target: previous,
            next_target: next,
        }
    }

    /// Takes from another context what this one does not know.
    pub fn complete(&mut self, other: Self) {
        self.previous = self.previous.or(other.previous);
        self.next = self.next.or(other.next);
        self.previous_target = self.previous_target.or(other.previous_target);
        self.next_target = self.next_target.or(other.next_target);
    }
}

/// How a memory counts a context, text flow or context id, that is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ContextMode {
    /// It never agrees.
    #[default]
    Simple,
    /// It agrees when query and unit both lack it and the other context agrees, as in memoQ's double-context memories.
    Double,
}

impl ContextMode {
    /// A stable lower-case name for users and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Double => "double",
        }
    }
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
    /// The key under which a file or tool keeps the unit; empty when unknown. See [`context_key`](Self::context_key).
    #[serde(
        skip_deserializing,
        skip_serializing_if = "String::is_empty",
        serialize_with = "marked::<_, _, 3>"
    )]
    pub context_id: String,
}

/// The attribute with the context id of a unit from a PO file.
pub const CONTEXT_KEY_ATTRIBUTE: &str = "msgctxt";

/// Attributes that hold the context id of a unit that has none: of PO; of XLIFF and TMX as earlier versions stored them.
const CONTEXT_KEY_ATTRIBUTES: [&str; 3] = [CONTEXT_KEY_ATTRIBUTE, "resname", "x-context"];

/// The attribute with the number of uses in content read from a file (TMX `usagecount`); an import makes it the usage of the unit.
pub const USE_COUNT_ATTRIBUTE: &str = "usagecount";
/// The same for the time of the last use (TMX `lastusagedate`).
pub const LAST_USE_ATTRIBUTE: &str = "lastusagedate";

impl UnitContent {
    /// The key under which a file or tool keeps the unit: its context id, or else an attribute that stands for one, such as
    /// gettext's `msgctxt`. One text under two keys is two units.
    pub fn context_key(&self) -> Option<&str> {
        if !self.context_id.is_empty() {
            return Some(&self.context_id);
        }
        if self.attributes.is_empty() {
            return None;
        }
        let key = CONTEXT_KEY_ATTRIBUTES.iter().find_map(|name| self.attributes.get(*name));
        key.map(String::as_str)
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

    /// The parts that records of the first version do not hold.
    pub fn extras(&self) -> UnitExtras {
        let Context { previous_target, next_target, .. } = self.content.context;
        let context_id = self.content.context_id.clone();
        UnitExtras { usage: self.usage, previous_target, next_target, context_id }
    }

    /// Replaces these parts.
    pub fn set_extras(&mut self, extras: UnitExtras) {
        let UnitExtras { usage, previous_target, next_target, context_id } = extras;
        self.usage = usage;
        let context = &mut self.content.context;
        (context.previous_target, context.next_target) = (previous_target, next_target);
        self.content.context_id = context_id;
    }

    /// Number of the content: as `revision`, but uses do not change it.
    pub fn content_revision(&self) -> u64 {
        self.revision.saturating_sub(self.usage.revisions)
    }
}

/// The parts of a unit that records of the first version do not hold; see `unit_codec` of the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitExtras {
    /// How often it was used.
    pub usage: Usage,
    /// [`Context::previous_target`]
    pub previous_target: Option<u64>,
    /// [`Context::next_target`]
    pub next_target: Option<u64>,
    /// [`UnitContent::context_id`]
    pub context_id: String,
}

impl UnitExtras {
    /// Whether nothing but the usage is set.
    pub fn are_usage_only(&self) -> bool {
        self.previous_target.is_none() && self.next_target.is_none() && self.context_id.is_empty()
    }
}

impl From<Usage> for UnitExtras {
    fn from(usage: Usage) -> Self {
        Self { usage, ..Self::default() }
    }
}
