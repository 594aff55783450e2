//! The store on sled 0.34, with every rule that makes it safe. The only file that names sled.
//!
//! `flush` does not fsync on Linux, so the database file is synced through an own handle, as are the files of large records
//! (see `blobs`); only multi-tree transactions are atomic; the log may come back short or empty, so the commit log is chained and
//! its last acknowledged number is kept outside; opening a damaged log panics, so panics are caught.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use sled::transaction::TransactionError;
pub(super) use sled::transaction::{
    ConflictableTransactionError as Abort, Transactional, TransactionalTree,
};

use crate::limits::{LOCK_PAUSE, LOCK_PAUSES_MAX, STORE_CACHE_BYTES};
use crate::unit::{Timestamp, Unit, UnitId};

use super::blobs::Blobs;
use super::directory::{damaged, panic_message};
use super::lock::Lock;
use super::tables::read_tail;
use super::transaction::{Prepared, PreparedUnit};
use super::{compaction, permissions};
use super::{directory, watermark};
use crate::store::codec::{self, CodecError};
use crate::store::{
    Commit, LogRecord, LogStart, MemoryKey, MemoryRecord, RequestKey, RequestRecord, Secret,
    Sequence, Store, StoreError, private,
};
use crate::store::{Compacted, Retention};

/// A data directory, open and locked until dropped.
pub struct SledStore {
    pub(super) directory: PathBuf,
    /// Where in it the database lies.
    pub(super) name: String,
    pub(super) trees: Trees,
    pub(super) database: sled::Db,
    /// An own handle of sled's log: the one that is synced.
    log_file: File,
    blobs: Blobs,
    pub(super) start: Mutex<LogStart>,
    pub(super) tail: Mutex<Tail>,
    pub(super) last: AtomicU64,
    poison: OnceLock<String>,
    /// The first damage that somebody met.
    damage: OnceLock<String>,
    pub(super) lock: Arc<Mutex<Lock>>,
}

pub(super) struct Trees {
    pub(super) memories: sled::Tree,
    pub(super) units: sled::Tree,
    pub(super) log: sled::Tree,
    pub(super) requests: sled::Tree,
    pub(super) history: sled::Tree,
}

/// What the rest of the store calls a table.
pub(super) type Tree = sled::Tree;
/// A value in one; a copy of it costs nothing.
pub(super) type Bytes = sled::IVec;
/// What is written to one at once.
pub(super) type Batch = sled::Batch;

/// The end of the commit log.
#[derive(Clone, Copy, Default)]
pub(super) struct Tail {
    pub(super) sequence: Sequence,
    pub(super) chain: u32,
}

pub(super) const DATABASE_LOG: &str = "db";

impl SledStore {
    /// Opens the database of a name, or makes it, whatever was acknowledged.
    pub(super) fn open_named(
        directory: &Path,
        name: String,
        lock: Arc<Mutex<Lock>>,
    ) -> Result<Self, StoreError> {
        let place = directory.join(&name);
        private::create_directory(&place).map_err(|error| StoreError::Io {
            doing: format!("creating the database in {}", directory.display()),
            cause: error.to_string(),
        })?;
        let (database, trees) = open_database(directory, &place)?;
        permissions::keep(&place);
        let log_file = File::open(place.join(DATABASE_LOG)).map_err(|error| StoreError::Io {
            doing: format!("opening the database log in {}", directory.display()),
            cause: error.to_string(),
        })?;
        let (start, tail) = read_tail(directory, &trees.log)?;
        Ok(Self {
            directory: directory.to_owned(),
            name,
            trees,
            database,
            log_file,
            blobs: Blobs::new(&place),
            start: Mutex::new(start),
            tail: Mutex::new(tail),
            last: AtomicU64::new(tail.sequence.0),
            poison: OnceLock::new(),
            damage: OnceLock::new(),
            lock,
        })
    }

    /// Takes no more writes.
    pub(super) fn poison(&self, cause: String) {
        // Only the first cause counts.
        let _ = self.poison.set(cause);
    }

    /// Carries something out unless something failed before; when it fails, nothing more is carried out.
    fn carry_out<T>(&self, it: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        if let Some(cause) = self.poison.get() {
            return Err(StoreError::Poisoned(cause.clone()));
        }
        it().inspect_err(|error| self.poison(error.to_string()))
    }

