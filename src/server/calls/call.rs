//! What is one call? Who makes it, since when, until when, and what is written down when it ends.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::grpc::access::{Grants, RULES, Rule, Weight};
use crate::grpc::refusal;
use crate::limits::REQUEST_ID_BYTES_MAX;

use super::super::auth::{Caller, Tokens};
use super::super::limits::{Admission, Room};
use super::super::limits::{Line, OnLine, Table};
use super::super::telemetry::{Audit, Entry};
use super::super::telemetry::{Metrics, Turned, code_name};

/// What all calls share.
#[derive(Debug)]
pub(in crate::server) struct Shared {
    pub(in crate::server) admission: Arc<Admission>,
    pub(in crate::server) connections: Arc<Table>,
    pub(in crate::server) metrics: Arc<Metrics>,
    pub(in crate::server) audit: Audit,
    pub(in crate::server) tokens: Option<Arc<Tokens>>,
    pub(in crate::server) readers: Readers,
}

impl Shared {
    /// Whether calls need a token.
    pub(in crate::server) fn guarded(&self) -> bool {
        self.tokens.as_ref().is_some_and(|tokens| tokens.required())
    }

    /// Whether writes are written down.
    pub(in crate::server) fn audited(&self) -> bool {
        self.audit.is_on(self.guarded())
    }

    /// How long a connection may be without a call.
    pub(in crate::server) fn idle_time(&self, known: bool) -> Duration {
        let limits = &self.admission.limits;
        if known || !self.guarded() { limits.idle_time } else { limits.anonymous_idle_time }
    }
}

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(in crate::server) struct Peer {
    /// Address without port.
    pub(in crate::server) name: Arc<str>,
    /// Fingerprint of the certificate that it showed, and that one of those known vouches for.
    pub(in crate::server) certificate: Option<[u8; 32]>,
    /// The connection itself.
    pub(in crate::server) line: Arc<Line>,
}

/// Health is for everybody: who asks whether a server lives has no token.
pub(in crate::server) const OPEN_TO_ALL: &str = "/grpc.health.v1.Health/";
/// The call of it that lasts.
const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";

/// A call under way.
#[derive(Debug)]
pub(in crate::server) struct Call {
    pub(in crate::server) shared: Arc<Shared>,
    pub(in crate::server) rule: Option<usize>,
    pub(in crate::server) caller: Option<Arc<Caller>>,
    pub(in crate::server) peer: Arc<str>,
    pub(in crate::server) method: String,
    pub(in crate::server) ids: Ids,
    since: Instant,
    /// Memories that it writes to, as far as it named them.
    written: Mutex<Vec<String>>,
    denied: AtomicBool,
    ended: AtomicBool,
    _on: OnLine,
}

/// Memories that an audit line names at most; the rest are in the request.
const AUDIT_MEMORIES_MAX: usize = 16;

impl Call {
    pub(in crate::server) fn new(
        shared: Arc<Shared>,
        request: (&str, Option<usize>, Ids),
        caller: Option<Arc<Caller>>,
        peer: &Peer,
    ) -> Self {
        let (method, rule, ids) = request;
        Self {
            shared,
            rule,
            caller,
            peer: peer.name.clone(),
            method: method.to_owned(),
            ids,
            since: Instant::now(),
            written: Mutex::default(),
            denied: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            _on: peer.line.call(),
        }
    }

    /// Whether it asks whether the server lives.
    pub(in crate::server) fn is_probe(&self) -> bool {
        self.method.starts_with(OPEN_TO_ALL)
    }

    /// What it takes room of.
    pub(in crate::server) fn room(&self) -> Room {
        if self.caller.is_none() && self.shared.guarded() {
            return Room::Anonymous { lasting: self.method == HEALTH_WATCH };
        }
        Room::Known(self.rule().map_or(Weight::Light, |rule| rule.weight))
    }

    /// Waits until there is room for the audit line that its end may need.
    pub(in crate::server) async fn audit_room(&self) {
        if self.shared.audited() && (self.rule.is_some() || self.denied.load(Ordering::Relaxed)) {
            self.shared.audit.room().await;
        }
    }

