//! The flags that select units, of every command that searches.

use std::collections::BTreeMap;

use clap::Args;

use crate::engine::{
    AttributeCondition, AttributeValue, NameCondition, TextCondition, TimeRange, UnitFilter,
};
use crate::formats::parse_time;
use crate::unit::Timestamp;

/// Heading of these flags. Set for each, because the heading of a group would extend to what follows it.
pub(super) const SOME_UNITS: &str = "Only some of the units";

/// Only some of the units; all given conditions must match.
#[derive(Debug, Clone, Args)]
pub(super) struct FilterFlags {
    /// Of this document; may be repeated for one of several. The empty name is that of units without a document.
    #[arg(long = "in-document", help_heading = SOME_UNITS, value_name = "NAME")]
    documents: Vec<String>,
    /// Not of this document; may be repeated.
    #[arg(long = "not-in-document", help_heading = SOME_UNITS, value_name = "NAME")]
    other_documents: Vec<String>,
    /// By this author; may be repeated for one of several. The empty name is that of units without an author.
    #[arg(long = "by-author", help_heading = SOME_UNITS, value_name = "NAME")]
    authors: Vec<String>,
    /// Not by this author; may be repeated.
    #[arg(long = "not-by-author", help_heading = SOME_UNITS, value_name = "NAME")]
    other_authors: Vec<String>,
    /// Changed on this day or at this time, or later: 2024-05-01 or 2024-05-01T12:00:00Z.
    #[arg(long, help_heading = SOME_UNITS, value_name = "TIME", value_parser = time)]
    changed_from: Option<Timestamp>,
    /// Changed before this day or time.
    #[arg(long, help_heading = SOME_UNITS, value_name = "TIME", value_parser = time)]
    changed_before: Option<Timestamp>,
    /// Created on this day or at this time, or later.
    #[arg(long, help_heading = SOME_UNITS, value_name = "TIME", value_parser = time)]
    created_from: Option<Timestamp>,
    /// Created before this day or time.
    #[arg(long, help_heading = SOME_UNITS, value_name = "TIME", value_parser = time)]
    created_before: Option<Timestamp>,
    /// With this attribute, whatever its value, or with this value; may be repeated: one of several values of an attribute, and all of
    /// several attributes.
    #[arg(long, help_heading = SOME_UNITS, value_name = "KEY[=VALUE]", value_parser = attribute)]
    attribute: Vec<Attribute>,
    /// Without this attribute, or not with this value; may be repeated.
    #[arg(long, help_heading = SOME_UNITS, value_name = "KEY[=VALUE]", value_parser = attribute)]
    not_attribute: Vec<Attribute>,
    /// With all these words in the source, anywhere; marks, letter variants and case do not matter.
    #[arg(long, help_heading = SOME_UNITS, value_name = "TEXT", default_value = "", hide_default_value = true)]
    source_contains: String,
    /// Without some of these words in the source.
    #[arg(long, help_heading = SOME_UNITS, value_name = "TEXT", default_value = "", hide_default_value = true)]
    source_excludes: String,
    /// With all these words in the target.
    #[arg(long, help_heading = SOME_UNITS, value_name = "TEXT", default_value = "", hide_default_value = true)]
    target_contains: String,
    /// Without some of these words in the target.
    #[arg(long, help_heading = SOME_UNITS, value_name = "TEXT", default_value = "", hide_default_value = true)]
    target_excludes: String,
}

/// The name of an attribute, and perhaps a value.
type Attribute = (String, Option<String>);

impl FilterFlags {
    pub(super) fn filter(&self) -> UnitFilter {
        let condition = |any_of: &[String], none_of: &[String]| NameCondition {
            any_of: any_of.iter().cloned().collect(),
            none_of: none_of.iter().cloned().collect(),
        };
        let text = |contains: &String, excludes: &String| TextCondition {
            contains: contains.clone(),
            excludes: excludes.clone(),
        };
        UnitFilter {
            document: condition(&self.documents, &self.other_documents),
            author: condition(&self.authors, &self.other_authors),
            changed: TimeRange { from: self.changed_from, before: self.changed_before },
            created: TimeRange { from: self.created_from, before: self.created_before },
            attributes: self.attributes(),
            source: text(&self.source_contains, &self.source_excludes),
            target: text(&self.target_contains, &self.target_excludes),
        }
    }

    /// The values of each attribute in one condition; each name without a value in a condition of its own.
    fn attributes(&self) -> Vec<AttributeCondition> {
        let mut values: BTreeMap<&String, NameCondition> = BTreeMap::new();
        let mut conditions = Vec::new();
        for (given, is_wanted) in [(&self.attribute, true), (&self.not_attribute, false)] {
            for (name, value) in given {
                let Some(value) = value.clone() else {
                    let value =
                        if is_wanted { AttributeValue::Any } else { AttributeValue::Absent };
                    conditions.push(AttributeCondition { name: name.clone(), value });
                    continue;
                };
                let of_name = values.entry(name).or_default();
                if is_wanted { &mut of_name.any_of } else { &mut of_name.none_of }.insert(value);
            }
        }
        conditions.extend(values.into_iter().map(|(name, values)| AttributeCondition {
            name: name.clone(),
            value: AttributeValue::Values(values),
        }));
        conditions
    }
}

/// A moment, or the beginning of a day in UTC.
fn time(text: &str) -> Result<Timestamp, String> {
    parse_time(text).ok_or_else(|| {
        format!("'{text}' is no day (2024-05-01) and no time (2024-05-01T12:00:00Z)")
    })
}

fn attribute(text: &str) -> Result<Attribute, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    if name.is_empty() {
        return Err(format!("'{text}' is not KEY or KEY=VALUE"));
    }
    Ok((name.to_owned(), value))
}