    /// Makes everything written so far durable, then says so outside the database.
    pub(super) fn sync(&self, sequence: Sequence) -> Result<(), StoreError> {
        let doing = || format!("making a commit durable in {}", self.directory.display());
        self.guard(doing, || self.database.flush())?;
        self.blobs
            .sync()
            .and_then(|()| self.log_file.sync_all())
            .and_then(|()| watermark::write(&self.directory, sequence))
            .map_err(|error| StoreError::Io { doing: doing(), cause: error.to_string() })
    }

    /// Runs a database call: its errors and its panics become errors of ours.
    pub(super) fn guard<T>(
        &self,
        doing: impl FnOnce() -> String,
        call: impl FnOnce() -> sled::Result<T>,
    ) -> Result<T, StoreError> {
        let error = match catch_unwind(AssertUnwindSafe(call)) {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => said_no(&self.directory, doing(), error),
            Err(panic) => damaged(&self.directory, panic_message(panic.as_ref())),
        };
        Err(self.noted(error))
    }

    /// Remembers that there is damage.
    fn noted(&self, error: StoreError) -> StoreError {
        if let StoreError::Damaged { what, .. } = &error {
            // Only the first one counts.
            if self.damage.set(what.clone()).is_ok() {
                tracing::error!(directory = %self.directory.display(), "the store is damaged: {what}");
            }
        }
        error
    }

    pub(super) fn read<T>(&self, call: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
        self.guard(|| format!("reading the store in {}", self.directory.display()), call)
    }

    pub(super) fn damage(&self, error: &CodecError) -> StoreError {
        self.noted(damaged(&self.directory, error.to_string()))
    }

    fn write(&self, commits: &[Commit]) -> Result<Sequence, StoreError> {
        let mut tail = *self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let units: Vec<Result<Vec<PreparedUnit>, CodecError>> = commits
            .par_iter()
            .map(|commit| commit.units.iter().map(PreparedUnit::new).collect())
            .collect();
        for (commit, units) in commits.iter().zip(units) {
            let prepared = units
                .and_then(|units| Prepared::new(commit, units, &mut tail))
                .map_err(|error| self.damage(&error))?;
            self.transact(&prepared)?;
        }
        self.sync(tail.sequence)?;
        *self.tail.lock().unwrap_or_else(PoisonError::into_inner) = tail;
        self.last.store(tail.sequence.0, Ordering::Release);
        Ok(tail.sequence)
    }

    fn transact(&self, prepared: &Prepared) -> Result<(), StoreError> {
        let trees = &self.trees;
        let doing = || format!("writing to the store in {}", self.directory.display());
        self.guard(doing, || {
            (&trees.memories, &trees.units, &trees.log, &trees.requests, &trees.history)
                .transaction(|(memories, units, log, requests, history)| {
                    prepared.apply((memories, log, requests), (units, history))
                })
                .map_err(storage_error)
        })
    }
}

/// Never made: our transactions do not abort.
pub(super) enum Never {}

impl Store for SledStore {
    fn memories(&self) -> Result<Vec<MemoryRecord>, StoreError> {
        let entries = self.read(|| self.trees.memories.iter().collect::<sled::Result<Vec<_>>>())?;
        let mut records: Vec<MemoryRecord> = Vec::with_capacity(entries.len() / 2);
        for (key, bytes) in &entries {
            if key.len() != codec::COUNTERS_KEY_BYTES {
                records
                    .push(codec::decode_memory(key, bytes).map_err(|error| self.damage(&error))?);
                continue;
            }
            let counters =
                codec::decode_counters(key, bytes).map_err(|error| self.damage(&error))?;
            // They stand behind the record that they belong to.
            let record = records.last_mut().filter(|record| record.key == counters.key);
            let record = record
                .ok_or_else(|| damaged(&self.directory, "a memory has counters but no record"))?;
            record.set_counters(&counters);
        }
        Ok(records)
    }

    fn units(&self, memory: MemoryKey, ids: &[UnitId]) -> Result<Vec<Option<Unit>>, StoreError> {
        ids.iter().map(|&id| self.unit(memory, id)).collect()
    }

    fn page(
        &self,
        memory: MemoryKey,
        after: Option<UnitId>,
        limit: usize,
    ) -> Result<Vec<Unit>, StoreError> {
        self.page_of(memory, after, limit)
    }

    fn request(&self, key: RequestKey) -> Result<Option<RequestRecord>, StoreError> {
        self.read(|| self.trees.requests.get(key.0))?
            .map(|bytes| codec::decode(&key.0, &bytes).map_err(|error| self.damage(&error)))
            .transpose()
    }

