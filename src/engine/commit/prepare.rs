//! What is computed once for a unit on its way in? Its checks, its forms, its hashes: before the writer, in parallel.

use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use crate::formats::UNFINISHED_ATTRIBUTE;
use crate::matching::{EncodedEntry, Encoder, Identity};
use crate::store::MemoryKey;
use crate::unit::{CONTEXT_KEY_ATTRIBUTE, Context, Timestamp, Unit, UnitContent, UnitId};
use crate::validate::{ContentFault, check_content};

use crate::engine::error::EngineError;
use crate::engine::replica::catalog::Memory;
use crate::engine::replica::encoding::{content_hash, encode, key_hash, short_revision};

/// A unit that passed its checks, encoded for the index of its memory.
///
/// A plan fills in what only it knows, in place: a plan that is thrown away leaves a unit that the next one fills in again. Clones
/// share the unit until one of them is changed.
#[derive(Clone)]
pub struct Prepared {
    unit: Arc<Unit>,
    /// The times that came with the content.
    created: Option<Timestamp>,
    changed: Option<Timestamp>,
    /// Whose index has encoded it.
    pub(crate) memory: MemoryKey,
    entry: EncodedEntry,
}

impl Prepared {
    /// Checks and analyses.
    ///
    /// # Errors
    /// The first rule that the content breaks.
    pub(crate) fn new(
        content: UnitContent,
        memory: &Memory,
        encoder: &mut Encoder<'_>,
    ) -> Result<Self, ContentFault> {
        check_content(&content)?;
        let entry = encode(&content, &memory.analyzers, encoder);
        let (created, changed) = (content.created, content.changed);
        let unit = Arc::new(Unit { id: UnitId(0), revision: 0, content });
        Ok(Self { unit, created, changed, memory: memory.key, entry })
    }

    pub(crate) fn content(&self) -> &UnitContent {
        &self.unit.content
    }

    /// What tells it from other units.
    pub(crate) fn identity(&self) -> Identity {
        self.entry.identity()
    }

    /// What would tell it from other units if it were finished, or, if it is, were not.
    pub(crate) fn identity_in_other_state(&self) -> Identity {
        let unfinished = self.content().attributes.contains_key(UNFINISHED_ATTRIBUTE);
        self.identity().with_content(content_hash(self.content(), !unfinished))
    }

    /// Takes over what is known of the context of the unit that it replaces and not of its own.
    pub(crate) fn complete_context(&mut self, replaced: &UnitContent) {
        let Context { previous, next } = replaced.context;
        let unit = Arc::make_mut(&mut self.unit);
        let context = &mut unit.content.context;
        context.previous = context.previous.or(previous);
        context.next = context.next.or(next);
        if let Some(key) = replaced.context_key() {
            let own = unit.content.attributes.entry(CONTEXT_KEY_ATTRIBUTE.to_owned());
            own.or_insert_with(|| key.to_owned());
        }
        self.entry.set_context(unit.content.context, key_hash(&unit.content));
    }

    /// The unit as it is stored, and its index entry, with the number, the revision and the times that a plan gives it.
    pub(crate) fn finish(
        &mut self,
        (id, revision): (UnitId, u64),
        created: Option<Timestamp>,
        now: Timestamp,
    ) -> (Arc<Unit>, EncodedEntry) {
        let unit = Arc::make_mut(&mut self.unit);
        let changed = self.changed.unwrap_or(now);
        (unit.id, unit.revision) = (id, revision);
        unit.content.changed = Some(changed);
        unit.content.created = Some(self.created.or(created).unwrap_or(now));
        let entry = self.entry.clone().at(id, short_revision(revision), changed);
        (Arc::clone(&self.unit), entry)
    }
}

/// What tells two batches of an import apart: everything that came in, before anything is made of it. A unit that could not be
/// read counts with the reason.
///
/// # Errors
/// None that is to be expected: units can always be written.
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
