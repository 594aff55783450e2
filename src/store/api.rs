//! Defines the interface between the engine and a database: batches of records, nothing else.
//!
//! No type of a database, no closure over its state and no live iterator crosses it, so the database behind it can be embedded, in
//! memory or distributed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::unit::{Timestamp, Unit, UnitId};

use super::records::{
    ChangeKind, Commit, LogRecord, LogStart, MemoryKey, MemoryRecord, RequestKey, RequestRecord,
    Sequence,
};

/// A store's random key, which authenticates the opaque tokens that clients hand back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 32]);

impl Secret {
    /// A new random secret.
    pub(super) fn random() -> Self {
        let mut bytes = [0; 32];
        // Each UUID holds 122 random bits of the operating system.
        for half in bytes.chunks_exact_mut(16) {
            half.copy_from_slice(Uuid::new_v4().as_bytes());
        }
        Self(bytes)
    }
}

impl fmt::Debug for Secret {
    /// Omits the secret.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Secret").finish_non_exhaustive()
    }
}

/// The process that has a data directory open, by the description in its lock file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder(pub(super) String);

impl fmt::Display for Holder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Holder {
    /// The address that the holder listens on, if it is a server.
    pub fn address(&self) -> Option<&str> {
        self.0.split_once("listening on ").map(|(_, address)| address)
    }
}

/// Why the store failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another process has the data directory open.
    #[error("the data directory {} is in use by {holder}", directory.display())]
    InUse {
        /// Which directory.
        directory: PathBuf,
        /// The process that uses it.
        holder: Holder,
    },
    /// The store holds less than was acknowledged.
    #[error(
        "the store in {} ends at commit {}, but commit {} was acknowledged: acknowledged units are missing. Nothing was \
         changed. Recover it with `dhakira restore` from a backup, or put a copy of the directory back; or, to continue with what \
         is left, start once with --accept-data-loss",
        directory.display(), found.0, acknowledged.0
    )]
    Behind {
        /// Which directory.
        directory: PathBuf,
        /// The last commit in the store.
        found: Sequence,
        /// The last acknowledged commit.
        acknowledged: Sequence,
    },
    /// The files do not hold what was written to them.
    #[error("the store in {} is damaged: {what}. Nothing was changed. Recover it with `dhakira restore` from a backup, or put a copy of the directory back{hint}", directory.display())]
    Damaged {
        /// Which directory.
        directory: PathBuf,
        /// What was found.
        what: String,
        /// Another remedy, where there is one.
        hint: &'static str,
    },
    /// The outcome of an earlier append is unknown, so nothing is appended until the log has recovered.
    #[error(
        "writes are paused because one failed ({0}); they resume automatically when the cause is gone"
    )]
    WritesPaused(String),
    /// The database that nodes share cannot be used as it is.
    #[error("{place}: {reason}")]
    Refused {
        /// Which database.
        place: String,
        /// Why, and the remedy.
        reason: String,
    },
    /// The database that nodes share does not answer.
    #[error("{doing}: the database {place} cannot be reached: {cause}")]
    Unreachable {
        /// Which database.
        place: String,
        /// What was being done.
        doing: String,
        /// The error.
        cause: String,
    },
    /// The caller cancelled.
    #[error("the operation was cancelled; nothing was changed")]
    Cancelled,
    /// This database lacks an optional capability.
    #[error("this store does not support {0}")]
    Unsupported(&'static str),
    /// The operating system or the database failed.
    #[error("{doing}: {cause}")]
    Io {
        /// What was being done.
        doing: String,
        /// The error.
        cause: String,
    },
}

/// A commit number and the running checksum after that commit. Two logs that agree on a position agree on everything up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogPosition {
    /// Number of the commit; 0 before the first one.
    pub sequence: Sequence,
    /// Running checksum of the log up to it.
    pub checksum: u32,
}

impl From<&LogRecord> for LogPosition {
    fn from(record: &LogRecord) -> Self {
        Self { sequence: record.sequence, checksum: record.checksum }
    }
}

impl From<LogStart> for LogPosition {
    fn from(start: LogStart) -> Self {
        Self { sequence: start.sequence, checksum: start.checksum }
    }
}

