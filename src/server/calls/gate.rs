//! Who comes in, and to what? The one place that every call passes: identity, role, room, time.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Body as HttpBody;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::Instrument as _;

use crate::grpc::access::{Streams, Visible, number_of, streams_of};
use crate::grpc::refusal;

use super::super::auth::{Caller, Stranger};
use super::super::limits::{CallPermit, Full, Room};
use super::super::telemetry::Turned;
use super::call::{Call, Ending, Ids, OPEN_TO_ALL, Peer, Shared, client_timeout};
use super::request_body::Messages;
use super::response_body::{Answer, code_of};

/// What the server can do is for those who may do something.
const OPEN_TO_CALLERS: &str = "/grpc.reflection.";

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

/// A call that is let in.
struct Admitted {
    call: Arc<Call>,
    permit: Arc<CallPermit>,
    time: Duration,
}

impl Shared {
    fn admit(
        self: &Arc<Self>,
        request: &Request<Body>,
        peer: &Peer,
        ids: Ids,
    ) -> Result<Admitted, (Arc<Call>, Status)> {
        let method = request.uri().path();
        let rule = number_of(method);
        let (caller, stranger) = match self.who(method, request.headers(), peer) {
            Ok(caller) => (caller, None),
            Err(stranger) => (None, Some(stranger)),
        };
        if caller.is_some() {
            peer.line.know();
        }
        let call = Call::new(self.clone(), (method, rule, ids), caller, peer);
        let call = Arc::new(call);
        if let Some(stranger) = stranger {
            self.metrics.turned(Turned::Stranger);
            return Err((call, unauthenticated(stranger)));
        }
        if let Some(denied) = Self::role_too_low(&call, method) {
            return Err((call, denied));
        }
        let client = call.caller.as_ref().map_or(&peer.name, |caller| &caller.client);
        let permit = match self.admission.call(client, call.room()) {
            Ok(permit) => Arc::new(permit),
            Err(full) => {
                self.metrics.turned(match full {
                    Full::Memory => Turned::MemoryFull,
                    Full::Queue => Turned::Overloaded,
                    Full::AnonymousCalls => Turned::AnonymousFull,
                    Full::Calls | Full::ClientCalls | Full::HeavyCalls => Turned::CallsFull,
                });
                let (reason, retry) = (full.reason(), Some(full.retry_after()));
                let status = refusal(Code::ResourceExhausted, reason, full.message(), retry);
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

    /// Who calls; `None` where everybody may do everything.
    fn who(
        &self,
        method: &str,
        headers: &HeaderMap,
        peer: &Peer,
    ) -> Result<Option<Arc<Caller>>, Stranger> {
        let Some(tokens) = self.tokens.as_ref().filter(|tokens| tokens.required()) else {
            return Ok(None);
        };
        let header = headers.get(http::header::AUTHORIZATION).map(http::HeaderValue::as_bytes);
        let caller = tokens.caller(header, peer.certificate.as_ref());
        if method.starts_with(OPEN_TO_ALL) {
            return Ok(caller.ok());
        }
        caller.map(Some)
    }

    /// What can be said before anything of the request is read.
    fn role_too_low(call: &Call, method: &str) -> Option<Status> {
        let grants = call.grants()?;
        let Some(rule) = call.rule() else {
            let open = method.starts_with(OPEN_TO_ALL)
                || (method.starts_with(OPEN_TO_CALLERS) && grants.highest().is_some());
            return (!open).then(|| call.denied("there is no such method, or nobody may call it"));
        };
        if rule.admits(grants) {
            return None;
        }
        let what = if rule.every_memory { " for all memories" } else { "" };
        Some(call.denied(&format!("{} takes the role {}{what}", rule.name(), rule.role)))
    }
}

fn unauthenticated(stranger: Stranger) -> Status {
    let (reason, message) = match stranger {
        Stranger::NoToken => (
            "TOKEN_MISSING",
            "this server wants a token: header `authorization: Bearer TOKEN`, or --token with the commands of dhakira",
        ),
        Stranger::Unknown => ("TOKEN_UNKNOWN", "this server does not know the token"),
        Stranger::Expired => ("TOKEN_EXPIRED", "the token has expired"),
        Stranger::Revoked => ("TOKEN_REVOKED", "the token was revoked"),
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
        let ids = Ids::of(request.headers());
        if let Some(answer) = not_grpc(&request) {
            self.shared.metrics.turned(Turned::NotGrpc);
            return Box::pin(async move { Ok(answer) });
        }
        let Some(peer) = request.extensions().get::<Peer>().cloned() else {
            let message = "a call came from nowhere";
            let status = refusal(Code::Internal, "INTERNAL", message, None);
            return Box::pin(async move { Ok(status.into_http()) });
        };
        let admitted = match self.shared.admit(&request, &peer, ids) {
            Ok(admitted) => admitted,
            Err((call, status)) => {
                return Box::pin(async move {
                    call.audit_room().await;
                    call.end(status.code());
                    let mut answer = status.into_http();
                    call.ids.tell(answer.headers_mut());
                    Ok(answer)
                });
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
        let (of_call, room) = (call.clone(), permit.clone());
        let mut request =
            request.map(|body| Body::new(Messages::new(body, of_call, room, message_time)));
        if let Some(grants) = call.grants() {
            request.extensions_mut().insert(Visible(grants.clone()));
        }
        // Told by this layer from here on, and not a second time by a handler.
        request.headers_mut().remove("grpc-timeout");
        let inner = self.inner.call(request);
        let reader = self.shared.readers.add(peer.line.kill.clone());
        let unanswered = Unanswered(Some(call.clone()));
        Box::pin(
            async move {
                let mut ending = Ending::new(time, call.caller.as_ref());
                let answer = async {
                    call.audit_room().await;
                    inner.await
                };
                let answer = tokio::select! {
                    biased;
                    answer = answer => answer?,
                    status = &mut ending => status.into_http(),
                };
                unanswered.answered();
                let (mut parts, body) = answer.into_parts();
                call.ids.tell(&mut parts.headers);
                if body.is_end_stream() {
                    call.end(code_of(&parts.headers).unwrap_or(Code::Unknown));
                }
                let body = Answer::new(body, call, permit, ending, reader);
                Ok(Response::from_parts(parts, Body::new(body)))
            }
            .instrument(span),
        )
    }
}

/// The answer to what is no call of gRPC. A web page can have a browser send other methods and content types anywhere, with the
/// certificate of its user; those of gRPC take a permission that this server never gives.
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

/// Whether messages are what this server decodes: protocol buffers, not JSON, not those of gRPC-Web.
fn is_grpc(content_type: &HeaderValue) -> bool {
    let kind = content_type.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    let kind = kind.trim_ascii();
    [&b"application/grpc"[..], b"application/grpc+proto"]
        .iter()
        .any(|it| kind.eq_ignore_ascii_case(it))
}

/// Notes that a call was given up before it was answered.
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
