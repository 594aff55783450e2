//! How do messages become the types of the project, and back? Every rule of the wire is checked here, and the field is
//! named.

use std::ops::Range;
use std::str::FromStr;

use tonic::Status;
use uuid::Uuid;

use crate::engine::{
    CheckAction, DuplicatePolicy, ImportCounts, UnitFilter, UnitOutcome, context_hash,
};
use crate::limits::{FIELD_BYTES_MAX, FILTER_NAMES_MAX, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};
use crate::store::{MemoryRecord, RequestKey};
use crate::unit::{
    Context, InlineTag, MemoryName, Score, Segment, TagKind, Timestamp, Unit, UnitContent, UnitId,
    ValidationError,
};

use super::proto;
use super::status::invalid;

/// Parses a field by the rule of its type.
pub(crate) fn parse<T: FromStr<Err = ValidationError>>(
    field: &str,
    text: &str,
) -> Result<T, Status> {
    text.parse().map_err(|error: ValidationError| invalid(field, &error.0))
}

/// A memory's resource name, `memories/news`.
pub(crate) fn memory_name(field: &str, name: &str) -> Result<MemoryName, Status> {
    if !name.starts_with("memories/") {
        return Err(invalid(
            field,
            &format!("'{name}' is not the name of a memory, such as memories/news"),
        ));
    }
    parse(field, name)
}

/// A unit's resource name, `memories/news/units/42`.
pub(crate) fn unit_name(field: &str, name: &str) -> Result<(MemoryName, UnitId), Status> {
    let wrong = || {
        invalid(
            field,
            &format!("'{name}' is not the name of a unit, such as memories/news/units/42"),
        )
    };
    let (memory, id) = name.split_once("/units/").ok_or_else(wrong)?;
    let id = id.parse().map_err(|_| wrong())?;
    Ok((memory_name(field, memory)?, UnitId(id)))
}

/// The resource name of a unit.
pub(crate) fn unit_resource(memory: &MemoryName, id: UnitId) -> String {
    format!("{}/units/{id}", memory.resource())
}

/// A UUID; empty is none.
pub(crate) fn request_id(field: &str, text: &str) -> Result<Option<RequestKey>, Status> {
    if text.is_empty() {
        return Ok(None);
    }
    match Uuid::parse_str(text) {
        Ok(uuid) if !uuid.is_nil() => Ok(Some(RequestKey(uuid.into_bytes()))),
        _ => Err(invalid(field, &format!("'{text}' is not a UUID (and not the nil UUID)"))),
    }
}

/// A revision that an update was made for; 0 is "any".
pub(crate) fn expected_revision(field: &str, revision: i64) -> Result<Option<u64>, Status> {
    match u64::try_from(revision) {
        Ok(0) => Ok(None),
        Ok(revision) => Ok(Some(revision)),
        Err(_) => Err(invalid(field, "a revision is not negative")),
    }
}

/// Entries on a page.
pub(crate) fn page_size(size: i32) -> Result<usize, Status> {
    match usize::try_from(size) {
        Ok(0) => Ok(PAGE_SIZE_DEFAULT),
        Ok(size) => Ok(size.min(PAGE_SIZE_MAX)),
        Err(_) => Err(invalid("page_size", "a page size is not negative")),
    }
}

/// A number for the wire; those of this server never reach the end of the type.
pub(crate) fn signed(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// Counts code points before the bytes of a text: with one pass over it, however many places are asked for.
pub(crate) struct CodePoints<'a> {
    text: &'a [u8],
    /// Code points before each block.
    before: Vec<i32>,
}

/// Bytes that are counted anew at each question.
const POINTS_BLOCK_BYTES: usize = 256;

impl<'a> CodePoints<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let text = text.as_bytes();
        let mut sum = 0;
        let before = text.chunks(POINTS_BLOCK_BYTES).map(|block| {
            let before = sum;
            sum += begun_in(block);
            before
        });
        Self { text, before: before.collect() }
    }

    /// Code points before a byte.
    pub(crate) fn at(&self, bytes: usize) -> i32 {
        let bytes = bytes.min(self.text.len());
        // The end of a text of whole blocks has none of its own.
        let block = (bytes / POINTS_BLOCK_BYTES).min(self.before.len().saturating_sub(1));
        let before = self.before.get(block).copied().unwrap_or_default();
        before + begun_in(&self.text[block * POINTS_BLOCK_BYTES..bytes])
    }

    /// Bytes as a span of code points.
    pub(crate) fn span(&self, bytes: &Range<usize>) -> proto::Span {
        proto::Span { start: self.at(bytes.start), end: self.at(bytes.end) }
    }
}

