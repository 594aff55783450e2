//! Lookups: settings, query segments, and matches.

use crate::engine::{Explain, FoundMatch, LookupSettings, MemoryChoice, QuerySegment, UnitFilter};
use crate::limits::{LOOKUP_MATCHES_DEFAULT, LOOKUP_MATCHES_MAX, LOOKUP_MEMORIES_MAX};
use crate::matching::{
    Adapted, ContextPart, Deductions, Edit, EditKind, MatchKind, Reason, Substitution,
};
use crate::unit::{MemoryName, OffsetUnit, Score, TextOffsets, Unit};

use super::super::proto;
use super::offsets::{span_of, span_to_wire};
use super::penalties::{penalty_points, penalty_rules};
use super::read_mask::{self, Fields};
use super::units::{context_to_wire, segment_of};
use super::{FieldViolation, UnitView, Within as _, memory_name};

/// Points that a match needs when the request does not say.
const MIN_SCORE_DEFAULT: f64 = 70.0;

pub(super) fn score(field: &str, points: f64) -> Result<Score, FieldViolation> {
    Score::from_points(points).map_err(|error| FieldViolation::new(field, error.0))
}

impl TryFrom<&proto::LookupSettings> for LookupSettings {
    type Error = FieldViolation;

    fn try_from(settings: &proto::LookupSettings) -> Result<Self, FieldViolation> {
        if settings.memories.len() > LOOKUP_MEMORIES_MAX {
            let what = format!("at most {LOOKUP_MEMORIES_MAX} memories in one call");
            return Err(FieldViolation::new("memories", what));
        }
        let choice = |(index, choice): (usize, &proto::MemoryChoice)| {
            MemoryChoice::try_from(choice).within(format_args!("memories[{index}]"))
        };
        let memories =
            settings.memories.iter().enumerate().map(choice).collect::<Result<_, _>>()?;
        let max_matches = match usize::try_from(settings.max_matches) {
            Ok(0) => LOOKUP_MATCHES_DEFAULT,
            Ok(max) if max <= LOOKUP_MATCHES_MAX => max,
            _ => {
                let what =
                    format!("{} is not from 0 to {LOOKUP_MATCHES_MAX}", settings.max_matches);
                return Err(FieldViolation::new("max_matches", what));
            }
        };
        Ok(Self {
            memories,
            min_score: score(
                "min_score_percent",
                settings.min_score_percent.unwrap_or(MIN_SCORE_DEFAULT),
            )?,
            max_matches,
            exhaustive: settings.exhaustive,
            filter: UnitFilter::try_from(settings.filter.clone().unwrap_or_default())
                .within("filter")?,
            penalty_rules: penalty_rules("penalties", settings.penalties.clone())?,
            explain: Explain::default(),
        })
    }
}

impl TryFrom<&proto::MemoryChoice> for MemoryChoice {
    type Error = FieldViolation;

    fn try_from(choice: &proto::MemoryChoice) -> Result<Self, FieldViolation> {
        let memory = memory_name("name", &choice.name)?;
        let penalty = choice.penalty_points.map(|it| penalty_points("penalty_points", it));
        Ok(Self { memory, penalty: penalty.transpose()? })
    }
}

impl From<&LookupSettings> for proto::LookupSettings {
    fn from(settings: &LookupSettings) -> Self {
        let choices = settings.memories.iter().map(|choice| proto::MemoryChoice {
            name: choice.memory.resource(),
            penalty_points: choice.penalty.map(Score::points),
        });
        Self {
            memories: choices.collect(),
            min_score_percent: Some(settings.min_score.points()),
            max_matches: i32::try_from(settings.max_matches).unwrap_or(i32::MAX),
            exhaustive: settings.exhaustive,
            filter: Some((&settings.filter).into()),
            penalties: settings.penalty_rules.iter().map(Into::into).collect(),
            ..Self::default()
        }
    }
}

/// A segment to look up, with offsets of tags in a unit.
pub(crate) fn query_segment(
    query: proto::QuerySegment,
    offsets: OffsetUnit,
) -> Result<QuerySegment, FieldViolation> {
    let mut context = query.context.unwrap_or_default();
    let context_id = std::mem::take(&mut context.context_id);
    Ok(QuerySegment {
        segment: segment_of(query.segment.unwrap_or_default(), offsets).within("segment")?,
        context: context.into(),
        context_id,
        document: query.document,
    })
}

impl From<QuerySegment> for proto::QuerySegment {
    fn from(query: QuerySegment) -> Self {
        let context = context_to_wire(query.context, Some(&query.context_id));
        Self { segment: Some(query.segment.into()), context, document: query.document }
    }
}

