//! Clients write to three nodes while links are cut and nodes stop and start. Then a checker reads the log from its beginning: nothing
//! that was acknowledged is missing, each request has one effect, and every node answers the same.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dhakira::store::{
    ChangeKind, CommitLog as _, InMemoryStore, LogPosition, RequestKey, Sequence,
};
use tokio::sync::RwLock;
use tonic::{Code, Request, Status};
use uuid::Uuid;

use super::link::Way;
use super::world::{Node, locked, until};
use crate::support::{Clients, lookup_request, proto, segment, unit};
use crate::upkeep::Dice;

const NODES: usize = 3;
const CLIENTS: u64 = 4;
const FAULTS: usize = 14;

/// What clients were told, and what happened to the nodes.
#[derive(Default)]
struct History {
    /// Target of each unit after the last acknowledged write; `None` for a deleted one.
    units: Mutex<BTreeMap<String, Option<String>>>,
    requests: Mutex<Vec<RequestKey>>,
    lookups: AtomicU64,
    retries: AtomicU64,
    done: AtomicBool,
}

struct World {
    nodes: Vec<RwLock<Option<Node>>>,
    directories: Vec<PathBuf>,
    store: Arc<InMemoryStore>,
    history: History,
}

/// One client: its writes are on units that no other client touches.
struct Client {
    world: Arc<World>,
    dice: Dice,
    number: u64,
    units: Vec<String>,
    /// The last commit that an answer has seen.
    seen: u64,
}

/// A call, on any node.
macro_rules! anywhere {
    ($client:expr, $clients:ident => $call:expr) => {{
        let since = Instant::now();
        loop {
            let result = match $client.some_node().await {
                Some(mut $clients) => $call.await,
                None => Err(Status::unavailable("no connection")),
            };
            match result {
                Ok(answer) => break Ok(answer),
                Err(status) if is_for_later(&status) => {
                    assert!(since.elapsed() < Duration::from_secs(60), "{status}");
                    $client.world.history.retries.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(status) => break Err(status),
            }
        }
    }};
}

/// Whether a client tries again: the node is not there, or cannot do it now.
fn is_for_later(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::ResourceExhausted | Code::Cancelled)
        // The connection of a node that stops.
        || (status.code() == Code::Unknown && status.message().contains("transport"))
}

fn arabic(client: u64, number: usize) -> String {
    let letters = |mut number: u64| {
        let mut word = String::from("\u{643}");
        loop {
            word.push(char::from_u32(0x628 + u32::try_from(number % 19).unwrap()).unwrap());
            number /= 19;
            if number == 0 {
                return word;
            }
        }
    };
    format!("{} {} {}", letters(client), letters(number as u64), letters(7_000 + number as u64))
}

impl Client {
    async fn some_node(&mut self) -> Option<Clients> {
        let node = usize::try_from(self.dice.below(NODES as u64)).unwrap();
        let url = self.world.nodes[node].read().await.as_ref().map(|it| it.url.clone())?;
        let channel = tonic::transport::Channel::from_shared(url).unwrap().connect().await.ok()?;
        Some(Clients::over(channel))
    }

    fn id(&self) -> String {
        let id = Uuid::new_v4();
        locked(&self.world.history.requests).push(RequestKey(*id.as_bytes()));
        id.to_string()
    }

    fn acked(&mut self, unit: &str, target: Option<&str>, sequence: Option<u64>) {
        locked(&self.world.history.units).insert(unit.to_owned(), target.map(str::to_owned));
        self.seen = self.seen.max(sequence.expect("each answer says what it has seen"));
    }

    async fn step(&mut self) {
        let target = format!("target {} of {}", self.dice.below(1 << 30), self.number);
        let some = usize::try_from(self.dice.below(self.units.len().max(1) as u64)).unwrap();
        match self.dice.below(8) {
            0..=3 => self.create(&target).await,
            4 | 5 if !self.units.is_empty() => self.update(some, &target).await,
            6 if self.units.len() > 3 => self.delete(some).await,
            _ => {}
        }
        if let Some(name) = self.units.last().cloned() {
            self.look_up(&name).await;
        }
    }

