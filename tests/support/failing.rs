//! A store that fails on demand, for tests of what becomes of its errors.

use std::sync::Mutex;

use dhakira::store::{
    Commit, Compacted, InMemoryStore, LogRecord, LogStart, MemoryKey, MemoryRecord, RequestKey,
    RequestRecord, Retention, Secret, Sequence, Store, StoreError,
};
use dhakira::unit::{Timestamp, Unit, UnitId};

pub(crate) type Stored<T> = Result<T, StoreError>;

/// What is asked of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Commit,
    Other,
}

/// Decides whether an access fails, and how.
pub(crate) type Fault = fn(Access) -> Stored<()>;

/// A store in memory that fails as a test wants.
#[derive(Default)]
pub(crate) struct FailingStore {
    store: InMemoryStore,
    fault: Mutex<Option<Fault>>,
}

impl FailingStore {
    pub(crate) fn set(&self, fault: Option<Fault>) {
        *self.fault.lock().unwrap() = fault;
    }

    fn try_to(&self, access: Access) -> Stored<()> {
        // Not under the lock: a fault may panic.
        let fault = *self.fault.lock().unwrap();
        fault.map_or(Ok(()), |fault| fault(access))
    }
}

impl Store for FailingStore {
    fn memories(&self) -> Stored<Vec<MemoryRecord>> {
        self.try_to(Access::Other)?;
        self.store.memories()
    }

    fn units(&self, memory: MemoryKey, ids: &[UnitId]) -> Stored<Vec<Option<Unit>>> {
        self.try_to(Access::Other)?;
        self.store.units(memory, ids)
    }

    fn page(&self, memory: MemoryKey, after: Option<UnitId>, limit: usize) -> Stored<Vec<Unit>> {
        self.try_to(Access::Other)?;
        self.store.page(memory, after, limit)
    }

    fn request(&self, key: RequestKey) -> Stored<Option<RequestRecord>> {
        self.try_to(Access::Other)?;
        self.store.request(key)
    }

    fn requests_before(&self, time: Timestamp, limit: usize) -> Stored<Vec<RequestKey>> {
        self.try_to(Access::Other)?;
        self.store.requests_before(time, limit)
    }

    fn changes_since(&self, after: Sequence, limit: usize) -> Stored<Vec<LogRecord>> {
        self.try_to(Access::Other)?;
        self.store.changes_since(after, limit)
    }

    fn last_sequence(&self) -> Sequence {
        self.store.last_sequence()
    }

    fn log_start(&self) -> LogStart {
        self.store.log_start()
    }

    fn version(&self, memory: MemoryKey, id: UnitId, revision: u64) -> Stored<Option<Unit>> {
        self.try_to(Access::Other)?;
        self.store.version(memory, id, revision)
    }

    fn requests(
        &self,
        after: Option<RequestKey>,
        limit: usize,
    ) -> Stored<Vec<(RequestKey, RequestRecord)>> {
        self.try_to(Access::Other)?;
        self.store.requests(after, limit)
    }

    fn compact(
        &self,
        retention: Retention,
        told: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Stored<Compacted> {
        self.try_to(Access::Other)?;
        self.store.compact(retention, told)
    }

    fn cut_log(&self, retention: Retention) -> Stored<bool> {
        self.try_to(Access::Other)?;
        self.store.cut_log(retention)
    }

    fn commit(&self, commits: &[Commit]) -> Stored<Sequence> {
        self.try_to(Access::Commit)?;
        self.store.commit(commits)
    }

    fn poisoned(&self) -> Option<String> {
        match self.try_to(Access::Other) {
            Err(StoreError::Poisoned(cause)) => Some(cause),
            _ => self.store.poisoned(),
        }
    }

    fn secret(&self) -> Secret {
        self.store.secret()
    }
}