    /// What its method asks for.
    pub(in crate::server) fn rule(&self) -> Option<&'static Rule> {
        self.rule.and_then(|number| RULES.get(number))
    }

    /// What its caller may do; `None` when everybody may do everything.
    pub(in crate::server) fn grants(&self) -> Option<&Arc<Grants>> {
        self.caller.as_ref().map(|caller| &caller.grants)
    }

    fn who(&self) -> &str {
        self.caller.as_ref().map_or(&self.peer, |caller| &caller.record.name)
    }

    /// Notes that a memory is written to.
    pub(in crate::server) fn writes(&self, memory: &str) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.len() < AUDIT_MEMORIES_MAX && !written.iter().any(|it| it == memory) {
            written.push(memory.to_owned());
        }
    }

    /// The answer to a caller who may not, noted as such.
    pub(in crate::server) fn denied(&self, message: &str) -> Status {
        self.denied.store(true, Ordering::Relaxed);
        self.shared.metrics.turned(Turned::Denied);
        refusal(Code::PermissionDenied, "PERMISSION_DENIED", message, None)
    }

    /// Notes how it ended, the first time.
    pub(in crate::server) fn end(&self, code: Code) {
        if self.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        let time = self.since.elapsed();
        let shared = &self.shared;
        shared.metrics.called(self.rule, code, time);
        let (millis, outcome) = (time.as_millis(), code_name(code));
        tracing::info!(
            target: "call",
            method = self.method,
            who = self.who(),
            request_id = self.ids.request,
            trace_id = self.ids.trace(),
            outcome,
            millis
        );
        if !shared.audited() {
            return;
        }
        let memories = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if memories.is_empty() && !self.denied.load(Ordering::Relaxed) {
            return;
        }
        shared.audit.write(&Entry {
            time: Timestamp::now(),
            who: self.who(),
            peer: &self.peer,
            method: self.method.trim_start_matches('/'),
            memories: &memories,
            request_id: &self.ids.request,
            outcome,
            millis,
        });
    }
}

/// What names a call in the logs of both sides.
#[derive(Debug, Clone)]
pub(in crate::server) struct Ids {
    pub(in crate::server) request: String,
    /// A W3C `traceparent` of the client: version, trace, span, flags.
    parent: Option<String>,
}

impl Ids {
    /// Those of the client, where they are fit to be written to a log.
    pub(in crate::server) fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let request = text("x-request-id")
            .filter(|id| (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()))
            .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
        let parent = text("traceparent").filter(|text| is_traceparent(text)).map(str::to_owned);
        Self { request, parent }
    }

    pub(in crate::server) fn trace(&self) -> Option<&str> {
        self.parent.as_deref().and_then(|parent| parent.get(3..35))
    }

    /// Tells the client; a trace goes on with a span of this server.
    pub(in crate::server) fn tell(&self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::from_str(&self.request) {
            headers.insert("x-request-id", value);
        }
        if let (Some(trace), Some(parent)) = (self.trace(), &self.parent) {
            let span = Uuid::new_v4().as_u64_pair().0;
            let flags = parent.get(53..55).unwrap_or("00");
            if let Ok(value) = HeaderValue::from_str(&format!("00-{trace}-{span:016x}-{flags}")) {
                headers.insert("traceparent", value);
            }
        }
    }
}

/// `00-` 32 digits `-` 16 digits `-` 2 digits, in lower-case hex, neither number zero.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_hex = |part: &str| part.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
    let is_zero = |part: &str| part.bytes().all(|it| it == b'0');
    match parts[..] {
        ["00", trace, span, flags] => {
            (trace.len(), span.len(), flags.len()) == (32, 16, 2)
                && [trace, span, flags].into_iter().all(is_hex)
                && !is_zero(trace)
                && !is_zero(span)
        }
        _ => false,
    }
}

