//! Looks up on each node all the time, and counts the lookups that fail on a node that lives.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tonic::Status;

use super::clients::{Service, arabic, channel, in_time, sequence};
use super::world::locked;
use crate::support::{Clients, lookup_request, proto, say, unit};

/// Pause between two lookups on a node.
const PAUSE: Duration = Duration::from_millis(40);

/// What every node is asked for.
fn anchor() -> String {
    arabic(u64::MAX, 0)
}

/// Makes the memory, and the unit that is looked up all the time.
pub(super) async fn prepare(service: &Service) {
    let mut first = Clients::connect(&service.url(0).unwrap()).await;
    first.create_memory("m").await;
    let request = proto::CreateUnitRequest {
        parent: "memories/m".into(),
        unit: Some(unit(&anchor(), "anchor")),
        duplicate_policy: proto::DuplicatePolicy::KeepAll.into(),
        ..Default::default()
    };
    let made = first.units.create_unit(request).await.unwrap();
    wait_until_applied(service, sequence(&made).unwrap()).await;
    let name = made.into_inner().unit.unwrap().name;
    locked(&service.history.units).insert(name, Some("anchor".to_owned()));
}

/// Waits until every node has applied a commit.
pub(super) async fn wait_until_applied(service: &Service, end: u64) {
    for node in 0..service.nodes() {
        let mut calls = Clients::connect(&service.url(node).unwrap()).await;
        let mut request = tonic::Request::new(lookup_request(&["m"], &anchor()));
        request.metadata_mut().insert("x-dhakira-sequence", end.into());
        calls.lookups.lookup_segments(request).await.unwrap();
    }
}

/// The lookups on all nodes.
#[derive(Default)]
pub(super) struct Lookups {
    /// How often each node was ended or frozen on purpose, or was there again: odd while it is away.
    turns: Vec<AtomicU64>,
    done: Vec<AtomicU64>,
    failures: Mutex<Vec<String>>,
}

impl Lookups {
    pub(super) fn of(nodes: usize) -> Arc<Self> {
        let zeros = || (0..nodes).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { turns: zeros(), done: zeros(), failures: Mutex::default() })
    }

    /// A node is about to be away on purpose, or is there again.
    pub(super) fn turn(&self, node: usize) {
        self.turns[node].fetch_add(1, Ordering::SeqCst);
    }

    /// Lookups that were answered, by node.
    pub(super) fn answered(&self) -> Vec<u64> {
        self.done.iter().map(|it| it.load(Ordering::Relaxed)).collect()
    }

    pub(super) fn failed(&self) -> usize {
        locked(&self.failures).len()
    }

    pub(super) fn watch(self: &Arc<Self>, service: &Arc<Service>) -> Vec<JoinHandle<()>> {
        let watch = |node| {
            let (lookups, service) = (Arc::clone(self), Arc::clone(service));
            tokio::spawn(async move { lookups.watch_node(&service, node).await })
        };
        (0..service.nodes()).map(watch).collect()
    }

    async fn watch_node(&self, service: &Service, node: usize) {
        let mut connected = None;
        while !service.is_done() {
            tokio::time::sleep(PAUSE).await;
            let turn = self.turns[node].load(Ordering::SeqCst);
            let Some(url) = service.url(node).filter(|_| turn.is_multiple_of(2)) else { continue };
            let channel = match &connected {
                Some((known, channel)) if *known == url => Clone::clone(channel),
                _ => connected.insert((url.clone(), channel(&url))).1.clone(),
            };
            let begun = Instant::now();
            match look_up(Clients::over(channel)).await {
                Ok(()) => _ = self.done[node].fetch_add(1, Ordering::Relaxed),
                Err(status) if self.turns[node].load(Ordering::SeqCst) == turn => {
                    let failure = format!("node {node} after {:?}: {status}", begun.elapsed());
                    say(&format!("a lookup failed on {failure}"));
                    locked(&self.failures).push(failure);
                }
                Err(_) => {}
            }
        }
    }
}

async fn look_up(mut clients: Clients) -> Result<(), Status> {
    let request = lookup_request(&["m"], &anchor());
    let found = in_time(clients.lookups.lookup_segments(request)).await?.into_inner();
    if found.results[0].matches.is_empty() {
        return Err(Status::data_loss("a unit that was never deleted is not found"));
    }
    Ok(())
}
