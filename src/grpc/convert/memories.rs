//! Memories and their free text.

use crate::limits::FIELD_BYTES_MAX;
use crate::store::MemoryRecord;
use crate::unit::Score;

use super::super::proto;
use super::{FieldViolation, signed};

impl From<MemoryRecord> for proto::Memory {
    fn from(record: MemoryRecord) -> Self {
        Self {
            name: record.name.resource(),
            display_name: record.display_name,
            description: record.description,
            source_lang: record.source_lang.to_string(),
            target_lang: record.target_lang.to_string(),
            create_time: Some(record.created.into()),
            update_time: Some(record.changed.into()),
            unit_count: signed(record.unit_count),
            revision: signed(record.revision),
            unfinished_penalty: record.unfinished_penalty.map(Score::points),
        }
    }
}

/// What a memory deducts from matches with unfinished translations; `None` for the default.
pub(crate) fn unfinished_penalty(points: Option<f64>) -> Result<Option<Score>, FieldViolation> {
    let score = points.map(Score::from_points).transpose();
    score.map_err(|error| FieldViolation::new("unfinished_penalty", error.0))
}

/// Display name and description.
pub(crate) fn free_text(field: &str, text: String) -> Result<String, FieldViolation> {
    if text.len() > FIELD_BYTES_MAX {
        let what = format!("{} bytes; at most {FIELD_BYTES_MAX} are kept", text.len());
        return Err(FieldViolation::new(field, what));
    }
    Ok(text)
}
