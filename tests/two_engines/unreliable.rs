//! A commit log on an unreliable connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dhakira::store::{
    Appended, Commit, CommitLog, InMemoryStore, LogPosition, LogRecord, LogStart, RequestKey,
    RequestRecord, Sequence, StoreError,
};

/// A log whose appends fail with an unknown outcome now and then: carried out or not.
pub(super) struct Unreliable {
    log: Arc<InMemoryStore>,
    appends: AtomicU64,
    pub(super) unknown: AtomicU64,
}

impl Unreliable {
    pub(super) fn new(log: &Arc<InMemoryStore>) -> Arc<Self> {
        let (appends, unknown) = Default::default();
        Arc::new(Self { log: Arc::clone(log), appends, unknown })
    }
}

impl CommitLog for Unreliable {
    fn append(&self, after: LogPosition, commits: &[Commit]) -> Appended {
        let append = || self.log.append(after, commits);
        let unknown = || {
            self.unknown.fetch_add(1, Ordering::Relaxed);
            let (doing, cause) = ("committing".to_owned(), "connection lost".to_owned());
            Appended::Unknown(StoreError::Io { doing, cause })
        };
        match self.appends.fetch_add(1, Ordering::Relaxed) % 16 {
            5 => unknown(),
            11 => {
                append();
                unknown()
            }
            _ => append(),
        }
    }

    fn read(&self, after: Sequence, limit: usize) -> Result<Vec<LogRecord>, StoreError> {
        self.log.read(after, limit)
    }

    fn request(&self, key: RequestKey) -> Result<Option<RequestRecord>, StoreError> {
        self.log.request(key)
    }

    fn wait(&self, after: Sequence, timeout: Duration) -> Result<bool, StoreError> {
        self.log.wait(after, timeout)
    }

    fn end(&self) -> Result<LogPosition, StoreError> {
        self.log.end()
    }

    fn start(&self) -> Result<LogStart, StoreError> {
        self.log.start()
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn recover(&self) -> Result<(), StoreError> {
        // Fails at times, too.
        match self.appends.load(Ordering::Relaxed) % 3 {
            0 => {
                self.appends.fetch_add(1, Ordering::Relaxed);
                Err(StoreError::Cancelled)
            }
            _ => Ok(()),
        }
    }
}