/// The time that a client gives a call: header `grpc-timeout`, at most eight digits and a unit.
pub(in crate::server) fn client_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// When a call is over whether it is done or not: its time is up, or its token.
pub(in crate::server) struct Ending {
    sleep: Pin<Box<Sleep>>,
    expires: Option<Pin<Box<Sleep>>>,
    gone: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Ending {
    pub(in crate::server) fn new(time: Duration, caller: Option<&Arc<Caller>>) -> Self {
        let left = caller.and_then(|caller| caller.record.expires).map(|end| {
            Duration::try_from(end.duration_since(Timestamp::now())).unwrap_or_default()
        });
        // Later than the call can last is never.
        let left = left.filter(|left| *left < time);
        Self {
            sleep: Box::pin(tokio::time::sleep(time)),
            expires: left.map(|left| Box::pin(tokio::time::sleep(left))),
            gone: caller.map(|caller| Box::pin(caller.gone.clone().cancelled_owned())),
        }
    }
}

impl Future for Ending {
    type Output = Status;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Status> {
        if self.sleep.as_mut().poll(context).is_ready() {
            let message = "the call took longer than its deadline, or than this server lets it";
            let status = refusal(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", message, None);
            return Poll::Ready(status);
        }
        let expired = self.expires.as_mut().is_some_and(|it| it.as_mut().poll(context).is_ready());
        if expired {
            let message = "the token expired while the call was under way";
            return Poll::Ready(refusal(Code::Unauthenticated, "TOKEN_EXPIRED", message, None));
        }
        let gone = self.gone.as_mut().is_some_and(|it| it.as_mut().poll(context).is_ready());
        if gone {
            let message = "the token was revoked or changed while the call was under way";
            return Poll::Ready(refusal(Code::Unauthenticated, "TOKEN_REVOKED", message, None));
        }
        Poll::Pending
    }
}

/// How far the reader of an answer is.
#[derive(Debug)]
pub(in crate::server) struct Reader {
    /// Pieces that are made and not sent yet.
    waiting: AtomicUsize,
    /// Milliseconds since the start of the server when something was sent last.
    moved: AtomicU64,
    start: Instant,
    kill: CancellationToken,
}

impl Reader {
    pub(in crate::server) fn more(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::server) fn less(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.moved.store(millis(self.start), Ordering::Relaxed);
    }
}

fn millis(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The readers of all answers.
#[derive(Debug)]
pub(in crate::server) struct Readers {
    start: Instant,
    all: Mutex<Vec<Weak<Reader>>>,
}

impl Default for Readers {
    fn default() -> Self {
        Self { start: Instant::now(), all: Mutex::default() }
    }
}

impl Readers {
    pub(in crate::server) fn add(&self, kill: CancellationToken) -> Arc<Reader> {
        let reader = Arc::new(Reader {
            waiting: AtomicUsize::new(0),
            moved: AtomicU64::new(millis(self.start)),
            start: self.start,
            kill,
        });
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that are gone are left out whenever the list would have to grow, so that it stays as long as it must be.
        if all.len() == all.capacity() {
            all.retain(|reader| reader.strong_count() > 0);
        }
        all.push(Arc::downgrade(&reader));
        reader
    }

    /// Closes the connections of readers that take nothing; never ends.
    pub(in crate::server) async fn watch(&self, metrics: &Metrics, stalled: Duration) {
        let stalled_millis = u64::try_from(stalled.as_millis()).unwrap_or(u64::MAX);
        loop {
            tokio::time::sleep(stalled / 8).await;
            let now = millis(self.start);
            let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|reader| {
                let Some(reader) = reader.upgrade() else { return false };
                let still = now.saturating_sub(reader.moved.load(Ordering::Relaxed));
                if reader.waiting.load(Ordering::Relaxed) > 0 && still > stalled_millis {
                    tracing::warn!(
                        seconds = still / 1_000,
                        "a client does not read its answer: its connection is closed"
                    );
                    metrics.turned(Turned::Stalled);
                    reader.kill.cancel();
                    return false;
                }
                true
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_the_protocol_writes_them() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", HeaderValue::from_str(text).unwrap());
            client_timeout(&headers)
        };
        assert_eq!(read("1m"), Some(Duration::from_millis(1)));
        assert_eq!(read("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        assert_eq!(read("5n"), Some(Duration::from_nanos(5)));
        for wrong in ["", "m", "123456789S", "-1S", "1s", "1.5S"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ids_of_clients_are_kept_when_they_are_fit() {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", HeaderValue::from_static("r-1"));
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.insert("traceparent", HeaderValue::from_static(parent));
        let ids = Ids::of(&headers);
        assert_eq!(ids.request, "r-1");
        let mut told = HeaderMap::new();
        ids.tell(&mut told);
        let told = told["traceparent"].to_str().unwrap().to_owned();
        assert!(is_traceparent(&told) && told[..35] == parent[..35] && told != parent);
        let long = "x".repeat(REQUEST_ID_BYTES_MAX + 1);
        headers.insert("x-request-id", HeaderValue::from_str(&long).unwrap());
        headers.insert("traceparent", HeaderValue::from_static("00-0-0-0"));
        let ids = Ids::of(&headers);
        assert!(Uuid::parse_str(&ids.request).is_ok() && ids.trace().is_none());
    }
}
