//! Converts between messages and the types of the engine, and checks every rule of the wire.
//!
//! Conversions are `From` and `TryFrom` on the messages. One that fails names the field by its path inside the message; whoever
//! converts a message inside another one puts the outer field in front with [`Within`].

mod alignment;
mod analysis;
mod concordance;
mod confirmation;
mod extract;
mod filters;
mod imports;
mod lookups;
mod memories;
mod offsets;
mod operations;
mod order;
mod page_token;
mod penalties;
mod read_mask;
mod store;
mod units;
mod update_mask;

use std::fmt::Display;
use std::str::FromStr;

use tonic::Status;
use uuid::Uuid;

use crate::engine::Etag;
use crate::limits::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};
use crate::store::RequestKey;
use crate::unit::{MemoryName, UnitId, ValidationError};

use super::status;

pub(super) use alignment::{at_most, count, linked_pair, share};
pub use analysis::JobReport;
pub(crate) use analysis::match_bands;
pub(super) use concordance::HitView;
pub(super) use confirmation::Confirmable;
pub(super) use extract::extracted_to_wire;
pub(super) use imports::{check_action, duplicate_policy, unfinished};
pub(crate) use lookups::{MatchView, query_segment};
pub(super) use memories::free_text;
pub(crate) use memories::{context_mode, scoring, unfinished_penalty};
pub(crate) use offsets::{offset_unit, span_to_wire};
pub(super) use operations::{failed, operation_id, operation_to_wire};
pub(crate) use order::{unit_order, unit_order_text};
pub(super) use page_token::PageToken;
pub use page_token::read_any_page_token;
pub(crate) use penalties::{penalty_points, penalty_rules};
pub use units::exported_units;
pub(crate) use units::optional_time;
pub(super) use units::{UnitView, content_of, segment_of};
pub(super) use update_mask::{is_everything, memory_patch, unit_patch};

/// A field that breaks a rule: its path inside the message, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}")]
pub struct FieldViolation {
    path: String,
    what: String,
}

impl FieldViolation {
    pub(super) fn new(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self { path: path.into(), what: what.into() }
    }

    /// The same violation, seen from the message that holds this one in a field.
    pub(crate) fn within(self, outer: impl Display) -> Self {
        let path =
            if self.path.is_empty() { outer.to_string() } else { format!("{outer}.{}", self.path) };
        Self { path, ..self }
    }
}

impl From<FieldViolation> for Status {
    fn from(violation: FieldViolation) -> Self {
        status::invalid(&violation.path, &violation.what)
    }
}

/// Names the field that holds the message whose conversion failed.
pub(crate) trait Within<T> {
    /// Puts a field in front of the path of the violation.
    fn within(self, outer: impl Display) -> Result<T, FieldViolation>;
}

impl<T> Within<T> for Result<T, FieldViolation> {
    fn within(self, outer: impl Display) -> Self {
        self.map_err(|violation| violation.within(outer))
    }
}

/// Parses a field by the rule of its type.
pub(crate) fn parse<T: FromStr<Err = ValidationError>>(
    field: &str,
    text: &str,
) -> Result<T, FieldViolation> {
    text.parse().map_err(|error: ValidationError| FieldViolation::new(field, error.0))
}

/// A memory's resource name, `memories/news`.
pub(crate) fn memory_name(field: &str, name: &str) -> Result<MemoryName, FieldViolation> {
    if !name.starts_with("memories/") {
        let what = format!("'{name}' is not the name of a memory, such as memories/news");
        return Err(FieldViolation::new(field, what));
    }
    parse(field, name)
}

/// The resource names of a repeated field.
pub(super) fn memory_names(
    field: &str,
    names: &[String],
) -> Result<Vec<MemoryName>, FieldViolation> {
    let name = |(index, name): (usize, &String)| {
        memory_name("", name).within(format_args!("{field}[{index}]"))
    };
    names.iter().enumerate().map(name).collect()
}

/// A unit's resource name, `memories/news/units/42`.
pub(crate) fn unit_name(field: &str, name: &str) -> Result<(MemoryName, UnitId), FieldViolation> {
    let wrong = || {
        let what = format!("'{name}' is not the name of a unit, such as memories/news/units/42");
        FieldViolation::new(field, what)
    };
    let (memory, id) = name.split_once("/units/").ok_or_else(wrong)?;
    let id = id.parse().map_err(|_| wrong())?;
    Ok((memory_name(field, memory)?, UnitId(id)))
}

/// The resource name of a unit.
pub(crate) fn unit_resource(memory: &MemoryName, id: UnitId) -> String {
    format!("{}/units/{id}", memory.resource())
}

/// A UUID; `None` when the field is empty.
pub(super) fn request_id(field: &str, text: &str) -> Result<Option<RequestKey>, FieldViolation> {
    if text.is_empty() {
        return Ok(None);
    }
    match Uuid::parse_str(text) {
        Ok(uuid) if !uuid.is_nil() => Ok(Some(RequestKey(uuid.into_bytes()))),
        _ => Err(FieldViolation::new(
            field,
            format!("'{text}' is not a UUID (and not the nil UUID)"),
        )),
    }
}

/// The etag that a change was made for; none is "any".
pub(super) fn expected_etag(etag: &str) -> Option<Etag> {
    (!etag.is_empty()).then(|| Etag(etag.to_owned()))
}

/// The entries of a page.
pub(super) fn page_size(size: i32) -> Result<usize, FieldViolation> {
    match usize::try_from(size) {
        Ok(0) => Ok(PAGE_SIZE_DEFAULT),
        Ok(size) => Ok(size.min(PAGE_SIZE_MAX)),
        Err(_) => Err(FieldViolation::new("page_size", "a page size is not negative")),
    }
}

/// A number for the wire; those of this server never reach the end of the type.
pub(crate) fn signed(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// A number of the wire that is never negative.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
