//! Concordances: the expression that is searched for, and the units found.

use prost_types::FieldMask;

use crate::engine::{ConcordanceSettings, FoundPassage, UnitFilter};
use crate::limits::LOOKUP_MEMORIES_MAX;
use crate::matching::{ConcordanceMode, Side, WordForm};
use crate::unit::{MemoryName, OffsetUnit, TextOffsets, Unit, UnitContent};

use super::super::proto::{self, ConcordanceHit, SearchConcordanceRequest, TextSide};
use super::offsets::{span_of, span_to_wire};
use super::read_mask::{self, Fields};
use super::{FieldViolation, UnitView, Within as _, memory_names};

impl TryFrom<&SearchConcordanceRequest> for ConcordanceSettings {
    type Error = FieldViolation;

    fn try_from(request: &SearchConcordanceRequest) -> Result<Self, FieldViolation> {
        if request.memories.len() > LOOKUP_MEMORIES_MAX {
            let what = format!("at most {LOOKUP_MEMORIES_MAX} memories in one call");
            return Err(FieldViolation::new("memories", what));
        }
        let unknown = |field: &str, number: i32| {
            FieldViolation::new(field, format!("there is no value {number}"))
        };
        Ok(Self {
            memories: memory_names("memories", &request.memories)?,
            text: request.text.clone(),
            side: match TextSide::try_from(request.side) {
                Ok(TextSide::Unspecified | TextSide::Source) => Side::Source,
                Ok(TextSide::Target) => Side::Target,
                Err(_) => return Err(unknown("side", request.side)),
            },
            mode: match proto::ConcordanceMode::try_from(request.mode) {
                Ok(proto::ConcordanceMode::Unspecified | proto::ConcordanceMode::Phrase) => {
                    ConcordanceMode::Phrase
                }
                Ok(proto::ConcordanceMode::Words) => ConcordanceMode::Words,
                Ok(proto::ConcordanceMode::Prefix) => ConcordanceMode::Prefix,
                Err(_) => return Err(unknown("mode", request.mode)),
            },
            word_form: match proto::WordForm::try_from(request.word_form) {
                Ok(proto::WordForm::Unspecified | proto::WordForm::Folded) => WordForm::Folded,
                Ok(proto::WordForm::Stem) => WordForm::Class,
                Err(_) => return Err(unknown("word_form", request.word_form)),
            },
            filter: UnitFilter::try_from(request.filter.clone().unwrap_or_default())
                .within("filter")?,
        })
    }
}

/// Without page size and token.
impl From<&ConcordanceSettings> for SearchConcordanceRequest {
    fn from(settings: &ConcordanceSettings) -> Self {
        let side = match settings.side {
            Side::Source => TextSide::Source,
            Side::Target => TextSide::Target,
        };
        let mode = match settings.mode {
            ConcordanceMode::Words => proto::ConcordanceMode::Words,
            ConcordanceMode::Phrase => proto::ConcordanceMode::Phrase,
            ConcordanceMode::Prefix => proto::ConcordanceMode::Prefix,
        };
        let word_form = match settings.word_form {
            WordForm::Folded => proto::WordForm::Folded,
            WordForm::Class => proto::WordForm::Stem,
        };
        Self {
            memories: settings.memories.iter().map(MemoryName::resource).collect(),
            text: settings.text.clone(),
            side: side.into(),
            mode: mode.into(),
            word_form: word_form.into(),
            filter: Some((&settings.filter).into()),
            ..Self::default()
        }
    }
}

fn searched(content: &UnitContent, side: Side) -> &str {
    match side {
        Side::Source => &content.source.text,
        Side::Target => &content.target.text,
    }
}

/// How a search wants its hits: which of their fields, and with offsets in which unit.
#[derive(Debug, Clone)]
pub(crate) struct HitView {
    /// The side that was searched.
    side: Side,
    highlights: bool,
    /// The view of their units; `None` when they are not asked for.
    unit: Option<UnitView>,
    offsets: OffsetUnit,
}

impl HitView {
    /// What a search in the texts of one side asks for.
    pub(crate) fn new(
        side: Side,
        offset_unit: i32,
        read_mask: Option<FieldMask>,
    ) -> Result<Self, FieldViolation> {
        let offsets = super::offset_unit(offset_unit)?;
        let fields = Fields::read(read_mask, read_mask::CONCORDANCE_HIT)?;
        let unit = fields.of("unit").map(|fields| UnitView { offsets, fields: fields.clone() });
        Ok(Self { side, highlights: fields.has("highlights"), unit, offsets })
    }

    /// A hit for the wire.
    pub(crate) fn hit(&self, passage: FoundPassage) -> ConcordanceHit {
        let mut highlights = Vec::new();
        if self.highlights {
            let offsets =
                TextOffsets::new(searched(&passage.unit.content, self.side), self.offsets);
            highlights = passage.highlights.iter().map(|it| span_to_wire(&offsets, it)).collect();
        }
        let unit = self.unit.as_ref().map(|view| view.unit(&passage.memory, passage.unit));
        ConcordanceHit { unit, highlights }
    }
}

impl TryFrom<(Side, ConcordanceHit)> for FoundPassage {
    type Error = FieldViolation;

    fn try_from((side, hit): (Side, ConcordanceHit)) -> Result<Self, FieldViolation> {
        let unit = hit.unit.unwrap_or_default();
        let (memory, unit) = <(MemoryName, Unit)>::try_from(unit).within("hit.unit")?;
        let points = TextOffsets::code_points(searched(&unit.content, side));
        let highlights = hit.highlights.into_iter().map(|it| span_of(&points, Some(it))).collect();
        Ok(Self { memory, unit, highlights })
    }
}
