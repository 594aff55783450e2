//! Three nodes over three servers that Patroni manages, while it replaces the leader, and while it cannot.
//!
//! Each kind of failover once in every test run; `DHAKIRA_PATRONI_ROUNDS=10` for that many of each.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use dhakira::store::{Durability, RealmOptions};
use uuid::Uuid;

use super::archive::Archive;
use super::clients::{Client, Service, check, check_nodes};
use super::lookups::{Lookups, prepare, wait_until_applied};
use super::program::init;
use super::world::locked;
use crate::command_line::{code, run, stdout};
use crate::crash::Process;
use crate::support::figures::keep;
use crate::support::patroni::{Patroni, TTL};
use crate::support::say;

const NODES: usize = 3;
const CLIENTS: u64 = 3;
/// Pause of a client after each step: the nodes are to be busy, not the machine.
const PAUSE: Duration = Duration::from_millis(30);
/// How long etcd is away: longer than Patroni keeps a leader without it.
const ETCD_AWAY: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failover {
    /// The leader's PostgreSQL is killed; its Patroni notices at once.
    Server,
    /// The leader's PostgreSQL is killed, and its Patroni too: the others wait until it has been silent for long enough.
    Machine,
    /// Somebody asks for another leader.
    Switchover,
    /// etcd is away: the leader steps back, since it cannot know whether there is another one.
    Etcd,
}

impl Failover {
    const ALL: [Self; 4] = [Self::Server, Self::Switchover, Self::Etcd, Self::Machine];

    /// Blocks until it is over for Patroni; nodes write again some time later.
    fn inflict(self, patroni: &mut Patroni) {
        match self {
            Self::Server => patroni.kill_server(patroni.leader()),
            Self::Machine => patroni.kill_member(patroni.leader()),
            Self::Switchover => patroni.switch_over(),
            Self::Etcd => {
                patroni.kill_etcd();
                std::thread::sleep(ETCD_AWAY);
                patroni.start_etcd();
            }
        }
    }

    /// Brings back what is still missing.
    fn repair(self, patroni: &mut Patroni) {
        if let Self::Machine = self {
            patroni.start_members();
        }
        patroni.wait_until_whole();
    }
}

/// Nodes of one cluster, each a process, and how clients call them. Dropping it ends the processes.
struct Nodes {
    _processes: Vec<Process>,
    service: Arc<Service>,
    _root: tempfile::TempDir,
}

impl Nodes {
    /// Makes the cluster and starts its nodes. Blocks.
    fn start(store: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        init(root.path(), store, &[]);
        let service = Service::of(NODES);
        let variables = [("DHAKIRA_STORE", store.to_owned())];
        let node = |number: usize| {
            let process = Process::start_with(&root.path().join(number.to_string()), &variables);
            service.set_url(number, Some(process.url.clone()));
            process
        };
        let processes = (0..NODES).map(node).collect();
        let said = run(root.path(), &["cluster", "doctor", "--store", store]);
        assert_eq!(code(&said), 0, "what Patroni manages is safe: {}", stdout(&said));
        Self { _processes: processes, service, _root: root }
    }
}

/// Lets one failover happen; how long no write was acknowledged.
fn observe(failover: Failover, patroni: &mut Patroni, service: &Service) -> Duration {
    let begun = Instant::now();
    failover.inflict(patroni);
    let inflicted = Instant::now();
    let is_back = || locked(&service.history.acknowledged).iter().any(|it| it.sent > inflicted);
    while !is_back() {
        assert!(inflicted.elapsed() < 3 * TTL, "writes do not come back after {failover:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let pause = service.history.longest_pause(begun, Instant::now());
    say(&format!("patroni: {failover:?}: no write was acknowledged for {pause:.1?}"));
    failover.repair(patroni);
    pause
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_leader_that_patroni_replaces_takes_no_acknowledged_write_with_it() {
    let start = || {
        let patroni = Patroni::start()?;
        patroni.database("tm");
        let nodes = Nodes::start(&patroni.store("tm"));
        Some((patroni, nodes))
    };
    let Some((mut patroni, nodes)) = tokio::task::spawn_blocking(start).await.unwrap() else {
        return;
    };
    let service = Arc::clone(&nodes.service);
    let options = RealmOptions {
        durability: Durability::Synchronous,
        ..RealmOptions::new(patroni.store("tm").parse().unwrap(), Uuid::new_v4())
    };
    let mut archive = tokio::task::spawn_blocking(|| Archive::of(options)).await.unwrap();
    prepare(&service).await;
    let lookups = Lookups::of(NODES);
    let watching = lookups.watch(&service);
    let clients = service.run_clients(CLIENTS, PAUSE);
    let history = Arc::clone(&service);
    let rounds = std::env::var("DHAKIRA_PATRONI_ROUNDS").map_or(1, |it| it.parse().unwrap());
    let inflicting = tokio::task::spawn_blocking(move || {
        let failovers = std::iter::repeat_n(Failover::ALL, rounds).flatten();
        let pauses: Vec<(Failover, Duration)> = failovers
            .map(|failover| (failover, observe(failover, &mut patroni, &history)))
            .collect();
        (pauses, patroni)
    });
    let (pauses, _patroni) = inflicting.await.unwrap();
    service.history.done.store(true, Ordering::Relaxed);
    for task in clients.into_iter().chain(watching) {
        task.await.unwrap();
    }
    for node in 0..NODES {
        Client::of_node(&service, 1_000 + node as u64, node).create("the last one").await;
    }
    let archive = tokio::task::spawn_blocking(move || {
        archive.finish();
        archive
    });
    let records = archive.await.unwrap().records;
    check(&records, &service.history);
    wait_until_applied(&service, records.last().unwrap().sequence.0).await;
    check_nodes(&service).await;
    let writes = locked(&service.history.acknowledged).len();
    let answered: u64 = lookups.answered().iter().sum();
    let (count, failed) = (pauses.len(), lookups.failed());
    say(&format!(
        "patroni: {count} failovers: {writes} acknowledged writes, 0 lost, 0 doubled; {answered} lookups, {failed} failed"
    ));
    let longest = |kinds: &[Failover]| {
        let pauses = pauses.iter().filter(|(failover, _)| kinds.contains(failover));
        pauses.map(|(_, pause)| pause.as_secs_f64()).fold(0.0, f64::max)
    };
    let figures = [
        ("failovers", count as f64),
        ("acknowledged", writes as f64),
        ("lookups", answered as f64),
        ("lookups_failed", failed as f64),
        ("server_killed_seconds_max", longest(&[Failover::Server])),
        ("machine_killed_seconds_max", longest(&[Failover::Machine])),
        ("switchover_seconds_max", longest(&[Failover::Switchover])),
        ("ttl_seconds", TTL.as_secs_f64()),
    ];
    let command = format!(
        "DHAKIRA_PATRONI_ROUNDS={rounds} cargo test --test tests cluster::patroni -- --nocapture"
    );
    keep("patroni", &command, &figures);
    assert_eq!(failed, 0, "lookups go on on every node");
}
