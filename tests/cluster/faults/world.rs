//! The programs, their proxies, and the servers of the database.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::super::archive::Archive;
use super::super::clients::{Client, Service};
use super::super::lookups::Lookups;
use super::super::program::init;
use crate::crash::Process;
use crate::support::postgres::{Postgres, store_url};
use crate::support::proxy::Proxy;
use crate::upkeep::Dice;

pub(super) const NODES: usize = 3;
const STANDBYS: usize = 2;
/// Longest wait for the end of a fault. After it, something hangs.
pub(super) const OVER: Duration = Duration::from_secs(90);

/// A node, and its own ways to the servers of the database.
pub(super) struct Program {
    process: Option<Process>,
    pub(super) data: PathBuf,
    pub(super) proxies: Vec<Proxy>,
    store: String,
}

/// Everything that faults happen to.
pub(super) struct World {
    pub(super) postgres: Postgres,
    pub(super) database: String,
    pub(super) programs: Vec<Program>,
    pub(super) service: Arc<Service>,
    pub(super) lookups: Arc<Lookups>,
    pub(super) archive: Archive,
    pub(super) dice: Dice,
    /// How long a fault lasts at most.
    longest: Duration,
    /// Clients that write to one node each.
    probes: Vec<Client>,
    root: tempfile::TempDir,
}

impl World {
    /// `None` where PostgreSQL is not installed. Blocks.
    pub(super) fn start(longest: Duration, dice: Dice) -> Option<Self> {
        let postgres = Postgres::start(STANDBYS)?;
        let root = tempfile::tempdir().unwrap();
        let database = postgres.database();
        let service = Service::of(NODES);
        let programs: Vec<Program> = (0..NODES)
            .map(|node| Program::new(&postgres, &database, root.path().join(node.to_string())))
            .collect();
        init(root.path(), &programs[0].store, &[]);
        let archive = Archive::of(postgres.options(&database));
        let probes = (0..NODES).map(|node| Client::of_node(&service, 1_000 + node as u64, node));
        let probes = probes.collect();
        let lookups = Lookups::of(NODES);
        let mut world = Self {
            postgres,
            database,
            programs,
            service,
            lookups,
            archive,
            dice,
            longest,
            probes,
            root,
        };
        for node in 0..NODES {
            world.start_program(node);
        }
        world.writer();
        Some(world)
    }

    pub(super) fn root(&self) -> &Path {
        self.root.path()
    }

    /// A time that a fault lasts.
    pub(super) fn some_time(&mut self) -> Duration {
        let millis = u64::try_from(self.longest.as_millis()).unwrap();
        Duration::from_millis(millis / 2 + self.dice.below(millis / 2))
    }

    pub(super) fn some_node(&mut self) -> usize {
        usize::try_from(self.dice.below(NODES as u64)).unwrap()
    }

    /// The node that holds the lease of the writer, as soon as there is one.
    pub(super) fn writer(&self) -> usize {
        let holder = "SELECT coalesce(max(address), '') FROM dhakira.lease \
            WHERE role = 'writer' AND until > clock_timestamp()";
        let since = Instant::now();
        loop {
            let url = Some(self.postgres.primary.sql(&self.database, holder));
            if let Some(node) = (0..NODES).find(|node| self.service.url(*node) == url) {
                return node;
            }
            assert!(since.elapsed() < OVER, "no node becomes the writer");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Starts a node, and waits until it is ready.
    pub(super) fn start_program(&mut self, node: usize) {
        let program = &mut self.programs[node];
        let process = program.start();
        self.service.set_url(node, Some(process.url.clone()));
        program.process = Some(process);
    }

    pub(super) fn kill_program(&mut self, node: usize) {
        self.lookups.turn(node);
        self.signal(node, "-KILL");
        self.service.set_url(node, None);
        self.programs[node].process = None;
    }

    /// A node that was killed.
    pub(super) fn restart_program(&mut self, node: usize) {
        self.start_program(node);
        self.lookups.turn(node);
    }

    pub(super) fn signal(&self, node: usize, signal: &str) {
        self.programs[node].process.as_ref().unwrap().signal(signal);
    }

    /// Waits until everything is as before a fault: all standbys acknowledge commits, and every node acknowledges a write.
    pub(super) fn settle(&mut self) {
        self.postgres.wait_for_standbys();
        Handle::current().block_on(async {
            let mut writing = tokio::task::JoinSet::new();
            for mut probe in std::mem::take(&mut self.probes) {
                writing.spawn(async move {
                    probe.create("a probe").await;
                    probe
                });
            }
            self.probes = writing.join_all().await;
        });
    }
}

impl Program {
    fn new(postgres: &Postgres, database: &str, data: PathBuf) -> Self {
        let proxies: Vec<Proxy> = postgres.ports().map(Proxy::start).collect();
        let store = store_url(proxies.iter().map(|proxy| proxy.port), database);
        Self { process: None, data, proxies, store }
    }

    fn start(&self) -> Process {
        Process::start_with(&self.data, &[("DHAKIRA_STORE", self.store.clone())])
    }
}