impl From<MatchKind> for proto::MatchKind {
    fn from(kind: MatchKind) -> Self {
        match kind {
            MatchKind::DoubleContext => Self::DoubleContext,
            MatchKind::Context => Self::Context,
            MatchKind::Exact => Self::Exact,
            MatchKind::Fuzzy => Self::Fuzzy,
        }
    }
}

/// A kind that this version does not know is a fuzzy match.
impl From<proto::MatchKind> for MatchKind {
    fn from(kind: proto::MatchKind) -> Self {
        match kind {
            proto::MatchKind::DoubleContext => Self::DoubleContext,
            proto::MatchKind::Context => Self::Context,
            proto::MatchKind::Exact => Self::Exact,
            proto::MatchKind::Fuzzy | proto::MatchKind::Unspecified => Self::Fuzzy,
        }
    }
}

/// The parts of a context on the wire.
const CONTEXT_PARTS: [(ContextPart, proto::ContextPart); 6] = [
    (ContextPart::PreviousSource, proto::ContextPart::PreviousSource),
    (ContextPart::NextSource, proto::ContextPart::NextSource),
    (ContextPart::PreviousTarget, proto::ContextPart::PreviousTarget),
    (ContextPart::NextTarget, proto::ContextPart::NextTarget),
    (ContextPart::ContextId, proto::ContextPart::ContextId),
    (ContextPart::Document, proto::ContextPart::Document),
];

impl From<EditKind> for proto::EditKind {
    fn from(kind: EditKind) -> Self {
        match kind {
            EditKind::Changed => Self::Changed,
            EditKind::Replaced => Self::Replaced,
            EditKind::Inserted => Self::Inserted,
            EditKind::Deleted => Self::Deleted,
        }
    }
}

/// A kind that this version does not know is a replacement.
impl From<proto::EditKind> for EditKind {
    fn from(kind: proto::EditKind) -> Self {
        match kind {
            proto::EditKind::Inserted => Self::Inserted,
            proto::EditKind::Deleted => Self::Deleted,
            proto::EditKind::Changed => Self::Changed,
            proto::EditKind::Replaced | proto::EditKind::Unspecified => Self::Replaced,
        }
    }
}

/// How a lookup wants its matches: which of their fields, and with offsets in which unit.
#[derive(Debug, Clone, Default)]
pub(crate) struct MatchView {
    fields: Fields,
    /// The view of their units; `None` when they are not asked for.
    unit: Option<UnitView>,
    offsets: OffsetUnit,
}

impl MatchView {
    /// What the settings of a lookup ask for.
    pub(crate) fn new(settings: &proto::LookupSettings) -> Result<Self, FieldViolation> {
        let offsets = super::offset_unit(settings.offset_unit)?;
        let fields = Fields::read(settings.read_mask.clone(), read_mask::MATCH)?;
        let unit = fields.of("unit").map(|fields| UnitView { offsets, fields: fields.clone() });
        Ok(Self { fields, unit, offsets })
    }

    /// In which unit the call counts.
    pub(crate) fn offsets(&self) -> OffsetUnit {
        self.offsets
    }

    /// What has to be worked out about a match.
    pub(crate) fn explain(&self) -> Explain {
        Explain {
            edits: self.fields.has("edits"),
            adapted: self.fields.has("adapted_target") || self.fields.has("substitutions"),
            spans_to_edit: self.fields.has("spans_to_edit"),
        }
    }

    /// A match for the wire, as the answer to the text of a query.
    pub(crate) fn found(&self, query: &str, found: FoundMatch) -> proto::Match {
        let fields = &self.fields;
        let (edits, substitutions, adapted_target, spans_to_edit) = self.spans(query, &found);
        let deductions = found.deductions.iter().map(|(reason, hundredths)| proto::Deduction {
            reason: reason.name().to_owned(),
            points: f64::from(hundredths) / 100.0,
        });
        let deductions = if fields.has("deductions") { deductions.collect() } else { Vec::new() };
        let kind = proto::MatchKind::from(found.kind);
        let match_rate = if fields.has("match_rate") { found.match_rate().into() } else { 0 };
        let agreed = CONTEXT_PARTS.iter().filter(|(part, _)| found.agreed_contexts.contains(*part));
        let agreed = agreed.map(|(_, part)| (*part).into());
        let agreed_contexts =
            if fields.has("agreed_contexts") { agreed.collect() } else { Vec::new() };
        proto::Match {
            score_percent: if fields.has("score_percent") { found.score.points() } else { 0.0 },
            kind: if fields.has("kind") { kind.into() } else { 0 },
            deductions,
            edits,
            substitutions,
            adapted_target,
            spans_to_edit,
            unit: self.unit.as_ref().map(|view| view.unit(&found.memory, found.unit)),
            agreed_contexts,
            match_rate,
        }
    }

