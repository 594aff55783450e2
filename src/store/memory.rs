//! Implements the store and the commit log on ordered maps in memory, for tests and benches.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use crate::unit::{Timestamp, Unit, UnitId};

use super::cluster::{Cluster, ClusterPlace, Lease, NodeReport, NodeStatus};
use super::codec;
use super::memory_cluster::Nodes;
use super::{
    Appended, BackupSource, Commit, CommitLog, Compacted, LogPosition, LogRecord, LogStart,
    Maintenance, MemoryKey, MemoryRecord, RequestKey, RequestRecord, Retention, Secret, Sequence,
    Store, StoreError, UnitWrite,
};

/// A store and a commit log in memory; nothing is on disk.
#[derive(Default)]
pub struct InMemoryStore {
    state: Mutex<State>,
    appended: Condvar,
    is_shared: bool,
    secret: OnceLock<Secret>,
    nodes: Nodes,
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
    /// A store that several engines may append to.
    pub fn shared() -> Self {
        Self { is_shared: true, ..Self::default() }
    }

    /// Changes units without a commit, to simulate a damaged disk.
    #[doc(hidden)]
    pub fn tamper(&self, change: impl FnOnce(&mut BTreeMap<(MemoryKey, UnitId), Unit>)) {
        change(&mut self.state().units);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end(&self) -> LogPosition {
        self.log.last().map_or(self.start.into(), LogPosition::from)
    }

    fn append(&mut self, commit: &Commit) -> Result<LogRecord, StoreError> {
        let end = self.end();
        let mut record = LogRecord::of(commit, end.sequence.next());
        record.checksum = codec::log_checksum(end.checksum, &record).map_err(|error| {
            StoreError::Io { doing: "encoding a commit".to_owned(), cause: error.to_string() }
        })?;
        self.log.push(record.clone());
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
                UnitWrite::Create(memory, unit)
                | UnitWrite::Update(memory, unit)
                | UnitWrite::Use(memory, unit) => {
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
        Ok(record)
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

    fn requests_before(
        &self,
        time: Timestamp,
        limit: usize,
    ) -> Result<Vec<RequestKey>, StoreError> {
        let state = self.state();
        let old = state.requests.iter().filter(|(_, record)| record.time < time);
        Ok(old.take(limit).map(|(key, _)| *key).collect())
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

    fn secret(&self) -> Secret {
        *self.secret.get_or_init(Secret::random)
    }
}

impl CommitLog for InMemoryStore {
    fn append(&self, after: LogPosition, commits: &[Commit]) -> Appended {
        let mut state = self.state();
        if state.end() != after {
            return Appended::Conflict;
        }
        let records = commits.iter().map(|commit| state.append(commit)).collect();
        self.appended.notify_all();
        match records {
            Ok(records) => Appended::Done(records),
            Err(error) => Appended::Unknown(error),
        }
    }

    fn read(&self, after: Sequence, limit: usize) -> Result<Vec<LogRecord>, StoreError> {
        let state = self.state();
        let newer = state.log.iter().filter(|record| record.sequence > after);
        Ok(newer.take(limit).cloned().collect())
    }

    fn request(&self, key: RequestKey) -> Result<Option<RequestRecord>, StoreError> {
        Ok(self.state().requests.get(&key).cloned())
    }

    fn wait(&self, after: Sequence, timeout: Duration) -> Result<bool, StoreError> {
        let is_behind = |state: &mut State| state.end().sequence <= after;
        let waited = self.appended.wait_timeout_while(self.state(), timeout, is_behind);
        Ok(!waited.unwrap_or_else(PoisonError::into_inner).1.timed_out())
    }

    fn end(&self) -> Result<LogPosition, StoreError> {
        Ok(self.state().end())
    }

    fn start(&self) -> Result<LogStart, StoreError> {
        Ok(self.state().start)
    }

    fn is_shared(&self) -> bool {
        self.is_shared
    }

    fn recover(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Maintenance for InMemoryStore {
    fn compact(
        &self,
        retention: Retention,
        progress: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<Compacted, StoreError> {
        if !progress(0, 1) {
            return Err(StoreError::Cancelled);
        }
        self.truncate_log(retention)?;
        Ok(Compacted { log_start: self.state().start, ..Compacted::default() })
    }

    fn truncate_log(&self, retention: Retention) -> Result<bool, StoreError> {
        let mut state = self.state();
        let last = state.log.iter().take_while(|record| record.time < retention.keep_from).last();
        if let Some(LogRecord { sequence, checksum, time, .. }) = last.cloned() {
            state.start = LogStart { sequence, checksum, time };
            state.log.retain(|record| record.sequence > sequence);
        }
        Ok(false)
    }
}

impl BackupSource for InMemoryStore {
    fn requests(
        &self,
        after: Option<RequestKey>,
        limit: usize,
    ) -> Result<Vec<(RequestKey, RequestRecord)>, StoreError> {
        let state = self.state();
        let above = state.requests.iter().filter(|(key, _)| after.is_none_or(|it| **key > it));
        Ok(above.take(limit).map(|(key, record)| (*key, record.clone())).collect())
    }
}

impl Cluster for InMemoryStore {
    fn lineage(&self) -> Uuid {
        self.nodes.lineage()
    }

    fn report(&self, node: &NodeReport) -> Result<(), StoreError> {
        self.nodes.report(node);
        Ok(())
    }

    fn nodes(&self) -> Result<Vec<NodeStatus>, StoreError> {
        Ok(self.nodes.all())
    }

    fn place(&self) -> Result<ClusterPlace, StoreError> {
        Ok(ClusterPlace {
            name: "in memory".to_owned(),
            server: "this process".to_owned(),
            durability: "none".to_owned(),
            concerns: Vec::new(),
        })
    }

    fn hold_lease(
        &self,
        role: &str,
        node: &NodeReport,
        time: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        Ok(Some(self.nodes.hold_lease(role, node, time)))
    }

    fn release_lease(&self, role: &str, node: Uuid) -> Result<(), StoreError> {
        self.nodes.release_lease(role, node);
        Ok(())
    }

    fn begin_log_at(&self, start: LogStart) -> Result<(), StoreError> {
        let mut state = self.state();
        state.log.clear();
        state.history.clear();
        state.start = start;
        self.nodes.begin_lineage();
        Ok(())
    }

    fn lease(&self, role: &str) -> Result<Option<Lease>, StoreError> {
        Ok(self.nodes.lease(role))
    }
}
