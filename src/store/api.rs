//! The seam between the use cases and a database: records in batches, nothing else.
//!
//! No type of a database, no closure and no live iterator crosses it, so an embedded engine, the in-memory one of the tests, or a
//! distributed one can stand behind it.

use std::fmt;
use std::path::PathBuf;

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

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
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
        /// The last commit that somebody was told is on disk.
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
    /// An earlier write failed; what is on disk is uncertain, so nothing more is written.
    #[error(
        "the store takes no more writes since an earlier one failed ({0}); restart the server after mending the cause"
    )]
    Poisoned(String),
    /// Whoever wanted it went away.
    #[error("it was cancelled; nothing was changed")]
    Cancelled,
    /// The operating system or the database said no.
    #[error("{doing}: {cause}")]
    Io {
        /// What was being done.
        doing: String,
        /// What it said.
        cause: String,
    },
}

/// How much of the log stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Commits of this moment and later stay.
    pub keep_from: Timestamp,
}

/// What a compaction did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Bytes of the database before and after.
    pub bytes: (u64, u64),
    /// Where the log begins now.
    pub log_start: LogStart,
}

/// A database of memories, units, requests and a commit log. Every call blocks.
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

    /// What is remembered of a request.
    ///
    /// # Errors
    /// I/O, damage.
    fn request(&self, key: RequestKey) -> Result<Option<RequestRecord>, StoreError>;

    /// Requests carried out before a moment, at most `limit`.
    ///
    /// # Errors
    /// I/O, damage.
    fn requests_before(&self, time: Timestamp, limit: usize)
    -> Result<Vec<RequestKey>, StoreError>;

    /// Log records above `after`, in order, at most `limit`.
    ///
    /// # Errors
    /// I/O, damage.
    fn changes_since(&self, after: Sequence, limit: usize) -> Result<Vec<LogRecord>, StoreError>;

    /// The last commit.
    fn last_sequence(&self) -> Sequence;

    /// Where the log begins: compaction gives up what is older than its retention.
    fn log_start(&self) -> LogStart;

    /// A unit as it was in a revision that the log names, whether it is that still or not. `None` when it is not held: the
    /// revision was given up by a version of this program that kept no history, or its commit is before the log's start.
    ///
    /// # Errors
    /// I/O, damage.
    fn version(
        &self,
        memory: MemoryKey,
        id: UnitId,
        revision: u64,
    ) -> Result<Option<Unit>, StoreError>;

    /// Requests in the order of their keys, from the first one above `after`, at most `limit`.
    ///
    /// # Errors
    /// I/O, damage.
    fn requests(
        &self,
        after: Option<RequestKey>,
        limit: usize,
    ) -> Result<Vec<(RequestKey, RequestRecord)>, StoreError>;

    /// Copies what is alive to a new database, gives up the log before the retention, and goes on with the copy; reads and
    /// writes go on meanwhile. A crash at any moment leaves the old database or the new one, whole.
    ///
    /// # Errors
    /// I/O: the store goes on as it was.
    fn compact(
        &self,
        retention: Retention,
        told: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<Compacted, StoreError>;

    /// Gives up some of the log before the retention, in place, with the versions of units that it replaced; `true`
    /// when there is more to give up. Whatever a crash leaves of it, the log begins at one commit and goes on without a gap.
    /// Called by whoever commits, between commits.
    ///
    /// # Errors
    /// As of [`commit`](Self::commit).
    fn cut_log(&self, retention: Retention) -> Result<bool, StoreError>;

    /// Carries the commits out, each one whole or not at all, in order; when it returns they are on disk. Returns the
    /// sequence of the last one. Concurrent calls are a mistake of the caller: there is one writer.
    ///
    /// # Errors
    /// After any error the store is poisoned: it answers reads and refuses writes.
    fn commit(&self, commits: &[Commit]) -> Result<Sequence, StoreError>;

    /// Why it takes no more writes, if it does not.
    fn poisoned(&self) -> Option<String>;

    /// The secret of this store, the same each time. A copy of the store may have another one.
    fn secret(&self) -> Secret;

    /// The first damage that was met since it was opened: some of what was stored cannot be read.
    fn damaged(&self) -> Option<String> {
        None
    }
}
