//! Units and their parts: segments, tags, contexts, times.

use crate::engine::{context_hash, unit_etag};
use crate::unit::{
    CodePoints, Context, InlineTag, MemoryName, Segment, TagKind, Timestamp, Unit, UnitContent,
    Usage,
};

use super::super::proto;
use super::{FieldViolation, Within as _, signed, unit_name, unit_resource, unsigned};

impl From<Timestamp> for prost_types::Timestamp {
    fn from(time: Timestamp) -> Self {
        let nanos = time.micros.rem_euclid(1_000_000) * 1_000;
        Self {
            seconds: time.micros.div_euclid(1_000_000),
            nanos: i32::try_from(nanos).unwrap_or_default(),
        }
    }
}

impl TryFrom<prost_types::Timestamp> for Timestamp {
    type Error = FieldViolation;

    fn try_from(time: prost_types::Timestamp) -> Result<Self, FieldViolation> {
        // 0001-01-01 to 9999-12-31, what google.protobuf.Timestamp allows.
        let legal = (-62_135_596_800..=253_402_300_799).contains(&time.seconds)
            && (0..1_000_000_000).contains(&time.nanos);
        if !legal {
            return Err(FieldViolation::new("", "not a time from year 1 to year 9999"));
        }
        Ok(Self { micros: time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000 })
    }
}

/// A time that need not be set.
pub(crate) fn optional_time(
    field: &str,
    time: Option<prost_types::Timestamp>,
) -> Result<Option<Timestamp>, FieldViolation> {
    time.map(|time| Timestamp::try_from(time).within(field)).transpose()
}

impl From<TagKind> for proto::TagKind {
    fn from(kind: TagKind) -> Self {
        match kind {
            TagKind::Open => Self::Open,
            TagKind::Close => Self::Close,
            TagKind::Standalone => Self::Standalone,
            TagKind::IsolatedOpen => Self::IsolatedOpen,
            TagKind::IsolatedClose => Self::IsolatedClose,
        }
    }
}

impl From<Segment> for proto::Segment {
    fn from(segment: Segment) -> Self {
        if segment.tags.is_empty() {
            return Self { text: segment.text, tags: Vec::new() };
        }
        let points = CodePoints::new(&segment.text);
        let tags = segment.tags.into_iter().map(|tag| proto::InlineTag {
            offset: i32::try_from(points.at(tag.offset_bytes as usize)).unwrap_or(i32::MAX),
            kind: proto::TagKind::from(tag.kind).into(),
            pair: tag.pair,
            match_id: tag.match_id,
            label: tag.label,
            code: tag.code,
        });
        let tags = tags.collect();
        Self { text: segment.text, tags }
    }
}

/// The rules of a segment's content (length, characters) are checked where units are stored.
impl TryFrom<proto::Segment> for Segment {
    type Error = FieldViolation;

    fn try_from(segment: proto::Segment) -> Result<Self, FieldViolation> {
        if segment.tags.is_empty() {
            return Ok(Self::plain(segment.text));
        }
        let points = CodePoints::new(&segment.text);
        let tag = |(index, tag)| inline_tag(tag, &points).within(format_args!("tags[{index}]"));
        let tags = segment.tags.into_iter().enumerate().map(tag).collect::<Result<_, _>>()?;
        Ok(Self { text: segment.text, tags })
    }
}

fn inline_tag(tag: proto::InlineTag, points: &CodePoints<'_>) -> Result<InlineTag, FieldViolation> {
    let offset = usize::try_from(tag.offset).ok().and_then(|offset| points.byte(offset));
    let Some(offset_bytes) = offset.and_then(|offset| u32::try_from(offset).ok()) else {
        let count = points.at(points.len());
        let what = format!("{} is outside of a text of {count} code points", tag.offset);
        return Err(FieldViolation::new("offset", what));
    };
    Ok(InlineTag { offset_bytes, ..tag_without_offset(tag)? })
}

