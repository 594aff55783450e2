//! Builds a store from a backup or a copy: its content first, in any order, then the position of its log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::limits::{BATCH_UNITS_MAX, GROUP_COMMIT_UNITS_MAX};
use crate::unit::{Unit, UnitId};

use super::api::{CommitLog, LogPosition, Store, StoreError};
use super::cluster::SharedStore;
use super::records::{
    ChangeKind, Commit, LogRecord, LogStart, MemoryCounters, MemoryKey, MemoryRecord, RequestKey,
    RequestRecord, Sequence, UnitWrite,
};

/// A store that is complete: its log, and what that has stored.
pub type Built = (Arc<dyn CommitLog>, Arc<dyn Store>);

/// A store under construction. A later write of a record replaces an earlier one.
pub trait BuildStore {
    /// Writes memories.
    ///
    /// # Errors
    /// I/O.
    fn put_memories(&self, memories: &[MemoryRecord]) -> Result<(), StoreError>;

    /// Writes counters of memories.
    ///
    /// # Errors
    /// I/O.
    fn put_counters(&self, counters: &[MemoryCounters]) -> Result<(), StoreError>;

    /// Removes memories and their counters.
    ///
    /// # Errors
    /// I/O.
    fn remove_memories(&self, memories: &[MemoryKey]) -> Result<(), StoreError>;

    /// Writes units, replacing those with the same number.
    ///
    /// # Errors
    /// I/O.
    fn put_units(&self, memory: MemoryKey, units: &[Unit]) -> Result<(), StoreError>;

    /// Removes a unit, if it exists.
    ///
    /// # Errors
    /// I/O.
    fn remove_unit(&self, memory: MemoryKey, id: UnitId) -> Result<(), StoreError>;

    /// Writes the records of requests; a request without a record is removed.
    ///
    /// # Errors
    /// I/O.
    fn put_requests(
        &self,
        requests: &[(RequestKey, Option<RequestRecord>)],
    ) -> Result<(), StoreError>;

    /// Writes what a commit did, but not its record; `units` are those that it stored, in the order of its changes. `false` when one of
    /// them is missing.
    ///
    /// # Errors
    /// I/O.
    fn put_commit(&self, record: &LogRecord, units: Vec<Option<Unit>>) -> Result<bool, StoreError> {
        let mut units = units.into_iter();
        for change in &record.changes {
            if change.kind == ChangeKind::Deleted {
                self.remove_unit(change.memory, change.unit)?;
            } else if let Some(Some(unit)) = units.next() {
                self.put_units(change.memory, &[unit])?;
            } else {
                return Ok(false);
            }
        }
        let Some(effects) = &record.effects else { return Ok(true) };
        self.put_memories(&effects.memories)?;
        self.put_counters(&effects.counters)?;
        self.remove_memories(&effects.collected)?;
        for &(memory, unit) in &effects.purged {
            self.remove_unit(memory, unit)?;
        }
        let requests = effects.requests.iter().map(|(key, record)| (*key, Some(record.clone())));
        let forgotten = effects.forgotten.iter().map(|key| (*key, None));
        self.put_requests(&requests.chain(forgotten).collect::<Vec<_>>())?;
        Ok(true)
    }

    /// Sets the position of the log, and makes everything durable.
    ///
    /// # Errors
    /// I/O.
    fn finish(self: Box<Self>, start: LogStart) -> Result<Built, StoreError>;
}

/// Builds the content of a shared store that has none, by commits that leave its log in the end. No node may serve it meanwhile.
pub struct SharedBuilder {
    shared: SharedStore,
    state: Mutex<State>,
}

struct State {
    end: LogPosition,
    /// Units and the rest that are not appended yet.
    pending: Vec<Commit>,
    pending_units: usize,
    /// The highest unit of each memory so far: units above it are new.
    highest: BTreeMap<MemoryKey, UnitId>,
}

