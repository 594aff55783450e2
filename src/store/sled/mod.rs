//! Implements the store and the commit log on sled 0.34. No other folder uses sled.

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
mod torn;
mod transaction;
mod truncation;
mod units;
mod watermark;

pub use builder::StoreBuilder;
pub use opening::OpenOptions;
pub use salvage::{LostUnit, Salvaged, salvage};
pub use store::SledStore;
