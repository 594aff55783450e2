//! The layer that every call passes: it authenticates the caller, checks the role, admits the call, and sets its deadline.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Body as HttpBody;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::Instrument as _;

use crate::grpc::access::{Streams, Visible, number_of, streams_of};
use crate::grpc::{CallInfo, refusal};

use super::super::auth::{AuthError, Principal};
use super::super::limits::{CallPermit, Deadline, Overload, Room, client_timeout};
use super::super::telemetry::{CallIds, Rejection};
use super::call::{Call, HEALTH_WATCH, OPEN_TO_ALL, Peer, Shared};
use super::request_body::RequestBody;
use super::response_body::{ResponseBody, code_of};

/// Reflection is open to every principal with a grant.
const OPEN_TO_PRINCIPALS: &str = "/grpc.reflection.";

#[derive(Debug, Clone)]
pub(in crate::server) struct GateLayer(pub(in crate::server) Arc<Shared>);

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner, shared: self.0.clone() }
    }
}

#[derive(Debug, Clone)]
pub(in crate::server) struct Gate<S> {
    inner: S,
    shared: Arc<Shared>,
}

/// A call that may run.
struct Admitted {
    call: Arc<Call>,
    permit: Arc<CallPermit>,
    time: Duration,
}

/// Calls that last as long as their client likes, and carry nothing that it must not miss.
fn is_endless_probe(path: &str) -> bool {
    path == HEALTH_WATCH || path.starts_with(OPEN_TO_PRINCIPALS)
}

impl Shared {
    /// The refusal of a call while the server shuts down; health checks are still answered, with NOT_SERVING.
    fn refuse_while_draining(&self, request: &Request<Body>) -> Option<Response<Body>> {
        let is_refused =
            self.draining.is_cancelled() && !request.uri().path().starts_with(OPEN_TO_ALL);
        let message = "the server is shutting down";
        is_refused.then(|| refusal(Code::Unavailable, "STOPPING", message, None).into_http())
    }

    fn admit(
        self: &Arc<Self>,
        request: &Request<Body>,
        peer: &Peer,
        ids: CallIds,
    ) -> Result<Admitted, (Arc<Call>, Status)> {
        let method = request.uri().path();
        let rule = number_of(method);
        let (principal, failure) = match self.authenticate(method, request.headers(), peer) {
            Ok(principal) => (principal, None),
            Err(failure) => (None, Some(failure)),
        };
        if principal.is_some() {
            peer.connection.authenticate();
        }
        let call = Call::new(self.clone(), (method, rule, ids), principal, peer);
        let call = Arc::new(call);
        if let Some(failure) = failure {
            self.metrics.rejected(Rejection::Unauthenticated);
            return Err((call, unauthenticated(failure)));
        }
        if let Some(denied) = Self::role_too_low(&call, method) {
            return Err((call, denied));
        }
        let client = call.principal.as_ref().map_or(&peer.name, |it| &it.client);
        let permit = match self.admission.call(client, call.room()) {
            Ok(permit) if is_endless_probe(method) => Arc::new(permit),
            Ok(permit) => Arc::new(permit.awaited()),
            Err(overload) => {
                self.metrics.rejected(match overload {
                    Overload::Memory => Rejection::MemoryFull,
                    Overload::Queue => Rejection::Overloaded,
                    Overload::AnonymousCalls => Rejection::AnonymousFull,
                    Overload::Calls | Overload::ClientCalls | Overload::HeavyCalls => {
                        Rejection::CallsFull
                    }
                });
                let (reason, retry) = (overload.reason(), Some(overload.retry_after()));
                let status = refusal(Code::ResourceExhausted, reason, overload.message(), retry);
                return Err((call, status));
            }
        };
        let limits = &self.admission.limits;
        let most = match rule {
            Some(number) if streams_of(number) == Streams::default() => limits.call_time,
            _ => limits.stream_time,
        };
        let time = client_timeout(request.headers()).map_or(most, |time| time.min(most));
        Ok(Admitted { call, permit, time })
    }

    /// The principal that calls; `None` where no authentication is required.
    fn authenticate(
        &self,
        method: &str,
        headers: &HeaderMap,
        peer: &Peer,
    ) -> Result<Option<Arc<Principal>>, AuthError> {
        let Some(tokens) = self.tokens.as_ref().filter(|tokens| tokens.required()) else {
            return Ok(None);
        };
        let header = headers.get(http::header::AUTHORIZATION).map(http::HeaderValue::as_bytes);
        let principal = tokens.authenticate(header, peer.certificate.as_ref());
        if method.starts_with(OPEN_TO_ALL) {
            return Ok(principal.ok());
        }
        principal.map(Some)
    }

    /// The refusal of a call whose caller has too low a role, before anything of the request is read.
    fn role_too_low(call: &Call, method: &str) -> Option<Status> {
        let grants = call.grants()?;
        let Some(rule) = call.rule() else {
            let open = method.starts_with(OPEN_TO_ALL)
                || (method.starts_with(OPEN_TO_PRINCIPALS) && grants.highest().is_some());
            return (!open).then(|| call.denied("there is no such method, or no role allows it"));
        };
        if rule.admits(grants) {
            return None;
        }
        let what = if rule.every_memory { " for all memories" } else { "" };
        Some(call.denied(&format!("{} requires the role {}{what}", rule.name(), rule.role)))
    }
}

