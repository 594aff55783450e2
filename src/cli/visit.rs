//! A cluster that a command fills without a node, before the first one runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use uuid::Uuid;

use crate::cluster::{NodeDirectory, join};
use crate::engine::Engine;
use crate::limits::CLUSTER_SILENCE_MAX;
use crate::store::{Cluster, NodeReport, Realm, RealmOptions, SharedStore};
use crate::terminal::Progress;

use super::node::{options_of_flag, show_copying};

/// The database of a cluster, in place of a directory or a server.
#[derive(Debug, Clone, Args)]
pub(super) struct IdleCluster {
    /// The database of a cluster of which no node runs, such as <postgres://dhakira@db1,db2,db3/tm>.
    #[arg(long, value_name = "URL")]
    into: Option<String>,
    /// Who sees to it that the database loses no acknowledged write: synchronous standbys, or the storage engine.
    #[arg(long, env = "DHAKIRA_DURABILITY", value_parser = ["synchronous", "engine"], default_value = "synchronous")]
    durability: String,
}

impl IdleCluster {
    /// How to connect to the database, if one is given.
    pub(super) fn options(&self) -> anyhow::Result<Option<RealmOptions>> {
        let options = |url: &String| options_of_flag("--into", url, &self.durability);
        self.into.as_ref().map(options).transpose()
    }
}

/// Connects to a cluster of which no node runs. Blocks.
pub(super) fn connect_idle(options: RealmOptions, instead: &str) -> anyhow::Result<Arc<Realm>> {
    let realm = Realm::connect(options)?;
    let nodes = Cluster::nodes(realm.as_ref())?;
    if let Some(node) = nodes.iter().find(|node| node.age <= CLUSTER_SILENCE_MAX) {
        let NodeReport { id, address, .. } = &node.report;
        anyhow::bail!("node {id} ({address}) serves this cluster; {instead}");
    }
    Ok(realm)
}

/// Opens the memories of a cluster of which no node runs, as a node would; the copy is gone when the directory is dropped. Blocks.
pub(super) fn visit(options: RealmOptions) -> anyhow::Result<(Engine, TemporaryDirectory)> {
    let realm = connect_idle(options, "import through it, with --server URL")?;
    let copy = TemporaryDirectory::new("copy");
    let directory = NodeDirectory::open(copy.path())?;
    let bar = Progress::new();
    let shared = SharedStore::from(realm);
    let joined = join(&shared, &directory, &Arc::default(), &mut |it| show_copying(&bar, it))?;
    let engine = Engine::open(joined.backend, None, &mut |it| bar.loading(it))?;
    Ok((engine, copy))
}

/// Removed with its content when dropped.
pub(super) struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    /// Names a directory after what it is for; whoever uses it creates it.
    pub(super) fn new(purpose: &str) -> Self {
        Self(std::env::temp_dir().join(format!("dhakira-{purpose}-{}", Uuid::new_v4())))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        // It may not exist; the system cleans up what is left.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