/// Code points that begin in some bytes of a text.
fn begun_in(bytes: &[u8]) -> i32 {
    let begun = bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    i32::try_from(begun).unwrap_or(i32::MAX)
}

/// A span as the client shows it.
pub(crate) fn span_info(span: Option<proto::Span>) -> (usize, usize) {
    let span = span.unwrap_or_default();
    let number = |number| usize::try_from(number).unwrap_or_default();
    (number(span.start), number(span.end))
}

/// Which units may be found.
pub(crate) fn unit_filter(
    field: &str,
    filter: Option<proto::UnitFilter>,
) -> Result<UnitFilter, Status> {
    let filter = filter.unwrap_or_default();
    let names = filter.documents.len() + filter.authors.len() + filter.attributes.len();
    if names > FILTER_NAMES_MAX {
        let what = format!("{names} documents, authors and attributes; at most {FILTER_NAMES_MAX}");
        return Err(invalid(field, &what));
    }
    let time = |name: &str, time: Option<prost_types::Timestamp>| {
        time.map(|time| timestamp(&format!("{field}.{name}"), time)).transpose()
    };
    Ok(UnitFilter {
        documents: filter.documents.into_iter().collect(),
        authors: filter.authors.into_iter().collect(),
        changed_from: time("changed_from", filter.changed_from)?,
        changed_before: time("changed_before", filter.changed_before)?,
        attributes: filter.attributes.into_iter().collect(),
    })
}

pub(crate) fn unit_filter_to_wire(filter: &UnitFilter) -> proto::UnitFilter {
    proto::UnitFilter {
        documents: filter.documents.iter().cloned().collect(),
        authors: filter.authors.iter().cloned().collect(),
        changed_from: filter.changed_from.map(timestamp_to_wire),
        changed_before: filter.changed_before.map(timestamp_to_wire),
        attributes: filter.attributes.clone().into_iter().collect(),
    }
}

pub(crate) fn timestamp_to_wire(time: Timestamp) -> prost_types::Timestamp {
    let nanos = time.micros.rem_euclid(1_000_000) * 1_000;
    prost_types::Timestamp {
        seconds: time.micros.div_euclid(1_000_000),
        nanos: i32::try_from(nanos).unwrap_or_default(),
    }
}

pub(crate) fn timestamp(field: &str, time: prost_types::Timestamp) -> Result<Timestamp, Status> {
    // 0001-01-01 to 9999-12-31, what google.protobuf.Timestamp allows.
    let legal = (-62_135_596_800..=253_402_300_799).contains(&time.seconds)
        && (0..1_000_000_000).contains(&time.nanos);
    if !legal {
        return Err(invalid(field, "not a time from year 1 to year 9999"));
    }
    Ok(Timestamp { micros: time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000 })
}

pub(crate) fn memory_to_wire(record: MemoryRecord) -> proto::Memory {
    proto::Memory {
        name: record.name.resource(),
        display_name: record.display_name,
        description: record.description,
        source_lang: record.source_lang.to_string(),
        target_lang: record.target_lang.to_string(),
        create_time: Some(timestamp_to_wire(record.created)),
        update_time: Some(timestamp_to_wire(record.changed)),
        unit_count: signed(record.unit_count),
        revision: signed(record.revision),
        unfinished_penalty: record.unfinished_penalty.map(Score::points),
    }
}

/// What a memory deducts from matches with unfinished translations; `None` for the default.
pub(crate) fn unfinished_penalty(points: Option<f64>) -> Result<Option<Score>, Status> {
    let score = points.map(Score::from_points).transpose();
    score.map_err(|error| invalid("memory.unfinished_penalty", &error.0))
}

/// Free text of a memory.
pub(crate) fn free_text(field: &str, text: String) -> Result<String, Status> {
    if text.len() > FIELD_BYTES_MAX {
        return Err(invalid(
            field,
            &format!("{} bytes; at most {FIELD_BYTES_MAX} are kept", text.len()),
        ));
    }
    Ok(text)
}

fn tag_kind_to_wire(kind: TagKind) -> proto::TagKind {
    match kind {
        TagKind::Open => proto::TagKind::Open,
        TagKind::Close => proto::TagKind::Close,
        TagKind::Standalone => proto::TagKind::Standalone,
        TagKind::IsolatedOpen => proto::TagKind::IsolatedOpen,
        TagKind::IsolatedClose => proto::TagKind::IsolatedClose,
    }
}

