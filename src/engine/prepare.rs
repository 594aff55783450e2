//! What is computed once for a unit on its way in? Its checks, its forms, its hashes: before the writer, in parallel.

use std::cell::RefCell;

use serde::Serialize;
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_128};

use crate::check::{ContentFault, check_content};
use crate::formats::UNFINISHED_ATTRIBUTE;
use crate::matching::{
    ContentHash, Facts, Form, Identity, IndexEntry, NumberedEntry, Numbering, Side,
};
use crate::store::MemoryKey;
use crate::text::{Analysis, Analyzer, Scan, canonical};
use crate::unit::{CONTEXT_KEY_ATTRIBUTE, Context, Segment, Timestamp, Unit, UnitContent, UnitId};

use super::error::EngineError;
use super::memory::Memory;

/// A unit that passed its checks, with everything the index of its memory wants of it.
pub struct Prepared {
    pub(super) content: UnitContent,
    /// Whose index has numbered it.
    pub(super) memory: MemoryKey,
    numbered: NumberedEntry,
}

thread_local! {
    /// Millions of units are prepared one after the other.
    static SCRATCH: RefCell<Analysis> = RefCell::default();
    static SCANNED: RefCell<Scan> = RefCell::default();
}

/// What reads the texts of a memory.
pub(super) struct Analyzers {
    pub(super) source: Analyzer,
    pub(super) target: Analyzer,
}

impl Prepared {
    /// Checks and analyses.
    ///
    /// # Errors
    /// The first rule that the content breaks.
    pub(super) fn new(
        content: UnitContent,
        memory: &Memory,
        numbering: &mut Numbering<'_>,
    ) -> Result<Self, ContentFault> {
        check_content(&content)?;
        let numbered = numbered(&content, &memory.analyzers, numbering);
        Ok(Self { numbered, memory: memory.key, content })
    }

    /// What tells it from other units.
    pub(super) fn identity(&self) -> Identity {
        self.numbered.identity()
    }

    /// What would tell it from other units if it were finished, or, if it is, were not.
    pub(super) fn identity_in_other_state(&self) -> Identity {
        let unfinished = self.content.attributes.contains_key(UNFINISHED_ATTRIBUTE);
        self.identity().with_content(content_hash(&self.content, !unfinished))
    }

    /// Takes over what is known of the context of the unit that it replaces and not of its own.
    pub(super) fn complete_context(&mut self, replaced: &UnitContent) {
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
    pub(super) fn finish(
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

/// A revision as the index keeps it: enough to tell one from those before and after it.
#[expect(clippy::cast_possible_truncation)]
pub(super) fn short_revision(revision: u64) -> u32 {
    revision as u32
}

/// What the index wants of a unit that passed its checks.
pub(super) fn entry(unit: &Unit, analyzers: &Analyzers) -> IndexEntry {
    let content = &unit.content;
    SCRATCH.with_borrow_mut(|analysis| {
        analyzers.target.analyze_segment_into(&content.target, analysis);
        let target = Form::words_of(analysis);
        analyzers.source.analyze_segment_into(&content.source, analysis);
        let tags = tag_signature(&content.source, analysis);
        let facts = Facts {
            revision: short_revision(unit.revision),
            document: content.document.clone(),
            author: content.author.clone(),
            ..facts(content, analysis, tags)
        };
        IndexEntry { unit: unit.id, form: Form::new(analysis, tags), target, facts }
    })
}

/// The same in the numbers of an index.
pub(super) fn numbered(
    content: &UnitContent,
    analyzers: &Analyzers,
    numbering: &mut Numbering<'_>,
) -> NumberedEntry {
    SCANNED.with_borrow_mut(|scan| {
        analyzers.target.scan_segment_into(&content.target, scan);
        let target = numbering.words(scan, Side::Target);
        analyzers.source.scan_segment_into(&content.source, scan);
        let tags = tag_signature(&content.source, scan);
        let facts = facts(content, scan, tags);
        let names = [content.document.as_str(), &content.author];
        numbering.number_scanned((scan, tags), target, &facts, names)
    })
}

/// What the index keeps of a unit beside its words; its names are left out.
fn facts(content: &UnitContent, source: &Scan, tags: u64) -> Facts {
    let unfinished = content.attributes.contains_key(UNFINISHED_ATTRIBUTE);
    Facts {
        source_hash: source_hash(source, tags),
        content_hash: content_hash(content, unfinished),
        context: content.context,
        changed: content.changed.unwrap_or_default(),
        unfinished,
        ..Facts::default()
    }
}

/// How a neighbour's source text is remembered: XXH3 of its canonical form.
pub fn context_hash(text: &str) -> u64 {
    xxh3_64(canonical(text).as_bytes())
}

/// What makes two sources the same: canonical text and tags.
fn source_hash(source: &Scan, tags: u64) -> u64 {
    let mut hasher = Xxh3::with_seed(tags);
    hasher.update(source.canonical().as_bytes());
    hasher.digest()
}

/// What the tags of a segment are, and between which words they stand; 0 without tags. Their native codes do not count:
/// the same bold is written differently by every tool.
pub(super) fn tag_signature(segment: &Segment, scan: &Scan) -> u64 {
    if segment.tags.is_empty() {
        return 0;
    }
    let mut hasher = Xxh3::new();
    // Worked out once: a segment may have as many tags as words.
    let starts: Vec<usize> = scan.words().map(|word| scan.span(word).start).collect();
    for tag in &segment.tags {
        let offset = tag.offset_bytes as usize;
        let before = starts.partition_point(|start| *start < offset);
        hasher.update(&(before as u64).to_le_bytes());
        hasher.update(&[tag.kind as u8]);
        hasher.update(tag.label.as_bytes());
        hasher.update(&[0]);
    }
    hasher.digest().max(1)
}

/// What makes two units the same for the duplicate check, but their neighbours: texts and tags of both sides, to the byte,
/// the key of the context, and whether the translation is finished.
fn content_hash(content: &UnitContent, unfinished: bool) -> ContentHash {
    let mut hasher = Xxh3::new();
    for segment in [&content.source, &content.target] {
        hasher.update(&(segment.text.len() as u64).to_le_bytes());
        hasher.update(segment.text.as_bytes());
        hasher.update(&(segment.tags.len() as u64).to_le_bytes());
        for tag in &segment.tags {
            hasher.update(&tag.offset_bytes.to_le_bytes());
            hasher.update(tag.code.as_bytes());
        }
    }
    // A finished translation is not left out because the same one is there unfinished.
    if unfinished {
        hasher.update(UNFINISHED_ATTRIBUTE.as_bytes());
    }
    ContentHash::new(hasher.digest(), key_hash(content))
}

fn key_hash(content: &UnitContent) -> Option<u64> {
    content.context_key().map(|key| xxh3_64(key.as_bytes()))
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

/// What tells two requests with one id apart.
pub(super) fn fingerprint<T: Serialize>(request: &T) -> Result<u128, postcard::Error> {
    Ok(xxh3_128(&postcard::to_stdvec(request)?))
}
