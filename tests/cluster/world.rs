//! Nodes of a cluster in this process: each with a directory, a link to the shared store, and a server.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use dhakira::cluster::{Contact, Joined, Member, NodeDirectory, NodeNow, join};
use dhakira::engine::Engine;
use dhakira::grpc::Api;
use dhakira::server::{Bound, ClusterOptions, Facades, PeerTls, ServeOptions, Shutdown};
use dhakira::store::{InMemoryStore, Sequence, SharedStore};

use super::link::Link;
use crate::support::Clients;

/// Opens the directory of a node and its copy; says why the copy was made anew.
pub(super) fn joined(link: &Arc<Link>, directory: &Path) -> (Joined, NodeDirectory, Arc<Contact>) {
    let directory = NodeDirectory::open(directory).unwrap();
    let shared = SharedStore::from(Arc::clone(link));
    let contact = Arc::<Contact>::default();
    let joined = join(&shared, &directory, &contact, &mut |_| ()).unwrap();
    (joined, directory, contact)
}

/// An engine over the copy of a node, with what keeps its directory locked.
pub(super) fn open(link: &Arc<Link>, directory: &Path) -> (Engine, Option<String>, NodeDirectory) {
    let (Joined { backend, copied }, held, _) = joined(link, directory);
    let checkpoints = Some(directory.join("checkpoints"));
    (Engine::open(backend, checkpoints, &mut |_| ()).unwrap(), copied, held)
}

/// A node that serves.
pub(super) struct Node {
    pub(super) link: Arc<Link>,
    pub(super) url: String,
    pub(super) member: Arc<Member>,
    pub(super) api: Api,
    pub(super) copied: Option<String>,
    shutdown: Shutdown,
    serving: tokio::task::JoinHandle<()>,
    _directory: NodeDirectory,
}

impl Node {
    pub(super) async fn start(store: &Arc<InMemoryStore>, directory: &Path) -> Self {
        Self::start_at(store, directory, None).await
    }

    /// Starts a node that tells others to reach it at an address; at its own without one.
    pub(super) async fn start_at(
        store: &Arc<InMemoryStore>,
        directory: &Path,
        address: Option<String>,
    ) -> Self {
        let link = Link::new(store);
        let (path, of_node) = (directory.to_owned(), Arc::clone(&link));
        let opening = move || {
            let (Joined { backend, copied }, held, contact) = joined(&of_node, &path);
            let checkpoints = Some(path.join("checkpoints"));
            let engine = Engine::open(backend, checkpoints, &mut |_| ()).unwrap();
            (Api::ready(engine), copied, held, contact)
        };
        let (api, copied, held, contact) = tokio::task::spawn_blocking(opening).await.unwrap();
        let bound = Bound::new("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let url = format!("http://{}", bound.address());
        let of_node = api.clone();
        let now = move || NodeNow {
            applied: of_node.sequence().map(Sequence),
            writes: of_node.writes_paused().is_none(),
        };
        let identity = (held.id(), address.unwrap_or_else(|| url.clone()));
        let member = Member::start(Arc::clone(&link) as _, identity, contact, now).unwrap();
        let member = Arc::new(member);
        let cluster = ClusterOptions {
            member: member.clone(),
            tls: PeerTls::default(),
            readyz_lag_max: None,
        };
        let facades = Facades { pages: true, ..Facades::default() };
        let options = ServeOptions { cluster: Some(cluster), facades, ..ServeOptions::default() };
        let shutdown = Shutdown::default();
        let serving = bound.serve_with(api.clone(), shutdown.clone(), options);
        let serving = tokio::spawn(async move { serving.await.unwrap() });
        Self { link, url, member, api, copied, shutdown, serving, _directory: held }
    }

    pub(super) async fn clients(&self) -> Clients {
        Clients::connect(&self.url).await
    }

    /// Stops the node and closes its copy.
    pub(super) async fn stop(self) {
        self.shutdown.request();
        self.serving.await.unwrap();
        let Self { member, api, _directory, .. } = self;
        tokio::task::spawn_blocking(move || drop((member, api, _directory))).await.unwrap();
    }
}

/// Waits until something is so.
pub(super) async fn until(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The text of a panic elsewhere must not hide behind a poisoned lock.
pub(super) fn locked<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