    fn requests_before(
        &self,
        time: Timestamp,
        limit: usize,
    ) -> Result<Vec<RequestKey>, StoreError> {
        let mut old = Vec::new();
        let mut records = self.trees.requests.iter();
        while old.len() < limit
            && let Some((key, bytes)) = self.read(|| records.next().transpose())?
        {
            let record: RequestRecord =
                codec::decode(&key, &bytes).map_err(|error| self.damage(&error))?;
            if record.time < time
                && let Ok(key) = key.as_ref().try_into()
            {
                old.push(RequestKey(key));
            }
        }
        Ok(old)
    }

    fn changes_since(&self, after: Sequence, limit: usize) -> Result<Vec<LogRecord>, StoreError> {
        let from = after.next().0.to_be_bytes();
        let records = self
            .read(|| self.trees.log.range(from..).take(limit).collect::<sled::Result<Vec<_>>>())?;
        records
            .iter()
            .map(|(key, bytes)| codec::decode_log(key, bytes).map_err(|error| self.damage(&error)))
            .collect()
    }

    fn log_start(&self) -> LogStart {
        *self.start.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn version(
        &self,
        memory: MemoryKey,
        id: UnitId,
        revision: u64,
    ) -> Result<Option<Unit>, StoreError> {
        let current = self.unit(memory, id)?;
        if current.as_ref().is_some_and(|unit| unit.revision == revision) {
            return Ok(current);
        }
        // A version goes into the history in the very commit that replaces it.
        let get = |chunk| {
            let key = codec::history_key(memory, id, revision, chunk);
            self.read(|| self.trees.history.get(key))
        };
        self.join(memory, id, get)
    }

    fn requests(
        &self,
        after: Option<RequestKey>,
        limit: usize,
    ) -> Result<Vec<(RequestKey, RequestRecord)>, StoreError> {
        self.requests_behind(after, limit)
    }

    fn compact(
        &self,
        _: Retention,
        _: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<Compacted, StoreError> {
        Err(compaction::needs_a_live_store())
    }

    fn last_sequence(&self) -> Sequence {
        Sequence(self.last.load(Ordering::Acquire))
    }

    fn commit(&self, commits: &[Commit]) -> Result<Sequence, StoreError> {
        self.carry_out(|| self.write(commits))
    }

    fn cut_log(&self, retention: Retention) -> Result<bool, StoreError> {
        self.carry_out(|| self.cut_some(retention))
    }

    fn poisoned(&self) -> Option<String> {
        self.poison.get().cloned()
    }

    fn secret(&self) -> Secret {
        Secret::of_directory(&self.directory)
    }

    fn damaged(&self) -> Option<String> {
        self.damage.get().cloned()
    }
}

/// Our transactions do not abort.
pub(super) fn storage_error(error: TransactionError<Never>) -> sled::Error {
    match error {
        TransactionError::Storage(error) => error,
        TransactionError::Abort(never) => match never {},
    }
}

/// What an error of the database means: that the machine said no, or that its files are not what was written.
fn said_no(directory: &Path, doing: String, error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error) if !directory::is_of_content(error.kind()) => {
            StoreError::Io { doing, cause: error.to_string() }
        }
        error => damaged(directory, format!("{doing}: {error}")),
    }
}

fn open_database(directory: &Path, place: &Path) -> Result<(sled::Db, Trees), StoreError> {
    let config = sled::Config::new()
        .path(place)
        .cache_capacity(STORE_CACHE_BYTES)
        .flush_every_ms(None)
        .use_compression(false);
    let open = || {
        let database = config.open()?;
        let trees = Trees {
            memories: database.open_tree("memories")?,
            units: database.open_tree("units")?,
            log: database.open_tree("log")?,
            requests: database.open_tree("requests")?,
            history: database.open_tree("history")?,
        };
        Ok((database, trees))
    };
    let mut opened = catch_unwind(AssertUnwindSafe(open));
    // Our own lock is held: what still holds sled's is a process that this one is starting, or one on its way out.
    let mut pauses = 0..LOCK_PAUSES_MAX;
    while matches!(&opened, Ok(Err(sled::Error::Io(it))) if it.to_string().contains("lock"))
        && pauses.next().is_some()
    {
        std::thread::sleep(LOCK_PAUSE);
        opened = catch_unwind(AssertUnwindSafe(open));
    }
    match opened {
        Ok(Ok(open)) => Ok(open),
        Ok(Err(error)) => Err(said_no(directory, "opening the database".to_owned(), error)),
        Err(panic) => Err(damaged(directory, panic_message(panic.as_ref()))),
    }
}
