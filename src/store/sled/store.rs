//! Implements the store's traits for a data directory, whose database a compaction or a recovery can replace while it is in use.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::store::{
    Appended, BackupSource, Commit, CommitLog, Compacted, LogPosition, LogRecord, LogStart,
    Maintenance, MemoryKey, MemoryRecord, RequestKey, RequestRecord, Retention, Secret, Sequence,
    Store, StoreError,
};
use crate::unit::{Timestamp, Unit, UnitId};

use super::compaction::Compaction;
use super::database::{Database, Syncing};
use super::directory::{self, new_name, point_to};
use super::opening::OpenOptions;
use super::watermark;

/// A data directory, open and locked until dropped.
pub struct SledStore {
    current: RwLock<Arc<Database>>,
    /// Held by appends, and while another database replaces the current one.
    appending: Mutex<()>,
    appended: Condvar,
    /// Held by a compaction or a recovery.
    replacing: Mutex<()>,
    syncing: Syncing,
}

/// Longest wait for the last reader of a replaced database.
const LAST_READER_WAIT: Duration = Duration::from_secs(30);

impl SledStore {
    /// Opens the store in a directory.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it open; [`StoreError::Behind`] and [`StoreError::Damaged`] when acknowledged
    /// commits are missing or unreadable; I/O.
    pub fn open(directory: &Path, options: &OpenOptions) -> Result<Self, StoreError> {
        Database::open(directory, options).map(Self::from)
    }

    /// Brings commits to the disk about once a second only: for a copy that can be made anew from its original. After a loss of power
    /// it ends before its last commits, or is damaged.
    #[must_use]
    pub fn with_relaxed_syncing(self) -> Self {
        Self { syncing: Syncing::Relaxed, ..self }
    }

    /// Whether a directory holds a store, complete or not.
    pub fn exists(directory: &Path) -> bool {
        directory::is_store(directory)
    }

    /// Writes the address of this process into the lock file, for other processes that find the directory locked.
    ///
    /// # Errors
    /// I/O.
    pub fn announce(&self, address: &str) -> Result<(), StoreError> {
        self.current().announce(address)
    }

    fn current(&self) -> Arc<Database> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn append_gate(&self) -> MutexGuard<'_, ()> {
        self.appending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies a database and replaces it by the copy.
    fn replace_by_copy(
        &self,
        original: &Database,
        name: &str,
        retention: Retention,
        progress: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), StoreError> {
        let directory = original.place().0;
        let mut compaction = Compaction::begin(original, name.to_owned(), retention)?;
        compaction.copy(progress)?;
        compaction.catch_up(progress)?;
        let _no_appends = self.append_gate();
        // A failed append may have left records that are not durable; the copy must not include them.
        check_usable(original)?;
        let copy = compaction.finish(progress)?;
        if let Err(error) = point_to(directory, name) {
            let doing = format!("activating the compacted database in {}", directory.display());
            if is_active(directory, name) {
                // The next start may open either of the two, so neither may diverge from the other.
                original.fail(format!("{doing}: {error}"));
            }
            return Err(StoreError::Io { doing, cause: error.to_string() });
        }
        self.set_current(copy);
        Ok(())
    }

    fn set_current(&self, database: Database) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(database);
    }
}

impl From<Database> for SledStore {
    fn from(database: Database) -> Self {
        Self {
            current: RwLock::new(Arc::new(database)),
            appending: Mutex::new(()),
            appended: Condvar::new(),
            replacing: Mutex::new(()),
            syncing: Syncing::EveryCommit,
        }
    }
}

impl Store for SledStore {
    fn memories(&self) -> Result<Vec<MemoryRecord>, StoreError> {
        self.current().memories()
    }

    fn units(&self, memory: MemoryKey, ids: &[UnitId]) -> Result<Vec<Option<Unit>>, StoreError> {
        self.current().units(memory, ids)
    }

    fn page(
        &self,
        memory: MemoryKey,
        after: Option<UnitId>,
        limit: usize,
    ) -> Result<Vec<Unit>, StoreError> {
        self.current().page(memory, after, limit)
    }

    fn version(
        &self,
        memory: MemoryKey,
        id: UnitId,
        revision: u64,
    ) -> Result<Option<Unit>, StoreError> {
        self.current().version(memory, id, revision)
    }

    fn requests_before(
        &self,
        time: Timestamp,
        limit: usize,
    ) -> Result<Vec<RequestKey>, StoreError> {
        self.current().requests_before(time, limit)
    }

    fn secret(&self) -> Secret {
        Secret::of_directory(self.current().place().0)
    }

    fn damaged(&self) -> Option<String> {
        self.current().damaged()
    }
}

