//! What is computed once for a unit on its way in? Its checks, its forms, its hashes: before the writer, in parallel.

use xxhash_rust::xxh3::Xxh3;

use crate::formats::UNFINISHED_ATTRIBUTE;
use crate::matching::{Identity, NumberedEntry, Numbering};
use crate::store::MemoryKey;
use crate::unit::{CONTEXT_KEY_ATTRIBUTE, Context, Timestamp, UnitContent, UnitId};
use crate::validate::{ContentFault, check_content};

use crate::engine::error::EngineError;
use crate::engine::replica::catalog::Memory;
use crate::engine::replica::encoding::{content_hash, key_hash, numbered, short_revision};

/// A unit that passed its checks, encoded for the index of its memory.
#[derive(Clone)]
pub struct Prepared {
    pub(crate) content: UnitContent,
    /// Whose index has numbered it.
    pub(crate) memory: MemoryKey,
    numbered: NumberedEntry,
}

impl Prepared {
    /// Checks and analyses.
    ///
    /// # Errors
    /// The first rule that the content breaks.
    pub(crate) fn new(
        content: UnitContent,
        memory: &Memory,
        numbering: &mut Numbering<'_>,
    ) -> Result<Self, ContentFault> {
        check_content(&content)?;
        let numbered = numbered(&content, &memory.analyzers, numbering);
        Ok(Self { numbered, memory: memory.key, content })
    }

    /// What tells it from other units.
    pub(crate) fn identity(&self) -> Identity {
        self.numbered.identity()
    }

    /// What would tell it from other units if it were finished, or, if it is, were not.
    pub(crate) fn identity_in_other_state(&self) -> Identity {
        let unfinished = self.content.attributes.contains_key(UNFINISHED_ATTRIBUTE);
        self.identity().with_content(content_hash(&self.content, !unfinished))
    }

    /// Takes over what is known of the context of the unit that it replaces and not of its own.
    pub(crate) fn complete_context(&mut self, replaced: &UnitContent) {
        let Context { previous, next } = replaced.context;
        let context = &mut self.content.context;
        context.previous = context.previous.or(previous);
        context.next = context.next.or(next);
        if let Some(key) = replaced.context_key() {
            let own = self.content.attributes.entry(CONTEXT_KEY_ATTRIBUTE.to_owned());
            own.or_insert_with(|| key.to_owned());
        }
        self.numbered.set_context(self.content.context, key_hash(&self.content));
    }

    /// The stored content and the index entry, once the store has given number, revision and time.
    pub(crate) fn finish(
        self,
        (id, revision): (UnitId, u64),
        created: Option<Timestamp>,
        now: Timestamp,
    ) -> (UnitContent, NumberedEntry) {
        let mut content = self.content;
        let changed = *content.changed.get_or_insert(now);
        content.created = Some(content.created.or(created).unwrap_or(now));
        (content, self.numbered.at(id, short_revision(revision), changed))
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
