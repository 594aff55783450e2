//! Stores memories, units, requests and the commit log. Knows nothing of matching, formats, protocols or callers.

mod any_record;
mod api;
mod build;
mod cluster;
mod codec;
mod keys;
mod memory;
mod memory_cluster;
mod postgres;
pub mod private;
mod records;
mod sled;
mod unit_codec;

pub use self::sled::{LostUnit, OpenOptions, Salvaged, SledStore, StoreBuilder, salvage};
#[doc(hidden)]
pub use any_record::read_any_record;
pub use api::{
    Appended, Backend, BackupSource, CommitLog, Compacted, Holder, LocalCopy, LogPosition,
    Maintenance, Retention, Secret, Store, StoreError,
};
pub use build::{BuildStore, Built, SharedBuilder};
pub use cluster::{Cluster, ClusterPlace, Lease, NodeReport, NodeStatus, SharedStore, WRITER_ROLE};
pub use memory::InMemoryStore;
pub use postgres::{
    ArtifactInfo, ArtifactKey, AuditLine, DatabaseMode, Durability, LeaseState, NodeInfo,
    NodeState, Realm, RealmIdentity, RealmOptions, RealmStatus, Standby, StoreUrl, TableSize,
};
pub use records::{
    Change, ChangeKind, Commit, Effects, LogRecord, LogStart, MemoryCounters, MemoryKey,
    MemoryRecord, RequestKey, RequestRecord, Sequence, UnitWrite,
};
pub(crate) use records::{
    MemorySettings, SettingsOfMemories, SettingsWithMode, all_settings_of, set_settings_of,
    settings_of, settings_with_modes,
};
