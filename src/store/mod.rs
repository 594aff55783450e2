//! Where does it live? The seam between the use cases and the database: records in batches, nothing else.
//!
//! No engine type, closure or live iterator crosses it, so an embedded engine, the in-memory one of the tests, or a
//! distributed one can stand behind it. Knows nothing of matching, formats, protocols or who asks.

mod acked;
mod codec;
mod in_memory;
mod lock;
mod sled_store;

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::unit::{Lang, MemoryName, Timestamp, Unit, UnitId};

pub use in_memory::InMemoryStore;
pub use lock::Holder;
pub use sled_store::{OpenOptions, SledStore};

/// The number of a memory inside the store: never used twice, so that a new memory never inherits records.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
pub struct MemoryKey(pub u32);

/// The number of a commit: 1, 2, 3, … without gaps; 0 is "before the first".
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The commit after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A memory as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryRecord {
    /// Its number.
    pub key: MemoryKey,
    /// Its name; free for another memory once `deleted`.
    pub name: MemoryName,
    /// What people call it.
    pub display_name: String,
    /// What it is for.
    pub description: String,
    /// Language of its sources.
    pub source_lang: Lang,
    /// Language of its targets.
    pub target_lang: Lang,
    /// When it was made.
    pub created: Timestamp,
    /// When its own fields were last changed.
    pub changed: Timestamp,
    /// 1 when made, one more with each change of its own fields.
    pub revision: u64,
    /// Units it holds.
    pub unit_count: u64,
    /// The number that the next new unit gets.
    pub next_unit: UnitId,
    /// Gone for every reader; its units may still be on their way out.
    pub deleted: bool,
}

/// What happened to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeKind {
    /// It is new.
    Created,
    /// It has a new revision.
    Updated,
    /// It is gone.
    Deleted,
}

/// One line of the commit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// In which memory.
    pub memory: MemoryKey,
    /// Which unit.
    pub unit: UnitId,
    /// What happened.
    pub kind: ChangeKind,
    /// The revision it has now (had last, for a deleted one).
    pub revision: u64,
}

/// Names a request that may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestKey(pub [u8; 16]);

/// What is remembered of a request, in the same commit as its effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// When it was carried out.
    pub time: Timestamp,
    /// Hash of its content: the same key with another content is a client's mistake.
    pub fingerprint: u128,
    /// What was answered, in the words of the engine.
    pub outcome: Vec<u8>,
}

/// What a commit does to a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitWrite {
    /// Store a unit whose number is new.
    Create(MemoryKey, Arc<Unit>),
    /// Store a new revision of a unit.
    Update(MemoryKey, Arc<Unit>),
    /// Delete a unit, whose last revision was this.
    Delete(MemoryKey, UnitId, u64),
    /// Delete what is left of a unit of a deleted memory; not a change that anybody is told of.
    Purge(MemoryKey, UnitId),
}

impl UnitWrite {
    /// The unit that it stores, if it stores one.
    pub fn unit(&self) -> Option<&Unit> {
        match self {
            Self::Create(_, unit) | Self::Update(_, unit) => Some(unit),
            Self::Delete(..) | Self::Purge(..) => None,
        }
    }

    fn change(&self) -> Option<Change> {
        let (memory, unit, kind, revision) = match self {
            Self::Create(memory, unit) => (*memory, unit.id, ChangeKind::Created, unit.revision),
            Self::Update(memory, unit) => (*memory, unit.id, ChangeKind::Updated, unit.revision),
            Self::Delete(memory, id, revision) => (*memory, *id, ChangeKind::Deleted, *revision),
            Self::Purge(..) => return None,
        };
        Some(Change { memory, unit, kind, revision })
    }
}

/// What goes in together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// When.
    pub time: Timestamp,
    /// Memories as they are after it.
    pub memories: Vec<MemoryRecord>,
    /// At most [`crate::limits::BATCH_UNITS_MAX`], carried out in order.
    pub units: Vec<UnitWrite>,
    /// Requests that it carries out.
    pub requests: Vec<(RequestKey, RequestRecord)>,
    /// Requests that it forgets.
    pub forgotten: Vec<RequestKey>,
}

/// One commit in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Its number.
    pub sequence: Sequence,
    /// When.
    pub time: Timestamp,
    /// What it did to units, in order.
    pub changes: Vec<Change>,
    /// Running checksum: CRC-32 of the one before and of this record, so that no record can go missing unseen.
    pub chain: u32,
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
         changed. Restore the directory from a copy, or, to go on with what is left, start once with --accept-data-loss",
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
    #[error("the store in {} is damaged: {what}. Nothing was changed. Restore the directory from a copy{hint}", directory.display())]
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
    /// The operating system or the database said no.
    #[error("{doing}: {cause}")]
    Io {
        /// What was being done.
        doing: String,
        /// What it said.
        cause: String,
    },
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

    /// Carries the commits out, each one whole or not at all, in order; when it returns they are on disk. Returns the
    /// sequence of the last one. Concurrent calls are a mistake of the caller: there is one writer.
    ///
    /// # Errors
    /// After any error the store is poisoned: it answers reads and refuses writes.
    fn commit(&self, commits: &[Commit]) -> Result<Sequence, StoreError>;

    /// Why it takes no more writes, if it does not.
    fn poisoned(&self) -> Option<String>;
}
