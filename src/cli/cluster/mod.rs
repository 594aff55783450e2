//! `dhakira cluster`: creates the tables of a cluster, migrates them, and shows its state.

mod database;
mod doctor;
mod status;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::store::Realm;

use super::outcome::Outcome;
use crate::terminal::json_line;

use database::Database;
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
    /// One JSON object with name and lineage on standard output.
    #[arg(long)]
    json: bool,
}

/// Bring the tables to the format that this version needs.
///
/// Nodes of the version before go on meanwhile: migrate first, then replace the programs one node after the other.
#[derive(Debug, Args)]
pub(super) struct Migrate {
    #[command(flatten)]
    database: Database,
    /// One JSON object with the format before and after on standard output.
    #[arg(long)]
    json: bool,
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
        if self.json {
            json_line(&json!({ "name": identity.name, "lineage": identity.lineage.to_string() }))?;
            return Ok(Outcome::Done);
        }
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
            (before, after) if self.json => {
                json_line(&json!({ "format_before": before, "format": after }))?;
            }
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
