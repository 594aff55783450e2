//! Clients that write to any node of a cluster and remember what they were told, and the comparison of that with its log.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dhakira::store::{ChangeKind, LogPosition, LogRecord, RequestKey};
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use super::world::locked;
use crate::support::{Clients, lookup_request, proto, segment, unit};
use crate::upkeep::Dice;

/// Longest wait for the answer to one attempt: a frozen node never answers.
const CALL_TIME: Duration = Duration::from_secs(5);
/// Longest time until a call is answered by some node. After it, writes hang.
const ANSWERED: Duration = Duration::from_secs(90);
/// Units of a client, about: then it changes those that it has.
const UNITS: usize = 300;
/// Lookups whose answers are compared between nodes, at most.
const COMPARED: usize = 100;

/// A write that was acknowledged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Acknowledged {
    /// When it was sent first.
    pub(super) sent: Instant,
    pub(super) at: Instant,
}

/// What clients were told.
#[derive(Default)]
pub(super) struct History {
    /// Target of each unit after the last acknowledged write; `None` for a deleted one.
    pub(super) units: Mutex<BTreeMap<String, Option<String>>>,
    pub(super) acknowledged: Mutex<Vec<Acknowledged>>,
    requests: Mutex<Vec<RequestKey>>,
    pub(super) lookups: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) done: AtomicBool,
}

impl History {
    /// The longest time between two acknowledged writes.
    pub(super) fn longest_pause(&self, from: Instant, to: Instant) -> Duration {
        let acknowledged = locked(&self.acknowledged);
        let times = acknowledged.iter().map(|it| it.at).filter(|it| (from..to).contains(it));
        let (longest, last) = times.fold((Duration::ZERO, from), |(longest, last), at| {
            (longest.max(at.duration_since(last)), at)
        });
        longest.max(to.duration_since(last))
    }
}

/// Nodes, wherever they run, and what their clients were told.
#[derive(Default)]
pub(super) struct Service {
    /// Where each node serves; `None` while it is stopped.
    urls: Vec<Mutex<Option<String>>>,
    pub(super) history: History,
}

impl Service {
    pub(super) fn of(nodes: usize) -> Arc<Self> {
        let urls = (0..nodes).map(|_| Mutex::default()).collect();
        Arc::new(Self { urls, history: History::default() })
    }

    pub(super) fn nodes(&self) -> usize {
        self.urls.len()
    }

    pub(super) fn url(&self, node: usize) -> Option<String> {
        locked(&self.urls[node]).clone()
    }

    pub(super) fn set_url(&self, node: usize, url: Option<String>) {
        *locked(&self.urls[node]) = url;
    }

    /// Whether clients are to stop.
    pub(super) fn is_done(&self) -> bool {
        self.history.done.load(Ordering::Relaxed)
    }

    /// Clients that write and look up until the history is done, with a pause after each step.
    pub(super) fn run_clients(
        self: &Arc<Self>,
        count: u64,
        pause: Duration,
    ) -> Vec<JoinHandle<()>> {
        let run = |number| {
            let mut client = Client::new(self, number);
            tokio::spawn(async move {
                while !client.service.is_done() {
                    client.step().await;
                    tokio::time::sleep(pause).await;
                }
            })
        };
        (0..count).map(run).collect()
    }
}

/// One client: its writes are on units that no other client touches.
pub(super) struct Client {
    service: Arc<Service>,
    dice: Dice,
    number: u64,
    /// The node that it calls; any without one.
    only: Option<usize>,
    units: Vec<String>,
    /// The last commit that an answer has seen.
    seen: u64,
    channels: HashMap<String, Channel>,
}