pub(crate) fn segment_to_wire(segment: Segment) -> proto::Segment {
    if segment.tags.is_empty() {
        return proto::Segment { text: segment.text, tags: Vec::new() };
    }
    let points = CodePoints::new(&segment.text);
    let tags = segment
        .tags
        .into_iter()
        .map(|tag| proto::InlineTag {
            offset: points.at(tag.offset_bytes as usize),
            kind: tag_kind_to_wire(tag.kind).into(),
            pair: tag.pair,
            match_id: tag.match_id,
            label: tag.label,
            code: tag.code,
        })
        .collect();
    proto::Segment { text: segment.text, tags }
}

/// A segment; its own rules (length, characters) are checked where units are.
pub(crate) fn segment(field: &str, segment: Option<proto::Segment>) -> Result<Segment, Status> {
    let segment = segment.unwrap_or_default();
    if segment.tags.is_empty() {
        return Ok(Segment::plain(segment.text));
    }
    // Byte offsets of all code points, so that many tags cost no more than one.
    let starts: Vec<usize> =
        segment.text.char_indices().map(|(start, _)| start).chain([segment.text.len()]).collect();
    let tags = segment
        .tags
        .into_iter()
        .enumerate()
        .map(|(index, tag)| inline_tag(&format!("{field}.tags[{index}]"), tag, &starts))
        .collect::<Result<_, _>>()?;
    Ok(Segment { text: segment.text, tags })
}

fn inline_tag(field: &str, tag: proto::InlineTag, starts: &[usize]) -> Result<InlineTag, Status> {
    let offset = usize::try_from(tag.offset).ok().and_then(|offset| starts.get(offset));
    let Some(offset_bytes) = offset.and_then(|&offset| u32::try_from(offset).ok()) else {
        return Err(invalid(
            &format!("{field}.offset"),
            &format!("{} is outside of a text of {} code points", tag.offset, starts.len() - 1),
        ));
    };
    Ok(InlineTag { offset_bytes, ..tag_without_place(field, tag)? })
}

/// A tag as it would stand at the beginning of a text.
pub(crate) fn tag_without_place(field: &str, tag: proto::InlineTag) -> Result<InlineTag, Status> {
    let kind = match tag.kind() {
        proto::TagKind::Open => TagKind::Open,
        proto::TagKind::Close => TagKind::Close,
        proto::TagKind::Standalone => TagKind::Standalone,
        proto::TagKind::IsolatedOpen => TagKind::IsolatedOpen,
        proto::TagKind::IsolatedClose => TagKind::IsolatedClose,
        proto::TagKind::Unspecified => {
            return Err(invalid(&format!("{field}.kind"), "say which kind of tag this is"));
        }
    };
    let proto::InlineTag { pair, match_id, label, code, .. } = tag;
    Ok(InlineTag { offset_bytes: 0, kind, pair, match_id, label, code })
}

pub(crate) fn context(context: proto::Context) -> Context {
    Context {
        previous: context.previous_text.as_deref().map(context_hash).or(context.previous_hash),
        next: context.next_text.as_deref().map(context_hash).or(context.next_hash),
    }
}

fn context_to_wire(context: Context) -> Option<proto::Context> {
    (context != Context::default()).then_some(proto::Context {
        previous_text: None,
        next_text: None,
        previous_hash: context.previous,
        next_hash: context.next,
    })
}

pub(crate) fn unit_to_wire(memory: &MemoryName, unit: Unit) -> proto::Unit {
    proto::Unit {
        name: unit_resource(memory, unit.id),
        revision: signed(unit.revision),
        ..content_to_wire(unit.content)
    }
}

/// A unit without number and revision.
pub(crate) fn content_to_wire(content: UnitContent) -> proto::Unit {
    proto::Unit {
        name: String::new(),
        source: Some(segment_to_wire(content.source)),
        target: Some(segment_to_wire(content.target)),
        context: context_to_wire(content.context),
        document: content.document,
        author: content.author,
        create_time: content.created.map(timestamp_to_wire),
        update_time: content.changed.map(timestamp_to_wire),
        attributes: content.attributes.into_iter().collect(),
        revision: 0,
    }
}

