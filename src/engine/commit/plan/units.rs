//! Plans the creation, update, use and deletion of units, and the index changes that go with each.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::matching::IndexChange;
use crate::store::{Commit, MemoryKey, MemoryRecord, UnitWrite};
use crate::unit::{Timestamp, Unit, UnitId};

use super::{OpenMemory, Planner, check_expected};
use crate::engine::commit::outcome::{Outcome, Reply};
use crate::engine::commit::prepare::Prepared;
use crate::engine::commit::work::{DuplicatePolicy, Etag, UnitUpdate, UnitUse};
use crate::engine::error::EngineError;
use crate::engine::etag::unit_etag;

impl Planner<'_> {
    /// Stores units. Each is compared with those before it in the batch too.
    pub(super) fn create_units(
        &mut self,
        key: MemoryKey,
        prepared: &mut [Prepared],
        policy: DuplicatePolicy,
        commit: &mut Commit,
    ) -> Result<Reply, EngineError> {
        let mut memory = OpenMemory::new(self.record(key)?);
        let mut saved = Vec::with_capacity(prepared.len());
        for unit in prepared {
            saved.push(self.save(&mut memory, unit, policy, commit)?);
        }
        let (mut units, mut outcomes, mut versions) = (Vec::new(), Vec::new(), Vec::new());
        for (outcome, id) in saved {
            // As it is after the batch, of which a later unit may have replaced it.
            let unit = self.unit(key, id)?;
            let unit = unit.ok_or_else(|| EngineError::NoUnit(memory.record.name.clone(), id))?;
            versions.push((id, unit.revision, outcome));
            outcomes.push(outcome);
            units.push(Unit::clone(&unit));
        }
        if !commit.units.is_empty() {
            self.close(memory, commit);
        }
        Ok(Reply {
            units,
            unit_outcomes: outcomes,
            is_recorded: true,
            ..Reply::of(Outcome::SavedUnits(key, versions))
        })
    }

    /// Adds a new unit to the plan.
    pub(super) fn create(
        &mut self,
        memory: &mut OpenMemory,
        prepared: &mut Prepared,
        commit: &mut Commit,
    ) -> UnitId {
        let id = memory.record.next_unit;
        memory.record.next_unit = UnitId(id.0 + 1);
        memory.record.unit_count += 1;
        let unit = self.put(memory, id, None, prepared);
        commit.units.push(UnitWrite::Create(memory.record.key, unit));
        id
    }

    /// Adds a revision of a unit to the plan and to the index changes. `before` is the revision that it replaces.
    pub(super) fn put(
        &mut self,
        memory: &mut OpenMemory,
        id: UnitId,
        before: Option<&Unit>,
        prepared: &mut Prepared,
    ) -> Arc<Unit> {
        let key = memory.record.key;
        let identity = prepared.identity();
        let (unit, entry) = prepared.finish(id, before, self.basis.now);
        memory.changes.push(IndexChange::PutEncoded(entry));
        let planned = self.by_source.entry((key, identity.source_hash)).or_default();
        planned.push(identity, Arc::clone(&unit));
        self.used.remove(&(key, id));
        self.units.insert((key, id), Some(Arc::clone(&unit)));
        unit
    }

    /// Removes a unit in the plan and in the index changes.
    pub(super) fn remove(&mut self, memory: &mut OpenMemory, unit: &Unit, commit: &mut Commit) {
        let key = memory.record.key;
        memory.record.unit_count -= 1;
        self.used.remove(&(key, unit.id));
        self.units.insert((key, unit.id), None);
        memory.changes.push(IndexChange::Remove(unit.id));
        commit.units.push(UnitWrite::Delete(key, unit.id, unit.revision));
    }

    /// A unit of a memory, if it is in the state that the caller expects.
    fn expected_unit(
        &self,
        memory: &MemoryRecord,
        id: UnitId,
        expected: Option<&Etag>,
    ) -> Result<Arc<Unit>, EngineError> {
        let unit = self.unit(memory.key, id)?;
        let unit = unit.ok_or_else(|| EngineError::NoUnit(memory.name.clone(), id))?;
        let resource = || format!("{}/units/{id}", memory.name.resource());
        check_expected(resource, expected, || unit_etag(&unit))?;
        Ok(unit)
    }

    /// Updates all units or none.
    pub(super) fn update_units(
        &mut self,
        key: MemoryKey,
        updates: &mut [UnitUpdate],
        commit: &mut Commit,
    ) -> Result<Reply, EngineError> {
        let mut memory = OpenMemory::new(self.record(key)?);
        let mut ready: Vec<(Arc<Unit>, &mut Prepared)> = Vec::with_capacity(updates.len());
        for UnitUpdate { id, update, expected } in updates {
            let unit = self.expected_unit(&memory.record, *id, expected.as_ref())?;
            let update = update.as_mut().filter(|it| it.from == unit.content_revision());
            let Some(update) = update else { return Ok(Reply::of(Outcome::Outdated)) };
            ready.push((unit, update.unit.as_mut().map_err(|error| error.clone())?));
        }
        // From here on nothing fails.
        let mut units = Vec::with_capacity(ready.len());
        for (before, prepared) in ready {
            let unit = self.put(&mut memory, before.id, Some(&before), prepared);
            commit.units.push(UnitWrite::Update(key, Arc::clone(&unit)));
            units.push(Unit::clone(&unit));
        }
        self.close(memory, commit);
        Ok(unit_reply(key, units))
    }

    /// Deletes all units or none.
    pub(super) fn delete_units(
        &mut self,
        key: MemoryKey,
        units: &[(UnitId, Option<Etag>)],
        commit: &mut Commit,
    ) -> Result<Reply, EngineError> {
        let mut memory = OpenMemory::new(self.record(key)?);
        let current = units
            .iter()
            .map(|(id, expected)| self.expected_unit(&memory.record, *id, expected.as_ref()))
            .collect::<Result<Vec<_>, _>>()?;
        for unit in current {
            self.remove(&mut memory, &unit, commit);
        }
        self.close(memory, commit);
        Ok(Reply::of(Outcome::DeletedFrom(key)))
    }

    /// Counts uses of units, all or none. The index does not change.
    pub(super) fn record_uses(
        &mut self,
        key: MemoryKey,
        uses: &[UnitUse],
        commit: &mut Commit,
    ) -> Result<Reply, EngineError> {
        let memory = self.record(key)?;
        let mut sums: BTreeMap<UnitId, (u64, Timestamp)> = BTreeMap::new();
        for &UnitUse { unit, count, time } in uses {
            let time = time.unwrap_or(self.basis.now);
            let (sum, last) = sums.entry(unit).or_insert((0, time));
            *sum += u64::from(count);
            *last = time.max(*last);
        }
        let mut counted: BTreeMap<UnitId, Arc<Unit>> = BTreeMap::new();
        for (id, (count, last)) in sums {
            let mut unit = Unit::clone(&*self.expected_unit(&memory, id, None)?);
            unit.revision += 1;
            unit.usage.revisions += 1;
            unit.usage.count = unit.usage.count.saturating_add(count);
            unit.usage.last = unit.usage.last.max(Some(last));
            counted.insert(id, Arc::new(unit));
        }
        for (id, unit) in &counted {
            match self.units.get_mut(&(key, *id)) {
                Some(planned) => *planned = Some(Arc::clone(unit)),
                None => drop(self.used.insert((key, *id), Arc::clone(unit))),
            }
            commit.units.push(UnitWrite::Use(key, Arc::clone(unit)));
        }
        let units =
            uses.iter().filter_map(|it| counted.get(&it.unit).map(|unit| Unit::clone(unit)));
        Ok(unit_reply(key, units.collect()))
    }
}

fn unit_reply(key: MemoryKey, units: Vec<Unit>) -> Reply {
    let versions = units.iter().map(|unit| (unit.id, unit.revision)).collect();
    Reply { units, ..Reply::of(Outcome::UnitVersions(key, versions)) }
}
