//! Updates units and rolls them back: the new content is validated and analysed on the caller's side of the queue, so that the commit
//! loop, which serializes all writes, only compares revisions.

use std::sync::PoisonError;

use serde::Serialize;

use crate::unit::{MemoryName, Unit, UnitContent, UnitId};
use crate::validate::ContentFault;

use super::patch::UnitPatch;
use super::units::check_each_once;
use crate::engine::Engine;
use crate::engine::RequestId;
use crate::engine::commit::idempotency::Idempotency;
use crate::engine::commit::outcome::Outcome;
use crate::engine::commit::prepare::Prepared;
use crate::engine::commit::work::{Etag, PreparedUpdate, UnitUpdate, Work};
use crate::engine::error::EngineError;
use crate::engine::handle::idempotency;
use crate::engine::replica::catalog::Memory;

/// Texts from this size on are analysed in the pool of low-priority threads.
const LARGE_TEXT_BYTES: usize = 16 * 1024;

/// An update of one unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UpdateRequest {
    /// Which unit.
    pub id: UnitId,
    /// The change.
    pub patch: UnitPatch,
    /// The state that the change was made for.
    pub expected: Option<Etag>,
}

impl Engine {
    /// Updates a unit, if it is in the state that the caller expects.
    ///
    /// # Errors
    /// No such memory or unit; another state; an invalid content; [`EngineError::RequestReused`]; the store.
    pub fn update_unit(
        &self,
        name: &MemoryName,
        id: UnitId,
        patch: UnitPatch,
        expected: Option<Etag>,
        request: RequestId,
    ) -> Result<Unit, EngineError> {
        let idempotency = idempotency(request, &("update_unit", name, id, &patch, &expected))?;
        let units = self.update_all(name, idempotency, |memory| {
            let update = self.patched(memory, id, "unit", &patch)?;
            Ok(vec![UnitUpdate { id, update, expected: expected.clone() }])
        })?;
        units.into_iter().next().ok_or_else(|| EngineError::NoUnit(name.clone(), id))
    }

    /// Updates all units or none, at most [`crate::limits::BATCH_UNITS_MAX`]; returns them in the order of the requests.
    ///
    /// # Errors
    /// As of [`update_unit`](Self::update_unit), with the place in the requests; a unit named twice.
    pub fn update_units(
        &self,
        name: &MemoryName,
        requests: &[UpdateRequest],
        request: RequestId,
    ) -> Result<Vec<Unit>, EngineError> {
        let ids = requests.iter().map(|it| it.id);
        check_each_once(ids, |index| format!("requests[{index}].unit.name"))?;
        let idempotency = idempotency(request, &("update_units", name, requests))?;
        self.update_all(name, idempotency, |memory| {
            let update = |(index, it): (usize, &UpdateRequest)| {
                let field = format!("requests[{index}].unit");
                let update = self.patched(memory, it.id, &field, &it.patch)?;
                Ok(UnitUpdate { id: it.id, update, expected: it.expected.clone() })
            };
            requests.iter().enumerate().map(update).collect()
        })
    }

    /// Gives a unit the content of an earlier revision, if it is in the state that the caller expects.
    ///
    /// # Errors
    /// No such memory or unit; [`EngineError::NoRevision`]; another state; [`EngineError::RequestReused`]; the store.
    pub fn rollback_unit(
        &self,
        name: &MemoryName,
        id: UnitId,
        revision: u64,
        expected: Option<Etag>,
        request: RequestId,
    ) -> Result<Unit, EngineError> {
        let idempotency = idempotency(request, &("rollback_unit", name, id, revision, &expected))?;
        let units = self.update_all(name, idempotency, |memory| {
            let earlier = self.backend.store.version(memory.key, id, revision)?;
            let update = self.prepared_update(memory, id, "unit", |_| match earlier {
                Some(earlier) => Ok(UnitContent { changed: None, ..earlier.content }),
                None => Err(EngineError::NoRevision(name.clone(), id, revision)),
            })?;
            Ok(vec![UnitUpdate { id, update, expected: expected.clone() }])
        })?;
        units.into_iter().next().ok_or_else(|| EngineError::NoUnit(name.clone(), id))
    }

    /// Prepares updates and writes them; again when units have changed in between.
    fn update_all(
        &self,
        name: &MemoryName,
        idempotency: Option<Idempotency>,
        prepare: impl Fn(&Memory) -> Result<Vec<UnitUpdate>, EngineError>,
    ) -> Result<Vec<Unit>, EngineError> {
        let Some(memory) = self.catalog.by_name(name) else {
            return Ok(self.repeat(idempotency, name)?.units);
        };
        let mut retry_turn = None;
        loop {
            let updates = prepare(&memory)?;
            let work = Work::UpdateUnits { memory: memory.key, updates };
            let reply = self.write(work, idempotency)?;
            if reply.outcome != Outcome::Outdated {
                return Ok(reply.units);
            }
            let lock = || self.update_retry.lock().unwrap_or_else(PoisonError::into_inner);
            retry_turn.get_or_insert_with(lock);
        }
    }

    /// Applies a patch to the current revision of a unit.
    fn patched(
        &self,
        memory: &Memory,
        id: UnitId,
        field: &str,
        patch: &UnitPatch,
    ) -> Result<Option<Box<PreparedUpdate>>, EngineError> {
        self.prepared_update(memory, id, field, |unit| {
            patch.clone().apply(unit.content).map_err(|fault| field_error(field, fault))
        })
    }

    /// Applies a change to the current revision of a unit. Its faults are kept for the commit loop, which answers repeated requests
    /// and reports missing units first. `field` names the unit in the request.
    fn prepared_update(
        &self,
        memory: &Memory,
        id: UnitId,
        field: &str,
        change: impl FnOnce(Unit) -> Result<UnitContent, EngineError>,
    ) -> Result<Option<Box<PreparedUpdate>>, EngineError> {
        let unit = self.backend.store.units(memory.key, &[id])?.pop().flatten();
        let prepared = unit.map(|unit| {
            let from = unit.content_revision();
            let unit = change(unit).and_then(|content| {
                self.prepare_content(memory, content).map_err(|fault| field_error(field, fault))
            });
            Box::new(PreparedUpdate { from, unit })
        });
        Ok(prepared)
    }

    /// Validates and encodes a content.
    pub(super) fn prepare_content(
        &self,
        memory: &Memory,
        content: UnitContent,
    ) -> Result<Prepared, ContentFault> {
        let text_bytes = content.source.text.len() + content.target.text.len();
        let prepare = || Prepared::new(content, memory, &mut memory.index.uncached_encoder());
        if text_bytes < LARGE_TEXT_BYTES { prepare() } else { self.large_texts.install(prepare) }
    }
}

fn field_error(unit: &str, fault: ContentFault) -> EngineError {
    EngineError::invalid(format!("{unit}.{}", fault.field), fault.message)
}
