//! Memories and their free text.

use crate::engine::memory_etag;
use crate::limits::FIELD_BYTES_MAX;
use crate::store::MemoryRecord;
use crate::unit::{ContextMode, Score, Scoring};

use super::super::proto;
use super::penalties::{penalty_points, penalty_rules};
use super::{FieldViolation, signed};

impl From<MemoryRecord> for proto::Memory {
    fn from(record: MemoryRecord) -> Self {
        let etag = memory_etag(&record);
        Self {
            name: record.name.resource(),
            display_name: record.display_name,
            description: record.description,
            source_language_code: record.source_lang.to_string(),
            target_language_code: record.target_lang.to_string(),
            create_time: Some(record.created.into()),
            update_time: Some(record.changed.into()),
            unit_count: signed(record.unit_count),
            revision: signed(record.revision),
            etag,
            context_mode: proto::ContextMode::from(record.scoring.context_mode).into(),
            unfinished_penalty_points: record.unfinished_penalty.map(Score::points),
            default_penalty_points: record.scoring.default_penalty.points(),
            penalties: record.scoring.penalty_rules.iter().map(Into::into).collect(),
        }
    }
}

/// What a memory deducts from matches with unfinished translations; `None` for the default.
pub(crate) fn unfinished_penalty(points: Option<f64>) -> Result<Option<Score>, FieldViolation> {
    let score = points.map(Score::from_points).transpose();
    score.map_err(|error| FieldViolation::new("unfinished_penalty_points", error.0))
}

/// How lookups score the matches of a memory.
pub(crate) fn scoring(memory: &proto::Memory) -> Result<Scoring, FieldViolation> {
    Ok(Scoring {
        default_penalty: penalty_points("default_penalty_points", memory.default_penalty_points)?,
        penalty_rules: penalty_rules("penalties", memory.penalties.clone())?,
        context_mode: context_mode(memory.context_mode)?,
    })
}

impl From<ContextMode> for proto::ContextMode {
    fn from(mode: ContextMode) -> Self {
        match mode {
            ContextMode::Simple => Self::Simple,
            ContextMode::Double => Self::Double,
        }
    }
}

/// How a memory counts contexts that are missing.
pub(crate) fn context_mode(number: i32) -> Result<ContextMode, FieldViolation> {
    match proto::ContextMode::try_from(number) {
        Ok(proto::ContextMode::Unspecified | proto::ContextMode::Simple) => Ok(ContextMode::Simple),
        Ok(proto::ContextMode::Double) => Ok(ContextMode::Double),
        Err(_) => {
            let what =
                format!("{number} is not a mode; CONTEXT_MODE_SIMPLE and CONTEXT_MODE_DOUBLE are");
            Err(FieldViolation::new("context_mode", what))
        }
    }
}

/// Display name and description.
pub(crate) fn free_text(field: &str, text: String) -> Result<String, FieldViolation> {
    if text.len() > FIELD_BYTES_MAX {
        let what = format!("{} bytes; at most {FIELD_BYTES_MAX} are kept", text.len());
        return Err(FieldViolation::new(field, what));
    }
    Ok(text)
}
