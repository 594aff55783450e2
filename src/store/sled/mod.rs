//! The store on sled 0.34, with every rule that makes it safe. `sled::` appears in this folder only.

mod blobs;
mod builder;
mod compaction;
mod database;
mod directory;
mod lock;
mod log_ends;
mod opening;
mod permissions;
mod raw;
mod recovery;
mod salvage;
mod secret;
mod store;
mod tables;
mod transaction;
mod truncation;
mod units;
mod watermark;

pub use builder::StoreBuilder;
pub use opening::OpenOptions;
pub use salvage::{LostUnit, Salvaged, salvage};
pub use store::SledStore;
