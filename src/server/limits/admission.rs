//! Admits calls by count and by bytes of messages, for all clients and for each; calls over a limit are refused at once.
//!
//! Where tokens are in use, callers without one have a budget of their own, so that they take nothing from the others.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tonic::{Code, Status};

use crate::gateway::{Budget, Hold};
use crate::grpc::access::Weight;
use crate::grpc::refusal;

use super::overload::Overload;
use crate::limits::{
    ANONYMOUS_CALLS_MAX, ANONYMOUS_CONNECTIONS_MAX, ANONYMOUS_IDLE_SECONDS, CALL_SECONDS_MAX,
    CALLS_MAX, CLIENT_CALLS_MAX, CLIENT_HEAVY_CALLS_MAX, CONNECTIONS_MAX, HANDSHAKE_SECONDS_MAX,
    HEAVY_CALLS_MAX, IDLE_CONNECTION_SECONDS, MESSAGE_MEMORY_MIB, MESSAGE_SECONDS_MAX,
    PEER_CONNECTIONS_MAX, QUEUE_MILLIS_MAX, STALLED_READER_SECONDS, STREAM_SECONDS_MAX,
};

/// How much the server handles at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Calls in flight.
    pub calls: usize,
    /// Calls in flight of one client.
    pub client_calls: usize,
    /// Calls in flight that keep a core busy.
    pub heavy_calls: usize,
    /// Of those, the calls of one client.
    pub client_heavy_calls: usize,
    /// Connections.
    pub connections: usize,
    /// Connections from one address.
    pub peer_connections: usize,
    /// Calls in flight without a token, where tokens are in use.
    pub anonymous_calls: usize,
    /// Connections on which no token was presented, where tokens are in use.
    pub anonymous_connections: usize,
    /// Bytes of messages held in memory.
    pub message_bytes: usize,
    /// Longest call with one answer.
    pub call_time: Duration,
    /// Longest stream.
    pub stream_time: Duration,
    /// Longest TLS handshake, and wait for the first bytes.
    pub handshake_time: Duration,
    /// Longest time for a message to arrive.
    pub message_time: Duration,
    /// Longest time of a connection without a call.
    pub idle_time: Duration,
    /// The same for a connection on which no token was presented, where tokens are in use.
    pub anonymous_idle_time: Duration,
    /// Longest pause of a reader.
    pub stalled_time: Duration,
    /// Longest wait of new work for a thread.
    pub queue_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls: CALLS_MAX,
            client_calls: CLIENT_CALLS_MAX,
            heavy_calls: HEAVY_CALLS_MAX,
            client_heavy_calls: CLIENT_HEAVY_CALLS_MAX,
            connections: CONNECTIONS_MAX,
            peer_connections: PEER_CONNECTIONS_MAX,
            anonymous_calls: ANONYMOUS_CALLS_MAX,
            anonymous_connections: ANONYMOUS_CONNECTIONS_MAX,
            message_bytes: MESSAGE_MEMORY_MIB * 1024 * 1024,
            call_time: Duration::from_secs(CALL_SECONDS_MAX),
            stream_time: Duration::from_secs(STREAM_SECONDS_MAX),
            handshake_time: Duration::from_secs(HANDSHAKE_SECONDS_MAX),
            message_time: Duration::from_secs(MESSAGE_SECONDS_MAX),
            idle_time: Duration::from_secs(IDLE_CONNECTION_SECONDS),
            anonymous_idle_time: Duration::from_secs(ANONYMOUS_IDLE_SECONDS),
            stalled_time: Duration::from_secs(STALLED_READER_SECONDS),
            queue_time: Duration::from_millis(QUEUE_MILLIS_MAX),
        }
    }
}

impl Limits {
    /// Bytes of messages that the calls of one client may hold: half of all, so that no client takes what the others need.
    fn client_bytes(&self) -> usize {
        self.message_bytes / 2
    }

    /// Calls without a token that one address may have in flight: a quarter, so that it does not block the health checks of
    /// others.
    fn anonymous_client_calls(&self) -> usize {
        self.anonymous_calls.div_ceil(4)
    }

