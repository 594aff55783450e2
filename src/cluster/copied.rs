//! Reads the local copy where it holds what is asked for, and the shared store for the rest.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::store::{
    Appended, Commit, CommitLog, Compacted, LogPosition, LogRecord, LogStart, Maintenance,
    MemoryKey, MemoryRecord, RequestKey, RequestRecord, Retention, Secret, Sequence, SharedStore,
    Store, StoreError,
};
use crate::unit::{Timestamp, Unit, UnitId};

use super::contact::Contact;

/// The shared log, read from the copy as far as that reaches. Its end is that of the shared log.
pub(super) struct CopiedLog {
    shared: Arc<dyn CommitLog>,
    copy: Arc<dyn CommitLog>,
    contact: Arc<Contact>,
    /// The start of the shared log when it was last read.
    start: Mutex<LogStart>,
}

impl CopiedLog {
    pub(super) fn new(
        shared: &SharedStore,
        copy: Arc<dyn CommitLog>,
        contact: Arc<Contact>,
    ) -> Result<Self, StoreError> {
        let start = Mutex::new(shared.log.start()?);
        Ok(Self { shared: Arc::clone(&shared.log), copy, contact, start })
    }

    /// Whether the copy holds the commit after this one.
    fn copy_continues(&self, after: Sequence) -> Result<bool, StoreError> {
        Ok(self.copy.start()?.sequence <= after && after < self.copy.end()?.sequence)
    }

    /// Notes that the shared log has answered, if it has.
    fn noted<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        answer.inspect(|_| self.contact.note())
    }
}

impl CommitLog for CopiedLog {
    fn append(&self, after: LogPosition, commits: &[Commit]) -> Appended {
        let appended = self.shared.append(after, commits);
        match &appended {
            Appended::Done(records) => {
                self.contact.note_end(records.last().map_or(after.sequence, |it| it.sequence));
            }
            Appended::Conflict => self.contact.note(),
            Appended::Unknown(_) => {}
        }
        appended
    }

    fn read(&self, after: Sequence, limit: usize) -> Result<Vec<LogRecord>, StoreError> {
        if self.copy_continues(after)? {
            return self.copy.read(after, limit);
        }
        self.noted(self.shared.read(after, limit))
    }

    fn request(&self, key: RequestKey) -> Result<Option<RequestRecord>, StoreError> {
        match self.copy.request(key)? {
            // A write is planned on top of what the copy holds. If the shared log holds more, its append conflicts.
            None => Ok(None),
            // The shared log knows whether it is certain to last.
            Some(_) => self.noted(self.shared.request(key)),
        }
    }

    fn wait(&self, after: Sequence, timeout: Duration) -> Result<bool, StoreError> {
        // Not noted: a short wait may be answered from what is known.
        self.shared.wait(after, timeout)
    }

    fn end(&self) -> Result<LogPosition, StoreError> {
        self.shared.end().inspect(|end| self.contact.note_end(end.sequence))
    }

    fn start(&self) -> Result<LogStart, StoreError> {
        let mut known = self.start.lock().unwrap_or_else(PoisonError::into_inner);
        // Watchers of commits that the copy holds go on while the shared log is away.
        if let Ok(start) = self.shared.start() {
            *known = start;
        }
        Ok(*known)
    }

    fn mark_at(&self, sequence: Sequence) -> Result<Option<LogStart>, StoreError> {
        match self.copy.mark_at(sequence)? {
            None => self.noted(self.shared.mark_at(sequence)),
            found => Ok(found),
        }
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn recover(&self) -> Result<(), StoreError> {
        self.noted(self.shared.recover())?;
        self.copy.recover()
    }
}

/// The records of the copy. Versions of units that it does not hold, because it was made after them, are read from the shared store.
pub(super) struct CopiedStore {
    copy: Arc<dyn Store>,
    shared: Arc<dyn Store>,
    secret: Secret,
}

impl CopiedStore {
    pub(super) fn new(shared: &SharedStore, copy: Arc<dyn Store>) -> Self {
        // Clients hand tokens of one node to another.
        let secret = shared.store.secret();
        Self { copy, shared: Arc::clone(&shared.store), secret }
    }
}

impl Store for CopiedStore {
    fn memories(&self) -> Result<Vec<MemoryRecord>, StoreError> {
        self.copy.memories()
    }

    fn units(&self, memory: MemoryKey, ids: &[UnitId]) -> Result<Vec<Option<Unit>>, StoreError> {
        self.copy.units(memory, ids)
    }

    fn page(
        &self,
        memory: MemoryKey,
        after: Option<UnitId>,
        limit: usize,
    ) -> Result<Vec<Unit>, StoreError> {
        self.copy.page(memory, after, limit)
    }

    fn version(
        &self,
        memory: MemoryKey,
        id: UnitId,
        revision: u64,
    ) -> Result<Option<Unit>, StoreError> {
        match self.copy.version(memory, id, revision)? {
            None => self.shared.version(memory, id, revision),
            found => Ok(found),
        }
    }

    fn requests_before(
        &self,
        time: Timestamp,
        limit: usize,
    ) -> Result<Vec<RequestKey>, StoreError> {
        self.copy.requests_before(time, limit)
    }

    fn secret(&self) -> Secret {
        self.secret
    }

    fn damaged(&self) -> Option<String> {
        self.copy.damaged()
    }
}

/// Keeps both small: the shared log by its own rules, the copy by those of a single machine.
pub(super) struct CopiedMaintenance {
    pub(super) copy: Arc<dyn Maintenance>,
    pub(super) shared: Option<Arc<dyn Maintenance>>,
}

impl Maintenance for CopiedMaintenance {
    fn compact(
        &self,
        retention: Retention,
        progress: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<Compacted, StoreError> {
        self.copy.compact(retention, progress)
    }

    fn truncate_log(&self, retention: Retention) -> Result<bool, StoreError> {
        let in_copy = self.copy.truncate_log(retention)?;
        let in_shared = self.shared.as_ref().map_or(Ok(false), |it| it.truncate_log(retention))?;
        Ok(in_copy || in_shared)
    }
}
