//! Stores memories, units, requests and the commit log. Knows nothing of matching, formats, protocols or callers.

mod api;
mod codec;
mod memory;
pub mod private;
mod records;
mod sled;

pub use self::sled::{LostUnit, OpenOptions, Salvaged, SledStore, StoreBuilder, salvage};
pub use api::{
    Appended, Backend, BackupSource, CommitLog, Compacted, Holder, LocalCopy, LogPosition,
    Maintenance, Retention, Secret, Store, StoreError,
};
#[doc(hidden)]
pub use codec::read_any_record;
pub use memory::InMemoryStore;
pub use records::{
    Change, ChangeKind, Commit, Effects, LogRecord, LogStart, MemoryCounters, MemoryKey,
    MemoryRecord, RequestKey, RequestRecord, Sequence, UnitWrite,
};
pub(crate) use records::{set_unfinished_penalties, unfinished_penalties};
