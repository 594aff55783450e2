//! What is remembered of a request that may be repeated, and what answers the repetition.
//!
//! A request id stands for one request: for its content, by a fingerprint, and for its memory, by the number that no other memory
//! ever gets. The same request again is answered as it was the first time, whatever has become of what it made; anything
//! else under the same id is refused. Knows nothing of the writer's plan.

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
    /// Name of the field it came in.
    pub(crate) field: &'static str,
}

/// What tells two requests with one id apart.
pub(crate) fn fingerprint<T: Serialize>(request: &T) -> Result<u128, postcard::Error> {
    Ok(xxh3_128(&postcard::to_stdvec(request)?))
}

/// A request that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remembered {
    time: Timestamp,
    pub(crate) outcome: Outcome,
}

impl Remembered {
    /// What a record says of a request.
    ///
    /// # Errors
    /// It is of a request with another content.
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

    /// Answers the request as the first time. `version` gives a unit in a revision, `current` a memory as it is now.
    ///
    /// # Errors
    /// [`EngineError::RequestDone`] when what was answered is not kept any more.
    pub(crate) fn replay(
        self,
        idempotency: Idempotency,
        version: impl Fn(MemoryKey, UnitId, u64) -> Result<Option<Unit>, EngineError>,
        current: impl Fn(MemoryKey) -> Option<MemoryRecord>,
    ) -> Result<Reply, EngineError> {
        let gone = || EngineError::RequestDone(idempotency.field);
        let mut reply = Reply::of(self.outcome);
        match &reply.outcome {
            Outcome::MemoryVersion(answered) => {
                reply.memory = Some(MemoryVersion::clone(answered).into());
            }
            Outcome::PenalizedMemoryVersion(answered, penalty) => {
                let record = MemoryVersion::clone(answered).into();
                reply.memory = Some(MemoryRecord { unfinished_penalty: Some(*penalty), ..record });
            }
            Outcome::UnitVersions(key, versions) => {
                for &(id, revision) in versions {
                    reply.units.push(version(*key, id, revision)?.ok_or_else(gone)?);
                }
            }
            // Earlier versions did not record the revision: only the first one is certain to be what was answered.
            Outcome::Memory(key) => {
                let first = current(*key).filter(|it| it.revision == 1 && !it.deleted);
                reply.memory = Some(first.ok_or_else(gone)?);
            }
            Outcome::Units(key, ids) => {
                for &id in ids {
                    reply.units.push(version(*key, id, 1)?.ok_or_else(gone)?);
                }
            }
            Outcome::Deleted
            | Outcome::DeletedFrom(_)
            | Outcome::Import(_)
            | Outcome::Imported(_)
            | Outcome::ImportInto(_)
            | Outcome::Outdated
            | Outcome::Collected { .. }
            | Outcome::BatchDigests(_) => {}
        }
        Ok(reply)
    }
}
