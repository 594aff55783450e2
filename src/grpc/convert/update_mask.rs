//! The fields that an update changes: those that its mask names, those that are set when there is no mask, or all with `*`.
//!
//! Fields that are not named are ignored.

use prost_types::FieldMask;

use crate::engine::{MemoryPatch, SegmentPatch, UnitPatch};
use crate::unit::{InlineTag, OffsetUnit};

use super::super::proto;
use super::units::{content_of, optional_time, segment_of, tag_without_offset};
use super::{
    FieldViolation, Within as _, context_mode, free_text, penalty_points, penalty_rules,
    unfinished_penalty,
};

/// Everything that can be changed is replaced (AIP-134).
const EVERYTHING: &str = "*";

/// The paths of a mask; `None` when it names nothing.
fn paths(mask: Option<FieldMask>) -> Option<Vec<String>> {
    mask.map(|mask| mask.paths).filter(|paths| !paths.is_empty())
}

/// Whether a mask stands for a full replacement.
pub(crate) fn is_everything(mask: Option<&FieldMask>) -> bool {
    mask.is_some_and(|mask| mask.paths == [EVERYTHING])
}

fn not_a_field(path: &str, fields: &str) -> FieldViolation {
    let what = match path {
        EVERYTHING => "'*' stands alone, for all fields".to_owned(),
        _ => format!("'{path}' is not a field that can be changed; {fields} are"),
    };
    FieldViolation::new("update_mask", what)
}

const MEMORY_FIELDS: [&str; 6] = [
    "display_name",
    "description",
    "unfinished_penalty_points",
    "default_penalty_points",
    "penalties",
    "context_mode",
];

pub(crate) fn memory_patch(
    memory: proto::Memory,
    mask: Option<FieldMask>,
) -> Result<MemoryPatch, FieldViolation> {
    let everything = is_everything(mask.as_ref());
    let named = paths(mask);
    for path in named.iter().flatten().filter(|_| !everything) {
        if !MEMORY_FIELDS.contains(&path.as_str()) {
            let fields = "display_name, description, unfinished_penalty_points, default_penalty_points, penalties and context_mode";
            return Err(not_a_field(path, fields));
        }
    }
    let is_named = |field: &str, is_set: bool| {
        named.as_ref().map_or(is_set, |paths| everything || paths.iter().any(|path| path == field))
    };
    let text = |field: &str, value: String| {
        let named = is_named(field, !value.is_empty());
        named.then(|| free_text(&format!("memory.{field}"), value)).transpose()
    };
    let penalty = memory.unfinished_penalty_points;
    let named_penalty = is_named("unfinished_penalty_points", penalty.is_some());
    let default_penalty = memory.default_penalty_points;
    let is_set = default_penalty.abs() > 0.0 || default_penalty.is_nan();
    let default_penalty = is_named("default_penalty_points", is_set).then_some(default_penalty);
    let rules = is_named("penalties", !memory.penalties.is_empty()).then_some(memory.penalties);
    Ok(MemoryPatch {
        display_name: text("display_name", memory.display_name)?,
        description: text("description", memory.description)?,
        unfinished_penalty: named_penalty
            .then(|| unfinished_penalty(penalty).within("memory"))
            .transpose()?,
        default_penalty: default_penalty
            .map(|points| penalty_points("memory.default_penalty_points", points))
            .transpose()?,
        penalty_rules: rules.map(|rules| penalty_rules("memory.penalties", rules)).transpose()?,
        context_mode: is_named("context_mode", memory.context_mode != 0)
            .then(|| context_mode(memory.context_mode).within("memory"))
            .transpose()?,
    })
}

const UNIT_FIELDS: &str = "source, source.text, source.tags, target, target.text, target.tags, context, document, author, create_time, \
    update_time, attributes and attributes.KEY";