    /// Edits, substitutions, adapted target, and spans to edit.
    fn spans(
        &self,
        query: &str,
        found: &FoundMatch,
    ) -> (Vec<proto::Edit>, Vec<proto::Substitution>, String, Vec<proto::Span>) {
        let has_spans =
            !found.edits.is_empty() || found.adapted.is_some() || !found.spans_to_edit.is_empty();
        if !has_spans {
            return Default::default();
        }
        let offsets = |text| TextOffsets::new(text, self.offsets);
        let content = &found.unit.content;
        let query = offsets(query);
        let (source, target) = (offsets(&content.source.text), offsets(&content.target.text));
        let edits = found.edits.iter().map(|edit| proto::Edit {
            kind: proto::EditKind::from(edit.kind).into(),
            query: Some(span_to_wire(&query, &edit.query)),
            source: Some(span_to_wire(&source, &edit.source)),
        });
        let adapted_text = found.adapted.as_ref().map_or("", |adapted| &adapted.text);
        let adapted = offsets(adapted_text);
        let substitutions = found.adapted.iter().flat_map(|adapted| &adapted.substitutions);
        let substitutions = substitutions.map(|it| proto::Substitution {
            query: Some(span_to_wire(&query, &it.query)),
            source: Some(span_to_wire(&source, &it.source)),
            target: Some(span_to_wire(&target, &it.target)),
            adapted: Some(span_to_wire(&adapted, &it.adapted)),
        });
        let has = |field| self.fields.has(field);
        (
            edits.collect(),
            if has("substitutions") { substitutions.collect() } else { Vec::new() },
            if has("adapted_target") { adapted_text.to_owned() } else { String::new() },
            found.spans_to_edit.iter().map(|it| span_to_wire(&target, it)).collect(),
        )
    }
}

/// A match as a server sent it for the text of a query.
impl TryFrom<(&str, proto::Match)> for FoundMatch {
    type Error = FieldViolation;

    fn try_from((query, found): (&str, proto::Match)) -> Result<Self, FieldViolation> {
        let kind = found.kind().into();
        let unit = found.unit.unwrap_or_default();
        let (memory, unit) = <(MemoryName, Unit)>::try_from(unit).within("match.unit")?;
        let query = TextOffsets::code_points(query);
        let source = TextOffsets::code_points(&unit.content.source.text);
        let target = TextOffsets::code_points(&unit.content.target.text);
        let adapted = TextOffsets::code_points(&found.adapted_target);
        let edits = found.edits.into_iter().map(|edit| Edit {
            kind: edit.kind().into(),
            query: span_of(&query, edit.query),
            source: span_of(&source, edit.source),
        });
        let edits = edits.collect();
        let substitutions = found.substitutions.into_iter().map(|it| Substitution {
            query: span_of(&query, it.query),
            source: span_of(&source, it.source),
            target: span_of(&target, it.target),
            adapted: span_of(&adapted, it.adapted),
        });
        let substitutions: Vec<_> = substitutions.collect();
        let to_change = found.spans_to_edit.into_iter().map(|it| span_of(&target, Some(it)));
        let to_change = to_change.collect();
        let deductions = found.deductions.iter().filter_map(|it| {
            let reason = Reason::ALL.into_iter().find(|reason| reason.name() == it.reason);
            Some((
                reason.unwrap_or(Reason::Other),
                Score::from_points(it.points).ok()?.hundredths(),
            ))
        });
        let deductions: Deductions = deductions.collect();
        let agreed = |part: &proto::ContextPart| found.agreed_contexts.contains(&(*part).into());
        let parts = CONTEXT_PARTS.iter().filter(|(_, part)| agreed(part)).map(|(part, _)| *part);
        let agreed_contexts = parts.collect();
        let has_adapted = !found.adapted_target.is_empty();
        Ok(Self {
            kind,
            agreed_contexts,
            score: score("match.score_percent", found.score_percent)?,
            deductions,
            memory,
            edits,
            spans_to_edit: to_change,
            unit,
            adapted: has_adapted.then_some(Adapted { text: found.adapted_target, substitutions }),
        })
    }
}
