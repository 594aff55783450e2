//! Implements what nodes share in memory, for tests.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::cluster::{Lease, NodeReport, NodeStatus};

/// The nodes and leases of an [`InMemoryStore`](super::InMemoryStore).
#[derive(Default)]
pub(super) struct Nodes {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Chosen when it is first asked for.
    lineage: Option<Uuid>,
    nodes: BTreeMap<Uuid, (NodeReport, Instant)>,
    leases: BTreeMap<String, Held>,
}

struct Held {
    holder: Uuid,
    address: String,
    epoch: u64,
    until: Instant,
}

impl Held {
    fn lease(&self) -> Lease {
        Lease {
            holder: self.holder,
            address: self.address.clone(),
            epoch: self.epoch,
            left: self.until.saturating_duration_since(Instant::now()),
        }
    }
}

impl Nodes {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn lineage(&self) -> Uuid {
        *self.state().lineage.get_or_insert_with(Uuid::new_v4)
    }

    pub(super) fn begin_lineage(&self) {
        self.state().lineage = Some(Uuid::new_v4());
    }

    pub(super) fn report(&self, node: &NodeReport) {
        self.state().nodes.insert(node.id, (node.clone(), Instant::now()));
    }

    pub(super) fn all(&self) -> Vec<NodeStatus> {
        let status = |(report, seen): &(NodeReport, Instant)| NodeStatus {
            report: report.clone(),
            age: seen.elapsed(),
        };
        let mut all: Vec<NodeStatus> = self.state().nodes.values().map(status).collect();
        all.sort_by_key(|node| node.age);
        all
    }

    pub(super) fn hold_lease(&self, role: &str, node: &NodeReport, time: Duration) -> Lease {
        let mut state = self.state();
        let now = Instant::now();
        let held = state.leases.get(role);
        if let Some(other) = held.filter(|it| it.holder != node.id && it.until > now) {
            return other.lease();
        }
        let epoch = held.map_or(1, |it| it.epoch + u64::from(it.holder != node.id));
        let held =
            Held { holder: node.id, address: node.address.clone(), epoch, until: now + time };
        let lease = held.lease();
        state.leases.insert(role.to_owned(), held);
        lease
    }

    pub(super) fn release_lease(&self, role: &str, node: Uuid) {
        if let Some(held) = self.state().leases.get_mut(role).filter(|it| it.holder == node) {
            held.until = Instant::now();
        }
    }

    pub(super) fn lease(&self, role: &str) -> Option<Lease> {
        let state = self.state();
        state.leases.get(role).filter(|it| it.until > Instant::now()).map(Held::lease)
    }
}
