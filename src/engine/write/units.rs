//! Creates, reads, uses and deletes units.

use std::collections::BTreeSet;

use crate::engine::commit::prepare::Prepared;
use crate::engine::commit::progress::UnitOutcome;
use crate::engine::commit::work::{DuplicatePolicy, Etag, UnitUse, Work};
use crate::engine::error::EngineError;
use crate::engine::handle::{Engine, RequestId, idempotency};
use crate::unit::{MemoryName, Unit, UnitContent, UnitId};

/// A unit that was to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedUnit {
    /// The unit that has its content now: a new one, the one that it replaced, or the one that it duplicates.
    pub unit: Unit,
    /// Which of these.
    pub outcome: UnitOutcome,
}

impl Engine {
    /// Creates units atomically, whatever the memory holds; as [`save_units`](Self::save_units) with a policy to keep all.
    ///
    /// # Errors
    /// As there.
    pub fn create_units(
        &self,
        name: &MemoryName,
        contents: Vec<UnitContent>,
        request: RequestId,
        field: impl Fn(usize) -> String,
    ) -> Result<Vec<Unit>, EngineError> {
        let saved = self.save_units(name, contents, DuplicatePolicy::KeepAll, request, field)?;
        Ok(saved.into_iter().map(|it| it.unit).collect())
    }

    /// Stores units atomically, at most [`crate::limits::BATCH_UNITS_MAX`]; the policy decides about those that the memory has.
    ///
    /// # Errors
    /// No such memory; an invalid unit, named by its index; [`EngineError::RequestReused`]; the store.
    pub fn save_units(
        &self,
        name: &MemoryName,
        contents: Vec<UnitContent>,
        policy: DuplicatePolicy,
        request: RequestId,
        field: impl Fn(usize) -> String,
    ) -> Result<Vec<SavedUnit>, EngineError> {
        // Without the policy, as earlier versions computed it, which kept all.
        let idempotency = if policy == DuplicatePolicy::KeepAll {
            idempotency(request, &("create_units", name, &contents))?
        } else {
            idempotency(request, &("create_units", name, &contents, policy))?
        };
        let reply = match self.catalog.by_name(name) {
            None => self.repeat(idempotency, name)?,
            Some(memory) => {
                let mut encoder = memory.index.uncached_encoder();
                let prepare = |(index, content)| {
                    Prepared::new(content, &memory, &mut encoder).map_err(|fault| {
                        let field = format!("{}.{}", field(index), fault.field);
                        EngineError::invalid(field, fault.message)
                    })
                };
                let units =
                    contents.into_iter().enumerate().map(prepare).collect::<Result<_, _>>()?;
                let work = Work::CreateUnits { memory: memory.key, units, policy };
                self.write(work, idempotency)?
            }
        };
        // Earlier versions recorded no outcomes: every unit was stored.
        let outcomes = reply.unit_outcomes.into_iter();
        let outcomes = outcomes.chain(std::iter::repeat(UnitOutcome::Stored));
        let saved = reply.units.into_iter().zip(outcomes);
        Ok(saved.map(|(unit, outcome)| SavedUnit { unit, outcome }).collect())
    }

    /// Reads a unit.
    ///
    /// # Errors
    /// No such memory or unit; the store.
    pub fn unit(&self, name: &MemoryName, id: UnitId) -> Result<Unit, EngineError> {
        let unit = self.units_by_id(name, &[id])?.pop();
        unit.ok_or_else(|| EngineError::NoUnit(name.clone(), id))
    }

    /// Reads units, in the order of the numbers.
    ///
    /// # Errors
    /// No such memory; no unit of one of the numbers; the store.
    pub fn units_by_id(&self, name: &MemoryName, ids: &[UnitId]) -> Result<Vec<Unit>, EngineError> {
        let units = self.backend.store.units(self.named(name)?.key, ids)?;
        let found = ids.iter().zip(units);
        let found =
            found.map(|(id, unit)| unit.ok_or_else(|| EngineError::NoUnit(name.clone(), *id)));
        found.collect()
    }

    /// Deletes a unit, if it is in the state that the caller expects.
    ///
    /// # Errors
    /// No such memory or unit; another state; [`EngineError::RequestReused`]; the store.
    pub fn delete_unit(
        &self,
        name: &MemoryName,
        id: UnitId,
        expected: Option<Etag>,
        request: RequestId,
    ) -> Result<(), EngineError> {
        let idempotency = idempotency(request, &("delete_unit", name, id, &expected))?;
        let Some(memory) = self.catalog.by_name(name) else {
            return self.repeat(idempotency, name).map(drop);
        };
        let work = Work::DeleteUnits { memory: memory.key, units: vec![(id, expected)] };
        self.write(work, idempotency).map(drop)
    }

    /// Deletes all units or none, at most [`crate::limits::BATCH_UNITS_MAX`].
    ///
    /// # Errors
    /// No such memory or unit; a unit named twice; [`EngineError::RequestReused`]; the store.
    pub fn delete_units(
        &self,
        name: &MemoryName,
        ids: &[UnitId],
        request: RequestId,
    ) -> Result<(), EngineError> {
        check_each_once(ids.iter().copied(), |index| format!("names[{index}]"))?;
        let idempotency = idempotency(request, &("delete_units", name, ids))?;
        let Some(memory) = self.catalog.by_name(name) else {
            return self.repeat(idempotency, name).map(drop);
        };
        let units = ids.iter().map(|id| (*id, None)).collect();
        self.write(Work::DeleteUnits { memory: memory.key, units }, idempotency).map(drop)
    }

    /// Counts uses of units, all or none, at most [`crate::limits::BATCH_UNITS_MAX`]; returns the units in the order of the uses.
    ///
    /// # Errors
    /// No such memory or unit; [`EngineError::RequestReused`]; the store.
    pub fn record_uses(
        &self,
        name: &MemoryName,
        uses: Vec<UnitUse>,
        request: RequestId,
    ) -> Result<Vec<Unit>, EngineError> {
        let idempotency = idempotency(request, &("record_uses", name, &uses))?;
        let reply = match self.catalog.by_name(name) {
            None => self.repeat(idempotency, name)?,
            Some(memory) => {
                self.write(Work::RecordUses { memory: memory.key, uses }, idempotency)?
            }
        };
        Ok(reply.units)
    }
}

/// Checks that a batch names no unit twice.
pub(super) fn check_each_once(
    ids: impl Iterator<Item = UnitId>,
    field: impl Fn(usize) -> String,
) -> Result<(), EngineError> {
    let mut seen = BTreeSet::new();
    for (index, id) in ids.enumerate() {
        if !seen.insert(id) {
            let what = format!("unit {id} is in the batch already; name each unit once");
            return Err(EngineError::invalid(field(index), what));
        }
    }
    Ok(())
}
