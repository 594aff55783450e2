//! A store that forgets: the seam over ordered maps, for tests of what stands on it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::unit::{Timestamp, Unit, UnitId};

use super::{
    Commit, LogRecord, MemoryKey, MemoryRecord, RequestKey, RequestRecord, Sequence, Store,
    StoreError, UnitWrite,
};

/// Everything in memory, nothing on disk.
#[derive(Default)]
pub struct InMemoryStore {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    memories: BTreeMap<MemoryKey, MemoryRecord>,
    units: BTreeMap<(MemoryKey, UnitId), Unit>,
    log: Vec<LogRecord>,
    requests: BTreeMap<RequestKey, RequestRecord>,
}

impl InMemoryStore {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn carry_out(&mut self, commit: &Commit) {
        let sequence = Sequence(self.log.len() as u64).next();
        let changes = commit.units.iter().filter_map(UnitWrite::change).collect();
        self.log.push(LogRecord { sequence, time: commit.time, changes, chain: 0 });
        for memory in &commit.memories {
            self.memories.insert(memory.key, memory.clone());
        }
        for write in &commit.units {
            match write {
                UnitWrite::Create(memory, unit) | UnitWrite::Update(memory, unit) => {
                    self.units.insert((*memory, unit.id), Unit::clone(unit));
                }
                UnitWrite::Delete(memory, id, _) | UnitWrite::Purge(memory, id) => {
                    self.units.remove(&(*memory, *id));
                }
            }
        }
        self.requests.extend(commit.requests.iter().cloned());
        for key in &commit.forgotten {
            self.requests.remove(key);
        }
    }
}

impl Store for InMemoryStore {
    fn memories(&self) -> Result<Vec<MemoryRecord>, StoreError> {
        Ok(self.state().memories.values().cloned().collect())
    }

    fn units(&self, memory: MemoryKey, ids: &[UnitId]) -> Result<Vec<Option<Unit>>, StoreError> {
        let state = self.state();
        Ok(ids.iter().map(|&id| state.units.get(&(memory, id)).cloned()).collect())
    }

    fn page(
        &self,
        memory: MemoryKey,
        after: Option<UnitId>,
        limit: usize,
    ) -> Result<Vec<Unit>, StoreError> {
        Ok(self
            .state()
            .units
            .range((memory, UnitId(0))..=(memory, UnitId(u64::MAX)))
            .filter(|((_, id), _)| after.is_none_or(|after| *id > after))
            .take(limit)
            .map(|(_, unit)| unit.clone())
            .collect())
    }

    fn request(&self, key: RequestKey) -> Result<Option<RequestRecord>, StoreError> {
        Ok(self.state().requests.get(&key).cloned())
    }

    fn requests_before(
        &self,
        time: Timestamp,
        limit: usize,
    ) -> Result<Vec<RequestKey>, StoreError> {
        let state = self.state();
        let old = state.requests.iter().filter(|(_, record)| record.time < time);
        Ok(old.take(limit).map(|(key, _)| *key).collect())
    }

    fn changes_since(&self, after: Sequence, limit: usize) -> Result<Vec<LogRecord>, StoreError> {
        let state = self.state();
        let newer = state.log.iter().filter(|record| record.sequence > after);
        Ok(newer.take(limit).cloned().collect())
    }

    fn last_sequence(&self) -> Sequence {
        Sequence(self.state().log.len() as u64)
    }

    fn commit(&self, commits: &[Commit]) -> Result<Sequence, StoreError> {
        let mut state = self.state();
        for commit in commits {
            state.carry_out(commit);
        }
        Ok(Sequence(state.log.len() as u64))
    }

    fn poisoned(&self) -> Option<String> {
        None
    }
}
