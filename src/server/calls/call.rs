//! One call: who makes it, what it may do, and what is recorded when it ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::grpc::access::{Grants, RULES, Rule, Weight};
use crate::grpc::refusal;

use super::super::auth::{Principal, Tokens};
use super::super::limits::{ActiveCall, Admission, Connection, ConnectionTable, Readers, Room};
use super::super::telemetry::{Audit, CallIds, Entry, Metrics, Rejection, code_name};

/// What all calls of a server share.
#[derive(Debug)]
pub(in crate::server) struct Shared {
    pub(in crate::server) admission: Arc<Admission>,
    pub(in crate::server) connections: Arc<ConnectionTable>,
    pub(in crate::server) metrics: Arc<Metrics>,
    pub(in crate::server) audit: Audit,
    pub(in crate::server) tokens: Option<Arc<Tokens>>,
    pub(in crate::server) readers: Readers,
    /// Cancelled when the server stops accepting calls.
    pub(in crate::server) draining: CancellationToken,
}

impl Shared {
    /// Whether calls need a token.
    pub(in crate::server) fn guarded(&self) -> bool {
        self.tokens.as_ref().is_some_and(|tokens| tokens.required())
    }

    /// Whether writes are audited.
    pub(in crate::server) fn audited(&self) -> bool {
        self.audit.is_on(self.guarded())
    }

    /// How long a connection may stay open without a call.
    pub(in crate::server) fn idle_time(&self, authenticated: bool) -> Duration {
        let limits = &self.admission.limits;
        if authenticated || !self.guarded() { limits.idle_time } else { limits.anonymous_idle_time }
    }
}

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(in crate::server) struct Peer {
    /// Its address, without the port.
    pub(in crate::server) name: Arc<str>,
    /// Fingerprint of the client certificate that was verified in the handshake.
    pub(in crate::server) certificate: Option<[u8; 32]>,
    pub(in crate::server) connection: Arc<Connection>,
}

/// Health checks need no token.
pub(in crate::server) const OPEN_TO_ALL: &str = "/grpc.health.v1.Health/";
/// The endless one.
pub(super) const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";

/// A call in flight.
#[derive(Debug)]
pub(in crate::server) struct Call {
    pub(in crate::server) shared: Arc<Shared>,
    pub(in crate::server) rule: Option<usize>,
    pub(in crate::server) principal: Option<Arc<Principal>>,
    pub(in crate::server) peer: Arc<str>,
    pub(in crate::server) method: String,
    pub(in crate::server) ids: CallIds,
    since: Instant,
    /// Memories that it writes to, as named so far.
    written: Mutex<Vec<String>>,
    denied: AtomicBool,
    ended: AtomicBool,
    _active: ActiveCall,
}

/// Most memories that an audit line names.
const AUDIT_MEMORIES_MAX: usize = 16;

impl Call {
    pub(in crate::server) fn new(
        shared: Arc<Shared>,
        request: (&str, Option<usize>, CallIds),
        principal: Option<Arc<Principal>>,
        peer: &Peer,
    ) -> Self {
        let (method, rule, ids) = request;
        Self {
            shared,
            rule,
            principal,
            peer: peer.name.clone(),
            method: method.to_owned(),
            ids,
            since: Instant::now(),
            written: Mutex::default(),
            denied: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            _active: peer.connection.call(),
        }
    }

    /// Whether it is a health check.
    pub(in crate::server) fn is_probe(&self) -> bool {
        self.method.starts_with(OPEN_TO_ALL)
    }

    /// The budget that it is counted in.
    pub(in crate::server) fn room(&self) -> Room {
        if self.principal.is_none() && self.shared.guarded() {
            return Room::Anonymous { lasting: self.method == HEALTH_WATCH };
        }
        Room::Known(self.rule().map_or(Weight::Light, |rule| rule.weight))
    }

    /// Waits until the audit queue has room for the line that its end may need.
    pub(in crate::server) async fn audit_room(&self) {
        if self.shared.audited() && (self.rule.is_some() || self.denied.load(Ordering::Relaxed)) {
            self.shared.audit.room().await;
        }
    }

    /// The access rule of its method.
    pub(in crate::server) fn rule(&self) -> Option<&'static Rule> {
        self.rule.and_then(|number| RULES.get(number))
    }

    /// The grants of its caller; `None` where no authentication is required.
    pub(in crate::server) fn grants(&self) -> Option<&Arc<Grants>> {
        self.principal.as_ref().map(|it| &it.grants)
    }

    fn who(&self) -> &str {
        self.principal.as_ref().map_or(&self.peer, |it| &it.record.name)
    }

    /// Notes a memory that it writes to.
    pub(in crate::server) fn writes(&self, memory: &str) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.len() < AUDIT_MEMORIES_MAX && !written.iter().any(|it| it == memory) {
            written.push(memory.to_owned());
        }
    }

    /// The refusal of a call that the caller is not allowed to make.
    pub(in crate::server) fn denied(&self, message: &str) -> Status {
        self.denied.store(true, Ordering::Relaxed);
        self.shared.metrics.rejected(Rejection::Denied);
        refusal(Code::PermissionDenied, "PERMISSION_DENIED", message, None)
    }

    /// Records how it ended, once.
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