/// A call, on any node.
macro_rules! anywhere {
    ($client:expr, $clients:ident => $call:expr) => {{
        let since = Instant::now();
        loop {
            let result = match $client.some_node() {
                Some(mut $clients) => in_time($call).await,
                None => Err(Status::unavailable("the node is stopped")),
            };
            match result {
                Ok(answer) => break Ok(answer),
                Err(status) if is_for_later(&status) => {
                    let only = $client.only;
                    assert!(since.elapsed() < ANSWERED, "a call hangs, node {only:?}: {status}");
                    $client.service.history.retries.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(status) => break Err(status),
            }
        }
    }};
}

/// The answer to one attempt, if it comes in time.
pub(super) async fn in_time<T>(
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<Response<T>, Status> {
    let late = |_| Err(Status::deadline_exceeded("no answer"));
    tokio::time::timeout(CALL_TIME, call).await.unwrap_or_else(late)
}

/// A connection that is made when it is used, and again when it is lost.
pub(super) fn channel(url: &str) -> Channel {
    let endpoint = Endpoint::from_shared(url.to_owned()).unwrap();
    endpoint.connect_timeout(Duration::from_secs(2)).connect_lazy()
}

/// Whether a client tries again: the node is not there, or cannot do it now.
fn is_for_later(status: &Status) -> bool {
    let code = status.code();
    matches!(code, Code::Unavailable | Code::ResourceExhausted | Code::Cancelled)
        || code == Code::DeadlineExceeded
        // The connection of a node that stops.
        || std::error::Error::source(status).is_some()
}

pub(super) fn arabic(client: u64, number: usize) -> String {
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
    fn new(service: &Arc<Service>, number: u64) -> Self {
        Self {
            service: Arc::clone(service),
            dice: Dice(number),
            number,
            only: None,
            units: Vec::new(),
            seen: 0,
            channels: HashMap::new(),
        }
    }

    /// A client of one node. Its number is another than those of other clients.
    pub(super) fn of_node(service: &Arc<Service>, number: u64, node: usize) -> Self {
        Self { only: Some(node), ..Self::new(service, number) }
    }

    fn some_node(&mut self) -> Option<Clients> {
        let any = self.dice.below(self.service.nodes() as u64);
        let url = self.service.url(self.only.unwrap_or(usize::try_from(any).unwrap()))?;
        let connected = self.channels.entry(url).or_insert_with_key(|url| channel(url));
        Some(Clients::over(connected.clone()))
    }

    fn id(&self) -> String {
        let id = Uuid::new_v4();
        locked(&self.service.history.requests).push(RequestKey(*id.as_bytes()));
        id.to_string()
    }

    fn acked<T>(
        &mut self,
        unit: &str,
        target: Option<&str>,
        (sent, answer): (Instant, &Response<T>),
    ) {
        let history = &self.service.history;
        locked(&history.units).insert(unit.to_owned(), target.map(str::to_owned));
        locked(&history.acknowledged).push(Acknowledged { sent, at: Instant::now() });
        self.seen = self.seen.max(sequence(answer).expect("each answer says what it has seen"));
    }

    async fn step(&mut self) {
        let target = format!("target {} of {}", self.dice.below(1 << 30), self.number);
        let some = usize::try_from(self.dice.below(self.units.len().max(1) as u64)).unwrap();
        match self.dice.below(8) {
            0..=3 if self.units.len() < UNITS => self.create(&target).await,
            0..=5 if !self.units.is_empty() => self.update(some, &target).await,
            6 if self.units.len() > 3 => self.delete(some).await,
            _ => {}
        }
        if let Some(name) = self.units.last().cloned() {
            self.look_up(&name).await;
        }
    }

    pub(super) async fn create(&mut self, target: &str) {
        let source = arabic(self.number, self.units.len() + 10 * self.seen as usize);
        let request = proto::CreateUnitRequest {
            parent: "memories/m".into(),
            unit: Some(unit(&source, target)),
            duplicate_policy: proto::DuplicatePolicy::KeepAll.into(),
            request_id: self.id(),
            ..Default::default()
        };
        let sent = Instant::now();
        let made = anywhere!(self, it => it.units.create_unit(request.clone())).unwrap();
        let name = made.get_ref().unit.as_ref().unwrap().name.clone();
        self.acked(&name, Some(target), (sent, &made));
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
        let sent = Instant::now();
        let done = anywhere!(self, it => it.units.update_unit(request.clone())).unwrap();
        self.acked(&name, Some(target), (sent, &done));
    }

    async fn delete(&mut self, some: usize) {
        let name = self.units.remove(some);
        let request = proto::DeleteUnitRequest {
            name: name.clone(),
            request_id: self.id(),
            ..Default::default()
        };
        let sent = Instant::now();
        let done = anywhere!(self, it => it.units.delete_unit(request.clone())).unwrap();
        self.acked(&name, None, (sent, &done));
    }

    /// Any node shows what this client was told, if it waits for it.
    async fn look_up(&mut self, name: &str) {
        let expected = locked(&self.service.history.units)[name].clone().unwrap();
        let mut request =
            Request::new(proto::GetUnitRequest { name: name.into(), ..Default::default() });
        request.metadata_mut().insert("x-dhakira-sequence", self.seen.into());
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
        self.service.history.lookups.fetch_add(1, Ordering::Relaxed);
    }
}

/// The last commit that an answer has seen.
pub(super) fn sequence<T>(answer: &Response<T>) -> Option<u64> {
    answer.metadata().get("x-dhakira-sequence")?.to_str().ok()?.parse().ok()
}

/// Compares a log, from its beginning, with what clients were told.
pub(super) fn check(records: &[LogRecord], history: &History) {
    let mut end = LogPosition::default();
    let mut effects: BTreeMap<RequestKey, usize> = BTreeMap::new();
    let mut created = 0;
    for record in records {
        assert_eq!(record.sequence, end.sequence.next(), "no gap in the log");
        assert!(record.follows(end.checksum), "the checksum of commit {}", record.sequence.0);
        end = LogPosition::from(record);
        created += record.changes.iter().filter(|it| it.kind == ChangeKind::Created).count();
        for (request, _) in &record.effects.as_ref().unwrap().requests {
            *effects.entry(*request).or_default() += 1;
        }
    }
    let requests = locked(&history.requests);
    for request in requests.iter() {
        assert_eq!(effects.get(request), Some(&1), "one effect of {request:?}");
    }
    let acknowledged = locked(&history.acknowledged).len();
    assert_eq!(requests.len(), acknowledged, "every write was acknowledged in the end");
    let told = locked(&history.units).len();
    assert_eq!(created, told, "nothing was created that nobody was told of");
}

/// Checks that a node holds the last acknowledged write of each unit, and answers lookups as the other nodes do.
pub(super) async fn check_nodes(service: &Service) {
    let expected = locked(&service.history.units).clone();
    let live = expected.into_iter().filter_map(|(name, target)| Some((name, target?)));
    let live: BTreeMap<String, String> = live.collect();
    let mut first: Option<Vec<String>> = None;
    for node in 0..service.nodes() {
        let mut clients = Clients::connect(&service.url(node).unwrap()).await;
        let units = all_units(&mut clients).await;
        let targets: BTreeMap<String, String> =
            units.iter().map(|it| (it.name.clone(), text(it.target.as_ref()))).collect();
        assert_eq!(targets, live, "the last acknowledged write of each unit, on node {node}");
        let answers = answers(&mut clients, &units).await;
        let first = first.get_or_insert_with(|| answers.clone());
        assert!(*first == answers, "node {node} answers lookups as the others");
    }
}

fn text(segment: Option<&proto::Segment>) -> String {
    segment.unwrap().text.clone()
}

async fn all_units(clients: &mut Clients) -> Vec<proto::Unit> {
    let (mut units, mut token) = (Vec::new(), String::new());
    loop {
        let request = proto::ListUnitsRequest {
            parent: "memories/m".into(),
            page_token: token,
            ..Default::default()
        };
        let page = clients.units.list_units(request).await.unwrap().into_inner();
        units.extend(page.units);
        token = page.next_page_token;
        if token.is_empty() {
            return units;
        }
    }
}

/// The answers to lookups of some units.
async fn answers(clients: &mut Clients, units: &[proto::Unit]) -> Vec<String> {
    let mut answers = Vec::new();
    for unit in units.iter().step_by(units.len() / COMPARED + 1) {
        let found = clients.lookup("m", &text(unit.source.as_ref())).await;
        assert!(!found.is_empty(), "{} is not found", unit.name);
        answers.push(format!("{found:?}"));
    }
    answers
}
