//! The store on sled 0.34, with every rule that makes it safe. The only file that names sled.
//!
//! `flush` does not fsync on Linux, so the database file is synced through an own handle, as are the files of large records
//! (see `blobs`); only multi-tree transactions are atomic; the log may come back short or empty, so the commit log is chained and
//! its last acknowledged number is kept outside; opening a damaged log panics, so panics are caught.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
pub(super) use sled::transaction::{ConflictableTransactionError as Abort, Transactional};
use sled::transaction::{TransactionError, TransactionalTree};

use crate::limits::{BATCH_UNITS_MAX, LOCK_PAUSE, LOCK_PAUSES_MAX, STORE_CACHE_BYTES};
use crate::unit::{Timestamp, Unit, UnitId};

use super::blobs::Blobs;
use super::codec::{self, CHUNK_BYTES, CodecError};
use super::compaction::{self, Compacted, Retention};
use super::directory::{check_acknowledged, damaged, database_name, panic_message};
use super::lock::{Lock, LockError};
use super::tables::read_tail;
use super::{
    Commit, LogRecord, LogStart, MemoryKey, MemoryRecord, RequestKey, RequestRecord, Sequence,
    Store, StoreError, UnitWrite, acked, directory,
};

/// How to open a data directory.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Make the directory and an empty store when there is none.
    pub create: bool,
    /// Open a store that ends before its last acknowledged commit: what is missing is given up.
    pub accept_data_loss: bool,
    /// What this process does with it (`serve`, `import`), told to others that find it locked.
    pub purpose: String,
}

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
/// What is written to one at once.
pub(super) type Batch = sled::Batch;

/// The end of the commit log.
#[derive(Clone, Copy, Default)]
pub(super) struct Tail {
    pub(super) sequence: Sequence,
    pub(super) chain: u32,
}

const DATABASE_LOG: &str = "db";

