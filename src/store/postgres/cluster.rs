//! Implements what nodes share besides the log, on the tables of nodes and leases.

use std::time::Duration;

use uuid::Uuid;

use crate::store::cluster::{Cluster, ClusterPlace, Lease, NodeReport, NodeStatus};
use crate::store::{LogStart, StoreError};

use super::nodes::{LeaseState, NodeState};
use super::options::Durability;
use super::realm::{REALM, Realm};

const LOG_START: &str = "UPDATE log_start SET seq = $2, chain = $3, time = $4 WHERE realm = $1";
const LINEAGE: &str = "UPDATE realm SET lineage = $2 WHERE realm = $1";

/// The calls of a realm are those of the node that it was connected for.
impl Cluster for Realm {
    fn lineage(&self) -> Uuid {
        self.identity().lineage
    }

    fn report(&self, node: &NodeReport) -> Result<(), StoreError> {
        let NodeReport { address, version, applied, .. } = node.clone();
        self.heartbeat(&NodeState { address, version, applied })
    }

    fn nodes(&self) -> Result<Vec<NodeStatus>, StoreError> {
        let mut nodes: Vec<NodeStatus> = Realm::nodes(self)?
            .into_iter()
            .map(|node| {
                let NodeState { address, version, applied } = node.state;
                let report = NodeReport { id: node.id, address, version, applied };
                NodeStatus { report, age: node.seen }
            })
            .collect();
        nodes.sort_by_key(|node| node.age);
        Ok(nodes)
    }

    fn place(&self) -> Result<ClusterPlace, StoreError> {
        let mode = self.mode()?;
        let encrypted = if mode.encrypted { "encrypted" } else { "not encrypted" };
        let durability = match mode.durability {
            Durability::Engine => "left to the engine".to_owned(),
            Durability::Synchronous => {
                format!("synchronous standbys {}", mode.synchronous_standby_names)
            }
        };
        Ok(ClusterPlace {
            name: self.identity().name,
            server: format!("PostgreSQL {} at {}, {encrypted}", mode.server_version, mode.primary),
            durability,
            concerns: mode.concerns(),
        })
    }

    fn hold_lease(
        &self,
        role: &str,
        node: &NodeReport,
        time: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        Ok(held(self.acquire_or_renew(role, &node.address, time)?))
    }

    fn release_lease(&self, role: &str, _: Uuid) -> Result<(), StoreError> {
        self.release(role)
    }

    fn begin_log_at(&self, start: LogStart) -> Result<(), StoreError> {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (sequence, chain) = (number(start.sequence.0), start.checksum.cast_signed());
        let (time, lineage) = (start.time.micros, Uuid::new_v4());
        self.write("beginning the log", async |session| {
            session.execute("DELETE FROM log WHERE realm = $1", &[&REALM]).await?;
            session.execute("DELETE FROM history WHERE realm = $1", &[&REALM]).await?;
            session.execute(LOG_START, &[&REALM, &sequence, &chain, &time]).await?;
            session.execute(LINEAGE, &[&REALM, &lineage]).await.map(|_| ())
        })
    }

    fn lease(&self, role: &str) -> Result<Option<Lease>, StoreError> {
        Ok(held(Realm::lease(self, role)?))
    }
}

/// The lease, unless nobody holds it.
fn held(state: LeaseState) -> Option<Lease> {
    let LeaseState { holder, address, epoch, remaining, .. } = state;
    Some(Lease { holder: holder?, address, epoch, left: remaining })
}
