//! Encodes a stored unit for the index of its memory: forms, hashes, tag signature.

use std::cell::RefCell;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::matching::{ContentHash, EncodedEntry, Encoder, Facts, Form, IndexEntry, Side};
use crate::text::{Analysis, Analyzer, Scan, canonical};
use crate::unit::{Segment, UNFINISHED_ATTRIBUTE, Unit, UnitContent};

thread_local! {
    /// Reused, because millions of units may be prepared in a row.
    static SCRATCH: RefCell<Analysis> = RefCell::default();
    static SCANNED: RefCell<Scan> = RefCell::default();
}

/// The analyzers of a memory's texts.
pub(crate) struct Analyzers {
    pub(crate) source: Analyzer,
    pub(crate) target: Analyzer,
}

/// The revision of a unit as the index stores it: of its content, because uses do not change the index, and shortened, which is
/// enough to distinguish nearby revisions.
#[expect(clippy::cast_possible_truncation)]
pub(crate) fn short_revision(unit: &Unit) -> u32 {
    unit.content_revision() as u32
}

/// Encodes a valid unit as an index entry.
pub(crate) fn entry(unit: &Unit, analyzers: &Analyzers) -> IndexEntry {
    let content = &unit.content;
    SCRATCH.with_borrow_mut(|analysis| {
        analyzers.target.analyze_segment_into(&content.target, analysis);
        let target = Form::words_of(analysis);
        analyzers.source.analyze_segment_into(&content.source, analysis);
        let tags = tag_signature(&content.source, analysis);
        let facts = Facts {
            revision: short_revision(unit),
            document: content.document.clone(),
            author: content.author.clone(),
            ..facts(content, analysis, tags)
        };
        IndexEntry { unit: unit.id, form: Form::new(analysis, tags), target, facts }
    })
}

/// Encodes a valid unit with the term numbers of an index.
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

/// The facts that the index stores of a unit, without its names.
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

/// Hash of a neighbour's source or target text: XXH3 of its canonical form.
pub fn context_hash(text: &str) -> u64 {
    xxh3_64(canonical(text).as_bytes())
}

/// Hash that is equal for sources with the same canonical text and tags.
fn source_hash(source: &Scan, tags: u64) -> u64 {
    let mut hasher = Xxh3::with_seed(tags);
    hasher.update(source.canonical().as_bytes());
    hasher.digest()
}

/// Hash of a segment's tags and their positions between words; 0 without tags. Native codes are left out, because every tool
/// writes the same formatting differently.
pub(crate) fn tag_signature(segment: &Segment, scan: &Scan) -> u64 {
    if segment.tags.is_empty() {
        return 0;
    }
    let mut hasher = Xxh3::new();
    // Computed once: a segment may have as many tags as words.
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

/// Hash that is equal for duplicate units, neighbours aside: the exact texts and tags of both sides, the context key, and whether
/// the translation is finished.
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
    // An unfinished translation does not make the same finished one a duplicate.
    if unfinished {
        hasher.update(UNFINISHED_ATTRIBUTE.as_bytes());
    }
    ContentHash::new(hasher.digest(), key_hash(content))
}

pub(crate) fn key_hash(content: &UnitContent) -> Option<u64> {
    content.context_key().map(id_hash)
}

/// Hash of a context id.
pub(crate) fn id_hash(id: &str) -> u64 {
    xxh3_64(id.as_bytes())
}
