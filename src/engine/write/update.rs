//! Changes a unit: its new content is checked and analysed on the caller's side of the queue, so that the writer, for whom everybody
//! waits, only compares revisions.

use std::sync::PoisonError;

use crate::unit::{MemoryName, Unit, UnitContent, UnitId};

use super::patch::UnitPatch;
use crate::engine::Engine;
use crate::engine::RequestId;
use crate::engine::commit::outcome::Outcome;
use crate::engine::commit::prepare::Prepared;
use crate::engine::commit::work::{PreparedUpdate, Work};
use crate::engine::error::EngineError;
use crate::engine::handle::idempotency;
use crate::engine::replica::catalog::Memory;

/// Texts from this size on are analysed by threads of lower priority, of which there are no more than cores.
const LARGE_TEXT_BYTES: usize = 16 * 1024;

impl Engine {
    /// Changes a unit; `expected` is the revision that the change was made for.
    ///
    /// # Errors
    /// No such memory or unit; another revision; a rule broken; [`EngineError::RequestReused`]; the store.
    pub fn update_unit(
        &self,
        name: &MemoryName,
        id: UnitId,
        patch: UnitPatch,
        expected: Option<u64>,
        request: RequestId,
    ) -> Result<Unit, EngineError> {
        let idempotency = idempotency(request, &("update_unit", name, id, &patch, expected))?;
        let Some(memory) = self.catalog.by_name(name) else {
            let repeated = self.repeat(idempotency, name)?.units.into_iter().next();
            return repeated.ok_or_else(|| EngineError::NoUnit(name.clone(), id));
        };
        let mut turn = None;
        loop {
            let update = self.prepared_update(&memory, id, &patch)?;
            let work = Work::UpdateUnit { memory: memory.key, id, update, expected };
            let reply = self.write(work, idempotency)?;
            if reply.outcome == Outcome::Outdated {
                let lock = || self.second_try.lock().unwrap_or_else(PoisonError::into_inner);
                turn.get_or_insert_with(lock);
                continue;
            }
            let unit = reply.units.into_iter().next();
            return unit.ok_or_else(|| EngineError::NoUnit(name.clone(), id));
        }
    }

    /// The unit as it is now, with the change.
    fn prepared_update(
        &self,
        memory: &Memory,
        id: UnitId,
        patch: &UnitPatch,
    ) -> Result<Option<Box<PreparedUpdate>>, EngineError> {
        let unit = self.backend.store.units(memory.key, &[id])?.pop().flatten();
        let prepared = unit.map(|unit| {
            let prepare = |content: UnitContent| {
                Prepared::new(content, memory, &mut memory.index.uncached_encoder())
            };
            let prepared = patch.clone().apply(unit.content).and_then(|content| {
                let text_bytes = content.source.text.len() + content.target.text.len();
                if text_bytes < LARGE_TEXT_BYTES {
                    prepare(content)
                } else {
                    self.large_texts.install(|| prepare(content))
                }
            });
            Box::new(PreparedUpdate { from_revision: unit.revision, unit: prepared })
        });
        Ok(prepared)
    }
}
