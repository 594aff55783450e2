//! The options that name the database of a cluster.

use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use uuid::Uuid;

use crate::cli::node::durability;
use crate::store::{Realm, RealmOptions, StoreUrl};

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
