//! The memories that a command works on: in a data directory that it opens, or on a server.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;

use crate::client::{Client, Credentials};
use crate::cluster::NodeDirectory;
use crate::engine::Engine;
use crate::grpc::Api;
use crate::store::{OpenOptions, SledStore, StoreError};

use super::near_misses::keep_client;
use crate::terminal::Progress;

/// The default data directory.
pub(super) const DATA_DEFAULT: &str = "./dhakira-data";

/// Which memories a command works on.
#[derive(Debug, Clone, Args)]
pub(super) struct Place {
    /// Directory that holds the memories; no other process may have it open.
    #[arg(long, global = true, value_name = "DIR", env = "DHAKIRA_DATA", default_value = DATA_DEFAULT)]
    pub(super) data: PathBuf,
    /// A running server to use instead, such as <http://127.0.0.1:50051>.
    #[arg(long, global = true, value_name = "URL", env = "DHAKIRA_SERVER")]
    server: Option<String>,
    #[command(flatten)]
    link: Link,
    /// Open a store that ends before its last acknowledged write, what is missing is lost.
    #[arg(long, global = true, conflicts_with = "server")]
    accept_data_loss: bool,
}

/// Heading of options that need `--server`. Set for each option, because the heading of a group would extend to what follows it.
const WITH_SERVER: &str = "With --server";

/// How a command authenticates to a server.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Link {
    /// Access token; better in the variable or in a file, where no process list shows it.
    #[arg(long, global = true, help_heading = WITH_SERVER, value_name = "TOKEN", env = "DHAKIRA_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// File with the token.
    #[arg(long, global = true, help_heading = WITH_SERVER, value_name = "FILE", env = "DHAKIRA_TOKEN_FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// Certificates (PEM) of the authority of the server, in place of the system's.
    #[arg(long, global = true, help_heading = WITH_SERVER, value_name = "FILE", env = "DHAKIRA_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// Certificate (PEM) to show to the server.
    #[arg(long, global = true, help_heading = WITH_SERVER, value_name = "FILE", env = "DHAKIRA_CLIENT_CERT", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// Private key (PEM) of the certificate.
    #[arg(long, global = true, help_heading = WITH_SERVER, value_name = "FILE", env = "DHAKIRA_CLIENT_KEY", requires = "client_cert")]
    client_key: Option<PathBuf>,
}

impl Link {
    /// Reads the files. Blocks.
    pub(super) fn credentials(&self) -> anyhow::Result<Credentials> {
        let read = |path: &PathBuf| {
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let of_file = self.token_file.as_ref().map(|path| {
            let text = String::from_utf8(read(path)?);
            text.with_context(|| format!("{} holds no token", path.display()))
        });
        let identity = self.client_cert.as_ref().zip(self.client_key.as_ref());
        Ok(Credentials {
            token: self.token.clone().or(of_file.transpose()?).map(|it| it.trim().to_owned()),
            ca: self.ca_file.as_ref().map(read).transpose()?,
            identity: identity.map(|(it, key)| anyhow::Ok((read(it)?, read(key)?))).transpose()?,
        })
    }

    /// A client of a server. Warns when a token is sent unencrypted.
    pub(super) async fn connect(&self, url: &str) -> anyhow::Result<Client> {
        let link = self.clone();
        let credentials = tokio::task::spawn_blocking(move || link.credentials()).await??;
        let local = ["127.", "localhost", "[::1]"];
        let host = url.strip_prefix("http://").filter(|_| credentials.token.is_some());
        if host.is_some_and(|host| !local.iter().any(|it| host.starts_with(it))) {
            note!("dhakira: warning: the token goes to {url} unencrypted; use https://");
        }
        Ok(Client::connect_with(url, &credentials).await?)
    }
}

/// Whether a command creates a missing data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MissingData {
    Create,
    Refuse,
}

impl Place {
    /// The memories in a directory.
    pub(super) fn directory(data: PathBuf, accept_data_loss: bool) -> Self {
        Self { data, server: None, link: Link::default(), accept_data_loss }
    }

    /// Refuses a data directory for what only a server does.
    pub(super) fn check_server(&self, what: &str) -> anyhow::Result<()> {
        anyhow::ensure!(self.server.is_some(), "{what}: name it with --server URL");
        Ok(())
    }

    /// The directory of index checkpoints.
    pub(super) fn checkpoints(&self) -> PathBuf {
        self.data.join("checkpoints")
    }

    /// The directory of operations.
    pub(super) fn operations(&self) -> PathBuf {
        self.data.join("operations")
    }

    /// A client of the memories: of the server, or of an engine in this process.
    pub(super) async fn client(
        &self,
        purpose: &str,
        missing: MissingData,
    ) -> anyhow::Result<Client> {
        let client = match &self.server {
            Some(url) => self.link.connect(url).await?,
            None => Client::local(&self.api(purpose, missing).await?),
        };
        keep_client(&client);
        Ok(client)
    }

    /// Whether the memories are on a server.
    pub(super) fn is_remote(&self) -> bool {
        self.server.is_some()
    }

    /// The services over an engine in this process.
    pub(super) async fn api(&self, purpose: &str, missing: MissingData) -> anyhow::Result<Api> {
        let (place, purpose) = (self.clone(), purpose.to_owned());
        let engine = tokio::task::spawn_blocking(move || place.open(&purpose, missing)).await??;
        Ok(Api::ready(engine))
    }

    /// Opens the store in the data directory. Blocks.
    pub(super) fn open_store(
        &self,
        purpose: &str,
        missing: MissingData,
    ) -> anyhow::Result<SledStore> {
        anyhow::ensure!(
            !NodeDirectory::is_node(&self.data),
            "{} belongs to a node of a cluster and holds no memories of its own: work through a node with --server URL, or, with \
             `dhakira serve`, name the cluster's database with --store",
            self.data.display()
        );
        let options = OpenOptions {
            create: missing == MissingData::Create,
            accept_data_loss: self.accept_data_loss,
            purpose: purpose.to_owned(),
        };
        SledStore::open(&self.data, &options).map_err(|error| {
            let hint = match &error {
                StoreError::InUse { holder, .. } => Some(match holder.address() {
                    Some(url) if url.contains("://") => {
                        format!("add --server {url} to work through it")
                    }
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
    fn open(&self, purpose: &str, missing: MissingData) -> anyhow::Result<Engine> {
        let store = self.open_store(purpose, missing)?;
        let bar = Progress::new();
        Engine::open(Arc::new(store), Some(self.checkpoints()), &mut |it| bar.loading(it))
            .with_context(|| format!("loading the memories in {}", self.data.display()))
    }
}
