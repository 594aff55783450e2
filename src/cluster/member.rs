//! Keeps a node known to its cluster: reports it, and holds the lease of the writer or knows who does.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::limits::{LEASE_RENEWAL, LEASE_TIME, NODE_REPORT_PAUSE};
use crate::store::{
    Cluster, ClusterPlace, Lease, NodeReport, NodeStatus, Sequence, StoreError, WRITER_ROLE,
};

use super::contact::Contact;

/// What a node is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeNow {
    /// The last commit that it has applied; `None` while it is loading.
    pub applied: Option<Sequence>,
    /// Whether it can commit writes.
    pub writes: bool,
}

/// How a node stands to its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberState {
    /// Whether it holds the lease of the writer.
    pub is_writer: bool,
    /// The URL of the writer, if it is another node.
    pub writer: Option<String>,
    /// How long ago the shared log answered.
    pub contact_age: Duration,
    /// The highest commit that the shared log is known to have held.
    pub log_end: Sequence,
}

/// What a node last heard of its cluster, for people.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    /// The place of the shared log; `None` before the first answer.
    pub place: Option<ClusterPlace>,
    /// All nodes, the latest report first, as of the time when the log last answered.
    pub nodes: Vec<KnownNode>,
}

/// A node, as another one last heard of it.
#[derive(Debug, Clone)]
pub struct KnownNode {
    /// Its id.
    pub id: Uuid,
    /// The URL at which other nodes reach it; empty where they cannot.
    pub address: String,
    /// The version of its program.
    pub version: String,
    /// The last commit that it had applied.
    pub applied: u64,
    /// How long before that time it reported itself.
    pub age: Duration,
}

impl From<NodeStatus> for KnownNode {
    fn from(NodeStatus { report, age }: NodeStatus) -> Self {
        let NodeReport { id, address, version, applied } = report;
        Self { id, address, version, applied: applied.0, age }
    }
}

/// A node in its cluster. Dropping it gives its lease back.
#[derive(Debug)]
pub struct Member {
    id: Uuid,
    address: String,
    contact: Arc<Contact>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    stopping: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stop: bool,
    /// The lease as last heard of, and when it runs out unless it is renewed.
    lease: Option<(Lease, Instant)>,
    overview: Overview,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits; returns whether the member stops.
    fn pause(&self, time: Duration) -> bool {
        let goes_on = |state: &mut State| !state.stop;
        let waited = self.stopping.wait_timeout_while(self.state(), time, goes_on);
        waited.unwrap_or_else(PoisonError::into_inner).0.stop
    }
}

impl Member {
    /// Joins the cluster with an id, at an address. `now` says what the node is whenever it is about to be reported.
    ///
    /// # Errors
    /// The system has no more threads.
    pub fn start(
        cluster: Arc<dyn Cluster>,
        (id, address): (Uuid, String),
        contact: Arc<Contact>,
        now: impl Fn() -> NodeNow + Send + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let report = NodeReport { id, address: address.clone(), version, applied: Sequence(0) };
        let membership =
            Membership { cluster, report, contact: contact.clone(), shared: shared.clone() };
        let thread = std::thread::Builder::new().name("member".to_owned());
        let thread = thread.spawn(move || membership.run(&now))?;
        Ok(Self { id, address, contact, shared, thread: Some(thread) })
    }

    /// The id of the node.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The URL at which other nodes reach it; empty where they cannot.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How the node stands to its cluster.
    pub fn state(&self) -> MemberState {
        let state = self.shared.state();
        let lease = state.lease.as_ref().filter(|(_, until)| *until > Instant::now());
        let is_writer = lease.is_some_and(|(lease, _)| lease.holder == self.id);
        let other = lease.filter(|(lease, _)| !is_writer && !lease.address.is_empty());
        MemberState {
            is_writer,
            writer: other.map(|(lease, _)| lease.address.clone()),
            contact_age: self.contact.age(),
            log_end: self.contact.end(),
        }
    }

