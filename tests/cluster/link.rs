//! The way from a node to the database of its cluster, which a test can cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use dhakira::store::{
    Appended, BackupSource, Cluster, ClusterPlace, Commit, CommitLog, Compacted, InMemoryStore,
    Lease, LogPosition, LogRecord, LogStart, Maintenance, MemoryKey, MemoryRecord, NodeReport,
    NodeStatus, RequestKey, RequestRecord, Retention, Secret, Sequence, Store, StoreError,
};
use dhakira::unit::{Timestamp, Unit, UnitId};
use uuid::Uuid;

type Stored<T> = Result<T, StoreError>;

/// What a link does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Way {
    Open,
    /// Nothing gets through.
    Cut,
    /// The next append is lost on its way, then the link is cut.
    CutBeforeCommit,
    /// The answer to the next append is lost on its way, then the link is cut.
    CutAfterCommit,
}

/// One node's way to a shared store.
pub(crate) struct Link {
    pub(crate) store: Arc<InMemoryStore>,
    way: AtomicU8,
    appends: AtomicU64,
}

impl Link {
    pub(crate) fn new(store: &Arc<InMemoryStore>) -> Arc<Self> {
        let (way, appends) = (AtomicU8::new(Way::Open as u8), AtomicU64::new(0));
        Arc::new(Self { store: Arc::clone(store), way, appends })
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.store(way as u8, Ordering::SeqCst);
    }

    /// Appends of this node that got through.
    pub(crate) fn appends(&self) -> u64 {
        self.appends.load(Ordering::SeqCst)
    }

    fn is(&self, way: Way) -> bool {
        self.way.load(Ordering::SeqCst) == way as u8
    }

    fn through(&self) -> Stored<&InMemoryStore> {
        if self.is(Way::Cut) { Err(lost()) } else { Ok(&self.store) }
    }
}

fn lost() -> StoreError {
    let doing = "asking the database".to_owned();
    StoreError::Io { doing, cause: "the connection was lost".to_owned() }
}

impl CommitLog for Link {
    fn append(&self, after: LogPosition, commits: &[Commit]) -> Appended {
        if self.is(Way::Cut) {
            return Appended::Unknown(lost());
        }
        if self.is(Way::CutBeforeCommit) {
            self.set(Way::Cut);
            return Appended::Unknown(lost());
        }
        let appended = self.store.append(after, commits);
        self.appends.fetch_add(u64::from(matches!(appended, Appended::Done(_))), Ordering::SeqCst);
        if self.is(Way::CutAfterCommit) {
            self.set(Way::Cut);
            return Appended::Unknown(lost());
        }
        appended
    }

    fn read(&self, after: Sequence, limit: usize) -> Stored<Vec<LogRecord>> {
        self.through()?.read(after, limit)
    }

    fn request(&self, key: RequestKey) -> Stored<Option<RequestRecord>> {
        self.through()?.request(key)
    }

    fn wait(&self, after: Sequence, timeout: Duration) -> Stored<bool> {
        self.through()?.wait(after, timeout)
    }

    fn end(&self) -> Stored<LogPosition> {
        self.through()?.end()
    }

    fn start(&self) -> Stored<LogStart> {
        self.through()?.start()
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn recover(&self) -> Stored<()> {
        self.through()?.recover()
    }
}

impl Store for Link {
    fn memories(&self) -> Stored<Vec<MemoryRecord>> {
        self.through()?.memories()
    }

    fn units(&self, memory: MemoryKey, ids: &[UnitId]) -> Stored<Vec<Option<Unit>>> {
        self.through()?.units(memory, ids)
    }

    fn page(&self, memory: MemoryKey, after: Option<UnitId>, limit: usize) -> Stored<Vec<Unit>> {
        self.through()?.page(memory, after, limit)
    }

    fn version(&self, memory: MemoryKey, id: UnitId, revision: u64) -> Stored<Option<Unit>> {
        self.through()?.version(memory, id, revision)
    }

    fn requests_before(&self, time: Timestamp, limit: usize) -> Stored<Vec<RequestKey>> {
        self.through()?.requests_before(time, limit)
    }

    fn secret(&self) -> Secret {
        self.store.secret()
    }
}

impl BackupSource for Link {
    fn requests(
        &self,
        after: Option<RequestKey>,
        limit: usize,
    ) -> Stored<Vec<(RequestKey, RequestRecord)>> {
        self.through()?.requests(after, limit)
    }
}

impl Maintenance for Link {
    fn compact(
        &self,
        retention: Retention,
        progress: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Stored<Compacted> {
        self.through()?.compact(retention, progress)
    }

    fn truncate_log(&self, retention: Retention) -> Stored<bool> {
        self.through()?.truncate_log(retention)
    }
}

impl Cluster for Link {
    fn lineage(&self) -> Uuid {
        self.store.lineage()
    }

    fn report(&self, node: &NodeReport) -> Stored<()> {
        self.through()?.report(node)
    }

    fn nodes(&self) -> Stored<Vec<NodeStatus>> {
        self.through()?.nodes()
    }

    fn place(&self) -> Stored<ClusterPlace> {
        self.through()?.place()
    }

    fn hold_lease(&self, role: &str, node: &NodeReport, time: Duration) -> Stored<Option<Lease>> {
        self.through()?.hold_lease(role, node, time)
    }

    fn release_lease(&self, role: &str, node: Uuid) -> Stored<()> {
        self.through()?.release_lease(role, node)
    }

    fn begin_log_at(&self, start: LogStart) -> Stored<()> {
        self.through()?.begin_log_at(start)
    }

    fn lease(&self, role: &str) -> Stored<Option<Lease>> {
        self.through()?.lease(role)
    }
}