    async fn create(&mut self, target: &str) {
        let source = arabic(self.number, self.units.len() + 10 * self.seen as usize);
        let request = proto::CreateUnitRequest {
            parent: "memories/m".into(),
            unit: Some(unit(&source, target)),
            duplicate_policy: proto::DuplicatePolicy::KeepAll.into(),
            request_id: self.id(),
            ..Default::default()
        };
        let made = anywhere!(self, it => it.units.create_unit(request.clone())).unwrap();
        let sequence = sequence(&made);
        let name = made.into_inner().unit.unwrap().name;
        self.acked(&name, Some(target), sequence);
        self.units.push(name);
    }

    async fn update(&mut self, some: usize, target: &str) {
        let name = self.units[some].clone();
        let unit =
            proto::Unit { name: name.clone(), target: segment(target), ..Default::default() };
        let request = proto::UpdateUnitRequest {
            unit: Some(unit),
            update_mask: Some(prost_types::FieldMask { paths: vec!["target".into()] }),
            request_id: self.id(),
            ..Default::default()
        };
        let done = anywhere!(self, it => it.units.update_unit(request.clone())).unwrap();
        self.acked(&name, Some(target), sequence(&done));
    }

    async fn delete(&mut self, some: usize) {
        let name = self.units.remove(some);
        let request = proto::DeleteUnitRequest {
            name: name.clone(),
            request_id: self.id(),
            ..Default::default()
        };
        let done = anywhere!(self, it => it.units.delete_unit(request.clone())).unwrap();
        self.acked(&name, None, sequence(&done));
    }

    /// Any node shows what this client was told, if it waits for it.
    async fn look_up(&mut self, name: &str) {
        let expected = locked(&self.world.history.units)[name].clone().unwrap();
        let get = || {
            let mut request =
                Request::new(proto::GetUnitRequest { name: name.into(), ..Default::default() });
            request.metadata_mut().insert("x-dhakira-sequence", self.seen.into());
            request
        };
        let request = get();
        let (metadata, _, message) = request.into_parts();
        let again = || Request::from_parts(metadata.clone(), Default::default(), message.clone());
        let unit = anywhere!(self, it => it.units.get_unit(again())).unwrap().into_inner();
        let unit = unit.unit.unwrap();
        assert_eq!(unit.target.unwrap().text, expected, "{name} after commit {}", self.seen);
        let source = unit.source.unwrap().text;
        let look_up = || {
            let message = lookup_request(&["m"], &source);
            Request::from_parts(metadata.clone(), Default::default(), message)
        };
        let found = anywhere!(self, it => it.lookups.lookup_segments(look_up())).unwrap();
        let matches = &found.into_inner().results[0].matches;
        let found = matches.iter().any(|it| it.unit.as_ref().is_some_and(|it| it.name == name));
        assert!(found, "{name} is not found");
        self.world.history.lookups.fetch_add(1, Ordering::Relaxed);
    }
}

fn sequence<T>(answer: &tonic::Response<T>) -> Option<u64> {
    answer.metadata().get("x-dhakira-sequence")?.to_str().ok()?.parse().ok()
}

