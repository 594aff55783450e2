//! Filters that select units.

use std::collections::BTreeSet;

use crate::engine::{
    AttributeCondition, AttributeValue, NameCondition, TextCondition, TimeRange, UnitFilter,
};

use super::super::proto;
use super::units::optional_time;
use super::{FieldViolation, Within as _};

/// The engine checks the number of conditions and their texts.
impl TryFrom<proto::UnitFilter> for UnitFilter {
    type Error = FieldViolation;

    fn try_from(filter: proto::UnitFilter) -> Result<Self, FieldViolation> {
        let attributes = filter.attributes.into_iter().enumerate().map(|(index, condition)| {
            AttributeCondition::try_from(condition).within(format_args!("attributes[{index}]"))
        });
        Ok(Self {
            document: filter.document.unwrap_or_default().into(),
            author: filter.author.unwrap_or_default().into(),
            changed: time_range("update_time", filter.update_time)?,
            created: time_range("create_time", filter.create_time)?,
            attributes: attributes.collect::<Result<_, _>>()?,
            source: filter.source.unwrap_or_default().into(),
            target: filter.target.unwrap_or_default().into(),
        })
    }
}

impl From<&UnitFilter> for proto::UnitFilter {
    fn from(filter: &UnitFilter) -> Self {
        Self {
            document: named(&filter.document),
            author: named(&filter.author),
            update_time: range_to_wire(filter.changed),
            create_time: range_to_wire(filter.created),
            attributes: filter.attributes.iter().map(Into::into).collect(),
            source: text_to_wire(&filter.source),
            target: text_to_wire(&filter.target),
        }
    }
}

impl From<proto::StringCondition> for NameCondition {
    fn from(condition: proto::StringCondition) -> Self {
        Self {
            any_of: condition.any_of.into_iter().collect(),
            none_of: condition.none_of.into_iter().collect(),
        }
    }
}

fn named(condition: &NameCondition) -> Option<proto::StringCondition> {
    let names = |names: &BTreeSet<String>| names.iter().cloned().collect();
    let NameCondition { any_of, none_of } = condition;
    let wire = proto::StringCondition { any_of: names(any_of), none_of: names(none_of) };
    (*condition != NameCondition::default()).then_some(wire)
}

fn time_range(field: &str, range: Option<proto::TimeRange>) -> Result<TimeRange, FieldViolation> {
    let range = range.unwrap_or_default();
    Ok(TimeRange {
        from: optional_time("start_time", range.start_time).within(field)?,
        before: optional_time("end_time", range.end_time).within(field)?,
    })
}

fn range_to_wire(range: TimeRange) -> Option<proto::TimeRange> {
    let wire = proto::TimeRange {
        start_time: range.from.map(Into::into),
        end_time: range.before.map(Into::into),
    };
    (range != TimeRange::default()).then_some(wire)
}

impl TryFrom<proto::AttributeCondition> for AttributeCondition {
    type Error = FieldViolation;

    fn try_from(condition: proto::AttributeCondition) -> Result<Self, FieldViolation> {
        let proto::AttributeCondition { name, any_of, none_of, absent } = condition;
        if name.is_empty() {
            return Err(FieldViolation::new("name", "which attribute?"));
        }
        let value = match (any_of.is_empty() && none_of.is_empty(), absent) {
            (true, true) => AttributeValue::Absent,
            (true, false) => AttributeValue::Any,
            (false, true) => {
                let what = "an attribute that is absent has no value: leave out any_of and none_of";
                return Err(FieldViolation::new("absent", what));
            }
            (false, false) => {
                AttributeValue::Values(proto::StringCondition { any_of, none_of }.into())
            }
        };
        Ok(Self { name, value })
    }
}

impl From<&AttributeCondition> for proto::AttributeCondition {
    fn from(condition: &AttributeCondition) -> Self {
        let values = match &condition.value {
            AttributeValue::Any | AttributeValue::Absent => None,
            AttributeValue::Values(values) => named(values),
        };
        let values = values.unwrap_or_default();
        Self {
            name: condition.name.clone(),
            any_of: values.any_of,
            none_of: values.none_of,
            absent: condition.value == AttributeValue::Absent,
        }
    }
}

impl From<proto::TextCondition> for TextCondition {
    fn from(condition: proto::TextCondition) -> Self {
        Self { contains: condition.contains, excludes: condition.excludes }
    }
}

fn text_to_wire(condition: &TextCondition) -> Option<proto::TextCondition> {
    let TextCondition { contains, excludes } = condition.clone();
    (*condition != TextCondition::default()).then_some(proto::TextCondition { contains, excludes })
}
