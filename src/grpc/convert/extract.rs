//! Extractions: units with their best matches, and counts.

use crate::engine::{ExtractCounts, ExtractedUnit};
use crate::unit::{MemoryName, Unit};

use super::super::proto;
use super::lookups::score as points;
use super::{FieldViolation, UnitView, Within as _, signed, unsigned};

/// A unit for the wire.
pub(crate) fn extracted_to_wire(view: &UnitView, found: ExtractedUnit) -> proto::ExtractedUnit {
    let ExtractedUnit { memory, unit, kind, score, penalty } = found;
    proto::ExtractedUnit {
        unit: Some(view.unit(&memory, unit)),
        score_percent: score.points(),
        kind: proto::MatchKind::from(kind).into(),
        penalty_points: penalty.points(),
    }
}

/// A unit as a server sent it.
impl TryFrom<proto::ExtractedUnit> for ExtractedUnit {
    type Error = FieldViolation;

    fn try_from(found: proto::ExtractedUnit) -> Result<Self, FieldViolation> {
        let kind = found.kind().into();
        let score = points("score_percent", found.score_percent)?;
        let (memory, unit) =
            <(MemoryName, Unit)>::try_from(found.unit.unwrap_or_default()).within("unit")?;
        let penalty = points("penalty_points", found.penalty_points)?;
        Ok(Self { memory, unit, kind, score, penalty })
    }
}

impl From<ExtractCounts> for proto::ExtractCounts {
    fn from(counts: ExtractCounts) -> Self {
        Self {
            segments: signed(counts.segments),
            matched_segments: signed(counts.matched_segments),
            cut_segments: signed(counts.cut_segments),
            units: signed(counts.units),
        }
    }
}

impl From<proto::ExtractCounts> for ExtractCounts {
    fn from(counts: proto::ExtractCounts) -> Self {
        Self {
            segments: unsigned(counts.segments),
            matched_segments: unsigned(counts.matched_segments),
            cut_segments: unsigned(counts.cut_segments),
            units: unsigned(counts.units),
        }
    }
}
