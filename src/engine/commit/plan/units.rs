//! Plans the creation, update and deletion of single units, and the index changes that go with each.

use std::sync::Arc;

use crate::matching::IndexChange;
use crate::store::{Commit, MemoryKey, MemoryRecord, UnitWrite};
use crate::unit::{Timestamp, Unit, UnitId};

use super::{OpenMemory, Planner, check_revision};
use crate::engine::commit::outcome::Outcome;
use crate::engine::commit::outcome::Reply;
use crate::engine::commit::prepare::Prepared;
use crate::engine::commit::work::PreparedUpdate;
use crate::engine::error::EngineError;

impl Planner<'_> {
    pub(super) fn create_units(
        &mut self,
        key: MemoryKey,
        prepared: &mut [Prepared],
        commit: &mut Commit,
    ) -> Result<Reply, EngineError> {
        let mut memory = OpenMemory::new(self.record(key)?);
        for unit in prepared {
            self.create(&mut memory, unit, commit);
        }
        self.close(memory, commit);
        let units = commit.units.iter().filter_map(UnitWrite::unit).cloned().collect::<Vec<_>>();
        let versions = units.iter().map(|unit| (unit.id, unit.revision)).collect();
        Ok(Reply { units, ..Reply::of(Outcome::UnitVersions(key, versions)) })
    }

    /// Adds a new unit to the plan.
    pub(super) fn create(
        &mut self,
        memory: &mut OpenMemory,
        prepared: &mut Prepared,
        commit: &mut Commit,
    ) {
        let id = memory.record.next_unit;
        memory.record.next_unit = UnitId(id.0 + 1);
        memory.record.unit_count += 1;
        let unit = self.put(memory, id, 1, None, prepared);
        commit.units.push(UnitWrite::Create(memory.record.key, unit));
    }

    /// Makes a unit visible to the rest of the plan and to the index.
    pub(super) fn put(
        &mut self,
        memory: &mut OpenMemory,
        id: UnitId,
        revision: u64,
        created: Option<Timestamp>,
        prepared: &mut Prepared,
    ) -> Arc<Unit> {
        let key = memory.record.key;
        let identity = prepared.identity();
        let (unit, entry) = prepared.finish((id, revision), created, self.basis.now);
        memory.changes.push(IndexChange::PutEncoded(entry));
        let planned = self.by_source.entry((key, identity.source_hash)).or_default();
        planned.push(identity, Arc::clone(&unit));
        self.units.insert((key, id), Some(Arc::clone(&unit)));
        unit
    }

    /// A unit of a memory, if it has the revision that the caller expects.
    fn expected_unit(
        &self,
        memory: &MemoryRecord,
        id: UnitId,
        expected: Option<u64>,
    ) -> Result<Arc<Unit>, EngineError> {
        let unit = self.unit(memory.key, id)?;
        let unit = unit.ok_or_else(|| EngineError::NoUnit(memory.name.clone(), id))?;
        let resource = || format!("{}/units/{id}", memory.name.resource());
        check_revision(resource, expected, unit.revision)?;
        Ok(unit)
    }

    pub(super) fn update_unit(
        &mut self,
        (key, id): (MemoryKey, UnitId),
        update: Option<&mut PreparedUpdate>,
        expected: Option<u64>,
        commit: &mut Commit,
    ) -> Result<Reply, EngineError> {
        let mut memory = OpenMemory::new(self.record(key)?);
        let unit = self.expected_unit(&memory.record, id, expected)?;
        let (revision, created) = (unit.revision + 1, unit.content.created);
        let Some(update) = update.filter(|update| update.from_revision == unit.revision) else {
            return Ok(Reply::of(Outcome::Outdated));
        };
        let prepared = update.unit.as_mut().map_err(|fault| {
            EngineError::invalid(format!("unit.{}", fault.field), &fault.message)
        })?;
        let unit = self.put(&mut memory, id, revision, created, prepared);
        commit.units.push(UnitWrite::Update(key, Arc::clone(&unit)));
        self.close(memory, commit);
        let outcome = Outcome::UnitVersions(key, vec![(id, revision)]);
        Ok(Reply { units: vec![Unit::clone(&unit)], ..Reply::of(outcome) })
    }

    pub(super) fn delete_unit(
        &mut self,
        key: MemoryKey,
        id: UnitId,
        expected: Option<u64>,
        commit: &mut Commit,
    ) -> Result<Reply, EngineError> {
        let mut memory = OpenMemory::new(self.record(key)?);
        let unit = self.expected_unit(&memory.record, id, expected)?;
        memory.record.unit_count -= 1;
        self.units.insert((key, id), None);
        memory.changes.push(IndexChange::Remove(id));
        commit.units.push(UnitWrite::Delete(key, id, unit.revision));
        self.close(memory, commit);
        Ok(Reply::of(Outcome::DeletedFrom(key)))
    }
}