impl CommitLog for SledStore {
    fn append(&self, after: LogPosition, commits: &[Commit]) -> Appended {
        let _gate = self.append_gate();
        let appended = self.current().append(after, commits, self.syncing);
        self.appended.notify_all();
        appended
    }

    fn read(&self, after: Sequence, limit: usize) -> Result<Vec<LogRecord>, StoreError> {
        self.current().read_log(after, limit)
    }

    fn request(&self, key: RequestKey) -> Result<Option<RequestRecord>, StoreError> {
        self.current().request(key)
    }

    fn wait(&self, after: Sequence, timeout: Duration) -> Result<bool, StoreError> {
        let is_behind = |(): &mut ()| self.current().end().sequence <= after;
        let waited = self.appended.wait_timeout_while(self.append_gate(), timeout, is_behind);
        Ok(!waited.unwrap_or_else(PoisonError::into_inner).1.timed_out())
    }

    fn end(&self) -> Result<LogPosition, StoreError> {
        Ok(self.current().end())
    }

    fn start(&self) -> Result<LogStart, StoreError> {
        Ok(self.current().log_start())
    }

    fn is_shared(&self) -> bool {
        false // The directory is locked.
    }

    fn recover(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let original = self.current();
        if original.failure().is_none() {
            return Ok(());
        }
        let (directory, name) = original.place();
        let (directory, name) = (directory.to_owned(), name.to_owned());
        let io = |error: std::io::Error| StoreError::Io {
            doing: format!("recovering the database in {}", directory.display()),
            cause: error.to_string(),
        };
        let acknowledged = watermark::read(&directory).map_err(io)?;
        let lock = Arc::clone(&original.lock);
        let copy = Database::open_copy((&directory, &name), lock, (acknowledged, false), None)?;
        copy.sync(copy.end().sequence)?;
        {
            let _no_appends = self.append_gate();
            self.set_current(copy);
        }
        close_and_delete(original, &directory.join(name));
        Ok(())
    }
}

impl Maintenance for SledStore {
    fn compact(
        &self,
        retention: Retention,
        progress: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<Compacted, StoreError> {
        let _one_at_a_time = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let original = self.current();
        check_usable(&original)?;
        let directory = original.place().0.to_owned();
        let old = directory.join(original.place().1);
        let before_bytes = bytes_below(&old);
        let units: u64 = original.memories()?.iter().map(|it| it.unit_count).sum();
        let total = units + original.end().sequence.0 - original.log_start().sequence.0;
        let name = new_name(&directory, original.place().1);
        let mut report = |done: u64| progress(done.min(total), total);
        if let Err(error) = self.replace_by_copy(&original, &name, retention, &mut report) {
            // What cannot be deleted now is deleted at the next start; an active database is kept.
            if self.current().place().1 != name && !is_active(&directory, &name) {
                let _ = fs::remove_dir_all(directory.join(&name));
            }
            return Err(error);
        }
        close_and_delete(original, &old);
        let bytes = (before_bytes, bytes_below(&directory.join(&name)));
        Ok(Compacted { bytes, log_start: self.current().log_start() })
    }

    fn truncate_log(&self, retention: Retention) -> Result<bool, StoreError> {
        // A compaction has chosen where its log begins, and reads the old one from there.
        let Ok(_no_compaction) = self.replacing.try_lock() else { return Ok(false) };
        let _gate = self.append_gate();
        self.current().truncate_log(retention)
    }
}

impl BackupSource for SledStore {
    fn requests(
        &self,
        after: Option<RequestKey>,
        limit: usize,
    ) -> Result<Vec<(RequestKey, RequestRecord)>, StoreError> {
        self.current().requests_after(after, limit)
    }
}

fn check_usable(database: &Database) -> Result<(), StoreError> {
    match database.failure() {
        Some(cause) => Err(StoreError::WritesPaused(cause.to_owned())),
        None => Ok(()),
    }
}

/// Whether the next start opens the database of this name.
fn is_active(directory: &Path, name: &str) -> bool {
    directory::database_name(directory).is_ok_and(|active| active == name)
}

/// Closes a replaced database when its last reader is gone, and deletes its files. Where that takes too long, the next start deletes
/// them.
fn close_and_delete(mut database: Arc<Database>, files: &Path) {
    let since = Instant::now();
    while since.elapsed() < LAST_READER_WAIT {
        match Arc::try_unwrap(database) {
            Ok(closed) => {
                drop(closed);
                // Left over where it fails, and deleted at the next start.
                let _ = fs::remove_dir_all(files);
                return;
            }
            Err(still_used) => database = still_used,
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Disk that the files below a directory take.
fn bytes_below(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}
