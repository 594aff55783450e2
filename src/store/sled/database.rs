//! Reads and writes one sled database, with the precautions that make sled 0.34 safe.
//!
//! `flush` does not fsync on Linux, so the database file is synced through its own handle, as are the files of large records
//! (see `blobs`). Only multi-tree transactions are atomic. sled may reopen with a short or empty log, so the commit log has running
//! checksums, and the number of its last durable commit is stored outside. Opening a damaged log panics, so panics are caught.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use metrics::histogram;
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use sled::transaction::Transactional as _;

use crate::limits::{LOCK_PAUSE, LOCK_PAUSES_MAX, STORE_CACHE_BYTES};
use crate::unit::{Timestamp, Unit, UnitId};

use super::blobs::Blobs;
use super::directory::{damaged, panic_message};
use super::lock::Lock;
use super::log_ends::read_log_ends;
use super::permissions;
use super::transaction::{Prepared, PreparedUnit, storage_error};
use super::{directory, watermark};
use crate::store::codec::{self, CodecError};
use crate::store::{
    Appended, Commit, LogPosition, LogRecord, LogStart, MemoryKey, MemoryRecord, RequestKey,
    RequestRecord, Sequence, StoreError, private,
};

/// A data directory, open and locked until dropped.
pub struct Database {
    pub(super) directory: PathBuf,
    /// Subdirectory of the database.
    pub(super) name: String,
    pub(super) trees: Trees,
    pub(super) db: sled::Db,
    /// A second handle of sled's log file, for syncing it.
    log_file: File,
    blobs: Blobs,
    pub(super) start: Mutex<LogStart>,
    /// The last durable commit.
    pub(super) end: Mutex<LogPosition>,
    /// Why writes have stopped.
    failure: OnceLock<String>,
    /// The first damage found.
    damage: OnceLock<String>,
    /// When commits were last brought to the disk.
    synced: Mutex<Instant>,
    pub(super) lock: Arc<Mutex<Lock>>,
}

/// When commits are brought to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syncing {
    /// Before they are acknowledged.
    EveryCommit,
    /// About once a second, while there are commits.
    Relaxed,
}

/// Time between two relaxed syncs.
const RELAXED_SYNC: Duration = Duration::from_secs(1);

pub(super) struct Trees {
    pub(super) memories: sled::Tree,
    pub(super) units: sled::Tree,
    pub(super) log: sled::Tree,
    pub(super) requests: sled::Tree,
    pub(super) history: sled::Tree,
}

pub(super) const DATABASE_LOG: &str = "db";

