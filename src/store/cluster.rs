//! Defines what the nodes of a cluster share besides the commit log: who they are, who writes, and how they are kept apart.
//!
//! Nothing here is needed for correctness: two nodes that both believe to be the writer conflict in the log, and lose nothing.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::api::{BackupSource, CommitLog, Maintenance, Store, StoreError};
use super::records::{LogStart, Sequence};

/// A node, as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeReport {
    /// Its id, which lasts as long as its data directory.
    pub id: Uuid,
    /// The URL at which other nodes reach it; empty where they cannot.
    pub address: String,
    /// The version of its program.
    pub version: String,
    /// The last commit that it has applied.
    pub applied: Sequence,
}

/// A node, as the cluster knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its last report.
    pub report: NodeReport,
    /// How long ago that was, by the clock of the cluster.
    pub age: Duration,
}

/// What people want to know of the place of the shared log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterPlace {
    /// The name of the cluster.
    pub name: String,
    /// Kind, version and address of what keeps the log.
    pub server: String,
    /// What makes a commit durable before it is acknowledged.
    pub durability: String,
    /// What would lose or block acknowledged writes; empty when all is well.
    pub concerns: Vec<String>,
}

/// A role that one node has at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The node that has it.
    pub holder: Uuid,
    /// The URL of that node; empty where others cannot reach it.
    pub address: String,
    /// How often it has changed hands.
    pub epoch: u64,
    /// How long it lasts unless it is renewed, by the clock of the cluster.
    pub left: Duration,
}

/// The role of the node that other nodes send their writes to.
pub const WRITER_ROLE: &str = "writer";

/// What the nodes of a cluster share besides the log. Every call blocks.
pub trait Cluster: Send + Sync + 'static {
    /// The id of the content: a copy of it with this id has the same commits, as far as it reaches.
    fn lineage(&self) -> Uuid;

    /// Records that a node is alive.
    ///
    /// # Errors
    /// I/O.
    fn report(&self, node: &NodeReport) -> Result<(), StoreError>;

    /// Every node that has reported, the latest first.
    ///
    /// # Errors
    /// I/O.
    fn nodes(&self) -> Result<Vec<NodeStatus>, StoreError>;

    /// The place of the log.
    ///
    /// # Errors
    /// I/O.
    fn place(&self) -> Result<ClusterPlace, StoreError>;

    /// Takes a role that is free or has run out, or renews the node's own, for a time; returns who has it now, `None` if it has just
    /// run out.
    ///
    /// # Errors
    /// I/O.
    fn hold_lease(
        &self,
        role: &str,
        node: &NodeReport,
        time: Duration,
    ) -> Result<Option<Lease>, StoreError>;

    /// Gives a role back, if the node has it.
    ///
    /// # Errors
    /// I/O.
    fn release_lease(&self, role: &str, node: Uuid) -> Result<(), StoreError>;

    /// Replaces the log by one that begins after a commit, of which the store holds the content, and gives it a new lineage. For a
    /// restored store that no node serves yet.
    ///
    /// # Errors
    /// I/O.
    fn begin_log_at(&self, start: LogStart) -> Result<(), StoreError>;

    /// Who has a role; `None` when nobody has.
    ///
    /// # Errors
    /// I/O.
    fn lease(&self, role: &str) -> Result<Option<Lease>, StoreError>;
}

/// A database that several nodes share, by its capabilities.
#[derive(Clone)]
pub struct SharedStore {
    /// Its commit log.
    pub log: Arc<dyn CommitLog>,
    /// The records that the log has stored.
    pub store: Arc<dyn Store>,
    /// The requests that the log has stored.
    pub requests: Arc<dyn BackupSource>,
    /// The nodes.
    pub cluster: Arc<dyn Cluster>,
    /// Truncation of the log.
    pub maintenance: Option<Arc<dyn Maintenance>>,
}

impl<T: CommitLog + Store + BackupSource + Cluster + Maintenance> From<Arc<T>> for SharedStore {
    fn from(database: Arc<T>) -> Self {
        Self {
            log: Arc::clone(&database) as _,
            store: Arc::clone(&database) as _,
            requests: Arc::clone(&database) as _,
            cluster: Arc::clone(&database) as _,
            maintenance: Some(database),
        }
    }
}