/// The outcome of an append.
#[derive(Debug)]
pub enum Appended {
    /// The commits are durable; these are their records.
    Done(Vec<LogRecord>),
    /// Another writer appended after the position first. Nothing was written.
    Conflict,
    /// The commits may or may not be in the log, now or later. Nothing more may be appended before [`CommitLog::recover`] has
    /// succeeded.
    Unknown(StoreError),
}

impl Appended {
    /// The records, for a caller that expects to be the only writer.
    ///
    /// # Errors
    /// A conflict; the error of an append of unknown outcome.
    pub fn into_result(self) -> Result<Vec<LogRecord>, StoreError> {
        match self {
            Self::Done(records) => Ok(records),
            Self::Unknown(error) => Err(error),
            Self::Conflict => Err(StoreError::Io {
                doing: "appending to the commit log".to_owned(),
                cause: "another process has appended first".to_owned(),
            }),
        }
    }
}

/// The log of commits, from which everything else is derived. Several processes may append to one log. Every call blocks.
pub trait CommitLog: Send + Sync + 'static {
    /// Appends commits in order, each atomically, if the log ends at `after`.
    fn append(&self, after: LogPosition, commits: &[Commit]) -> Appended;

    /// Records above `after`, in order, at most `limit`.
    ///
    /// # Errors
    /// I/O, damage.
    fn read(&self, after: Sequence, limit: usize) -> Result<Vec<LogRecord>, StoreError>;

    /// The record of a request that a commit carried out.
    ///
    /// # Errors
    /// I/O, damage.
    fn request(&self, key: RequestKey) -> Result<Option<RequestRecord>, StoreError>;

    /// Blocks until the log holds a commit after this one, or until the timeout. Returns whether it does.
    ///
    /// # Errors
    /// I/O.
    fn wait(&self, after: Sequence, timeout: Duration) -> Result<bool, StoreError>;

    /// The last durable commit.
    ///
    /// # Errors
    /// I/O.
    fn end(&self) -> Result<LogPosition, StoreError>;

    /// The commit after which the log begins; that commit and older ones were truncated.
    ///
    /// # Errors
    /// I/O.
    fn start(&self) -> Result<LogStart, StoreError>;

    /// Number, checksum and time of a commit that the log holds, or of the last truncated one; `None` for any other.
    ///
    /// # Errors
    /// I/O, damage.
    fn mark_at(&self, sequence: Sequence) -> Result<Option<LogStart>, StoreError> {
        let start = self.start()?;
        if sequence == start.sequence && sequence > Sequence(0) {
            return Ok(Some(start));
        }
        let Some(before) = sequence.0.checked_sub(1) else { return Ok(None) };
        let found = self.read(Sequence(before), 1)?;
        Ok(found.first().filter(|record| record.sequence == sequence).map(LogStart::from))
    }

    /// Whether other processes may append, so that a follower has to [wait](Self::wait) for their commits.
    fn is_shared(&self) -> bool;

    /// Makes the log ready for appends again after [`Appended::Unknown`]: when it returns, what the log holds is durable, and every
    /// acknowledged commit is in it.
    ///
    /// # Errors
    /// The cause persists; reads are not affected.
    fn recover(&self) -> Result<(), StoreError>;
}

