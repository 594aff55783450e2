//! A store in memory that fails on demand, for tests of error handling.

use std::sync::Mutex;
use std::time::Duration;

use dhakira::store::{
    Appended, BackupSource, Commit, CommitLog, Compacted, InMemoryStore, LogPosition, LogRecord,
    LogStart, Maintenance, MemoryKey, MemoryRecord, RequestKey, RequestRecord, Retention, Secret,
    Sequence, Store, StoreError,
};
use dhakira::unit::{Timestamp, Unit, UnitId};

pub(crate) type Stored<T> = Result<T, StoreError>;

/// A kind of access to a store.
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

    fn requests_before(&self, time: Timestamp, limit: usize) -> Stored<Vec<RequestKey>> {
        self.try_to(Access::Other)?;
        self.store.requests_before(time, limit)
    }

    fn version(&self, memory: MemoryKey, id: UnitId, revision: u64) -> Stored<Option<Unit>> {
        self.try_to(Access::Other)?;
        self.store.version(memory, id, revision)
    }

    fn secret(&self) -> Secret {
        self.store.secret()
    }
}

impl CommitLog for FailingStore {
    fn append(&self, after: LogPosition, commits: &[Commit]) -> Appended {
        match self.try_to(Access::Commit) {
            Ok(()) => self.store.append(after, commits),
            Err(error) => Appended::Unknown(error),
        }
    }

    fn read(&self, after: Sequence, limit: usize) -> Stored<Vec<LogRecord>> {
        self.try_to(Access::Other)?;
        self.store.read(after, limit)
    }

    fn request(&self, key: RequestKey) -> Stored<Option<RequestRecord>> {
        self.try_to(Access::Other)?;
        self.store.request(key)
    }

    fn wait(&self, after: Sequence, timeout: Duration) -> Stored<bool> {
        self.store.wait(after, timeout)
    }

    fn end(&self) -> Stored<LogPosition> {
        self.store.end()
    }

    fn start(&self) -> Stored<LogStart> {
        self.store.start()
    }

    fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    fn recover(&self) -> Stored<()> {
        self.try_to(Access::Commit)
    }
}

impl Maintenance for FailingStore {
    fn compact(
        &self,
        retention: Retention,
        progress: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Stored<Compacted> {
        self.try_to(Access::Other)?;
        self.store.compact(retention, progress)
    }

    fn truncate_log(&self, retention: Retention) -> Stored<bool> {
        self.try_to(Access::Other)?;
        self.store.truncate_log(retention)
    }
}

impl BackupSource for FailingStore {
    fn requests(
        &self,
        after: Option<RequestKey>,
        limit: usize,
    ) -> Stored<Vec<(RequestKey, RequestRecord)>> {
        self.try_to(Access::Other)?;
        self.store.requests(after, limit)
    }
}
