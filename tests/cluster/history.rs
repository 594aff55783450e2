//! Clients write to three nodes while links are cut and nodes stop and start. Then a checker reads the log from its beginning: nothing
//! that was acknowledged is missing, each request has one effect, and every node answers the same.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dhakira::store::{CommitLog as _, InMemoryStore, Sequence};

use super::clients::{Service, check, check_nodes};
use super::link::Way;
use super::world::{Node, locked, until};
use crate::upkeep::Dice;

const NODES: usize = 3;
const CLIENTS: u64 = 4;
const FAULTS: usize = 14;

/// The nodes, and where clients find them.
struct World {
    nodes: Vec<Node>,
    directories: Vec<PathBuf>,
    store: Arc<InMemoryStore>,
    service: Arc<Service>,
}

impl World {
    async fn restart(&mut self, node: usize, dice: &mut Dice) {
        self.service.set_url(node, None);
        self.nodes.remove(node).stop().await;
        let directory = &self.directories[node];
        if dice.below(2) == 0 {
            std::fs::remove_dir_all(directory.join("copy")).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let started = Node::start(&self.store, directory).await;
        self.service.set_url(node, Some(started.url.clone()));
        self.nodes.insert(node, started);
    }

    /// Cuts links, and stops and starts nodes, one after the other.
    async fn faults(&mut self) {
        let mut dice = Dice(17);
        for fault in 0..FAULTS {
            let node = usize::try_from(dice.below(NODES as u64)).unwrap();
            let way = [Way::Cut, Way::CutBeforeCommit, Way::CutAfterCommit];
            if fault % 4 < 3 {
                self.nodes[node].link.set(way[fault % 4]);
                tokio::time::sleep(Duration::from_millis(200 + dice.below(900))).await;
                self.nodes[node].link.set(Way::Open);
            } else {
                self.restart(node, &mut dice).await;
            }
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        self.service.history.done.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_nodes_lose_and_double_nothing_whatever_happens_to_them() {
    let root = tempfile::tempdir().unwrap();
    let store = Arc::new(InMemoryStore::shared());
    let directories: Vec<PathBuf> = (0..NODES).map(|it| root.path().join(it.to_string())).collect();
    let service = Service::of(NODES);
    let mut nodes = Vec::new();
    for (number, directory) in directories.iter().enumerate() {
        let node = Node::start(&store, directory).await;
        service.set_url(number, Some(node.url.clone()));
        nodes.push(node);
    }
    nodes[0].clients().await.create_memory("m").await;
    let clients = service.run_clients(CLIENTS, Duration::ZERO);
    let mut world = World { nodes, directories, store: store.clone(), service: service.clone() };
    world.faults().await;
    for client in clients {
        client.await.unwrap();
    }
    let history = &service.history;
    check(&store.read(Sequence(0), usize::MAX).unwrap(), history);
    let end = store.end().unwrap().sequence.0;
    for node in &world.nodes {
        until("every node has applied the log", || node.api.sequence() >= Some(end)).await;
    }
    check_nodes(&service).await;
    let writes = locked(&history.acknowledged).len();
    let lookups = history.lookups.load(Ordering::Relaxed);
    assert!(writes > 50 && lookups > 50, "{writes} writes, {lookups} lookups");
    eprintln!(
        "{FAULTS} faults: {writes} acknowledged writes, 0 lost, 0 doubled; {lookups} lookups on any node saw them; {} retries",
        history.retries.load(Ordering::Relaxed)
    );
}
