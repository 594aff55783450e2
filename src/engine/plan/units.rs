//! What does a write to single units change? New units, new revisions and deletions, with what the index is told of each.

use std::sync::Arc;

use crate::matching::IndexChange;
use crate::store::{Commit, MemoryKey, UnitWrite};
use crate::unit::{MemoryName, Timestamp, Unit, UnitId};

use super::super::error::EngineError;
use super::super::prepare::Prepared;
use super::super::requests::Outcome;
use super::super::work::{PreparedUpdate, Reply};
use super::{OpenMemory, Planner, check_revision};

impl Planner<'_> {
    pub(super) fn create_units(
        &mut self,
        key: MemoryKey,
        prepared: Vec<Prepared>,
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
        prepared: Prepared,
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
        prepared: Prepared,
    ) -> Arc<Unit> {
        let key = memory.record.key;
        let identity = prepared.identity();
        let (content, entry) = prepared.finish((id, revision), created, self.now);
        memory.changes.push(IndexChange::PutNumbered(entry));
        let unit = Arc::new(Unit { id, revision, content });
        let planned = self.by_source.entry((key, identity.source_hash)).or_default();
        planned.push(identity, Arc::clone(&unit));
        self.units.insert((key, id), Some(Arc::clone(&unit)));
        unit
    }

    pub(super) fn update_unit(
        &mut self,
        key: MemoryKey,
        id: UnitId,
        update: Option<Box<PreparedUpdate>>,
        expected: Option<u64>,
        commit: &mut Commit,
    ) -> Result<Reply, EngineError> {
        let mut memory = OpenMemory::new(self.record(key)?);
        let name = &memory.record.name;
        let unit = self.unit(key, id)?.ok_or_else(|| EngineError::NoUnit(name.clone(), id))?;
        check_revision(|| unit_resource(name, id), expected, unit.revision)?;
        let (revision, created) = (unit.revision + 1, unit.content.created);
        let Some(update) = update.filter(|update| update.from_revision == unit.revision) else {
            return Ok(Reply::of(Outcome::Outdated));
        };
        let prepared = update.unit.map_err(|fault| {
            EngineError::invalid(format!("unit.{}", fault.field), fault.message)
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
        let name = &memory.record.name;
        let unit = self.unit(key, id)?.ok_or_else(|| EngineError::NoUnit(name.clone(), id))?;
        check_revision(|| unit_resource(name, id), expected, unit.revision)?;
        memory.record.unit_count -= 1;
        self.units.insert((key, id), None);
        memory.changes.push(IndexChange::Remove(id));
        commit.units.push(UnitWrite::Delete(key, id, unit.revision));
        self.close(memory, commit);
        Ok(Reply::of(Outcome::DeletedFrom(key)))
    }
}

fn unit_resource(memory: &MemoryName, id: UnitId) -> String {
    format!("{}/units/{id}", memory.resource())
}
