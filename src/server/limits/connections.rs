//! Limits the open connections, and chooses the one that is closed when there are too many.
//!
//! Where tokens are in use, a connection is anonymous until a valid token or a known certificate was presented on it. When there
//! is no room for a new connection, an anonymous one is closed: the oldest of the address that has the most of them. So clients
//! with a token always get in, and a flood from one address closes its own connections.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::admission::Limits;

/// The open connections.
#[derive(Debug, Default)]
pub(in crate::server) struct ConnectionTable {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// By number, in order of arrival.
    connections: BTreeMap<u64, Arc<Connection>>,
    next: u64,
    peers: HashMap<IpAddr, usize>,
    anonymous: usize,
}

/// One connection.
#[derive(Debug)]
pub(in crate::server) struct Connection {
    table: Arc<ConnectionTable>,
    number: u64,
    peer: IpAddr,
    /// Whether a call on it was authenticated.
    authenticated: AtomicBool,
    /// Calls under way on it.
    calls: AtomicUsize,
    since: Instant,
    /// Milliseconds from its start to the end of its last call.
    used: AtomicU64,
    /// Closes it at once.
    pub(in crate::server) kill: CancellationToken,
}

/// Whether a connection was admitted.
#[derive(Debug)]
pub(in crate::server) enum Admitted {
    /// There was room.
    Free(ConnectionPermit),
    /// Another connection was closed for it.
    Evicting(ConnectionPermit),
    Full,
}

impl ConnectionTable {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a connection; `guarded` says whether tokens are in use.
    pub(in crate::server) fn admit(
        self: &Arc<Self>,
        peer: IpAddr,
        limits: &Limits,
        guarded: bool,
        kill: CancellationToken,
    ) -> Admitted {
        let mut open = self.open();
        let peer_full = open.peers.get(&peer).is_some_and(|it| *it >= limits.peer_connections);
        let full = open.connections.len() >= limits.connections;
        let crowded = guarded && open.anonymous >= limits.anonymous_connections;
        let evicts = peer_full || full || crowded;
        if evicts {
            let victim = if guarded { open.victim(peer_full.then_some(peer)) } else { None };
            let Some(victim) = victim else { return Admitted::Full };
            open.remove(&victim);
            victim.kill.cancel();
        }
        let number = open.next;
        open.next += 1;
        open.anonymous += 1;
        *open.peers.entry(peer).or_default() += 1;
        let connection = Arc::new(Connection {
            table: self.clone(),
            number,
            peer,
            authenticated: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
            since: Instant::now(),
            used: AtomicU64::new(0),
            kill,
        });
        open.connections.insert(number, connection.clone());
        let permit = ConnectionPermit(connection);
        if evicts { Admitted::Evicting(permit) } else { Admitted::Free(permit) }
    }

    /// Number of open connections.
    pub(in crate::server) fn len(&self) -> usize {
        self.open().connections.len()
    }
}

impl Open {
    /// The anonymous connection to close: of the given address, or of the one that has the most.
    fn victim(&self, peer: Option<IpAddr>) -> Option<Arc<Connection>> {
        let anonymous = || self.connections.values().filter(|it| !it.is_authenticated());
        let peer = peer.or_else(|| {
            let mut counts: HashMap<IpAddr, usize> = HashMap::new();
            for connection in anonymous() {
                *counts.entry(connection.peer).or_default() += 1;
            }
            counts.into_iter().max_by_key(|(_, count)| *count).map(|(peer, _)| peer)
        })?;
        anonymous().find(|it| it.peer == peer).cloned()
    }

    fn remove(&mut self, connection: &Connection) {
        if self.connections.remove(&connection.number).is_none() {
            return;
        }
        self.anonymous -= usize::from(!connection.is_authenticated());
        let left = self.peers.get_mut(&connection.peer).map(|open| {
            *open -= 1;
            *open
        });
        if left == Some(0) {
            self.peers.remove(&connection.peer);
        }
    }
}

/// The place of an open connection; free again when dropped.
#[derive(Debug)]
pub(in crate::server) struct ConnectionPermit(pub(in crate::server) Arc<Connection>);

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.table.open().remove(&self.0);
    }
}

impl Connection {
    fn is_authenticated(&self) -> bool {
        self.authenticated.load(Ordering::Relaxed)
    }

    /// Notes that a valid token or a known certificate was presented.
    pub(in crate::server) fn authenticate(&self) {
        if self.is_authenticated() {
            return;
        }
        // Under the lock, so that counts and marks agree.
        let mut open = self.table.open();
        if !self.authenticated.swap(true, Ordering::Relaxed)
            && open.connections.contains_key(&self.number)
        {
            open.anonymous -= 1;
        }
    }

