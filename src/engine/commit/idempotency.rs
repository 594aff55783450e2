//! Reads the records of requests that may be repeated, and answers repetitions.
//!
//! A request id identifies one request: its content, by a fingerprint, and its memory, by a number that is never reused. A repeated
//! request gets its first answer, even if what it created has changed since; any other request with the same id is refused. Knows
//! nothing of the planner.

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

use crate::store::{MemoryKey, MemoryRecord, RequestKey, RequestRecord};
use crate::unit::{Timestamp, Unit, UnitId};

use super::outcome::{MemoryVersion, Outcome, Reply};
use crate::engine::error::EngineError;

/// Makes a write repeatable.
#[derive(Clone, Copy)]
pub(crate) struct Idempotency {
    pub(crate) key: RequestKey,
    pub(crate) fingerprint: u128,
    /// Name of the field that held the key.
    pub(crate) field: &'static str,
}

/// Hash that distinguishes two requests with one id.
pub(crate) fn fingerprint<T: Serialize>(request: &T) -> Result<u128, postcard::Error> {
    Ok(xxh3_128(&postcard::to_stdvec(request)?))
}

/// A request that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EarlierRequest {
    time: Timestamp,
    pub(crate) outcome: Outcome,
}

impl EarlierRequest {
    /// Decodes the record of a request.
    ///
    /// # Errors
    /// The record is of a request with another content.
    pub(crate) fn read(
        record: Option<RequestRecord>,
        idempotency: Idempotency,
    ) -> Result<Option<Self>, EngineError> {
        let Some(record) = record else {
            return Ok(None);
        };
        if record.fingerprint != idempotency.fingerprint {
            return Err(EngineError::RequestReused(idempotency.field));
        }
        let outcome = Outcome::from_bytes(&record.outcome)?;
        Ok(Some(Self { time: record.time, outcome }))
    }

    /// Refuses a request for another memory that had the same name.
    pub(crate) fn check_memory(
        &self,
        memory: &MemoryRecord,
        idempotency: Idempotency,
    ) -> Result<(), EngineError> {
        let is_same = match self.outcome.memory() {
            Some(key) => key == memory.key,
            None => self.time >= memory.created,
        };
        if is_same { Ok(()) } else { Err(EngineError::RequestReused(idempotency.field)) }
    }

    /// Returns the first answer again. `version` reads a unit at a revision, `current` the current state of a memory.
    ///
    /// # Errors
    /// [`EngineError::RequestDone`] when the answer is no longer available.
    pub(crate) fn replay(
        self,
        idempotency: Idempotency,
        version: impl Fn(MemoryKey, UnitId, u64) -> Result<Option<Unit>, EngineError>,
        current: impl Fn(MemoryKey) -> Option<MemoryRecord>,
    ) -> Result<Reply, EngineError> {
        let unavailable = || EngineError::RequestDone(idempotency.field);
        let mut reply = Reply::of(self.outcome);
        match &reply.outcome {
            Outcome::MemoryVersion(answered) => {
                reply.memory = Some(MemoryVersion::clone(answered).into());
            }
            Outcome::PenalizedMemoryVersion(answered, penalty) => {
                let record = MemoryVersion::clone(answered).into();
                reply.memory = Some(MemoryRecord { unfinished_penalty: Some(*penalty), ..record });
            }
            Outcome::MemoryVersionWithSettings(answered, settings) => {
                let mut record = MemoryRecord::from(MemoryVersion::clone(answered));
                record.set_settings(settings.as_ref().clone());
                reply.memory = Some(record);
            }
            Outcome::MemoryVersionWithMode(answered, settings) => {
                let mut record = MemoryRecord::from(MemoryVersion::clone(answered));
                record.set_settings(settings.as_ref().clone().into());
                reply.memory = Some(record);
            }
            Outcome::UnitVersions(key, versions) => {
                for &(id, revision) in versions {
                    reply.units.push(version(*key, id, revision)?.ok_or_else(unavailable)?);
                }
            }
            Outcome::SavedUnits(key, saved) => {
                for &(id, revision, outcome) in saved {
                    reply.units.push(version(*key, id, revision)?.ok_or_else(unavailable)?);
                    reply.unit_outcomes.push(outcome);
                }
            }
            // Earlier versions did not record the revision, so only revision 1 is certain to be the first answer.
            Outcome::Memory(key) => {
                let first = current(*key).filter(|it| it.revision == 1 && !it.deleted);
                reply.memory = Some(first.ok_or_else(unavailable)?);
            }
            Outcome::Units(key, ids) => {
                for &id in ids {
                    reply.units.push(version(*key, id, 1)?.ok_or_else(unavailable)?);
                }
            }
            Outcome::Deleted
            | Outcome::DeletedFrom(_)
            | Outcome::Import(_)
            | Outcome::Imported(_)
            | Outcome::ImportInto(_)
            | Outcome::Matching(_)
            | Outcome::Outdated
            | Outcome::Collected { .. }
            | Outcome::BatchDigests(_) => {}
        }
        Ok(reply)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use crate::engine::{MemoryPatch, UnitPatch};
    use crate::unit::{Context, ContextMode, Score, UnitContent};

    use super::*;

    fn all_differ(fingerprints: &[u128]) {
        let distinct: HashSet<&u128> = fingerprints.iter().collect();
        assert_eq!(distinct.len(), fingerprints.len());
    }

    #[test]
    fn a_field_set_to_its_default_is_no_other_field() {
        let memory = |patch: MemoryPatch| fingerprint(&patch).unwrap();
        all_differ(&[
            memory(MemoryPatch::default()),
            memory(MemoryPatch { unfinished_penalty: Some(None), ..Default::default() }),
            memory(MemoryPatch { default_penalty: Some(Score::ZERO), ..Default::default() }),
            memory(MemoryPatch { penalty_rules: Some(Vec::new()), ..Default::default() }),
            memory(MemoryPatch { context_mode: Some(ContextMode::Simple), ..Default::default() }),
        ]);
        let unit = |patch: UnitPatch| fingerprint(&patch).unwrap();
        let (none, id) = (String::new, || Some("menu".to_owned()));
        all_differ(&[
            unit(UnitPatch::default()),
            unit(UnitPatch { context: Some(Context::default()), ..Default::default() }),
            unit(UnitPatch { context_id: Some(none()), ..Default::default() }),
            unit(UnitPatch { document: Some(none()), ..Default::default() }),
            unit(UnitPatch { context_id: id(), ..Default::default() }),
            unit(UnitPatch { document: id(), ..Default::default() }),
        ]);
    }

    #[test]
    fn contents_differ_by_each_part_of_the_context() {
        let context = |context: Context| UnitContent { context, ..UnitContent::default() };
        let contents = [
            UnitContent::default(),
            context(Context { previous: Some(7), ..Context::default() }),
            context(Context { next: Some(7), ..Context::default() }),
            context(Context { previous_target: Some(7), ..Context::default() }),
            context(Context { next_target: Some(7), ..Context::default() }),
            UnitContent { context_id: "menu".to_owned(), ..UnitContent::default() },
            UnitContent { document: "menu".to_owned(), ..UnitContent::default() },
        ];
        all_differ(&contents.map(|content| fingerprint(&[content]).unwrap()));
    }
}
