//! All operations of a server: begins, ends, deletes and lists them, within the limits.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use crate::limits::{
    OPERATION_DAYS, OPERATIONS_MAX, OPERATIONS_RUNNING_MAX, OPERATIONS_WAITING_BYTES_MAX,
    OWNER_OPERATIONS_MAX,
};
use crate::unit::Timestamp;

use super::directory::{Building, Directory};
use super::operation::Operation;
use super::record::{End, Header, Outcome, Record};
use super::result::{ResultReader, ResultWriter};

/// Why an operation cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// As many are kept as may be.
    #[error(
        "{OPERATIONS_MAX} operations are kept already; delete some that are done (DeleteOperation), or wait until they are deleted \
         {OPERATION_DAYS} days after their end"
    )]
    Full,
    /// As many are kept of its owner as may be.
    #[error(
        "{OWNER_OPERATIONS_MAX} operations of this token are kept already; delete some that are done (DeleteOperation), or wait \
         until they are deleted {OPERATION_DAYS} days after their end"
    )]
    OwnerFull,
    /// Too much waits on disk.
    #[error(
        "the requests and uploads of the operations that are not done take {OPERATIONS_WAITING_BYTES_MAX} bytes with this one; \
         try again when some are done"
    )]
    BytesFull,
    /// Another call is starting an operation with this id.
    #[error("another call is starting an operation with this id")]
    Starting,
    /// There is an operation with this id.
    #[error("there is an operation with this id already")]
    Exists,
    /// There is an operation with this id whose record cannot be read.
    #[error("the record of an operation with this id is damaged; the log of the server says where")]
    Damaged,
    /// Its files cannot be written.
    #[error("writing an operation: {0}")]
    Io(#[from] io::Error),
}

/// Why an operation cannot be deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// It is not done.
    #[error("it is not done; cancel it first (CancelOperation)")]
    NotDone,
    /// Its files cannot be removed.
    #[error("deleting an operation: {0}")]
    Io(#[from] io::Error),
}

/// All operations of a server.
#[derive(Debug)]
pub struct Operations {
    directory: Directory,
    entries: Mutex<Entries>,
    places: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Entries {
    operations: HashMap<Uuid, Arc<Operation>>,
    /// Those that are being started, each with its owner and its bytes.
    drafts: HashMap<Uuid, (Option<String>, u64)>,
    damaged: HashSet<Uuid>,
}

impl Operations {
    /// Reads the operations in a directory, which is created when missing, and deletes those whose time is over. Blocks.
    ///
    /// # Errors
    /// I/O. A record that cannot be read is logged and left alone.
    pub fn open(path: &Path, now: Timestamp) -> io::Result<Self> {
        let directory = Directory::open(path)?;
        let found = directory.read()?;
        let operation = |(id, record): (Uuid, Record)| {
            (id, Arc::new(Operation::new(id, record.header, record.end)))
        };
        let entries = Entries {
            operations: found.records.into_iter().map(operation).collect(),
            drafts: HashMap::new(),
            damaged: found.damaged.into_iter().collect(),
        };
        let places = Arc::new(Semaphore::new(OPERATIONS_RUNNING_MAX));
        let operations = Self { directory, entries: Mutex::new(entries), places };
        operations.delete_old(now);
        Ok(operations)
    }

    /// The operation with an id.
    pub fn find(&self, id: Uuid) -> Option<Arc<Operation>> {
        self.entries().operations.get(&id).cloned()
    }

    /// All of them, the newest first.
    pub fn list(&self) -> Vec<Arc<Operation>> {
        let mut all: Vec<_> = self.entries().operations.values().cloned().collect();
        all.sort_by_key(|it| std::cmp::Reverse((it.header.created, it.id)));
        all
    }

    /// Waits until one more may run.
    ///
    /// # Errors
    /// None, as long as `self` exists.
    pub async fn place(&self) -> io::Result<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.map_err(io::Error::other)
    }

