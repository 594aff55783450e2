//! Keeps what the nodes of a realm know of each other: who is there, and who holds a lease. Everything here may be lost in a failover
//! without harm.

use std::time::Duration;

use tokio_postgres::Row;
use uuid::Uuid;

use crate::store::{Sequence, StoreError};

use super::failure::Failure;
use super::realm::{REALM, Realm};
use super::session::{Parameters, Session};

/// Longest wait for an answer: who renews a lease must soon know that it cannot.
const ANSWER: Duration = Duration::from_secs(2);

const HEARTBEAT: &str = "INSERT INTO node (realm, id, address, version, applied, seen) \
    VALUES ($1, $2, $3, $4, $5, clock_timestamp()) ON CONFLICT (realm, id) \
    DO UPDATE SET address = excluded.address, version = excluded.version, \
    applied = excluded.applied, seen = excluded.seen";
const NODES: &str = "SELECT id, address, version, applied, \
    extract(epoch FROM clock_timestamp() - seen)::float8 FROM node WHERE realm = $1 ORDER BY address, id";
const FORGET: &str = "DELETE FROM node WHERE realm = $1 AND id = $2";
/// A number of the lease is given once: whoever acts for an earlier one can be told.
const ACQUIRE: &str = "INSERT INTO lease AS held (realm, role, holder, address, epoch, until) \
    VALUES ($1, $2, $3, $4, 1, clock_timestamp() + make_interval(secs => $5)) \
    ON CONFLICT (realm, role) DO UPDATE SET holder = excluded.holder, address = excluded.address, \
    epoch = held.epoch + CASE WHEN held.holder = excluded.holder AND held.until > clock_timestamp() \
    THEN 0 ELSE 1 END, until = excluded.until \
    WHERE held.holder = excluded.holder OR held.until <= clock_timestamp() \
    RETURNING holder, address, epoch, extract(epoch FROM until - clock_timestamp())::float8";
const LEASE: &str = "SELECT holder, address, epoch, \
    extract(epoch FROM until - clock_timestamp())::float8 FROM lease WHERE realm = $1 AND role = $2";
const RELEASE: &str = "UPDATE lease SET until = clock_timestamp() \
    WHERE realm = $1 AND role = $2 AND holder = $3 AND until > clock_timestamp()";

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeState {
    /// Where the other nodes reach it.
    pub address: String,
    /// The version of its program.
    pub version: String,
    /// The last commit that it has applied, to its local copy and its index.
    pub applied: Sequence,
}

/// A node, as the others see it.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeInfo {
    /// Which one.
    pub id: Uuid,
    /// What it last said.
    pub state: NodeState,
    /// How long ago, by the clock of the database.
    pub seen: Duration,
}

/// A lease, by the clock of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseState {
    /// Whether this node holds it.
    pub held_by_us: bool,
    /// Which node holds it; `None` when it has run out or nobody ever held it.
    pub holder: Option<Uuid>,
    /// Where the holder is reached.
    pub address: String,
    /// How often it has changed hands.
    pub epoch: u64,
    /// How much longer it is held.
    pub remaining: Duration,
}

impl Realm {
    /// Tells the other nodes of this one.
    ///
    /// # Errors
    /// The database.
    pub fn heartbeat(&self, state: &NodeState) -> Result<(), StoreError> {
        let node = self.options.node;
        let applied = i64::try_from(state.applied.0).unwrap_or(i64::MAX);
        self.run_within(("sending a heartbeat", ANSWER), async |session| {
            let values: Parameters<'_> = &[&REALM, &node, &state.address, &state.version, &applied];
            session.execute_lightly(HEARTBEAT, values).await.map(|_| ())
        })
    }

    /// Every node that was seen and not forgotten.
    ///
    /// # Errors
    /// The database.
    pub fn nodes(&self) -> Result<Vec<NodeInfo>, StoreError> {
        self.run_within(("reading the nodes", ANSWER), async |session| {
            let rows = session.query(NODES, &[&REALM]).await?;
            Ok(rows.iter().map(node).collect())
        })
    }

    /// Removes a node from the list: this one when it ends, or one that never comes back.
    ///
    /// # Errors
    /// The database.
    pub fn forget_node(&self, node: Uuid) -> Result<(), StoreError> {
        self.run_within(("forgetting a node", ANSWER), async |session| {
            session.execute_lightly(FORGET, &[&REALM, &node]).await.map(|_| ())
        })
    }

    /// Acquires a lease that nobody holds, or renews one that this node holds; else says who does.
    ///
    /// # Errors
    /// The database.
    pub fn acquire_or_renew(
        &self,
        role: &str,
        address: &str,
        time: Duration,
    ) -> Result<LeaseState, StoreError> {
        let (node, seconds) = (self.options.node, time.as_secs_f64());
        self.run_within(("renewing a lease", ANSWER), async |session| {
            let values: Parameters<'_> = &[&REALM, &role, &node, &address, &seconds];
            let rows = session.execute_lightly(ACQUIRE, values).await?;
            match rows.first() {
                Some(row) => Ok(lease(Some(row), node)),
                None => Ok(lease(session.query_opt(LEASE, &[&REALM, &role]).await?.as_ref(), node)),
            }
        })
    }

    /// Who holds a lease.
    ///
    /// # Errors
    /// The database.
    pub fn lease(&self, role: &str) -> Result<LeaseState, StoreError> {
        let node = self.options.node;
        self.run_within(("reading a lease", ANSWER), async |session| {
            Ok(lease(session.query_opt(LEASE, &[&REALM, &role]).await?.as_ref(), node))
        })
    }

    /// Ends a lease that this node holds, so that another one need not wait until it runs out.
    ///
    /// # Errors
    /// The database.
    pub fn release(&self, role: &str) -> Result<(), StoreError> {
        let node = self.options.node;
        self.run_within(("releasing a lease", ANSWER), async |session| {
            session.execute_lightly(RELEASE, &[&REALM, &role, &node]).await.map(|_| ())
        })
    }

    /// The last commit that every node seen within a time has applied; `None` without any such node.
    pub(super) async fn applied_by_all(session: &Session) -> Result<Option<i64>, Failure> {
        let query = "SELECT min(applied) FROM node \
            WHERE realm = $1 AND seen > clock_timestamp() - interval '1 hour'";
        let row = session.query_opt(query, &[&REALM]).await?;
        Ok(row.and_then(|row| row.get(0)))
    }
}

fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or_default()
}

fn node(row: &Row) -> NodeInfo {
    let applied = Sequence(row.get::<_, i64>(3).cast_unsigned());
    NodeInfo {
        id: row.get(0),
        state: NodeState { address: row.get(1), version: row.get(2), applied },
        seen: seconds(row.get(4)),
    }
}

fn lease(row: Option<&Row>, node: Uuid) -> LeaseState {
    let Some(row) = row else {
        let (address, remaining) = (String::new(), Duration::ZERO);
        return LeaseState { held_by_us: false, holder: None, address, epoch: 0, remaining };
    };
    let remaining = seconds(row.get(3));
    let holder = (!remaining.is_zero()).then(|| row.get::<_, Uuid>(0));
    LeaseState {
        held_by_us: holder == Some(node),
        holder,
        address: row.get(1),
        epoch: row.get::<_, i64>(2).cast_unsigned(),
        remaining,
    }
}
