//! Alignment: beads, word links, lexicons, and how far long work is.

use crate::alignment::Bead;
use crate::engine::{
    AlignedPair, AlignedWords, StoreOptions, SuspectUnit, TextPair, TrainedLexicon,
};
use crate::limits::SEGMENT_BYTES_MAX;
use crate::unit::{MemoryName, OffsetUnit, TextOffsets};

use super::super::proto::{self, WorkProgress, WorkStage};
use super::offsets::{span_of, span_to_wire};
use super::{FieldViolation, UnitView, memory_name, request_id, signed, unit_name};

/// Confidence of a bead that is stored as it is, when the request does not say.
const MIN_CONFIDENCE_DEFAULT: f64 = 0.5;

impl TryFrom<proto::StoreOptions> for StoreOptions {
    type Error = FieldViolation;

    fn try_from(store: proto::StoreOptions) -> Result<Self, FieldViolation> {
        let id = request_id("request_id", &store.request_id)?.ok_or_else(|| {
            FieldViolation::new("request_id", "give a UUID, so that nothing is stored twice")
        })?;
        let least = store.min_confidence.unwrap_or(MIN_CONFIDENCE_DEFAULT);
        Ok(Self {
            memory: memory_name("memory", &store.memory)?,
            document: store.document,
            min_confidence: share("min_confidence", least)?,
            unconfirmed: store.store_unconfirmed,
            id,
        })
    }
}

impl From<StoreOptions> for proto::StoreOptions {
    fn from(store: StoreOptions) -> Self {
        Self {
            memory: store.memory.resource(),
            document: store.document,
            min_confidence: Some(store.min_confidence.into()),
            store_unconfirmed: store.unconfirmed,
            request_id: uuid::Uuid::from_bytes(store.id.0).to_string(),
        }
    }
}

/// A number from 0 to 1.
#[expect(clippy::cast_possible_truncation)]
pub(crate) fn share(field: &str, value: f64) -> Result<f32, FieldViolation> {
    if (0.0..=1.0).contains(&value) {
        return Ok(value as f32);
    }
    Err(FieldViolation::new(field, format!("{value} is not from 0 to 1")))
}

/// Checks the length of a text.
pub(crate) fn at_most(field: &str, text: &str, bytes_max: usize) -> Result<(), FieldViolation> {
    if text.len() <= bytes_max {
        return Ok(());
    }
    let what = format!("{} bytes; at most {bytes_max} are taken", text.len());
    Err(FieldViolation::new(field, what))
}

impl TryFrom<proto::WordPair> for TextPair {
    type Error = FieldViolation;

    fn try_from(pair: proto::WordPair) -> Result<Self, FieldViolation> {
        if !pair.unit.is_empty() {
            let (memory, id) = unit_name("unit", &pair.unit)?;
            return Ok(Self::Unit(memory, id));
        }
        at_most("source", &pair.source, SEGMENT_BYTES_MAX)?;
        at_most("target", &pair.target, SEGMENT_BYTES_MAX)?;
        Ok(Self::Texts(pair.source, pair.target))
    }
}

/// The linked words of a pair for the wire, with offsets in a unit.
pub(crate) fn linked_pair(pair: AlignedWords, unit: OffsetUnit) -> proto::LinkedPair {
    let source = TextOffsets::new(&pair.source, unit);
    let target = TextOffsets::new(&pair.target, unit);
    let links = pair.links.iter().map(|link| proto::WordLink {
        source: Some(span_to_wire(&source, &link.source)),
        target: Some(span_to_wire(&target, &link.target)),
        confidence: link.confidence.into(),
    });
    let links = links.collect();
    proto::LinkedPair { links, source: pair.source, target: pair.target }
}

/// The words of a pair as a server linked them.
impl From<proto::LinkedPair> for AlignedWords {
    fn from(pair: proto::LinkedPair) -> Self {
        let (source, target) =
            (TextOffsets::code_points(&pair.source), TextOffsets::code_points(&pair.target));
        #[expect(clippy::cast_possible_truncation)]
        let links = pair.links.into_iter().map(|link| AlignedPair {
            source: span_of(&source, link.source),
            target: span_of(&target, link.target),
            confidence: link.confidence as f32,
        });
        let links = links.collect();
        Self { links, source: pair.source, target: pair.target }
    }
}

impl From<&TrainedLexicon> for proto::LexiconSummary {
    fn from(lexicon: &TrainedLexicon) -> Self {
        let (source_terms, target_terms) = lexicon.terms();
        Self {
            units: signed(lexicon.units),
            source_terms: signed(source_terms),
            target_terms: signed(target_terms),
        }
    }
}

impl From<(&MemoryName, SuspectUnit)> for proto::SuspectUnit {
    fn from((memory, SuspectUnit { unit, verdict }): (&MemoryName, SuspectUnit)) -> Self {
        Self {
            unit: Some(UnitView::default().unit(memory, unit)),
            suspicion: verdict.suspicion.into(),
            reasons: verdict.names().into_iter().map(str::to_owned).collect(),
        }
    }
}

/// A number of sentences or beads.
pub(crate) fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

impl From<&Bead> for proto::Bead {
    fn from(bead: &Bead) -> Self {
        Self {
            source_start: count(bead.source.start),
            source_end: count(bead.source.end),
            target_start: count(bead.target.start),
            target_end: count(bead.target.end),
            confidence: bead.confidence.into(),
        }
    }
}

impl From<proto::Bead> for Bead {
    fn from(bead: proto::Bead) -> Self {
        let number = |number| usize::try_from(number).unwrap_or_default();
        #[expect(clippy::cast_possible_truncation)]
        Self {
            source: number(bead.source_start)..number(bead.source_end),
            target: number(bead.target_start)..number(bead.target_end),
            confidence: bead.confidence as f32,
        }
    }
}

/// How far a stage of long work is, from 0 to 1.
impl From<(WorkStage, f32)> for WorkProgress {
    fn from((stage, done): (WorkStage, f32)) -> Self {
        Self { stage: stage.into(), fraction: done.into() }
    }
}