impl SledStore {
    /// Opens the store in a directory.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it; [`StoreError::Behind`] and [`StoreError::Damaged`] when it is not
    /// what was acknowledged; I/O.
    pub fn open(directory: &Path, options: &OpenOptions) -> Result<Self, StoreError> {
        let io = |doing: &str| {
            let doing = format!("{doing} {}", directory.display());
            move |error: io::Error| StoreError::Io { doing, cause: error.to_string() }
        };
        if options.create {
            fs::create_dir_all(directory).map_err(io("creating the data directory"))?;
        } else if !directory::is_store(directory) {
            return Err(StoreError::Io {
                doing: format!("opening {}", directory.display()),
                cause: "there is no Dhakira store; `dhakira import --data DIR --memory NAME FILE` makes one, or name \
                        another directory with --data"
                    .to_owned(),
            });
        }
        let lock = Lock::take(directory, &options.purpose).map_err(|error| match error {
            LockError::Held(holder) => {
                StoreError::InUse { directory: directory.to_owned(), holder }
            }
            LockError::Io(error) => io("locking the data directory")(error),
        })?;
        let acknowledged = acked::read(directory).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => damaged(directory, error.to_string()),
            _ => io("reading the last acknowledged commit in")(error),
        })?;
        let name = database_name(directory)?;
        let fresh = !directory.join(&name).join(DATABASE_LOG).exists();
        if let Some(acknowledged) = acknowledged.filter(|_| fresh && !options.accept_data_loss)
            && acknowledged > Sequence(0)
        {
            return Err(StoreError::Behind {
                directory: directory.to_owned(),
                found: Sequence(0),
                acknowledged,
            });
        }
        if fresh && acknowledged.is_none() && !options.accept_data_loss {
            directory::check_never_used(directory)?;
        }
        let store = Self::open_named(directory, name, Arc::new(Mutex::new(lock)))?;
        let found = store.last_sequence();
        check_acknowledged(directory, found, acknowledged, options.accept_data_loss)?;
        if fresh {
            store.sync_new()?;
        }
        store.sync(found)?;
        directory::tidy(directory, &store.name);
        Ok(store)
    }

    /// Opens the database of a name, or makes it, whatever was acknowledged.
    pub(super) fn open_named(
        directory: &Path,
        name: String,
        lock: Arc<Mutex<Lock>>,
    ) -> Result<Self, StoreError> {
        let place = directory.join(&name);
        let (database, trees) = open_database(directory, &place)?;
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
            lock,
        })
    }

    /// Tells other processes that find the directory locked where this one can be reached.
    ///
    /// # Errors
    /// I/O.
    pub fn announce(&self, address: &str) -> Result<(), StoreError> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).announce(address).map_err(
            |error| StoreError::Io {
                doing: format!("writing the lock file in {}", self.directory.display()),
                cause: error.to_string(),
            },
        )
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
        self.guard(doing(), || self.database.flush())?;
        self.blobs
            .sync()
            .and_then(|()| self.log_file.sync_all())
            .and_then(|()| acked::write(&self.directory, sequence))
            .map_err(|error| StoreError::Io { doing: doing(), cause: error.to_string() })
    }

    /// Runs a database call: its errors and its panics become errors of ours.
    pub(super) fn guard<T>(
        &self,
        doing: String,
        call: impl FnOnce() -> sled::Result<T>,
    ) -> Result<T, StoreError> {
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(said_no(&self.directory, doing, error)),
            Err(panic) => Err(damaged(&self.directory, panic_message(panic.as_ref()))),
        }
    }

    pub(super) fn read<T>(&self, call: impl FnOnce() -> sled::Result<T>) -> Result<T, StoreError> {
        self.guard(format!("reading the store in {}", self.directory.display()), call)
    }

    pub(super) fn damage(&self, error: &CodecError) -> StoreError {
        damaged(&self.directory, error.to_string())
    }

    fn unit(&self, memory: MemoryKey, id: UnitId) -> Result<Option<Unit>, StoreError> {
        let get = |chunk| self.read(|| self.trees.units.get(codec::unit_key(memory, id, chunk)));
        self.join(memory, id, get)
    }

    /// The unit whose pieces `get` gives.
    fn join(
        &self,
        memory: MemoryKey,
        id: UnitId,
        get: impl Fn(u8) -> Result<Option<sled::IVec>, StoreError>,
    ) -> Result<Option<Unit>, StoreError> {
        let Some(first) = get(0)? else {
            return Ok(None);
        };
        let mut joined = Vec::new();
        let mut bytes: &[u8] = &first;
        if first.len() == CHUNK_BYTES {
            joined.extend_from_slice(&first);
            for chunk in 1..=u8::MAX {
                let Some(piece) = get(chunk)? else { break };
                joined.extend_from_slice(&piece);
                if piece.len() < CHUNK_BYTES {
                    break;
                }
            }
            bytes = &joined;
        }
        codec::decode_unit(memory, id, bytes).map(Some).map_err(|error| self.damage(&error))
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
        let doing = format!("writing to the store in {}", self.directory.display());
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

/// A commit, encoded: a transaction may run more than once.
struct Prepared {
    memories: Vec<([u8; 4], Vec<u8>)>,
    units: Vec<PreparedUnit>,
    log: ([u8; 8], Vec<u8>),
    requests: Vec<(RequestKey, Option<Vec<u8>>)>,
}

struct PreparedUnit {
    memory: MemoryKey,
    id: UnitId,
    /// Empty for a deletion.
    bytes: Vec<u8>,
    is_new: bool,
}

impl Prepared {
    fn new(commit: &Commit, units: Vec<PreparedUnit>, tail: &mut Tail) -> Result<Self, CodecError> {
        debug_assert!(commit.units.len() <= BATCH_UNITS_MAX, "a transaction must stay small");
        let sequence = tail.sequence.next();
        let mut record = LogRecord::of(commit, sequence);
        record.chain = codec::chain(tail.chain, &record)?;
        *tail = Tail { sequence, chain: record.chain };
        let log_key = sequence.0.to_be_bytes();
        let memories = commit
            .memories
            .iter()
            .map(|memory| {
                let key = memory.key.0.to_be_bytes();
                Ok((key, codec::encode(&key, memory)?))
            })
            .collect::<Result<_, CodecError>>()?;
        let mut requests = commit
            .requests
            .iter()
            .map(|(key, record)| Ok((*key, Some(codec::encode(&key.0, record)?))))
            .collect::<Result<Vec<_>, CodecError>>()?;
        requests.extend(commit.forgotten.iter().map(|key| (*key, None)));
        let log = (log_key, codec::encode_log(&log_key, &record)?);
        Ok(Self { memories, units, log, requests })
    }

    fn apply(
        &self,
        (memories, log, requests): (&TransactionalTree, &TransactionalTree, &TransactionalTree),
        (units, history): (&TransactionalTree, &TransactionalTree),
    ) -> Result<(), Abort<Never>> {
        for (key, bytes) in &self.memories {
            memories.insert(key, bytes.as_slice())?;
        }
        for unit in &self.units {
            unit.apply(units, history)?;
        }
        log.insert(&self.log.0, self.log.1.as_slice())?;
        for (key, bytes) in &self.requests {
            match bytes {
                Some(bytes) => requests.insert(&key.0, bytes.as_slice())?,
                None => requests.remove(&key.0)?,
            };
        }
        Ok(())
    }
}

impl PreparedUnit {
    fn new(write: &UnitWrite) -> Result<Self, CodecError> {
        let (memory, id, bytes, is_new) = match write {
            UnitWrite::Create(memory, unit) => {
                (*memory, unit.id, codec::encode_unit(*memory, unit)?, true)
            }
            UnitWrite::Update(memory, unit) => {
                (*memory, unit.id, codec::encode_unit(*memory, unit)?, false)
            }
            UnitWrite::Delete(memory, id, _) | UnitWrite::Purge(memory, id) => {
                (*memory, *id, Vec::new(), false)
            }
        };
        Ok(Self { memory, id, bytes, is_new })
    }

    /// Writes the pieces of the unit; those of the version before it become history.
    fn apply(
        &self,
        units: &TransactionalTree,
        history: &TransactionalTree,
    ) -> Result<(), Abort<Never>> {
        let mut chunk = 0_u8;
        let mut before = None;
        let mut keep = |chunk, piece: sled::IVec| {
            // What cannot be read now cannot be read later: it is left to `verify` to say so.
            let revision = *before.get_or_insert_with(|| codec::revision(&piece).unwrap_or(0));
            history.insert(&codec::history_key(self.memory, self.id, revision, chunk), piece)
        };
        // A piece of exactly the full size means "more follows", so a record of such a length ends in an empty piece.
        let pieces = if self.bytes.is_empty() { 0 } else { self.bytes.len() / CHUNK_BYTES + 1 };
        for piece in 0..pieces {
            let start = piece * CHUNK_BYTES;
            let end = self.bytes.len().min(start + CHUNK_BYTES);
            let key = codec::unit_key(self.memory, self.id, chunk);
            if let Some(old) = units.insert(&key, &self.bytes[start..end])? {
                keep(chunk, old)?;
            }
            chunk += 1;
        }
        // What is left of a longer record that was here before.
        while !self.is_new
            && let Some(old) = units.remove(&codec::unit_key(self.memory, self.id, chunk))?
        {
            keep(chunk, old)?;
            chunk += 1;
        }
        Ok(())
    }
}

impl Store for SledStore {
    fn memories(&self) -> Result<Vec<MemoryRecord>, StoreError> {
        self.read(|| self.trees.memories.iter().collect::<sled::Result<Vec<_>>>())?
            .iter()
            .map(|(key, bytes)| codec::decode(key, bytes).map_err(|error| self.damage(&error)))
            .collect()
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
        let first = match after {
            None => UnitId(0),
            Some(UnitId(u64::MAX)) => return Ok(Vec::new()),
            Some(UnitId(id)) => UnitId(id + 1),
        };
        let from = codec::unit_key(memory, first, 0);
        let to = codec::unit_key(memory, UnitId(u64::MAX), u8::MAX);
        let mut units = Vec::with_capacity(limit.min(1_000));
        let mut pieces = self.trees.units.range(from..=to);
        let mut current: Option<(UnitId, Vec<u8>)> = None;
        let decode = |(id, bytes): (UnitId, Vec<u8>)| {
            codec::decode_unit(memory, id, &bytes).map_err(|error| self.damage(&error))
        };
        while units.len() < limit {
            let Some((key, bytes)) = self.read(|| pieces.next().transpose())? else {
                break;
            };
            let Some((_, id, chunk)) = codec::parse_unit_key(&key) else {
                return Err(damaged(&self.directory, "a unit has a key of the wrong length"));
            };
            if chunk == 0 {
                if let Some(whole) = current.replace((id, bytes.to_vec())) {
                    units.push(decode(whole)?);
                }
            } else if let Some((_, joined)) = current.as_mut() {
                joined.extend_from_slice(&bytes);
            }
        }
        if units.len() < limit
            && let Some(whole) = current
        {
            units.push(decode(whole)?);
        }
        Ok(units)
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
