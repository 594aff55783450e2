//! Units and their parts: segments, tags, contexts, times.

use prost_types::FieldMask;

use crate::engine::{context_hash, unit_etag};
use crate::unit::{
    Context, InlineTag, MemoryName, OffsetUnit, Segment, TagKind, TextOffsets, Timestamp, Unit,
    UnitContent, Usage,
};

use super::super::proto;
use super::offsets::offset_to_wire;
use super::read_mask::{self, Fields};
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

/// A segment for the wire, with offsets in code points.
impl From<Segment> for proto::Segment {
    fn from(segment: Segment) -> Self {
        segment_to_wire(segment, OffsetUnit::CodePoint, &Fields::All)
    }
}

fn segment_to_wire(segment: Segment, unit: OffsetUnit, fields: &Fields) -> proto::Segment {
    let mut tags = Vec::new();
    if !segment.tags.is_empty() && fields.has("tags") {
        let offsets = TextOffsets::new(&segment.text, unit);
        let tag = |tag: InlineTag| proto::InlineTag {
            offset: offset_to_wire(&offsets, tag.offset_bytes as usize),
            kind: proto::TagKind::from(tag.kind).into(),
            pair: tag.pair,
            match_id: tag.match_id,
            label: tag.label,
            code: tag.code,
        };
        tags = segment.tags.into_iter().map(tag).collect();
    }
    let text = if fields.has("text") { segment.text } else { String::new() };
    proto::Segment { text, tags }
}

/// A segment of the wire, with offsets in code points.
impl TryFrom<proto::Segment> for Segment {
    type Error = FieldViolation;

    fn try_from(segment: proto::Segment) -> Result<Self, FieldViolation> {
        segment_of(segment, OffsetUnit::CodePoint)
    }
}

/// A segment of the wire. The rules of its content (length, characters) are checked where units are stored.
pub(crate) fn segment_of(
    segment: proto::Segment,
    unit: OffsetUnit,
) -> Result<Segment, FieldViolation> {
    if segment.tags.is_empty() {
        return Ok(Segment::plain(segment.text));
    }
    let offsets = TextOffsets::new(&segment.text, unit);
    let tag = |(index, tag)| inline_tag(tag, &offsets, unit).within(format_args!("tags[{index}]"));
    let tags = segment.tags.into_iter().enumerate().map(tag).collect::<Result<_, _>>()?;
    Ok(Segment { text: segment.text, tags })
}

fn inline_tag(
    tag: proto::InlineTag,
    offsets: &TextOffsets<'_>,
    unit: OffsetUnit,
) -> Result<InlineTag, FieldViolation> {
    let byte = usize::try_from(tag.offset).ok().and_then(|offset| offsets.byte(offset));
    let Some(offset_bytes) = byte.and_then(|byte| u32::try_from(byte).ok()) else {
        let (count, unit) = (offsets.at(offsets.len()), unit.plural());
        let what = format!("there is no place {} in a text of {count} {unit}", tag.offset);
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
        UnitView::default().content(content)
    }
}

/// How a call wants units: which of their fields, and with offsets in which unit.
#[derive(Debug, Clone, Default)]
pub(crate) struct UnitView {
    pub(super) offsets: OffsetUnit,
    pub(super) fields: Fields,
}

impl UnitView {
    /// All fields, with offsets in this unit.
    pub(crate) fn whole(offset_unit: i32) -> Result<Self, FieldViolation> {
        Self::new(offset_unit, None)
    }

    /// The fields that a mask names, with offsets in this unit.
    pub(crate) fn new(
        offset_unit: i32,
        read_mask: Option<FieldMask>,
    ) -> Result<Self, FieldViolation> {
        let offsets = super::offset_unit(offset_unit)?;
        Ok(Self { offsets, fields: Fields::read(read_mask, read_mask::UNIT)? })
    }

    /// In which unit the call counts.
    pub(crate) fn offsets(&self) -> OffsetUnit {
        self.offsets
    }

    /// A unit for the wire.
    pub(crate) fn unit(&self, memory: &MemoryName, unit: Unit) -> proto::Unit {
        let fields = &self.fields;
        let name = if fields.has("name") { unit_resource(memory, unit.id) } else { String::new() };
        let etag = if fields.has("etag") { unit_etag(&unit) } else { String::new() };
        proto::Unit {
            name,
            revision: if fields.has("revision") { signed(unit.revision) } else { 0 },
            etag,
            use_count: if fields.has("use_count") { signed(unit.usage.count) } else { 0 },
            last_use_time: unit.usage.last.filter(|_| fields.has("last_use_time")).map(Into::into),
            ..self.content(unit.content)
        }
    }

    /// The content of a unit for the wire.
    fn content(&self, content: UnitContent) -> proto::Unit {
        let fields = &self.fields;
        let text = |name: &str, text: String| if fields.has(name) { text } else { String::new() };
        let segment = |name: &str, segment: Segment| {
            fields.of(name).map(|fields| segment_to_wire(segment, self.offsets, fields))
        };
        let known = fields
            .has("context")
            .then(|| context_to_wire(content.context, content.context_key()))
            .flatten();
        let attributes = fields.of("attributes").map(|named| {
            content.attributes.into_iter().filter(|(key, _)| named.has(key)).collect()
        });
        proto::Unit {
            source: segment("source", content.source),
            target: segment("target", content.target),
            context: known,
            document: text("document", content.document),
            author: text("author", content.author),
            create_time: content.created.filter(|_| fields.has("create_time")).map(Into::into),
            update_time: content.changed.filter(|_| fields.has("update_time")).map(Into::into),
            attributes: attributes.unwrap_or_default(),
            ..proto::Unit::default()
        }
    }

    /// Units of a memory for the wire.
    pub(crate) fn units(
        &self,
        memory: &MemoryName,
        units: impl IntoIterator<Item = Unit>,
    ) -> Vec<proto::Unit> {
        units.into_iter().map(|unit| self.unit(memory, unit)).collect()
    }
}

/// The content of a unit of the wire, with offsets in code points.
impl TryFrom<proto::Unit> for UnitContent {
    type Error = FieldViolation;

    fn try_from(unit: proto::Unit) -> Result<Self, FieldViolation> {
        content_of(unit, OffsetUnit::CodePoint)
    }
}

/// The content of a unit of the wire.
pub(crate) fn content_of(
    unit: proto::Unit,
    offsets: OffsetUnit,
) -> Result<UnitContent, FieldViolation> {
    let segment = |field: &str, segment: Option<proto::Segment>| {
        segment_of(segment.unwrap_or_default(), offsets).within(field)
    };
    let mut known = unit.context.unwrap_or_default();
    let context_id = std::mem::take(&mut known.context_id);
    let mut content = UnitContent {
        source: segment("source", unit.source)?,
        target: segment("target", unit.target)?,
        context: known.into(),
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

/// The units of an encoded answer of an export.
///
/// # Errors
/// The message is damaged, or of another version of the protocol.
pub fn exported_units(message: bytes::Bytes) -> Result<Vec<Unit>, tonic::Status> {
    let page = <proto::ExportUnitsResponse as prost::Message>::decode(message)
        .map_err(|error| super::status::undecodable(&error.to_string()))?;
    let units = page.units.into_iter().map(<(MemoryName, Unit)>::try_from);
    units.map(|unit| Ok(unit.map_err(tonic::Status::from)?.1)).collect()
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