    /// Endless calls without a token (`Health/Watch`): half, so that there is room for a `Health/Check`.
    fn anonymous_lasting_calls(&self) -> usize {
        self.anonymous_calls.div_ceil(2)
    }
}

/// The budget that a call is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Room {
    /// That of authenticated callers, and of all callers where no tokens are in use.
    Known(Weight),
    /// That of callers without a token where tokens are in use.
    Anonymous {
        /// Whether the call is endless.
        lasting: bool,
    },
}

#[derive(Debug, Default)]
struct Counts {
    calls: usize,
    heavy: usize,
    anonymous: usize,
    lasting: usize,
    clients: HashMap<Arc<str>, OfClient>,
}

/// What one client has in flight.
#[derive(Debug, Default)]
struct OfClient {
    calls: usize,
    heavy: usize,
    bytes: Arc<AtomicUsize>,
}

/// Counts what is in flight.
#[derive(Debug)]
pub(in crate::server) struct Admission {
    pub(in crate::server) limits: Limits,
    counts: Mutex<Counts>,
    bytes: AtomicUsize,
    /// Calls that a shutdown waits for.
    awaited: watch::Sender<usize>,
    /// Milliseconds that the last probe waited for a thread.
    waited: AtomicU64,
}

impl Admission {
    pub(in crate::server) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            counts: Mutex::default(),
            bytes: AtomicUsize::new(0),
            awaited: watch::Sender::new(0),
            waited: AtomicU64::new(0),
        })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a call.
    pub(in crate::server) fn call(
        self: &Arc<Self>,
        client: &Arc<str>,
        room: Room,
    ) -> Result<CallPermit, Overload> {
        let mut counts = self.counts();
        let heavy = match room {
            Room::Known(weight) => self.check_known(&counts, client, weight)?,
            Room::Anonymous { lasting } => self.check_anonymous(&counts, client, lasting)?,
        };
        match room {
            Room::Known(_) => counts.calls += 1,
            Room::Anonymous { lasting } => {
                counts.anonymous += 1;
                counts.lasting += usize::from(lasting);
            }
        }
        counts.heavy += heavy;
        let of_client = counts.clients.entry(client.clone()).or_default();
        of_client.calls += 1;
        of_client.heavy += heavy;
        let bytes = of_client.bytes.clone();
        let (admission, client) = (self.clone(), client.clone());
        let (awaited, kept) = (false, Mutex::default());
        Ok(CallPermit { admission, client, room, heavy, awaited, bytes, kept })
    }

    fn check_known(
        &self,
        counts: &Counts,
        client: &Arc<str>,
        weight: Weight,
    ) -> Result<usize, Overload> {
        if self.bytes.load(Ordering::Relaxed) >= self.limits.message_bytes {
            return Err(Overload::Memory);
        }
        if u128::from(self.waited.load(Ordering::Relaxed)) > self.limits.queue_time.as_millis() {
            return Err(Overload::Queue);
        }
        let heavy = usize::from(weight == Weight::Heavy);
        let before = counts.clients.get(client);
        let (of_client, heavy_of_client) = before.map_or((0, 0), |it| (it.calls, it.heavy));
        if before.is_some_and(|it| it.bytes.load(Ordering::Relaxed) >= self.limits.client_bytes()) {
            return Err(Overload::Memory);
        }
        if counts.calls >= self.limits.calls {
            return Err(Overload::Calls);
        }
        if of_client >= self.limits.client_calls {
            return Err(Overload::ClientCalls);
        }
        if heavy == 1
            && (counts.heavy >= self.limits.heavy_calls
                || heavy_of_client >= self.limits.client_heavy_calls)
        {
            return Err(Overload::HeavyCalls);
        }
        Ok(heavy)
    }

    /// Memory is not checked: so few and so short messages fit beside everything else.
    fn check_anonymous(
        &self,
        counts: &Counts,
        client: &Arc<str>,
        lasting: bool,
    ) -> Result<usize, Overload> {
        let of_client = counts.clients.get(client).map_or(0, |it| it.calls);
        let full = counts.anonymous >= self.limits.anonymous_calls
            || of_client >= self.limits.anonymous_client_calls()
            || (lasting && counts.lasting >= self.limits.anonymous_lasting_calls());
        if full { Err(Overload::AnonymousCalls) } else { Ok(0) }
    }

    /// Calls in flight, bytes of messages held, and the milliseconds that new work waits for a thread.
    pub(in crate::server) fn now(&self) -> (usize, usize, u64) {
        let counts = self.counts();
        let waited = self.waited.load(Ordering::Relaxed);
        (counts.calls + counts.anonymous, self.bytes.load(Ordering::Relaxed), waited)
    }

    /// Waits until no call is in flight, endless ones aside.
    pub(in crate::server) async fn drained(&self) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.awaited.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Measures, again and again, how long new work waits for a thread. Never ends.
    pub(in crate::server) async fn probe(&self) {
        const PAUSE: Duration = Duration::from_millis(250);
        loop {
            let since = Instant::now();
            let thread = tokio::task::spawn_blocking(|| ());
            tokio::pin!(thread);
            // The wait so far counts while the probe is still waiting.
            while tokio::time::timeout(PAUSE, &mut thread).await.is_err() {
                self.waited.store(millis(since), Ordering::Relaxed);
            }
            self.waited.store(millis(since), Ordering::Relaxed);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The place of a call in flight; free again when dropped.
#[derive(Debug)]
pub(in crate::server) struct CallPermit {
    admission: Arc<Admission>,
    client: Arc<str>,
    room: Room,
    heavy: usize,
    /// Whether a shutdown waits for the call.
    awaited: bool,
    /// Bytes of all calls of the client.
    bytes: Arc<AtomicUsize>,
    /// Bytes that the call holds until it is over.
    kept: Mutex<Option<BytesPermit>>,
}

impl CallPermit {
    /// The same permit, of a call that a shutdown waits for.
    pub(in crate::server) fn awaited(mut self) -> Self {
        self.admission.awaited.send_modify(|count| *count += 1);
        self.awaited = true;
        self
    }

    /// Counts bytes of a message, unless they exceed a limit.
    pub(in crate::server) fn bytes(&self, bytes: usize) -> Result<BytesPermit, Overload> {
        let permit = self.bytes_anyway(bytes);
        if matches!(self.room, Room::Anonymous { .. }) {
            return Ok(permit);
        }
        let limits = &self.admission.limits;
        let too_much = self.admission.bytes.load(Ordering::Relaxed) > limits.message_bytes
            || self.bytes.load(Ordering::Relaxed) > limits.client_bytes();
        if too_much { Err(Overload::Memory) } else { Ok(permit) }
    }

    /// Counts bytes that are held already, whatever the limit.
    pub(in crate::server) fn bytes_anyway(&self, bytes: usize) -> BytesPermit {
        self.admission.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        BytesPermit { admission: self.admission.clone(), of_client: self.bytes.clone(), bytes }
    }

    /// Holds bytes until the call is over.
    pub(in crate::server) fn keep(&self, bytes: BytesPermit) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes);
    }
}