impl SharedBuilder {
    /// Begins in a store whose log holds nothing.
    ///
    /// # Errors
    /// The store holds something; I/O.
    pub fn new(shared: SharedStore) -> Result<Self, StoreError> {
        let end = shared.log.end()?;
        if end != LogPosition::default() || !shared.store.memories()?.is_empty() {
            return Err(StoreError::Io {
                doing: "restoring into the cluster".to_owned(),
                cause: format!(
                    "it holds memories already, up to commit {}; restore into a new database, where `dhakira cluster init` has made \
                     the tables",
                    end.sequence.0
                ),
            });
        }
        let state = State { end, pending: Vec::new(), pending_units: 0, highest: BTreeMap::new() };
        Ok(Self { shared, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a commit, and appends those that wait when they are enough.
    fn add(&self, commit: Commit) -> Result<(), StoreError> {
        let mut state = self.state();
        state.pending_units += commit.units.len().max(1);
        state.pending.push(commit);
        if state.pending_units < GROUP_COMMIT_UNITS_MAX {
            return Ok(());
        }
        self.append(&mut state)
    }

    fn append(&self, state: &mut State) -> Result<(), StoreError> {
        let commits = std::mem::take(&mut state.pending);
        state.pending_units = 0;
        if commits.is_empty() {
            return Ok(());
        }
        let records = self.shared.log.append(state.end, &commits).into_result()?;
        if let Some(last) = records.last() {
            state.end = last.into();
        }
        Ok(())
    }

    fn put_writes(&self, writes: Vec<UnitWrite>) -> Result<(), StoreError> {
        for some in writes.chunks(BATCH_UNITS_MAX) {
            self.add(Commit { units: some.to_vec(), ..Commit::default() })?;
        }
        Ok(())
    }
}

impl BuildStore for SharedBuilder {
    fn put_memories(&self, memories: &[MemoryRecord]) -> Result<(), StoreError> {
        self.add(Commit { memories: memories.to_vec(), ..Commit::default() })
    }

    fn put_counters(&self, counters: &[MemoryCounters]) -> Result<(), StoreError> {
        self.add(Commit { counters: counters.to_vec(), ..Commit::default() })
    }

    fn remove_memories(&self, memories: &[MemoryKey]) -> Result<(), StoreError> {
        self.add(Commit { collected: memories.to_vec(), ..Commit::default() })
    }

    fn put_units(&self, memory: MemoryKey, units: &[Unit]) -> Result<(), StoreError> {
        let writes = {
            let mut state = self.state();
            let mut write = |unit: &Unit| {
                let unit = Arc::new(unit.clone());
                let highest = state.highest.get(&memory).copied();
                if highest.is_some_and(|highest| unit.id <= highest) {
                    return UnitWrite::Update(memory, unit);
                }
                state.highest.insert(memory, unit.id);
                UnitWrite::Create(memory, unit)
            };
            units.iter().map(&mut write).collect()
        };
        self.put_writes(writes)
    }

    fn remove_unit(&self, memory: MemoryKey, id: UnitId) -> Result<(), StoreError> {
        self.put_writes(vec![UnitWrite::Purge(memory, id)])
    }

    fn put_requests(
        &self,
        requests: &[(RequestKey, Option<RequestRecord>)],
    ) -> Result<(), StoreError> {
        let mut commit = Commit::default();
        for (key, record) in requests {
            match record {
                Some(record) => commit.requests.push((*key, record.clone())),
                None => commit.forgotten.push(*key),
            }
        }
        self.add(commit)
    }

    fn finish(self: Box<Self>, start: LogStart) -> Result<Built, StoreError> {
        self.append(&mut self.state())?;
        self.shared.cluster.begin_log_at(start)?;
        let Self { shared, .. } = *self;
        let is_so = shared.log.end()? == start.into();
        let at = Sequence(start.sequence.0);
        is_so.then_some((shared.log, shared.store)).ok_or_else(|| StoreError::Io {
            doing: "restoring into the cluster".to_owned(),
            cause: format!("its log does not end at commit {}: a node serves it", at.0),
        })
    }
}