/// The records that the commits of a log have stored. Read-only: it changes through appends to the log. It may be ahead of what a
/// follower has applied, never behind. Every call blocks.
pub trait Store: Send + Sync + 'static {
    /// Every memory, deleted ones that still hold units included, by key.
    ///
    /// # Errors
    /// I/O, damage.
    fn memories(&self) -> Result<Vec<MemoryRecord>, StoreError>;

    /// The units with these numbers, in the order of `ids`; `None` for one that does not exist.
    ///
    /// # Errors
    /// I/O, damage.
    fn units(&self, memory: MemoryKey, ids: &[UnitId]) -> Result<Vec<Option<Unit>>, StoreError>;

    /// Units in rising order of number, from the first one above `after`, at most `limit`.
    ///
    /// # Errors
    /// I/O, damage.
    fn page(
        &self,
        memory: MemoryKey,
        after: Option<UnitId>,
        limit: usize,
    ) -> Result<Vec<Unit>, StoreError>;

    /// A unit at a revision that the log names, current or not. `None` when that revision is not kept: its commit is before the log's
    /// start, or it was replaced by a version of this program that kept no history.
    ///
    /// # Errors
    /// I/O, damage.
    fn version(
        &self,
        memory: MemoryKey,
        id: UnitId,
        revision: u64,
    ) -> Result<Option<Unit>, StoreError>;

    /// The units that the commit of a record stored, in the order of its changes, each at the revision that it stored; `None` for
    /// one that is not [held](Self::version).
    ///
    /// # Errors
    /// I/O, damage.
    fn stored_units(&self, record: &LogRecord) -> Result<Vec<Option<Unit>>, StoreError> {
        let stored = record.changes.iter().filter(|change| change.kind != ChangeKind::Deleted);
        stored.map(|change| self.version(change.memory, change.unit, change.revision)).collect()
    }

    /// The same for several records, which a remote store reads at once.
    ///
    /// # Errors
    /// I/O, damage.
    fn stored_units_of(&self, records: &[LogRecord]) -> Result<Vec<Vec<Option<Unit>>>, StoreError> {
        records.iter().map(|record| self.stored_units(record)).collect()
    }

    /// Requests carried out before a time, at most `limit`.
    ///
    /// # Errors
    /// I/O, damage.
    fn requests_before(&self, time: Timestamp, limit: usize)
    -> Result<Vec<RequestKey>, StoreError>;

    /// The secret of this store, the same on every call. A copy of the store may have another one.
    fn secret(&self) -> Secret;

    /// The first damage found since the store was opened, after which some of its content cannot be read.
    fn damaged(&self) -> Option<String> {
        None
    }
}

/// How much of the log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Commits of this time and later are kept.
    pub keep_from: Timestamp,
}

/// The result of a compaction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Bytes of the database before and after.
    pub bytes: (u64, u64),
    /// Where the log begins after it.
    pub log_start: LogStart,
}

/// Maintenance that keeps a database small; optional.
pub trait Maintenance: Send + Sync + 'static {
    /// Copies live records to a new database, truncates the log to the retention, and replaces the database by the copy, while reads
    /// and writes continue. `progress` gets the number of copied entries and the total, and returns whether to continue. A crash at
    /// any time leaves either the old database or the new one, complete.
    ///
    /// # Errors
    /// I/O; cancelled. The store is unchanged then.
    fn compact(
        &self,
        retention: Retention,
        progress: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<Compacted, StoreError>;

    /// Removes some of the commits older than the retention, in place, with the versions of units that they replaced. Returns whether
    /// there is more to remove. A crash leaves a log without a gap. The writer calls it between appends.
    ///
    /// # Errors
    /// As of [`Appended::Unknown`].
    fn truncate_log(&self, retention: Retention) -> Result<bool, StoreError>;
}

/// The reads that only a full backup needs.
pub trait BackupSource: Send + Sync + 'static {
    /// Requests in key order, from the first one above `after`.
    ///
    /// # Errors
    /// I/O, damage.
    fn requests(
        &self,
        after: Option<RequestKey>,
        limit: usize,
    ) -> Result<Vec<(RequestKey, RequestRecord)>, StoreError>;
}

/// A local copy of a remote log, with its own store. The same commits give the same checksums.
#[derive(Clone)]
pub struct LocalCopy {
    /// The log of the copy, to which only the follower appends.
    pub log: Arc<dyn CommitLog>,
    /// The store of the remote log, which has the units of other processes' commits.
    pub origin: Arc<dyn Store>,
}

/// A database, by its capabilities.
#[derive(Clone)]
pub struct Backend {
    /// Its commit log.
    pub log: Arc<dyn CommitLog>,
    /// The records that the log has stored; those of the local copy, if there is one.
    pub store: Arc<dyn Store>,
    /// The copy that the follower maintains of a remote log.
    pub local_copy: Option<LocalCopy>,
    /// Compaction and log truncation, where the database needs them.
    pub maintenance: Option<Arc<dyn Maintenance>>,
    /// Reads for full backups.
    pub backup_source: Option<Arc<dyn BackupSource>>,
}

impl<T: CommitLog + Store + Maintenance + BackupSource> From<Arc<T>> for Backend {
    fn from(database: Arc<T>) -> Self {
        Self {
            log: Arc::clone(&database) as _,
            store: Arc::clone(&database) as _,
            local_copy: None,
            maintenance: Some(Arc::clone(&database) as _),
            backup_source: Some(database),
        }
    }
}
