//! A store that forgets: the seam over ordered maps, for tests of what stands on it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::unit::{Timestamp, Unit, UnitId};

use crate::store::{
    Commit, LogRecord, LogStart, MemoryKey, MemoryRecord, RequestKey, RequestRecord, Secret,
    Sequence, Store, StoreError, UnitWrite, codec,
};
use crate::store::{Compacted, Retention};

/// Everything in memory, nothing on disk.
#[derive(Default)]
pub struct InMemoryStore {
    state: Mutex<State>,
    secret: OnceLock<Secret>,
}

#[derive(Default)]
struct State {
    memories: BTreeMap<MemoryKey, MemoryRecord>,
    units: BTreeMap<(MemoryKey, UnitId), Unit>,
    log: Vec<LogRecord>,
    requests: BTreeMap<RequestKey, RequestRecord>,
    history: BTreeMap<(MemoryKey, UnitId, u64), Unit>,
    start: LogStart,
}

impl InMemoryStore {
    /// Changes units behind everybody's back, as a damaged disk would: for tests of what notices.
    #[doc(hidden)]
    pub fn tamper(&self, change: impl FnOnce(&mut BTreeMap<(MemoryKey, UnitId), Unit>)) {
        change(&mut self.state().units);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tail(&self) -> (Sequence, u32) {
        let start = (self.start.sequence, self.start.chain);
        self.log.last().map_or(start, |record| (record.sequence, record.chain))
    }

    fn carry_out(&mut self, commit: &Commit) {
        let (last, chain) = self.tail();
        let mut record = LogRecord::of(commit, last.next());
        record.chain = codec::chain(chain, &record).unwrap_or_default();
        self.log.push(record);
        for memory in &commit.memories {
            self.memories.insert(memory.key, memory.clone());
        }
        for counters in &commit.counters {
            if let Some(memory) = self.memories.get_mut(&counters.key) {
                memory.set_counters(counters);
            }
        }
        for memory in &commit.collected {
            self.memories.remove(memory);
        }
        for write in &commit.units {
            let (memory, before) = match write {
                UnitWrite::Create(memory, unit) | UnitWrite::Update(memory, unit) => {
                    (*memory, self.units.insert((*memory, unit.id), Unit::clone(unit)))
                }
                UnitWrite::Delete(memory, id, _) | UnitWrite::Purge(memory, id) => {
                    (*memory, self.units.remove(&(*memory, *id)))
                }
            };
            if let Some(unit) = before {
                self.history.insert((memory, unit.id, unit.revision), unit);
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
        self.state().tail().0
    }

    fn log_start(&self) -> LogStart {
        self.state().start
    }

    fn version(
        &self,
        memory: MemoryKey,
        id: UnitId,
        revision: u64,
    ) -> Result<Option<Unit>, StoreError> {
        let state = self.state();
        let current = state.units.get(&(memory, id)).filter(|unit| unit.revision == revision);
        Ok(current.or_else(|| state.history.get(&(memory, id, revision))).cloned())
    }

    fn requests(
        &self,
        after: Option<RequestKey>,
        limit: usize,
    ) -> Result<Vec<(RequestKey, RequestRecord)>, StoreError> {
        let state = self.state();
        let above = state.requests.iter().filter(|(key, _)| after.is_none_or(|it| **key > it));
        Ok(above.take(limit).map(|(key, record)| (*key, record.clone())).collect())
    }

    fn compact(
        &self,
        retention: Retention,
        told: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<Compacted, StoreError> {
        if !told(0, 1) {
            return Err(StoreError::Cancelled);
        }
        self.cut_log(retention)?;
        Ok(Compacted { log_start: self.log_start(), ..Compacted::default() })
    }

    fn cut_log(&self, retention: Retention) -> Result<bool, StoreError> {
        let mut state = self.state();
        let cut = state.log.iter().take_while(|record| record.time < retention.keep_from).last();
        if let Some(LogRecord { sequence, chain, time, .. }) = cut.cloned() {
            state.start = LogStart { sequence, chain, time };
            state.log.retain(|record| record.sequence > sequence);
        }
        Ok(false)
    }

    fn commit(&self, commits: &[Commit]) -> Result<Sequence, StoreError> {
        let mut state = self.state();
        for commit in commits {
            state.carry_out(commit);
        }
        Ok(state.tail().0)
    }

    fn poisoned(&self) -> Option<String> {
        None
    }

    fn secret(&self) -> Secret {
        *self.secret.get_or_init(Secret::random)
    }
}