/// A tag as it would stand at the beginning of a text.
pub(super) fn tag_without_offset(tag: proto::InlineTag) -> Result<InlineTag, FieldViolation> {
    let kind = match tag.kind() {
        proto::TagKind::Open => TagKind::Open,
        proto::TagKind::Close => TagKind::Close,
        proto::TagKind::Standalone => TagKind::Standalone,
        proto::TagKind::IsolatedOpen => TagKind::IsolatedOpen,
        proto::TagKind::IsolatedClose => TagKind::IsolatedClose,
        proto::TagKind::Unspecified => {
            return Err(FieldViolation::new("kind", "say which kind of tag this is"));
        }
    };
    let proto::InlineTag { pair, match_id, label, code, .. } = tag;
    Ok(InlineTag { offset_bytes: 0, kind, pair, match_id, label, code })
}

/// The neighbours; the context id is apart.
impl From<proto::Context> for Context {
    fn from(context: proto::Context) -> Self {
        let hash = |text: Option<String>, hash| text.as_deref().map(context_hash).or(hash);
        Self {
            previous: hash(context.previous_source_text, context.previous_source_hash),
            next: hash(context.next_source_text, context.next_source_hash),
            previous_target: hash(context.previous_target_text, context.previous_target_hash),
            next_target: hash(context.next_target_text, context.next_target_hash),
        }
    }
}

/// A context with its id; `None` when nothing is known.
pub(super) fn context_to_wire(context: Context, id: Option<&str>) -> Option<proto::Context> {
    let id = id.unwrap_or_default();
    (context != Context::default() || !id.is_empty()).then(|| proto::Context {
        previous_source_hash: context.previous,
        next_source_hash: context.next,
        previous_target_hash: context.previous_target,
        next_target_hash: context.next_target,
        context_id: id.to_owned(),
        ..proto::Context::default()
    })
}

/// Without name and revision.
impl From<UnitContent> for proto::Unit {
    fn from(content: UnitContent) -> Self {
        let context = context_to_wire(content.context, content.context_key());
        Self {
            source: Some(content.source.into()),
            target: Some(content.target.into()),
            context,
            document: content.document,
            author: content.author,
            create_time: content.created.map(Into::into),
            update_time: content.changed.map(Into::into),
            attributes: content.attributes.into_iter().collect(),
            ..Self::default()
        }
    }
}

impl From<(&MemoryName, Unit)> for proto::Unit {
    fn from((memory, unit): (&MemoryName, Unit)) -> Self {
        Self {
            name: unit_resource(memory, unit.id),
            revision: signed(unit.revision),
            etag: unit_etag(&unit),
            use_count: signed(unit.usage.count),
            last_use_time: unit.usage.last.map(Into::into),
            ..unit.content.into()
        }
    }
}

impl TryFrom<proto::Unit> for UnitContent {
    type Error = FieldViolation;

    fn try_from(unit: proto::Unit) -> Result<Self, FieldViolation> {
        let mut context = unit.context.unwrap_or_default();
        let context_id = std::mem::take(&mut context.context_id);
        let mut content = Self {
            source: Segment::try_from(unit.source.unwrap_or_default()).within("source")?,
            target: Segment::try_from(unit.target.unwrap_or_default()).within("target")?,
            context: context.into(),
            document: unit.document,
            author: unit.author,
            created: optional_time("create_time", unit.create_time)?,
            changed: optional_time("update_time", unit.update_time)?,
            attributes: unit.attributes.into_iter().collect(),
            context_id: String::new(),
        };
        // An attribute that stands for the id is sent as both, and stored once.
        if content.context_key() != Some(&context_id) {
            content.context_id = context_id;
        }
        Ok(content)
    }
}

/// A unit as a server sent it, and its memory.
impl TryFrom<proto::Unit> for (MemoryName, Unit) {
    type Error = FieldViolation;

    fn try_from(unit: proto::Unit) -> Result<Self, FieldViolation> {
        let (memory, id) = unit_name("name", &unit.name)?;
        let revision = unsigned(unit.revision);
        let count = unsigned(unit.use_count);
        let last = optional_time("last_use_time", unit.last_use_time)?;
        let usage = Usage { count, last, revisions: 0 };
        let unit = Unit::new(id, revision, unit.try_into()?);
        Ok((memory, Unit { usage, ..unit }))
    }
}
