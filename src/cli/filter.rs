//! The flags that select units, of every command that searches.

use clap::Args;

use crate::engine::{AttributeCondition, AttributeValue, NameCondition, TimeRange, UnitFilter};
use crate::formats::parse_time;
use crate::unit::Timestamp;

/// Heading of these flags. Set for each, because the heading of a group would extend to what follows it.
pub(super) const SOME_UNITS: &str = "Only some of the units";

/// Only some of the units; all given conditions must match.
#[derive(Debug, Clone, Args)]
pub(super) struct FilterFlags {
    /// Of this document; may be repeated for one of several.
    #[arg(long = "in-document", help_heading = SOME_UNITS, value_name = "NAME")]
    documents: Vec<String>,
    /// By this author; may be repeated for one of several.
    #[arg(long = "by-author", help_heading = SOME_UNITS, value_name = "NAME")]
    authors: Vec<String>,
    /// Changed on this day or at this time, or later: 2024-05-01 or 2024-05-01T12:00:00Z.
    #[arg(long, help_heading = SOME_UNITS, value_name = "TIME", value_parser = time)]
    changed_from: Option<Timestamp>,
    /// Changed before this day or time.
    #[arg(long, help_heading = SOME_UNITS, value_name = "TIME", value_parser = time)]
    changed_before: Option<Timestamp>,
    /// With this attribute; may be repeated for all of several.
    #[arg(long, help_heading = SOME_UNITS, value_name = "KEY=VALUE", value_parser = attribute)]
    attribute: Vec<(String, String)>,
}

impl FilterFlags {
    pub(super) fn filter(&self) -> UnitFilter {
        UnitFilter {
            document: NameCondition::any_of(&self.documents),
            author: NameCondition::any_of(&self.authors),
            changed: TimeRange { from: self.changed_from, before: self.changed_before },
            attributes: self
                .attribute
                .iter()
                .map(|(name, value)| AttributeCondition {
                    name: name.clone(),
                    value: AttributeValue::Values(NameCondition::any_of([value])),
                })
                .collect(),
            ..UnitFilter::default()
        }
    }
}

/// A moment, or the beginning of a day in UTC.
fn time(text: &str) -> Result<Timestamp, String> {
    parse_time(text).ok_or_else(|| {
        format!("'{text}' is no day (2024-05-01) and no time (2024-05-01T12:00:00Z)")
    })
}

fn attribute(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(key, _)| !key.is_empty());
    parts
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("'{text}' is not KEY=VALUE"))
}
