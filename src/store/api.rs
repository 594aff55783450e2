//! The seam between the use cases and a database: records in batches, nothing else.
//!
//! No type of a database, no closure and no live iterator crosses it, so an embedded engine, the in-memory one of the tests, or a
//! distributed one can stand behind it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::unit::{Timestamp, Unit, UnitId};

use super::records::{
    Commit, LogRecord, LogStart, MemoryKey, MemoryRecord, RequestKey, RequestRecord, Sequence,
};

/// What only this store knows: the key of tokens that clients pass on unread.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret(pub [u8; 32]);

impl Secret {
    /// A secret that nobody knows.
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
    /// Without the secret.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Secret").finish_non_exhaustive()
    }
}

/// The process that has a data directory open, as it introduced itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder(pub(super) String);

impl fmt::Display for Holder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Holder {
    /// The address that the holder serves on, if it said so.
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
        /// By whom.
        holder: Holder,
    },
    /// The store holds less than was acknowledged.
    #[error(
        "the store in {} ends at commit {}, but commit {} was acknowledged: acknowledged units are missing. Nothing was \
         changed. Bring it back with `dhakira restore` from a backup, or put a copy of the directory back; or, to go on with what is \
         left, start once with --accept-data-loss",
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
    /// What is on disk is not what was written.
    #[error("the store in {} is damaged: {what}. Nothing was changed. Bring it back with `dhakira restore` from a backup, or put a copy of the directory back{hint}", directory.display())]
    Damaged {
        /// Which directory.
        directory: PathBuf,
        /// What was found.
        what: String,
        /// Another way out, where there is one.
        hint: &'static str,
    },
    /// The outcome of an earlier append is unknown, so nothing is appended until the log has recovered.
    #[error(
        "writes are paused since one failed ({0}); they resume by themselves when its cause is gone"
    )]
    WritesPaused(String),
    /// The caller cancelled.
    #[error("it was cancelled; nothing was changed")]
    Cancelled,
    /// This database cannot do it.
    #[error("this store does not support {0}")]
    Unsupported(&'static str),
    /// The operating system or the database failed.
    #[error("{doing}: {cause}")]
    Io {
        /// What was being done.
        doing: String,
        /// Its error.
        cause: String,
    },
}

/// A commit of the log, with the running checksum there: two logs that agree on a position agree on everything up to it.
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
    /// Somebody else appended after the position first. Nothing was written.
    Conflict,
    /// The commits may or may not be in the log, now or later. Nothing more may be appended before [`CommitLog::recover`] has
    /// succeeded.
    Unknown(StoreError),
}

impl Appended {
    /// The records, for a caller that knows of no other one.
    ///
    /// # Errors
    /// A conflict; what the log said.
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

/// The log of commits: the truth that everything else is made from. Several processes may append to one log. Every call blocks.
pub trait CommitLog: Send + Sync + 'static {
    /// Appends commits, each whole or not at all, in order, if the log ends at `after`.
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

    /// Blocks until the log holds a commit after this one, or until the timeout; whether it does.
    ///
    /// # Errors
    /// I/O.
    fn wait(&self, after: Sequence, timeout: Duration) -> Result<bool, StoreError>;

    /// The last durable commit.
    ///
    /// # Errors
    /// I/O.
    fn end(&self) -> Result<LogPosition, StoreError>;

    /// The commit after which the log is held; what is older was truncated.
    ///
    /// # Errors
    /// I/O.
    fn start(&self) -> Result<LogStart, StoreError>;

    /// The position of a commit; `None` when the log does not hold it.
    ///
    /// # Errors
    /// I/O, damage.
    fn position_of(&self, sequence: Sequence) -> Result<Option<LogPosition>, StoreError> {
        let start = self.start()?;
        if sequence == start.sequence && sequence > Sequence(0) {
            return Ok(Some(start.into()));
        }
        let Some(before) = sequence.0.checked_sub(1) else { return Ok(None) };
        let found = self.read(Sequence(before), 1)?;
        Ok(found.first().filter(|record| record.sequence == sequence).map(LogPosition::from))
    }

