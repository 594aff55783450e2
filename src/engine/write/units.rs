//! Creates, reads and deletes units.

use crate::engine::commit::prepare::Prepared;
use crate::engine::commit::work::Work;
use crate::engine::error::EngineError;
use crate::engine::handle::{Engine, RequestId, idempotency};
use crate::unit::{MemoryName, Unit, UnitContent, UnitId};

impl Engine {
    /// Stores new units, all or none, at most [`crate::limits::BATCH_UNITS_MAX`].
    ///
    /// # Errors
    /// No such memory; a unit that breaks a rule (index and fault); [`EngineError::RequestReused`]; the store.
    pub fn create_units(
        &self,
        name: &MemoryName,
        contents: Vec<UnitContent>,
        request: RequestId,
        field: impl Fn(usize) -> String,
    ) -> Result<Vec<Unit>, EngineError> {
        let idempotency = idempotency(request, &("create_units", name, &contents))?;
        let Some(memory) = self.catalog.by_name(name) else {
            return Ok(self.repeat(idempotency, name)?.units);
        };
        let mut encoder = memory.index.uncached_encoder();
        let units = contents
            .into_iter()
            .enumerate()
            .map(|(index, content)| {
                Prepared::new(content, &memory, &mut encoder).map_err(|fault| {
                    EngineError::invalid(format!("{}.{}", field(index), fault.field), fault.message)
                })
            })
            .collect::<Result<_, _>>()?;
        let work = Work::CreateUnits { memory: memory.key, units };
        Ok(self.write(work, idempotency)?.units)
    }

    /// One unit.
    ///
    /// # Errors
    /// No such memory or unit; the store.
    pub fn unit(&self, name: &MemoryName, id: UnitId) -> Result<Unit, EngineError> {
        let memory = self.named(name)?;
        let unit = self.backend.store.units(memory.key, &[id])?.pop().flatten();
        unit.ok_or_else(|| EngineError::NoUnit(name.clone(), id))
    }

    /// Units in rising order of number, from the first one above `after`.
    ///
    /// # Errors
    /// No such memory; the store.
    pub fn units(
        &self,
        name: &MemoryName,
        after: Option<UnitId>,
        limit: usize,
    ) -> Result<Vec<Unit>, EngineError> {
        Ok(self.backend.store.page(self.named(name)?.key, after, limit)?)
    }

    /// Deletes a unit; `expected` is the revision that the caller saw.
    ///
    /// # Errors
    /// No such memory or unit; another revision; [`EngineError::RequestReused`]; the store.
    pub fn delete_unit(
        &self,
        name: &MemoryName,
        id: UnitId,
        expected: Option<u64>,
        request: RequestId,
    ) -> Result<(), EngineError> {
        let idempotency = idempotency(request, &("delete_unit", name, id, expected))?;
        let Some(memory) = self.catalog.by_name(name) else {
            return self.repeat(idempotency, name).map(drop);
        };
        let work = Work::DeleteUnit { memory: memory.key, id, expected };
        self.write(work, idempotency).map(drop)
    }
}