    /// Counts a call until the returned guard is dropped.
    pub(in crate::server) fn call(self: &Arc<Self>) -> ActiveCall {
        self.calls.fetch_add(1, Ordering::Relaxed);
        ActiveCall(self.clone())
    }

    /// Whether calls are under way.
    pub(in crate::server) fn is_used(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > 0
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Returns when it has had no call for too long; `most` says how long that is, by whether it is authenticated.
    pub(in crate::server) async fn idle(&self, most: impl Fn(bool) -> Duration) {
        /// Longest time until a change of the limit is noticed.
        const LOOK: Duration = Duration::from_secs(10);
        loop {
            let most = most(self.is_authenticated());
            let idle = if self.is_used() {
                Duration::ZERO
            } else {
                Duration::from_millis(self.now().saturating_sub(self.used.load(Ordering::Relaxed)))
            };
            let Some(left) = most.checked_sub(idle).filter(|left| !left.is_zero()) else { return };
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }
}

/// A call on a connection.
#[derive(Debug)]
pub(in crate::server) struct ActiveCall(Arc<Connection>);

impl Drop for ActiveCall {
    fn drop(&mut self) {
        self.0.used.store(self.0.now(), Ordering::Relaxed);
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, number])
    }

    fn limits() -> Limits {
        Limits {
            connections: 6,
            peer_connections: 4,
            anonymous_connections: 4,
            ..Limits::default()
        }
    }

    fn admit(table: &Arc<ConnectionTable>, from: u8, guarded: bool) -> Option<ConnectionPermit> {
        match table.admit(peer(from), &limits(), guarded, CancellationToken::new()) {
            Admitted::Free(permit) | Admitted::Evicting(permit) => Some(permit),
            Admitted::Full => None,
        }
    }

    #[test]
    fn who_has_shown_a_token_stays_and_the_flood_makes_room() {
        let table = Arc::new(ConnectionTable::default());
        let known = admit(&table, 1, true).unwrap();
        known.0.authenticate();
        let quiet = admit(&table, 2, true).unwrap();
        let flood: Vec<ConnectionPermit> =
            (0..20).map(|_| admit(&table, 3, true).unwrap()).collect();
        assert_eq!(table.len(), 5, "anonymous ones have four places");
        let gone = flood.iter().filter(|it| it.0.kill.is_cancelled()).count();
        assert_eq!(gone, 17);
        assert!(!known.0.kill.is_cancelled() && !quiet.0.kill.is_cancelled());
        // One more with a token gets in although the anonymous places are taken, and leaves its place to others.
        let second = admit(&table, 4, true).unwrap();
        second.0.authenticate();
        assert_eq!(table.open().anonymous, 3);
        drop(flood);
        assert_eq!((table.len(), table.open().anonymous), (3, 1));
        drop((known, quiet, second));
        assert!(table.len() == 0 && table.open().peers.is_empty() && table.open().anonymous == 0);
    }

    #[test]
    fn where_all_are_known_or_tokens_are_not_in_use_a_connection_too_many_is_refused() {
        let table = Arc::new(ConnectionTable::default());
        let of_one: Vec<ConnectionPermit> =
            (0..4).map(|_| admit(&table, 1, true).unwrap()).collect();
        for permit in &of_one {
            permit.0.authenticate();
        }
        assert!(admit(&table, 1, true).is_none(), "one address has four");
        let more: Vec<ConnectionPermit> = (0..2).map(|_| admit(&table, 2, true).unwrap()).collect();
        for permit in &more {
            permit.0.authenticate();
        }
        assert!(admit(&table, 3, true).is_none(), "there are six");
        drop(of_one);
        let open: Vec<ConnectionPermit> =
            (0..4).map(|_| admit(&table, 3, false).unwrap()).collect();
        assert!(admit(&table, 4, false).is_none(), "nobody is closed for another");
        assert!(open.iter().all(|it| !it.0.kill.is_cancelled()));
    }

    #[tokio::test]
    async fn a_connection_without_a_call_is_idle_and_one_with_a_call_is_not() {
        let table = Arc::new(ConnectionTable::default());
        let permit = admit(&table, 1, true).unwrap();
        let short = |known: bool| Duration::from_millis(if known { 1_000_000 } else { 50 });
        let call = permit.0.call();
        let during = tokio::time::timeout(Duration::from_millis(200), permit.0.idle(short)).await;
        assert!(during.is_err(), "a call is under way");
        drop(call);
        tokio::time::timeout(Duration::from_secs(20), permit.0.idle(short)).await.unwrap();
        permit.0.authenticate();
        let known = tokio::time::timeout(Duration::from_millis(200), permit.0.idle(short)).await;
        assert!(known.is_err(), "it may rest for longer");
    }
}