impl Database {
    /// Opens or creates the database with a name, without comparing it with the durable watermark.
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
        let (db, trees) = open_database(directory, &place)?;
        permissions::keep(&place);
        let log_file = File::open(place.join(DATABASE_LOG)).map_err(|error| StoreError::Io {
            doing: format!("opening the database log in {}", directory.display()),
            cause: error.to_string(),
        })?;
        let (start, end) = read_log_ends(directory, &trees.log)?;
        Ok(Self {
            directory: directory.to_owned(),
            name,
            trees,
            db,
            log_file,
            blobs: Blobs::new(&place),
            start: Mutex::new(start),
            end: Mutex::new(end),
            failure: OnceLock::new(),
            damage: OnceLock::new(),
            synced: Mutex::new(Instant::now()),
            lock,
        })
    }

    /// Why writes have stopped.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Stops writes.
    pub(super) fn fail(&self, cause: String) {
        // Only the first cause is kept.
        let _ = self.failure.set(cause);
    }

    /// Runs a write, unless one has failed before: after a failure the state on disk is unknown.
    pub(super) fn write<T>(
        &self,
        write: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some(cause) = self.failure.get() {
            return Err(StoreError::WritesPaused(cause.clone()));
        }
        write().inspect_err(|error| self.fail(error.to_string()))
    }

    /// Makes the large records written so far durable.
    fn sync_blobs(&self) -> Result<(), StoreError> {
        self.blobs.sync().map_err(|error| StoreError::Io {
            doing: format!("making a commit durable in {}", self.directory.display()),
            cause: error.to_string(),
        })
    }

    /// Makes everything written so far durable, then advances the durable watermark.
    pub(super) fn sync(&self, sequence: Sequence) -> Result<(), StoreError> {
        let doing = || format!("making a commit durable in {}", self.directory.display());
        let started = Instant::now();
        self.guard(doing, || self.db.flush())?;
        self.blobs
            .sync()
            .and_then(|()| self.log_file.sync_all())
            .and_then(|()| watermark::write(&self.directory, sequence))
            .map_err(|error| StoreError::Io { doing: doing(), cause: error.to_string() })?;
        histogram!("dhakira_commit_sync_seconds").record(started.elapsed());
        Ok(())
    }

    /// Runs a database call and converts its errors and panics to store errors.
    pub(super) fn guard<T>(
        &self,
        doing: impl FnOnce() -> String,
        call: impl FnOnce() -> sled::Result<T>,
    ) -> Result<T, StoreError> {
        let error = match catch_unwind(AssertUnwindSafe(call)) {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => store_error(&self.directory, doing(), error),
            Err(panic) => damaged(&self.directory, panic_message(panic.as_ref())),
        };
        Err(self.record_damage(error))
    }

    /// Records and logs the first damage.
    fn record_damage(&self, error: StoreError) -> StoreError {
        if let StoreError::Damaged { what, .. } = &error
            && self.damage.set(what.clone()).is_ok()
        {
            tracing::error!(directory = %self.directory.display(), "the store is damaged: {what}");
        }
        error
    }

    pub(super) fn read<T>(&self, call: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
        self.guard(|| format!("reading the store in {}", self.directory.display()), call)
    }

    pub(super) fn damage(&self, error: &CodecError) -> StoreError {
        self.record_damage(damaged(&self.directory, error.to_string()))
    }

    /// Appends commits if the log ends at `after`. Calls must not overlap.
    pub(super) fn append(
        &self,
        after: LogPosition,
        commits: &[Commit],
        syncing: Syncing,
    ) -> Appended {
        if self.failure().is_none() && self.end() != after {
            return Appended::Conflict;
        }
        match self.write(|| self.commit(after, commits, syncing)) {
            Ok(records) => Appended::Done(records),
            Err(error) => Appended::Unknown(error),
        }
    }

    fn commit(
        &self,
        mut end: LogPosition,
        commits: &[Commit],
        syncing: Syncing,
    ) -> Result<Vec<LogRecord>, StoreError> {
        let units: Vec<Result<Vec<PreparedUnit>, CodecError>> = commits
            .par_iter()
            .map(|commit| commit.units.iter().map(PreparedUnit::new).collect())
            .collect();
        let mut records = Vec::with_capacity(commits.len());
        for (commit, units) in commits.iter().zip(units) {
            let (prepared, record) = units
                .and_then(|units| Prepared::new(commit, units, end))
                .map_err(|error| self.damage(&error))?;
            self.transact(&prepared)?;
            // Before the log of this commit is written, by the next one or by the sync: after a crash sled would recover the commit
            // without large records that are not durable.
            self.sync_blobs()?;
            end = LogPosition::from(&record);
            records.push(record);
        }
        if syncing == Syncing::EveryCommit || self.is_sync_due() {
            self.sync(end.sequence)?;
        }
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = end;
        Ok(records)
    }

    /// Whether the last sync was too long ago, even for a relaxed one; the next one is due later then.
    fn is_sync_due(&self) -> bool {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = synced.elapsed() >= RELAXED_SYNC;
        if is_due {
            *synced = Instant::now();
        }
        is_due
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

/// The reads of [`SledStore`](super::SledStore).
impl Database {
    pub(super) fn memories(&self) -> Result<Vec<MemoryRecord>, StoreError> {
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
            // Their key follows that of their record.
            let record = records.last_mut().filter(|record| record.key == counters.key);
            let record = record
                .ok_or_else(|| damaged(&self.directory, "a memory has counters but no record"))?;
            record.set_counters(&counters);
        }
        Ok(records)
    }

    pub(super) fn units(
        &self,
        memory: MemoryKey,
        ids: &[UnitId],
    ) -> Result<Vec<Option<Unit>>, StoreError> {
        ids.iter().map(|&id| self.unit(memory, id)).collect()
    }

    pub(super) fn request(&self, key: RequestKey) -> Result<Option<RequestRecord>, StoreError> {
        self.read(|| self.trees.requests.get(key.0))?
            .map(|bytes| codec::decode(&key.0, &bytes).map_err(|error| self.damage(&error)))
            .transpose()
    }

    pub(super) fn requests_before(
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

    pub(super) fn read_log(
        &self,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<LogRecord>, StoreError> {
        let from = after.next().0.to_be_bytes();
        let records = self
            .read(|| self.trees.log.range(from..).take(limit).collect::<sled::Result<Vec<_>>>())?;
        records
            .iter()
            .map(|(key, bytes)| codec::decode_log(key, bytes).map_err(|error| self.damage(&error)))
            .collect()
    }

    pub(super) fn log_start(&self) -> LogStart {
        *self.start.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn version(
        &self,
        memory: MemoryKey,
        id: UnitId,
        revision: u64,
    ) -> Result<Option<Unit>, StoreError> {
        let current = self.unit(memory, id)?;
        if current.as_ref().is_some_and(|unit| unit.revision == revision) {
            return Ok(current);
        }
        // A version enters the history in the commit that replaces it.
        let get = |chunk| {
            let key = codec::history_key(memory, id, revision, chunk);
            self.read(|| self.trees.history.get(key))
        };
        self.join(memory, id, get)
    }

    /// The last durable commit.
    pub(super) fn end(&self) -> LogPosition {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn damaged(&self) -> Option<String> {
        self.damage.get().cloned()
    }
}

/// Classifies an error of sled as an I/O error or as damage.
fn store_error(directory: &Path, doing: String, error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(error) if !directory::is_content_error(error.kind()) => {
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
    // This process holds the directory lock, so sled's is held by a child that has not exec'ed yet or by a process that is exiting.
    let mut pauses = 0..LOCK_PAUSES_MAX;
    while matches!(&opened, Ok(Err(sled::Error::Io(it))) if it.to_string().contains("lock"))
        && pauses.next().is_some()
    {
        std::thread::sleep(LOCK_PAUSE);
        opened = catch_unwind(AssertUnwindSafe(open));
    }
    match opened {
        Ok(Ok(open)) => Ok(open),
        Ok(Err(error)) => Err(store_error(directory, "opening the database".to_owned(), error)),
        Err(panic) => Err(damaged(directory, panic_message(panic.as_ref()))),
    }
}
