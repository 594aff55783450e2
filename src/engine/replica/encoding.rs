//! Encodes a stored unit for the index of its memory: forms, hashes, tag signature.

use std::cell::RefCell;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::formats::UNFINISHED_ATTRIBUTE;
use crate::matching::{ContentHash, EncodedEntry, Encoder, Facts, Form, IndexEntry, Side};
use crate::text::{Analysis, Analyzer, Scan, canonical};
use crate::unit::{Segment, Unit, UnitContent};

thread_local! {
    /// Millions of units are prepared one after the other.
    static SCRATCH: RefCell<Analysis> = RefCell::default();
    static SCANNED: RefCell<Scan> = RefCell::default();
}

/// What reads the texts of a memory.
pub(crate) struct Analyzers {
    pub(crate) source: Analyzer,
    pub(crate) target: Analyzer,
}

/// A revision as the index keeps it: enough to tell one from those before and after it.
#[expect(clippy::cast_possible_truncation)]
pub(crate) fn short_revision(revision: u64) -> u32 {
    revision as u32
}

/// What the index wants of a unit that passed its checks.
pub(crate) fn entry(unit: &Unit, analyzers: &Analyzers) -> IndexEntry {
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
pub(crate) fn encode(
    content: &UnitContent,
    analyzers: &Analyzers,
    encoder: &mut Encoder<'_>,
) -> EncodedEntry {
    SCANNED.with_borrow_mut(|scan| {
        analyzers.target.scan_segment_into(&content.target, scan);
        let target = encoder.words(scan, Side::Target);
        analyzers.source.scan_segment_into(&content.source, scan);
        let tags = tag_signature(&content.source, scan);
        let facts = facts(content, scan, tags);
        let names = [content.document.as_str(), &content.author];
        encoder.encode_scanned((scan, tags), target, &facts, names)
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
pub(crate) fn tag_signature(segment: &Segment, scan: &Scan) -> u64 {
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
pub(crate) fn content_hash(content: &UnitContent, unfinished: bool) -> ContentHash {
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

pub(crate) fn key_hash(content: &UnitContent) -> Option<u64> {
    content.context_key().map(|key| xxh3_64(key.as_bytes()))
}
