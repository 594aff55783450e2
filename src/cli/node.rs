//! Makes a server a node of a cluster: connects to the database, and keeps the local copy.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use uuid::Uuid;

use crate::cluster::{
    Contact, JoinProgress, Joined, Member, NodeDirectory, NodeError, NodeNow, join,
};
use crate::grpc::Api;
use crate::server::{ClusterOptions, PeerTls, TokenFile, TokenMark};
use crate::store::{
    Backend, Durability, Realm, RealmOptions, Sequence, SharedStore, StoreError, StoreUrl,
};

use super::config::Settings;
use super::node_tokens::{SharedTokens, Sharing};
use crate::terminal::{Progress, counted};

/// A node whose database has answered.
pub(super) struct Node {
    realm: Arc<Realm>,
    directory: NodeDirectory,
    contact: Arc<Contact>,
    tokens: SharedTokens,
}

/// Time between two attempts to reach the database.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

impl Node {
    /// Connects to the cluster of the settings, however long its database takes to answer, and learns its access tokens; `None` where
    /// the memories are in the data directory alone. Blocks.
    pub(super) fn open(settings: &Settings) -> anyhow::Result<Option<Self>> {
        let Some(url) = settings.given::<StoreUrl>("store")? else { return Ok(None) };
        let data: PathBuf = settings.get("data")?;
        let directory = NodeDirectory::open(&data)?;
        let durability = durability(&settings.get::<String>("durability")?);
        let options = RealmOptions { durability, ..RealmOptions::new(url, directory.id()) };
        let realm = patiently(|| Ok(Realm::connect(options.clone())?))?;
        let file = TokenFile::new(settings.tokens_file()?);
        let tokens = SharedTokens::new(Arc::clone(&realm), file, TokenMark::of(&data));
        // Before anybody can call: a new node has no tokens of its own.
        tokens.merge().context("reading the access tokens of the cluster")?;
        Ok(Some(Self { realm, directory, contact: Arc::default(), tokens }))
    }

    /// The cluster, for people.
    pub(super) fn name(&self) -> String {
        format!("the cluster '{}' in {}", self.realm.identity().name, self.realm.place())
    }

    /// Joins the cluster at an address, for a server on these services.
    pub(super) fn member(
        &self,
        settings: &Settings,
        api: &Api,
        listen: SocketAddr,
    ) -> anyhow::Result<ClusterOptions> {
        let address = address(settings, listen)?;
        if address.is_empty() {
            note!(
                "dhakira: warning: the other nodes do not know where this one is, because it listens on {listen}; give --advertise URL"
            );
        }
        let api = api.clone();
        let now = move || NodeNow {
            applied: api.sequence().map(Sequence),
            writes: api.writes_paused().is_none(),
        };
        let cluster = Arc::clone(&self.realm) as _;
        let identity = (self.directory.id(), address);
        let member = Member::start(cluster, identity, Arc::clone(&self.contact), now)
            .context("joining the cluster")?;
        let seconds: Option<u64> = settings.given("readyz_max_lag_seconds")?;
        Ok(ClusterOptions {
            member: Arc::new(member),
            tls: peer_tls(settings)?,
            readyz_lag_max: seconds.map(Duration::from_secs),
        })
    }

    /// Shares access tokens with the other nodes until the answer is dropped.
    pub(super) fn share_tokens(&self) -> anyhow::Result<Sharing> {
        self.tokens.clone().share().context("starting a thread")
    }

    /// Opens the local copy, or makes it. Blocks.
    pub(super) fn join(&self) -> anyhow::Result<Backend> {
        let shared = SharedStore::from(Arc::clone(&self.realm));
        let bar = Progress::new();
        let mut total = 0;
        let mut show = |progress: JoinProgress| {
            total = progress.total_units;
            show_copying(&bar, progress);
        };
        let Joined { backend, copied } =
            patiently(|| join(&shared, &self.directory, &self.contact, &mut show))?;
        if let Some(reason) = copied {
            let units = counted(total, "unit");
            note!("dhakira: made the local copy, {units}: {reason}");
        }
        Ok(backend)
    }
}

/// How what is no node connects to the database that a flag names.
pub(super) fn options_of_flag(
    flag: &'static str,
    url: &str,
    durable: &str,
) -> anyhow::Result<RealmOptions> {
    // The message of the parser does not repeat the text, which may hold a password.
    let url: StoreUrl = url.parse().context(flag)?;
    let durability = durability(durable);
    Ok(RealmOptions { durability, ..RealmOptions::new(url, Uuid::new_v4()) })
}

/// The value of the setting.
fn durability(text: &str) -> Durability {
    if text == "engine" { Durability::Engine } else { Durability::Synchronous }
}

/// Shows how much of the copy is there.
pub(super) fn show_copying(bar: &Progress, progress: JoinProgress) {
    #[expect(clippy::cast_precision_loss, reason = "shown in percent")]
    let part = progress.copied_units as f64 / progress.total_units.max(1) as f64;
    bar.show("copying the memories of the cluster", part.min(1.0));
}

/// Repeats what fails because the database does not answer: nodes and database may start together.
fn patiently<T>(mut work: impl FnMut() -> Result<T, NodeError>) -> anyhow::Result<T> {
    let mut is_told = false;
    loop {
        match work() {
            Err(NodeError::Store(error @ StoreError::Unreachable { .. })) => {
                if !is_told {
                    note!("dhakira: {error}; waiting for it");
                }
                is_told = true;
                std::thread::sleep(RETRY_PAUSE);
            }
            result => return Ok(result?),
        }
    }
}

/// The URL at which other nodes reach this one; empty where that is unknown.
fn address(settings: &Settings, listen: SocketAddr) -> anyhow::Result<String> {
    let is_encrypted = settings.given::<PathBuf>("tls_cert")?.is_some();
    let scheme = if is_encrypted { "https" } else { "http" };
    Ok(match settings.given::<String>("advertise")? {
        Some(url) if url.contains("://") => url,
        Some(host) => format!("{scheme}://{host}"),
        None if listen.ip().is_unspecified() => String::new(),
        None => format!("{scheme}://{listen}"),
    })
}

/// How this node and the others authenticate each other: by the certificates that they show to clients.
fn peer_tls(settings: &Settings) -> anyhow::Result<PeerTls> {
    let read = |key: &str| -> anyhow::Result<Option<Vec<u8>>> {
        let path: Option<PathBuf> = settings.given(key)?;
        let read = |path: PathBuf| {
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        path.map(read).transpose()
    };
    // Nodes that require certificates of their clients require them of other nodes.
    let identity = match settings.given::<PathBuf>("tls_client_ca")? {
        Some(_) => read("tls_cert")?.zip(read("tls_key")?),
        None => None,
    };
    Ok(PeerTls { ca: read("node_ca")?, identity })
}
