//! Implements the store and the commit log on PostgreSQL, for several nodes that share one database. No other folder uses
//! `tokio_postgres`.
//!
//! A realm is the tables of one cluster in a database. The calls block on a small runtime of the realm's own, so they must not be made
//! by tasks of another runtime; blocking threads of one may.

mod append;
mod artifacts;
mod cluster;
mod connector;
mod failure;
mod group;
mod log;
mod nodes;
mod options;
mod outcome;
mod reads;
mod realm;
mod schema;
mod session;
mod shared;
mod status;
mod tail;
mod tls;
mod truncation;

pub use artifacts::{ArtifactInfo, ArtifactKey};
pub use nodes::{LeaseState, NodeInfo, NodeState};
pub use options::{Durability, RealmOptions, StoreUrl};
pub use realm::{Realm, RealmIdentity};
pub use shared::AuditLine;
pub use status::{DatabaseMode, RealmStatus, Standby, TableSize};