impl Budget for CallPermit {
    fn hold(&self, bytes: usize) -> Result<Hold, Status> {
        let permit = self.bytes(bytes).map_err(|overload| {
            let (reason, retry) = (overload.reason(), Some(overload.retry_after()));
            refusal(Code::ResourceExhausted, reason, overload.message(), retry)
        })?;
        Ok(Box::new(permit))
    }

    fn hold_anyway(&self, bytes: usize) -> Hold {
        Box::new(self.bytes_anyway(bytes))
    }
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        if self.awaited {
            self.admission.awaited.send_modify(|count| *count -= 1);
        }
        let mut counts = self.admission.counts();
        match self.room {
            Room::Known(_) => counts.calls -= 1,
            Room::Anonymous { lasting } => {
                counts.anonymous -= 1;
                counts.lasting -= usize::from(lasting);
            }
        }
        counts.heavy -= self.heavy;
        let left = counts.clients.get_mut(&self.client).map(|of_client| {
            of_client.calls -= 1;
            of_client.heavy -= self.heavy;
            of_client.calls
        });
        if left == Some(0) {
            counts.clients.remove(&self.client);
        }
    }
}

/// Bytes of a message that are counted until dropped.
#[derive(Debug)]
pub(in crate::server) struct BytesPermit {
    admission: Arc<Admission>,
    of_client: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for BytesPermit {
    fn drop(&mut self) {
        self.admission.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.of_client.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIGHT: Room = Room::Known(Weight::Light);
    const HEAVY: Room = Room::Known(Weight::Heavy);

    #[test]
    fn everything_is_given_back() {
        let limits = Limits { calls: 3, client_calls: 2, heavy_calls: 1, ..Limits::default() };
        let admission = Admission::new(limits);
        let (one, other): (Arc<str>, Arc<str>) = ("one".into(), "other".into());
        let first = admission.call(&one, HEAVY).unwrap();
        assert_eq!(admission.call(&other, HEAVY).unwrap_err(), Overload::HeavyCalls);
        let second = admission.call(&one, LIGHT).unwrap();
        assert_eq!(admission.call(&one, LIGHT).unwrap_err(), Overload::ClientCalls);
        let third = admission.call(&other, LIGHT).unwrap();
        assert_eq!(admission.call(&other, LIGHT).unwrap_err(), Overload::Calls);
        drop((first, second, third));
        assert_eq!(admission.now(), (0, 0, 0));
        assert!(admission.counts().clients.is_empty());
        assert!(admission.call(&other, HEAVY).is_ok());
    }

    #[test]
    fn callers_without_a_token_take_nothing_of_what_others_have() {
        let limits = Limits { calls: 2, anonymous_calls: 8, ..Limits::default() };
        let admission = Admission::new(limits);
        let [check, watch] = [false, true].map(|lasting| Room::Anonymous { lasting });
        let peers: Vec<Arc<str>> = (0..5).map(|number| format!("peer {number}").into()).collect();
        let call = |peer: usize, room| admission.call(&peers[peer], room);
        let first = [call(0, watch).unwrap(), call(0, watch).unwrap()];
        assert_eq!(
            call(0, check).unwrap_err(),
            Overload::AnonymousCalls,
            "one address has a quarter"
        );
        let more = [call(1, watch).unwrap(), call(1, watch).unwrap()];
        assert_eq!(call(2, watch).unwrap_err(), Overload::AnonymousCalls, "watches have half");
        let checks: Vec<_> = (0..4).map(|number| call(2 + number / 2, check).unwrap()).collect();
        assert_eq!(call(4, check).unwrap_err(), Overload::AnonymousCalls);
        let one = "one".into();
        let known = [admission.call(&one, LIGHT).unwrap(), admission.call(&one, LIGHT).unwrap()];
        drop((first, more, checks, known));
        assert_eq!(admission.now(), (0, 0, 0));
        assert!(admission.counts().clients.is_empty() && admission.counts().lasting == 0);
    }

    #[test]
    fn bytes_over_the_limit_are_refused_and_not_kept() {
        let admission = Admission::new(Limits { message_bytes: 20, ..Limits::default() });
        let (one, other) = ("one".into(), "other".into());
        let call = admission.call(&one, LIGHT).unwrap();
        let held = call.bytes(8).unwrap();
        assert!(call.bytes(8).is_err(), "half is for others");
        assert_eq!(admission.now().1, 8);
        let of_other = admission.call(&other, LIGHT).unwrap();
        let others = of_other.bytes(8).unwrap();
        let more = of_other.bytes_anyway(4);
        assert_eq!(admission.call(&other, LIGHT).unwrap_err(), Overload::Memory);
        assert_eq!(admission.call(&one, LIGHT).unwrap_err(), Overload::Memory, "all is full");
        drop(more);
        assert!(admission.call(&one, LIGHT).is_ok());
        call.keep(held);
        assert_eq!(admission.now().1, 16, "kept as long as the call");
        drop((call, others));
        assert_eq!(admission.now().1, 0);
    }
}
