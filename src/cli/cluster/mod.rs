//! `dhakira cluster`: creates the tables of a cluster, migrates them, and shows its state.

mod doctor;
mod status;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use std::sync::Arc;
use uuid::Uuid;

use crate::store::{Realm, RealmOptions, StoreUrl};

use super::node::durability;
use super::outcome::Outcome;

use doctor::Doctor;
use status::Status;

/// Create, migrate and watch a cluster: several servers over one PostgreSQL.
#[derive(Debug, Subcommand)]
pub(super) enum Cluster {
    /// Create the tables of a cluster in a database that has none.
    Init(Init),
    /// Bring the tables to the format that this version needs.
    Migrate(Migrate),
    /// Show nodes, writer, log and database.
    Status(Status),
    /// Check what would lose writes or stop them, and say what to do about it.
    Doctor(Doctor),
}

/// The database of a cluster.
#[derive(Debug, Clone, Args)]
pub(super) struct Database {
    /// The database, such as <postgres://dhakira@db1,db2,db3/tm>; better in the variable, where no process list shows its password.
    #[arg(long, value_name = "URL", env = "DHAKIRA_STORE", hide_env_values = true)]
    store: String,
    /// Who sees to it that no acknowledged write is lost: synchronous standbys, or the storage engine (Aurora, RDS, AlloyDB).
    #[arg(long, env = "DHAKIRA_DURABILITY", value_parser = ["synchronous", "engine"], default_value = "synchronous")]
    durability: String,
}

impl Database {
    /// How to connect as what is no node.
    pub(super) fn options(&self) -> anyhow::Result<RealmOptions> {
        // The message of the parser does not repeat the text, which may hold a password.
        let url: StoreUrl = self.store.parse().context("--store")?;
        let durability = durability(&self.durability);
        Ok(RealmOptions { durability, ..RealmOptions::new(url, Uuid::new_v4()) })
    }

    /// Connects. Blocks.
    pub(super) fn connect(&self) -> anyhow::Result<Arc<Realm>> {
        Ok(Realm::connect(self.options()?)?)
    }
}

/// Create the tables of a cluster in a database that has none.
///
/// They are in the schema `dhakira`. The role must own the database or have CREATE on it. A primary without synchronous standbys is
/// refused, because a failover would lose acknowledged writes.
#[derive(Debug, Args)]
pub(super) struct Init {
    #[command(flatten)]
    database: Database,
    /// A name for people.
    #[arg(long, value_name = "NAME", default_value = "dhakira")]
    name: String,
}

/// Bring the tables to the format that this version needs.
///
/// Nodes of the version before go on meanwhile: migrate first, then replace the programs one node after the other.
#[derive(Debug, Args)]
pub(super) struct Migrate {
    #[command(flatten)]
    database: Database,
}

impl Cluster {
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        match self {
            Self::Init(command) => on_a_thread(move || command.run()).await,
            Self::Migrate(command) => on_a_thread(move || command.run()).await,
            Self::Status(command) => on_a_thread(move || command.run()).await,
            Self::Doctor(command) => on_a_thread(move || command.run()).await,
        }
    }
}

/// Runs what blocks.
async fn on_a_thread(
    work: impl FnOnce() -> anyhow::Result<Outcome> + Send + 'static,
) -> anyhow::Result<Outcome> {
    tokio::task::spawn_blocking(work).await?
}

impl Init {
    fn run(self) -> anyhow::Result<Outcome> {
        let options = self.database.options()?;
        let identity = Realm::init(&options, &self.name)?;
        say!("{}: made the cluster '{}' ({})", options.url, identity.name, identity.lineage)?;
        note!(
            "dhakira: start nodes with `dhakira serve --store … --data DIR`, each with a directory of its own"
        );
        Ok(Outcome::Done)
    }
}

impl Migrate {
    fn run(self) -> anyhow::Result<Outcome> {
        let options = self.database.options()?;
        match Realm::migrate(&options)? {
            (before, after) if before == after => {
                say!("{}: the tables have format {after} already", options.url)?;
            }
            (before, after) => {
                say!("{}: migrated the tables from format {before} to {after}", options.url)?;
            }
        }
        Ok(Outcome::Done)
    }
}