    /// Begins an operation, which exists once the draft is kept; `bytes` are those of its request and upload. Blocks.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn draft(
        self: &Arc<Self>,
        id: Uuid,
        owner: Option<&str>,
        bytes: u64,
    ) -> Result<Draft, StartError> {
        self.entries().reserve(id, owner, bytes)?;
        let mut draft = Draft { operations: Arc::clone(self), id, building: None };
        draft.building = Some(self.directory.build()?);
        Ok(draft)
    }

    /// The request of an operation that is not done. Blocks.
    ///
    /// # Errors
    /// I/O.
    pub fn request(&self, operation: &Operation) -> io::Result<Vec<u8>> {
        self.directory.request(operation.id)
    }

    /// The uploaded file of an operation that is not done. Blocks.
    ///
    /// # Errors
    /// I/O.
    pub fn upload(&self, operation: &Operation) -> io::Result<File> {
        self.directory.upload(operation.id)
    }

    /// Begins the result of an operation; an earlier one is emptied. Blocks.
    ///
    /// # Errors
    /// I/O.
    pub fn write_result(&self, operation: &Operation) -> io::Result<ResultWriter> {
        self.directory.create_result(operation.id).map(ResultWriter::new)
    }

    /// Reads the result of an operation. Blocks.
    ///
    /// # Errors
    /// I/O.
    pub fn read_result(&self, operation: &Operation) -> io::Result<ResultReader> {
        self.directory.result(operation.id).map(ResultReader::new)
    }

    /// Records the end of an operation, unless it has one; `false` then. It ends even when that cannot be recorded. Blocks.
    pub fn end(&self, operation: &Operation, outcome: Outcome, time: Timestamp) -> bool {
        let _ending = operation.ending();
        if operation.is_done() {
            return false;
        }
        let end = End { time, outcome };
        let record = Record { header: operation.header.clone(), end: Some(end.clone()) };
        if let Err(error) = self.directory.end(operation.id, &record) {
            let id = operation.id;
            tracing::error!(%id, %error, "the end of an operation cannot be recorded; it runs again after a restart");
        }
        operation.end(end);
        true
    }

    /// Deletes an operation that is done, with its result. Blocks.
    ///
    /// # Errors
    /// [`DeleteError`].
    pub fn delete(&self, operation: &Operation) -> Result<(), DeleteError> {
        // Not between the end and its record.
        let _ending = operation.ending();
        if !operation.is_done() {
            return Err(DeleteError::NotDone);
        }
        // Whoever comes second finds nothing to delete.
        if self.entries().operations.remove(&operation.id).is_some() {
            self.directory.delete(operation.id)?;
        }
        Ok(())
    }

    /// Deletes the operations whose time is over. Blocks.
    pub fn delete_old(&self, now: Timestamp) {
        let time = Duration::from_secs(u64::from(OPERATION_DAYS) * 24 * 3_600);
        let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        for operation in self.list() {
            let end = operation.state().end;
            if end.is_some_and(|end| end.time.micros.saturating_add(micros) <= now.micros)
                && let Err(error) = self.delete(&operation)
            {
                tracing::warn!(id = %operation.id, %error, "an old operation cannot be deleted");
            }
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn reserve(&mut self, id: Uuid, owner: Option<&str>, bytes: u64) -> Result<(), StartError> {
        if self.operations.contains_key(&id) {
            return Err(StartError::Exists);
        }
        if self.drafts.contains_key(&id) {
            return Err(StartError::Starting);
        }
        if self.damaged.contains(&id) {
            return Err(StartError::Damaged);
        }
        if self.operations.len() + self.drafts.len() >= OPERATIONS_MAX {
            return Err(StartError::Full);
        }
        let owners = self.operations.values().map(|it| it.header.owner.as_deref());
        let owners = owners.chain(self.drafts.values().map(|(owner, _)| owner.as_deref()));
        if owner.is_some() && owners.filter(|it| *it == owner).count() >= OWNER_OPERATIONS_MAX {
            return Err(StartError::OwnerFull);
        }
        let waiting = self.operations.values().filter(|it| !it.is_done());
        let waiting = waiting.map(|it| it.header.request_bytes + it.header.upload_bytes);
        let waiting: u64 = waiting.chain(self.drafts.values().map(|(_, bytes)| *bytes)).sum();
        if waiting.saturating_add(bytes) > OPERATIONS_WAITING_BYTES_MAX {
            return Err(StartError::BytesFull);
        }
        self.drafts.insert(id, (owner.map(str::to_owned), bytes));
        Ok(())
    }
}

/// An operation that is being started. Dropping it leaves nothing behind; that blocks.
#[derive(Debug)]
pub struct Draft {
    operations: Arc<Operations>,
    id: Uuid,
    building: Option<Building>,
}

impl Draft {
    /// A file for what is uploaded. Blocks.
    ///
    /// # Errors
    /// I/O.
    pub fn create_upload(&self) -> io::Result<File> {
        let building = self.building.as_ref();
        building.map_or_else(|| Err(gone()), Building::create_upload)
    }

    /// Makes it an operation, which survives a crash from here on. Blocks.
    ///
    /// # Errors
    /// I/O.
    pub fn keep(mut self, header: Header, request: &[u8]) -> io::Result<Arc<Operation>> {
        let building = self.building.take().ok_or_else(gone)?;
        let record = Record { header, end: None };
        self.operations.directory.keep(self.id, building, (&record, request))?;
        let operation = Arc::new(Operation::new(self.id, record.header, None));
        self.operations.entries().operations.insert(self.id, Arc::clone(&operation));
        Ok(operation)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.building = None;
        self.operations.entries().drafts.remove(&self.id);
    }
}

/// The error of a draft whose directory is gone, which does not happen before it is kept.
fn gone() -> io::Error {
    io::Error::other("the draft of an operation was used after it was kept")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const DAY_MICROS: i64 = 24 * 3_600 * 1_000_000;

    fn time(micros: i64) -> Timestamp {
        Timestamp { micros }
    }

    fn header(created: i64, owner: Option<&str>) -> Header {
        Header {
            kind: 3,
            owner: owner.map(str::to_owned),
            created: time(created),
            digest: 1,
            request_bytes: 3,
            upload_bytes: 0,
        }
    }

    fn open(path: &Path, now: i64) -> Arc<Operations> {
        Arc::new(Operations::open(path, time(now)).unwrap())
    }

    fn start(operations: &Arc<Operations>, created: i64) -> Arc<Operation> {
        let draft = operations.draft(Uuid::new_v4(), None, 3).unwrap();
        draft.keep(header(created, None), b"abc").unwrap()
    }

    fn files(path: &Path) -> Vec<String> {
        let names = fs::read_dir(path).unwrap();
        let mut names: Vec<String> =
            names.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_started_is_there_after_a_restart_and_what_is_done_needs_no_request() {
        let directory = tempfile::tempdir().unwrap();
        let operations = open(directory.path(), 0);
        let (first, second) = (start(&operations, 1), start(&operations, 2));
        let mut result = operations.write_result(&first).unwrap();
        result.add(b"one");
        result.add(b"");
        result.finish().unwrap();
        let outcome = Outcome::Response(b"done".to_vec());
        assert!(operations.end(&first, outcome.clone(), time(3)));
        assert!(!operations.end(&first, Outcome::Error(Vec::new()), time(4)), "the first counts");
        let again = open(directory.path(), 5);
        let ids: Vec<Uuid> = again.list().iter().map(|it| it.id).collect();
        assert_eq!(ids, [second.id, first.id]);
        let (first, second) = (again.find(first.id).unwrap(), again.find(second.id).unwrap());
        assert_eq!(*first.state().end.unwrap(), End { time: time(3), outcome });
        assert_eq!((first.header.clone(), second.is_done()), (header(1, None), false));
        assert_eq!(again.request(&second).unwrap(), b"abc");
        assert_eq!(files(&directory.path().join(first.id.to_string())), ["record", "result"]);
        let mut result = again.read_result(&first).unwrap();
        assert_eq!(result.read().unwrap().unwrap(), b"one");
        assert_eq!(result.read().unwrap().unwrap(), b"");
        assert_eq!(result.read().unwrap(), None);
        assert_eq!(again.read_result(&second).unwrap().read().unwrap(), None);
    }

    #[test]
    fn a_start_that_breaks_off_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let operations = open(directory.path(), 0);
        let id = Uuid::new_v4();
        let draft = operations.draft(id, None, 9).unwrap();
        drop(draft.create_upload().unwrap());
        assert!(matches!(operations.draft(id, None, 9), Err(StartError::Starting)));
        assert_eq!(files(directory.path()).len(), 1);
        drop(draft);
        assert_eq!(files(directory.path()), [""; 0]);
        // The process ended in the middle.
        std::mem::forget(operations.draft(id, None, 9).unwrap());
        assert_eq!(files(directory.path()).len(), 1);
        let again = open(directory.path(), 0);
        assert_eq!((files(directory.path()), again.list().len()), (Vec::new(), 0));
        assert!(again.draft(id, None, 9).is_ok());
    }

    #[test]
    fn operations_are_deleted_seven_days_after_their_end() {
        let directory = tempfile::tempdir().unwrap();
        let operations = open(directory.path(), 0);
        let (done, running) = (start(&operations, 0), start(&operations, 0));
        assert!(matches!(operations.delete(&running), Err(DeleteError::NotDone)));
        operations.end(&done, Outcome::Error(Vec::new()), time(10));
        operations.delete_old(time(7 * DAY_MICROS + 9));
        assert_eq!(operations.list().len(), 2);
        operations.delete_old(time(7 * DAY_MICROS + 10));
        assert_eq!(files(directory.path()), [running.id.to_string()]);
        operations.delete(&done).unwrap();
        operations.end(&running, Outcome::Error(Vec::new()), time(20));
        let again = open(directory.path(), 100 * DAY_MICROS);
        assert_eq!((files(directory.path()), again.list().len()), (Vec::new(), 0));
    }

    #[test]
    fn a_damaged_record_is_left_alone_and_the_others_work() {
        let directory = tempfile::tempdir().unwrap();
        let operations = open(directory.path(), 0);
        let (good, bad) = (start(&operations, 1), start(&operations, 2));
        let path = directory.path().join(bad.id.to_string());
        fs::write(path.join("record"), b"nonsense").unwrap();
        let again = open(directory.path(), 0);
        assert_eq!(again.list().iter().map(|it| it.id).collect::<Vec<_>>(), [good.id]);
        assert!(matches!(again.draft(bad.id, None, 0), Err(StartError::Damaged)));
        again.delete_old(time(i64::MAX));
        assert_eq!(files(&path), ["record", "request"]);
    }

    #[test]
    fn no_more_are_kept_than_may_be_of_all_and_of_one() {
        let mut entries = Entries::default();
        let owners = [Some("one"), Some("two")];
        for owner in owners {
            for _ in 0..OWNER_OPERATIONS_MAX {
                entries.reserve(Uuid::new_v4(), owner, 0).unwrap();
            }
            let more = entries.reserve(Uuid::new_v4(), owner, 0);
            let is_full = entries.drafts.len() == OPERATIONS_MAX;
            assert_eq!(matches!(more, Err(StartError::OwnerFull)), !is_full, "{more:?}");
        }
        let more = entries.reserve(Uuid::new_v4(), None, 0);
        assert!(matches!(more, Err(StartError::Full)));
        let mut entries = Entries::default();
        entries.reserve(Uuid::new_v4(), None, OPERATIONS_WAITING_BYTES_MAX).unwrap();
        let more = entries.reserve(Uuid::new_v4(), None, 1);
        assert!(matches!(more, Err(StartError::BytesFull)));
    }
}