/// Cuts links, and stops and starts nodes, one after the other.
async fn faults(world: &World) {
    let mut dice = Dice(17);
    for fault in 0..FAULTS {
        let slot = &world.nodes[usize::try_from(dice.below(NODES as u64)).unwrap()];
        let directory = &world.directories[usize::try_from(dice.below(NODES as u64)).unwrap()];
        let index = world.directories.iter().position(|it| it == directory).unwrap();
        let way = [Way::Cut, Way::CutBeforeCommit, Way::CutAfterCommit];
        if fault % 4 < 3 {
            if let Some(node) = slot.read().await.as_ref() {
                node.link.set(way[fault % 4]);
            }
            tokio::time::sleep(Duration::from_millis(200 + dice.below(900))).await;
            if let Some(node) = slot.read().await.as_ref() {
                node.link.set(Way::Open);
            }
        } else {
            let stopped = world.nodes[index].write().await.take();
            stopped.unwrap().stop().await;
            if dice.below(2) == 0 {
                std::fs::remove_dir_all(directory.join("copy")).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
            let started = Node::start(&world.store, directory).await;
            *world.nodes[index].write().await = Some(started);
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    world.history.done.store(true, Ordering::Relaxed);
}

/// Reads the log from its beginning and compares it with what clients were told.
fn check(store: &InMemoryStore, history: &History) {
    let mut end = LogPosition::default();
    let mut effects: BTreeMap<RequestKey, usize> = BTreeMap::new();
    let mut created = 0;
    for record in store.read(Sequence(0), usize::MAX).unwrap() {
        assert_eq!(record.sequence, end.sequence.next(), "no gap in the log");
        assert!(record.follows(end.checksum), "the checksum of commit {}", record.sequence.0);
        end = LogPosition::from(&record);
        created += record.changes.iter().filter(|it| it.kind == ChangeKind::Created).count();
        for (request, _) in record.effects.unwrap().requests {
            *effects.entry(request).or_default() += 1;
        }
    }
    let requests = locked(&history.requests);
    for request in requests.iter() {
        assert_eq!(effects.get(request), Some(&1), "one effect of {request:?}");
    }
    assert_eq!(
        created,
        locked(&history.units).len(),
        "nothing was created that nobody was told of"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_nodes_lose_and_double_nothing_whatever_happens_to_them() {
    let root = tempfile::tempdir().unwrap();
    let store = Arc::new(InMemoryStore::shared());
    let directories: Vec<PathBuf> = (0..NODES).map(|it| root.path().join(it.to_string())).collect();
    let mut nodes = Vec::new();
    for directory in &directories {
        nodes.push(RwLock::new(Some(Node::start(&store, directory).await)));
    }
    nodes[0].read().await.as_ref().unwrap().clients().await.create_memory("m").await;
    let history = History::default();
    let world = Arc::new(World { nodes, directories, store: store.clone(), history });
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (world, dice) = (world.clone(), Dice(number));
            let mut client = Client { world, dice, number, units: Vec::new(), seen: 0 };
            tokio::spawn(async move {
                while !client.world.history.done.load(Ordering::Relaxed) {
                    client.step().await;
                }
            })
        })
        .collect();
    faults(&world).await;
    for client in clients {
        client.await.unwrap();
    }
    check(&store, &world.history);
    let expected = locked(&world.history.units).clone();
    let end = store.end().unwrap().sequence.0;
    let mut answers = Vec::new();
    for node in &world.nodes {
        let node = node.read().await;
        let node = node.as_ref().unwrap();
        until("every node has applied the log", || node.api.sequence() >= Some(end)).await;
        answers.push(content(node).await);
    }
    let live = expected.into_iter().filter_map(|(name, target)| Some((name, target?)));
    let live: BTreeMap<String, String> = live.collect();
    assert_eq!(answers[0].0, live, "the last acknowledged write of each unit");
    assert!(answers.iter().all(|it| *it == answers[0]), "every node answers the same");
    let History { requests, lookups, retries, .. } = &world.history;
    let (writes, lookups) = (locked(requests).len(), lookups.load(Ordering::Relaxed));
    assert!(writes > 50 && lookups > 50, "{writes} writes, {lookups} lookups");
    eprintln!(
        "{FAULTS} faults: {writes} acknowledged writes, 0 lost, 0 doubled; {lookups} lookups on any node saw them; {} retries",
        retries.load(Ordering::Relaxed)
    );
}

/// Targets by unit, and the answers to some lookups.
async fn content(node: &Node) -> (BTreeMap<String, String>, Vec<String>) {
    let mut clients = node.clients().await;
    let (mut units, mut token) = (BTreeMap::new(), String::new());
    loop {
        let request = proto::ListUnitsRequest {
            parent: "memories/m".into(),
            page_token: token,
            ..Default::default()
        };
        let page = clients.units.list_units(request).await.unwrap().into_inner();
        units.extend(page.units.into_iter().map(|it| (it.name, it.target.unwrap().text)));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let mut answers = Vec::new();
    for client in 0..CLIENTS {
        let found = clients.lookup("m", &arabic(client, 1)).await;
        answers.push(format!("{found:?}"));
    }
    (units, answers)
}
