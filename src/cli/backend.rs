//! Where do the memories of a command live? In a data directory that it opens, or behind a server.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;

use crate::engine::Engine;
use crate::service::Api;
use crate::service::client::Client;
use crate::store::{LiveStore, OpenOptions, SledStore, StoreError};

use super::output::LoadBar;

/// Which memories a command works on.
#[derive(Debug, Clone, Args)]
pub(super) struct Where {
    /// Directory that holds the memories; opened by this command, which needs it for itself.
    #[arg(long, value_name = "DIR", env = "DHAKIRA_DATA", default_value = "./dhakira-data")]
    pub(super) data: PathBuf,
    /// A running server to use instead, such as <http://127.0.0.1:50051>.
    #[arg(long, value_name = "URL", env = "DHAKIRA_SERVER")]
    server: Option<String>,
    /// Open a store that ends before its last acknowledged write, giving up what is missing.
    #[arg(long, conflicts_with = "server")]
    accept_data_loss: bool,
}

/// Whether a command makes a data directory that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Create,
    Refuse,
}

impl Where {
    /// The memories in a directory.
    pub(super) fn directory(data: PathBuf, accept_data_loss: bool) -> Self {
        Self { data, server: None, accept_data_loss }
    }

    /// Where the indexes of a data directory wait for the next start.
    pub(super) fn checkpoints(&self) -> PathBuf {
        self.data.join("checkpoints")
    }

    /// A client of the memories: of the server, or of an engine in this process.
    pub(super) async fn client(&self, purpose: &str, missing: Missing) -> anyhow::Result<Client> {
        if let Some(url) = &self.server {
            return Ok(Client::connect(url).await?);
        }
        let (place, purpose) = (self.clone(), purpose.to_owned());
        let engine = tokio::task::spawn_blocking(move || place.open(&purpose, missing)).await??;
        Ok(Client::local(&Api::ready(engine)))
    }

    /// Opens the store in the data directory. Blocks.
    pub(super) fn open_store(&self, purpose: &str, missing: Missing) -> anyhow::Result<LiveStore> {
        let options = OpenOptions {
            create: missing == Missing::Create,
            accept_data_loss: self.accept_data_loss,
            purpose: purpose.to_owned(),
        };
        SledStore::open(&self.data, &options).map(LiveStore::new).map_err(|error| {
            let hint = match &error {
                StoreError::InUse { holder, .. } => Some(match holder.address() {
                    Some(address) => format!("add --server http://{address} to work through it"),
                    None => "wait for it to end, or serve the directory with `dhakira serve` and work through --server"
                        .to_owned(),
                }),
                _ => None,
            };
            match hint {
                Some(hint) => anyhow::anyhow!("{error}; {hint}"),
                None => anyhow::Error::from(error),
            }
        })
    }

    /// Opens the store and loads its memories. Blocks.
    fn open(&self, purpose: &str, missing: Missing) -> anyhow::Result<Engine> {
        let store = self.open_store(purpose, missing)?;
        let bar = LoadBar::new();
        Engine::open(Arc::new(store), Some(self.checkpoints()), &mut |it| bar.show(it))
            .with_context(|| format!("loading the memories in {}", self.data.display()))
    }
}