    /// What the node last heard of its cluster.
    pub fn overview(&self) -> Overview {
        self.shared.state().overview.clone()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.shared.state().stop = true;
        self.shared.stopping.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// The thread of a member.
struct Membership {
    cluster: Arc<dyn Cluster>,
    report: NodeReport,
    contact: Arc<Contact>,
    shared: Arc<Shared>,
}

impl Membership {
    fn run(mut self, now: &dyn Fn() -> NodeNow) {
        let mut next_report = Instant::now();
        let mut failed = false;
        loop {
            let node = now();
            let is_due = node.applied.is_some() && Instant::now() >= next_report;
            if is_due {
                next_report = Instant::now() + NODE_REPORT_PAUSE;
            }
            let result = self.step(node, is_due);
            match &result {
                // Once, not every half second.
                Err(error) if !failed => {
                    tracing::warn!(%error, "the cluster does not answer; lookups go on");
                }
                Ok(()) if failed => tracing::info!("the cluster answers again"),
                _ => {}
            }
            failed = result.is_err();
            if self.shared.pause(LEASE_RENEWAL) {
                break;
            }
        }
        // Where it fails, the lease runs out.
        let _ = self.cluster.release_lease(WRITER_ROLE, self.report.id);
    }

    /// Renews the lease or learns who has it, and reports the node if that is due.
    fn step(&mut self, now: NodeNow, is_report_due: bool) -> Result<(), StoreError> {
        let Some(applied) = now.applied else { return Ok(()) };
        self.report.applied = applied;
        let asked = Instant::now();
        let lease = if now.writes {
            self.cluster.hold_lease(WRITER_ROLE, &self.report, LEASE_TIME)?
        } else {
            self.cluster.lease(WRITER_ROLE)?
        };
        self.contact.note();
        // Its own lease ends for the holder before it does for others.
        let from = |lease: &Lease| {
            if lease.holder == self.report.id { asked } else { Instant::now() }
        };
        let lease = lease.map(|lease| {
            let until = from(&lease) + lease.left;
            (lease, until)
        });
        self.shared.state().lease = lease;
        if is_report_due {
            self.cluster.report(&self.report)?;
            let (nodes, place) = (self.cluster.nodes()?, self.cluster.place()?);
            let nodes = nodes.into_iter().map(KnownNode::from).collect();
            self.shared.state().overview = Overview { place: Some(place), nodes };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::InMemoryStore;

    fn member(cluster: &Arc<InMemoryStore>, address: &str, writes: bool) -> Member {
        let now = move || NodeNow { applied: Some(Sequence(7)), writes };
        let identity = (Uuid::new_v4(), address.to_owned());
        Member::start(cluster.clone(), identity, Arc::default(), now).unwrap()
    }

    /// Waits for a state.
    fn until(what: &str, is_so: impl Fn() -> bool) {
        let since = Instant::now();
        while !is_so() {
            assert!(since.elapsed() < Duration::from_secs(20), "{what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn one_node_is_the_writer_and_another_takes_over() {
        let cluster = Arc::new(InMemoryStore::shared());
        let first = member(&cluster, "http://one:1", true);
        until("the first node writes", || first.state().is_writer);
        let second = member(&cluster, "http://two:2", true);
        until("the second node knows the first", || {
            second.state().writer.as_deref() == Some("http://one:1")
        });
        assert!(!second.state().is_writer && first.state().writer.is_none());
        until("both are reported", || cluster.nodes().unwrap().len() == 2);
        assert!(cluster.nodes().unwrap().iter().all(|it| it.report.applied == Sequence(7)));
        let since = Instant::now();
        drop(first);
        until("the second node takes over", || second.state().is_writer);
        assert!(since.elapsed() < LEASE_TIME, "the lease was given back");
        assert_eq!(cluster.lease(WRITER_ROLE).unwrap().unwrap().epoch, 2);
    }

    #[test]
    fn a_node_that_cannot_commit_does_not_take_the_lease() {
        let cluster = Arc::new(InMemoryStore::shared());
        let paused = member(&cluster, "http://one:1", false);
        until("it is reported", || !cluster.nodes().unwrap().is_empty());
        std::thread::sleep(LEASE_RENEWAL * 2);
        assert!(!paused.state().is_writer && cluster.lease(WRITER_ROLE).unwrap().is_none());
    }
}