pub(crate) fn unit_patch(
    unit: proto::Unit,
    mask: Option<FieldMask>,
    offsets: OffsetUnit,
) -> Result<UnitPatch, FieldViolation> {
    if is_everything(mask.as_ref()) {
        return full_replacement(unit, offsets);
    }
    let paths = paths(mask).unwrap_or_else(|| set_fields(&unit));
    let mut patch = UnitPatch {
        source: segment_patch("source", (unit.source, offsets), &paths)?,
        target: segment_patch("target", (unit.target, offsets), &paths)?,
        ..UnitPatch::default()
    };
    let time = |name: &str, time| optional_time(name, time).within("unit");
    for path in &paths {
        match path.as_str() {
            "source" | "source.text" | "source.tags" | "target" | "target.text" | "target.tags" => {
            }
            "context" => {
                let context = unit.context.clone().unwrap_or_default();
                patch.context_id = Some(context.context_id.clone());
                patch.context = Some(context.into());
            }
            "document" => patch.document = Some(unit.document.clone()),
            "author" => patch.author = Some(unit.author.clone()),
            "create_time" => patch.created = time(path, unit.create_time)?,
            "update_time" => patch.changed = time(path, unit.update_time)?,
            "attributes" => patch.attributes = Some(unit.attributes.clone().into_iter().collect()),
            _ => {
                let key = path.strip_prefix("attributes.");
                let key = key.ok_or_else(|| not_a_field(path, UNIT_FIELDS))?;
                // Backquotes around a key allow dots in it (AIP-161).
                let key =
                    key.strip_prefix('`').and_then(|key| key.strip_suffix('`')).unwrap_or(key);
                patch.attribute.insert(key.to_owned(), unit.attributes.get(key).cloned());
            }
        }
    }
    Ok(patch)
}

/// All fields that a client sets; absent times are set by the store.
fn full_replacement(unit: proto::Unit, offsets: OffsetUnit) -> Result<UnitPatch, FieldViolation> {
    let content = content_of(unit, offsets).within("unit")?;
    Ok(UnitPatch {
        source: Some(content.source.into()),
        target: Some(content.target.into()),
        context: Some(content.context),
        context_id: Some(content.context_id),
        document: Some(content.document),
        author: Some(content.author),
        created: content.created,
        changed: content.changed,
        attributes: Some(content.attributes),
        ..UnitPatch::default()
    })
}

/// What the paths name of one side.
fn segment_patch(
    side: &str,
    (given, offsets): (Option<proto::Segment>, OffsetUnit),
    paths: &[String],
) -> Result<Option<SegmentPatch>, FieldViolation> {
    let names = |part: &str| {
        paths.iter().any(|path| path.strip_prefix(side).is_some_and(|rest| rest == part))
    };
    let field = format!("unit.{side}");
    let (text, tags) = (names(".text"), names(".tags"));
    if names("") || (text && tags) {
        let segment = segment_of(given.unwrap_or_default(), offsets).within(field)?;
        return Ok(Some(segment.into()));
    }
    let given = given.unwrap_or_default();
    if text {
        return Ok(Some(SegmentPatch::Text(given.text)));
    }
    if !tags {
        return Ok(None);
    }
    let tags = given.tags.into_iter().enumerate().map(|(index, tag)| {
        let parse = || {
            let outside = |_| FieldViolation::new("offset", "an offset is not negative");
            Ok((u32::try_from(tag.offset).map_err(outside)?, tag_without_offset(tag)?))
        };
        parse().within(format_args!("{field}.tags[{index}]"))
    });
    let tags = tags.collect::<Result<Vec<(u32, InlineTag)>, FieldViolation>>()?;
    Ok(Some(SegmentPatch::Tags(offsets, tags)))
}

fn set_fields(unit: &proto::Unit) -> Vec<String> {
    [
        ("source", unit.source.is_some()),
        ("target", unit.target.is_some()),
        ("context", unit.context.is_some()),
        ("document", !unit.document.is_empty()),
        ("author", !unit.author.is_empty()),
        ("create_time", unit.create_time.is_some()),
        ("update_time", unit.update_time.is_some()),
        ("attributes", !unit.attributes.is_empty()),
    ]
    .iter()
    .filter(|(_, set)| *set)
    .map(|(path, _)| (*path).to_owned())
    .collect()
}