fn unauthenticated(failure: AuthError) -> Status {
    let (reason, message) = match failure {
        AuthError::NoToken => (
            "TOKEN_MISSING",
            "this server requires a token: header `authorization: Bearer TOKEN`, or --token with the commands of dhakira",
        ),
        AuthError::Unknown => ("TOKEN_UNKNOWN", "this server does not know the token"),
        AuthError::Expired => ("TOKEN_EXPIRED", "the token has expired"),
        AuthError::Revoked => ("TOKEN_REVOKED", "the token was revoked"),
    };
    refusal(Code::Unauthenticated, reason, message, None)
}

impl<S> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let ids = CallIds::of(request.headers());
        if let Some(refusal) = self.shared.refuse_while_draining(&request) {
            return Box::pin(async move { Ok(refusal) });
        }
        if let Some(mut answer) = not_grpc(&request) {
            ids.add_to(answer.headers_mut());
            self.shared.metrics.rejected(Rejection::NotGrpc);
            return Box::pin(async move { Ok(answer) });
        }
        let Some(peer) = request.extensions().get::<Peer>().cloned() else {
            let message = "the call has no connection";
            let status = refusal(Code::Internal, "INTERNAL", message, None);
            return Box::pin(async move { Ok(status.into_http()) });
        };
        let admitted = match self.shared.admit(&request, &peer, ids) {
            Ok(admitted) => admitted,
            Err((call, status)) => {
                return Box::pin(async move { Ok(refused(&call, status).await) });
            }
        };
        let Admitted { call, permit, time } = admitted;
        let span = tracing::info_span!(
            "call",
            method = call.method,
            request_id = call.ids.request,
            trace_id = call.ids.trace()
        );
        let limits = &self.shared.admission.limits;
        let message_time = match call.room() {
            Room::Known(_) => limits.message_time,
            Room::Anonymous { .. } => limits.message_time.min(limits.handshake_time),
        };
        if let Some(room) = request.extensions().get::<crate::gateway::Room>() {
            room.grant(permit.clone());
        }
        let (of_call, room) = (call.clone(), permit.clone());
        let mut request =
            request.map(|body| Body::new(RequestBody::new(body, of_call, room, message_time)));
        call.describe(&mut request, time);
        let inner = self.inner.call(request);
        let reader = self.shared.readers.add(peer.connection.kill.clone());
        let unanswered = Unanswered(Some(call.clone()));
        Box::pin(
            async move {
                let mut deadline = Deadline::new(time, call.principal.as_ref());
                let answer = async {
                    call.audit_room().await;
                    inner.await
                };
                let answer = tokio::select! {
                    biased;
                    answer = answer => answer?,
                    status = &mut deadline => status.into_http(),
                };
                unanswered.answered();
                let (mut parts, body) = answer.into_parts();
                call.ids.add_to(&mut parts.headers);
                if body.is_end_stream() {
                    call.end(code_of(&parts.headers).unwrap_or(Code::Unknown));
                }
                let body = ResponseBody::new(body, call, permit, deadline, reader);
                Ok(Response::from_parts(parts, Body::new(body)))
            }
            .instrument(span),
        )
    }
}

impl Call {
    /// Tells the handler who calls, and when the call ends.
    fn describe(&self, request: &mut Request<Body>, time: Duration) {
        let caller = self
            .principal
            .as_ref()
            .map(|principal| (Arc::clone(&principal.id), Visible(Arc::clone(&principal.grants))));
        request.extensions_mut().insert(CallInfo { caller, ends: Instant::now() + time });
        // For the log of another node, if the call is sent on.
        self.ids.add_to(request.headers_mut());
        // The layer enforces the deadline; a handler must not do so a second time.
        request.headers_mut().remove("grpc-timeout");
    }
}

/// The answer to a request that is not a gRPC call. A web page can make a browser send other methods and content types anywhere,
/// with the certificate of its user; those of gRPC need a CORS permission that this server never gives.
fn not_grpc(request: &Request<Body>) -> Option<Response<Body>> {
    let (status, text) = if request.method() != http::Method::POST {
        (StatusCode::METHOD_NOT_ALLOWED, "gRPC calls are POST requests\n")
    } else if !request.headers().get(CONTENT_TYPE).is_some_and(is_grpc) {
        let text = "gRPC calls have the content type application/grpc or application/grpc+proto\n";
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
    } else {
        return None;
    };
    let body = http_body_util::Full::new(bytes::Bytes::from_static(text.as_bytes()));
    let mut answer = Response::new(Body::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    }
    Some(answer)
}

/// Whether the messages are protocol buffers, not JSON or gRPC-Web.
fn is_grpc(content_type: &HeaderValue) -> bool {
    let kind = content_type.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    let kind = kind.trim_ascii();
    [&b"application/grpc"[..], b"application/grpc+proto"]
        .iter()
        .any(|it| kind.eq_ignore_ascii_case(it))
}

/// The answer to a call that may not run, recorded as such.
async fn refused(call: &Call, status: Status) -> Response<Body> {
    call.audit_room().await;
    call.end(status.code());
    let mut answer = status.into_http();
    call.ids.add_to(answer.headers_mut());
    answer
}

/// Records a call that was cancelled before it was answered.
struct Unanswered(Option<Arc<Call>>);

impl Unanswered {
    fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(call) = &self.0 {
            call.end(Code::Cancelled);
        }
    }
}