    /// Whether other processes may append, so that a follower has to [wait](Self::wait) for their commits.
    fn is_shared(&self) -> bool;

    /// Makes the log fit for appending again after [`Appended::Unknown`]: when it returns, what the log holds is durable, and every
    /// acknowledged commit is in it.
    ///
    /// # Errors
    /// The cause is still there; reads go on as before.
    fn recover(&self) -> Result<(), StoreError>;
}

/// What the commits of a log have stored. Read only: it changes by appends to the log. It may be ahead of what a follower has
/// applied, never behind. Every call blocks.
pub trait Store: Send + Sync + 'static {
    /// Every memory, deleted ones that still hold units included, by key.
    ///
    /// # Errors
    /// I/O, damage.
    fn memories(&self) -> Result<Vec<MemoryRecord>, StoreError>;

    /// The units with these numbers, in the order asked; `None` for one that does not exist.
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

    /// A unit as it was in a revision that the log names, current or not. `None` when it is not held: its commit is before the log's
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

    /// Requests carried out before a moment, at most `limit`.
    ///
    /// # Errors
    /// I/O, damage.
    fn requests_before(&self, time: Timestamp, limit: usize)
    -> Result<Vec<RequestKey>, StoreError>;

    /// The secret of this store, the same each time. A copy of the store may have another one.
    fn secret(&self) -> Secret;

    /// The first damage found since the store was opened: some of its content cannot be read.
    fn damaged(&self) -> Option<String> {
        None
    }
}

/// How much of the log stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Commits of this moment and later stay.
    pub keep_from: Timestamp,
}

/// The result of a compaction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Bytes of the database before and after.
    pub bytes: (u64, u64),
    /// Where the log begins now.
    pub log_start: LogStart,
}

/// Keeps a database small. Not every one needs it.
pub trait Maintenance: Send + Sync + 'static {
    /// Copies what is alive to a new database, truncates the log by the retention, and replaces the database by the copy; reads and
    /// writes go on meanwhile. `progress` gets the entries done and all of them, and says whether to continue. A crash at any
    /// moment leaves the old database or the new one, whole.
    ///
    /// # Errors
    /// I/O; cancelled; the store stays as it was.
    fn compact(
        &self,
        retention: Retention,
        progress: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<Compacted, StoreError>;

    /// Removes some of the log before the retention, in place, with the versions of units that it replaced; `true` when there is
    /// more to remove. A crash leaves a log without a gap. Called between appends, by whoever appends.
    ///
    /// # Errors
    /// As of [`Appended::Unknown`].
    fn truncate_log(&self, retention: Retention) -> Result<bool, StoreError>;
}

/// What a full backup reads beside the [`Store`].
pub trait BackupSource: Send + Sync + 'static {
    /// Requests in the order of their keys, from the first one above `after`.
    ///
    /// # Errors
    /// I/O, damage.
    fn requests(
        &self,
        after: Option<RequestKey>,
        limit: usize,
    ) -> Result<Vec<(RequestKey, RequestRecord)>, StoreError>;
}

/// A copy of a log that lives elsewhere, with its own store: the same commits give the same checksums.
#[derive(Clone)]
pub struct LocalCopy {
    /// The log of the copy, to which nobody else appends.
    pub log: Arc<dyn CommitLog>,
    /// The store of the original: it has the units of commits that others have appended.
    pub origin: Arc<dyn Store>,
}

/// A database, by what it can do.
#[derive(Clone)]
pub struct Backend {
    /// Its commit log.
    pub log: Arc<dyn CommitLog>,
    /// What the log has stored: that of the local copy, where there is one.
    pub store: Arc<dyn Store>,
    /// Where the log lives elsewhere: what the follower copies it to.
    pub local_copy: Option<LocalCopy>,
    /// Compaction and truncation, where it needs them.
    pub maintenance: Option<Arc<dyn Maintenance>>,
    /// What full backups read.
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
