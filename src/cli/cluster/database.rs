//! The options that name the database of a cluster.

use std::sync::Arc;

use clap::Args;

use crate::cli::node::options_of_flag;
use crate::store::{Realm, RealmOptions};

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
        options_of_flag("--store", &self.store, &self.durability)
    }

    /// Connects. Blocks.
    pub(super) fn connect(&self) -> anyhow::Result<Arc<Realm>> {
        Ok(Realm::connect(self.options()?)?)
    }
}
