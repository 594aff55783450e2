//! How is the database replaced under those who use it? Every call asks for the one that counts now.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::unit::{Timestamp, Unit, UnitId};

use super::compaction::Copying;
use super::database::SledStore;
use super::directory::{new_name, point_to};
use crate::store::{
    Commit, LogRecord, LogStart, MemoryKey, MemoryRecord, RequestKey, RequestRecord, Secret,
    Sequence, Store, StoreError,
};
use crate::store::{Compacted, Retention};

/// A store on disk that can be compacted while it is used.
pub struct LiveStore {
    current: RwLock<Arc<SledStore>>,
    /// Held while something is committed, and while another database takes the place of this one.
    committing: Mutex<()>,
    /// One compaction at a time.
    compacting: Mutex<()>,
}

/// How long the database that does not count any more is waited for, until its last reader is gone.
const LAST_READER_WAIT: Duration = Duration::from_secs(30);

impl LiveStore {
    /// Over a store that was opened.
    pub fn new(store: SledStore) -> Self {
        let current = RwLock::new(Arc::new(store));
        Self { current, committing: Mutex::new(()), compacting: Mutex::new(()) }
    }

    /// Tells other processes that find the directory locked where this one can be reached.
    ///
    /// # Errors
    /// I/O.
    pub fn announce(&self, address: &str) -> Result<(), StoreError> {
        self.current().announce(address)
    }

    fn current(&self) -> Arc<SledStore> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn commit_gate(&self) -> MutexGuard<'_, ()> {
        self.committing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the copy and lets it take the place of the original, which is given back.
    fn replace(
        &self,
        original: &Arc<SledStore>,
        name: &str,
        retention: Retention,
        told: &mut dyn FnMut(u64) -> bool,
    ) -> Result<(), StoreError> {
        let directory = original.place().0;
        let mut copying = Copying::begin(original, name.to_owned(), retention)?;
        copying.copy(told)?;
        copying.catch_up(told)?;
        let _no_commits = self.commit_gate();
        // A store that failed may hold what was never acknowledged; its copy must not pass for whole.
        if let Some(cause) = original.poisoned() {
            return Err(StoreError::Poisoned(cause));
        }
        let copy = copying.finish(told)?;
        if let Err(error) = point_to(directory, name) {
            let doing = format!("letting the compacted database count in {}", directory.display());
            if counts(directory, name) {
                // Either of the two may count after a crash, so neither may go on without the other.
                original.poison(format!("{doing}: {error}"));
            }
            return Err(StoreError::Io { doing, cause: error.to_string() });
        }
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(copy);
        Ok(())
    }
}

impl Store for LiveStore {
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

    fn request(&self, key: RequestKey) -> Result<Option<RequestRecord>, StoreError> {
        self.current().request(key)
    }

    fn requests_before(
        &self,
        time: Timestamp,
        limit: usize,
    ) -> Result<Vec<RequestKey>, StoreError> {
        self.current().requests_before(time, limit)
    }

    fn changes_since(&self, after: Sequence, limit: usize) -> Result<Vec<LogRecord>, StoreError> {
        self.current().changes_since(after, limit)
    }

    fn last_sequence(&self) -> Sequence {
        self.current().last_sequence()
    }

    fn log_start(&self) -> LogStart {
        self.current().log_start()
    }

    fn version(
        &self,
        memory: MemoryKey,
        id: UnitId,
        revision: u64,
    ) -> Result<Option<Unit>, StoreError> {
        self.current().version(memory, id, revision)
    }

    fn requests(
        &self,
        after: Option<RequestKey>,
        limit: usize,
    ) -> Result<Vec<(RequestKey, RequestRecord)>, StoreError> {
        self.current().requests(after, limit)
    }

    fn compact(
        &self,
        retention: Retention,
        told: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<Compacted, StoreError> {
        let _one_at_a_time = self.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        let original = self.current();
        if let Some(cause) = original.poisoned() {
            return Err(StoreError::Poisoned(cause));
        }
        let directory = original.place().0.to_owned();
        let before_bytes = bytes_below(&directory.join(original.place().1));
        let units: u64 = original.memories()?.iter().map(|it| it.unit_count).sum();
        let total = units + original.last_sequence().0 - original.log_start().sequence.0;
        let name = new_name(&directory, original.place().1);
        let mut tell = |done: u64| told(done.min(total), total);
        if let Err(error) = self.replace(&original, &name, retention, &mut tell) {
            // What cannot be deleted now is deleted at the next start; if it counts after all, it stays.
            if self.current().place().1 != name && !counts(&directory, &name) {
                let _ = fs::remove_dir_all(directory.join(&name));
            }
            return Err(error);
        }
        let old = directory.join(original.place().1);
        if is_unused(original) {
            // Left over, and deleted at the next start.
            let _ = fs::remove_dir_all(old);
        }
        let bytes = (before_bytes, bytes_below(&directory.join(&name)));
        Ok(Compacted { bytes, log_start: self.log_start() })
    }

    fn commit(&self, commits: &[Commit]) -> Result<Sequence, StoreError> {
        let _gate = self.commit_gate();
        self.current().commit(commits)
    }

    fn cut_log(&self, retention: Retention) -> Result<bool, StoreError> {
        // A compaction has chosen where its log begins, and reads the old one from there.
        let Ok(_no_compaction) = self.compacting.try_lock() else { return Ok(false) };
        let _gate = self.commit_gate();
        self.current().cut_log(retention)
    }

    fn poisoned(&self) -> Option<String> {
        self.current().poisoned()
    }

    fn secret(&self) -> Secret {
        self.current().secret()
    }

    fn damaged(&self) -> Option<String> {
        self.current().damaged()
    }
}

/// Whether a database may be the one that the next start takes.
fn counts(directory: &Path, name: &str) -> bool {
    super::directory::database_name(directory).is_ok_and(|counted| counted == name)
}

/// Closes a store when its last reader is gone; `false` when that takes too long.
fn is_unused(mut store: Arc<SledStore>) -> bool {
    let since = Instant::now();
    loop {
        match Arc::try_unwrap(store) {
            Ok(closed) => {
                drop(closed);
                return true;
            }
            Err(still_used) if since.elapsed() < LAST_READER_WAIT => store = still_used,
            Err(_) => return false,
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