/// What a client says of a unit.
pub(crate) fn unit_content(field: &str, unit: proto::Unit) -> Result<UnitContent, Status> {
    let time = |name: &str, time: Option<prost_types::Timestamp>| {
        time.map(|time| timestamp(&format!("{field}.{name}"), time)).transpose()
    };
    Ok(UnitContent {
        source: segment(&format!("{field}.source"), unit.source)?,
        target: segment(&format!("{field}.target"), unit.target)?,
        context: unit.context.map(context).unwrap_or_default(),
        document: unit.document,
        author: unit.author,
        created: time("create_time", unit.create_time)?,
        changed: time("update_time", unit.update_time)?,
        attributes: unit.attributes.into_iter().collect(),
    })
}

/// A unit as another process of this program gave it out.
pub(crate) fn stored_unit(unit: proto::Unit) -> Result<Unit, Status> {
    let (_, id) = unit_name("unit.name", &unit.name)?;
    let revision = u64::try_from(unit.revision).unwrap_or_default();
    Ok(Unit { id, revision, content: unit_content("unit", unit)? })
}

pub(crate) fn duplicate_policy(policy: i32) -> Result<DuplicatePolicy, Status> {
    match proto::DuplicatePolicy::try_from(policy) {
        Ok(proto::DuplicatePolicy::KeepAll) => Ok(DuplicatePolicy::KeepAll),
        Ok(proto::DuplicatePolicy::Unspecified | proto::DuplicatePolicy::SkipIdentical) => {
            Ok(DuplicatePolicy::SkipIdentical)
        }
        Ok(proto::DuplicatePolicy::ReplaceSameSource) => Ok(DuplicatePolicy::ReplaceSameSource),
        Err(_) => Err(invalid("header.duplicate_policy", &format!("{policy} is not a policy"))),
    }
}

pub(crate) fn check_action(action: i32) -> Result<CheckAction, Status> {
    match proto::CheckAction::try_from(action) {
        Ok(proto::CheckAction::Unspecified) => Ok(CheckAction::None),
        Ok(proto::CheckAction::Tag) => Ok(CheckAction::Tag),
        Ok(proto::CheckAction::Reject) => Ok(CheckAction::Reject),
        Err(_) => Err(invalid("header.check", &format!("{action} is not an action"))),
    }
}

pub(crate) fn check_action_to_wire(action: CheckAction) -> proto::CheckAction {
    match action {
        CheckAction::None => proto::CheckAction::Unspecified,
        CheckAction::Tag => proto::CheckAction::Tag,
        CheckAction::Reject => proto::CheckAction::Reject,
    }
}

pub(crate) fn verdict_to_wire(verdict: UnitOutcome) -> proto::UnitVerdict {
    match verdict {
        UnitOutcome::Stored => proto::UnitVerdict::Stored,
        UnitOutcome::Replaced => proto::UnitVerdict::Replaced,
        UnitOutcome::Duplicate => proto::UnitVerdict::Duplicate,
    }
}

/// `None` for a unit that was rejected.
pub(crate) fn verdict(verdict: i32) -> Option<UnitOutcome> {
    match proto::UnitVerdict::try_from(verdict) {
        Ok(proto::UnitVerdict::Stored) => Some(UnitOutcome::Stored),
        Ok(proto::UnitVerdict::Replaced) => Some(UnitOutcome::Replaced),
        Ok(proto::UnitVerdict::Duplicate) => Some(UnitOutcome::Duplicate),
        Ok(proto::UnitVerdict::Unspecified) | Err(_) => None,
    }
}

pub(crate) fn duplicate_policy_to_wire(policy: DuplicatePolicy) -> proto::DuplicatePolicy {
    match policy {
        DuplicatePolicy::KeepAll => proto::DuplicatePolicy::KeepAll,
        DuplicatePolicy::SkipIdentical => proto::DuplicatePolicy::SkipIdentical,
        DuplicatePolicy::ReplaceSameSource => proto::DuplicatePolicy::ReplaceSameSource,
    }
}

pub(crate) fn counts_to_wire(counts: ImportCounts) -> proto::ImportCounts {
    proto::ImportCounts {
        read: signed(counts.read),
        stored: signed(counts.stored),
        replaced: signed(counts.replaced),
        duplicates: signed(counts.duplicates),
        rejected: signed(counts.rejected),
    }
}

pub(crate) fn counts(counts: proto::ImportCounts) -> ImportCounts {
    let unsigned = |number: i64| u64::try_from(number).unwrap_or_default();
    ImportCounts {
        read: unsigned(counts.read),
        stored: unsigned(counts.stored),
        replaced: unsigned(counts.replaced),
        duplicates: unsigned(counts.duplicates),
        rejected: unsigned(counts.rejected),
    }
}
