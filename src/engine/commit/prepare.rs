//! Prepares units for the commit loop: validates and encodes them once, in parallel, on the caller's side of the queue.

use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use crate::matching::{EncodedEntry, Encoder, Identity};
use crate::store::MemoryKey;
use crate::unit::{
    CONTEXT_KEY_ATTRIBUTE, Timestamp, UNFINISHED_ATTRIBUTE, Unit, UnitContent, UnitId, Usage,
};
use crate::validate::{ContentFault, validate_content};

use crate::engine::error::EngineError;
use crate::engine::replica::catalog::Memory;
use crate::engine::replica::encoding::{content_hash, encode, key_hash, short_revision};

/// A unit that passed its checks, encoded for the index of its memory.
///
/// A plan fills in number, revision and times in place; a later plan of the same write overwrites them. Clones share the unit until
/// one of them is changed.
#[derive(Clone)]
pub struct Prepared {
    unit: Arc<Unit>,
    /// The times that came with the content.
    created: Option<Timestamp>,
    changed: Option<Timestamp>,
    /// The usage that came with the content, for a new unit.
    usage: Usage,
    /// The memory whose index has encoded it.
    pub(crate) memory: MemoryKey,
    entry: EncodedEntry,
}

impl Prepared {
    /// Validates and encodes a unit.
    ///
    /// # Errors
    /// The first rule that the content breaks.
    pub(crate) fn new(
        content: UnitContent,
        memory: &Memory,
        encoder: &mut Encoder<'_>,
    ) -> Result<Self, ContentFault> {
        validate_content(&content)?;
        let entry = encode(&content, &memory.analyzers, encoder);
        let (created, changed) = (content.created, content.changed);
        let unit = Arc::new(Unit::new(UnitId(0), 0, content));
        Ok(Self { unit, created, changed, usage: Usage::default(), memory: memory.key, entry })
    }

    /// The same with a usage for the case that it becomes a new unit.
    #[must_use]
    pub(crate) fn with_usage(self, usage: Usage) -> Self {
        Self { usage, ..self }
    }

    pub(crate) fn content(&self) -> &UnitContent {
        &self.unit.content
    }

    /// Hashes that identify duplicates of it.
    pub(crate) fn identity(&self) -> Identity {
        self.entry.identity()
    }

    /// The same if it were unfinished instead of finished, or finished instead of unfinished.
    pub(crate) fn identity_in_other_state(&self) -> Identity {
        let unfinished = self.content().attributes.contains_key(UNFINISHED_ATTRIBUTE);
        self.identity().with_content(content_hash(self.content(), !unfinished))
    }

    /// Fills the unknown fields of its context from the unit that it replaces.
    pub(crate) fn complete_context(&mut self, replaced: &UnitContent) {
        let content = &mut Arc::make_mut(&mut self.unit).content;
        content.context.complete(replaced.context);
        if let Some(key) = replaced.context_key().filter(|_| content.context_key().is_none()) {
            // As an attribute if it was one.
            if replaced.attributes.get(CONTEXT_KEY_ATTRIBUTE).is_some_and(|it| it == key) {
                content.attributes.insert(CONTEXT_KEY_ATTRIBUTE.to_owned(), key.to_owned());
            } else {
                key.clone_into(&mut content.context_id);
            }
        }
        self.entry.set_context(content.context, key_hash(content));
    }

    /// The unit and its index entry, with the number, revision, usage and times that the plan assigns. `before` is the revision that
    /// it replaces.
    pub(crate) fn finish(
        &mut self,
        id: UnitId,
        before: Option<&Unit>,
        now: Timestamp,
    ) -> (Arc<Unit>, EncodedEntry) {
        let unit = Arc::make_mut(&mut self.unit);
        let changed = self.changed.unwrap_or(now);
        let created = before.and_then(|unit| unit.content.created);
        (unit.id, unit.revision) = (id, before.map_or(1, |unit| unit.revision + 1));
        unit.usage = before.map_or(self.usage, |unit| unit.usage);
        unit.content.changed = Some(changed);
        unit.content.created = Some(self.created.or(created).unwrap_or(now));
        let entry = self.entry.clone().at(id, short_revision(unit), changed);
        (Arc::clone(&self.unit), entry)
    }
}

/// Digest of an import's batch as it was received, before processing. A unit that could not be read is represented by the reason.
///
/// # Errors
/// Encoding fails, which is not expected.
pub fn batch_digest<'a>(
    units: impl Iterator<Item = Result<&'a UnitContent, &'a str>>,
    (rejected, last): (u64, bool),
) -> Result<u64, EngineError> {
    let mut hasher = Xxh3::new();
    let mut bytes = Vec::new();
    for unit in units {
        bytes.clear();
        bytes = postcard::to_extend(&unit, bytes)
            .map_err(|error| EngineError::Internal(error.to_string()))?;
        hasher.update(&bytes);
    }
    hasher.update(&rejected.to_le_bytes());
    hasher.update(&[u8::from(last)]);
    Ok(hasher.digest())
}
