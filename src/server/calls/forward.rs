//! Sends writes to the node that commits them, so that nodes do not conflict in the log.
//!
//! Only a preference: where that node does not answer, this one commits. A write is sent with an id, by which the log knows whether it
//! was carried out already, so that it has one effect whoever commits it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use metrics::counter;
use tonic::body::Body;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};
use tower::{Service as _, ServiceExt as _};

use crate::cluster::Member;
use crate::grpc::access::{RULES, number_of, takes_request_id, with_request_id};
use crate::grpc::{CallInfo, refusal};
use crate::limits::CLUSTER_SILENCE_MAX;

use super::super::auth::Tokens;
use super::response_body::code_of;

/// The node that has sent a call on. Such a call is not sent on again.
pub(super) const FORWARDED: HeaderName = HeaderName::from_static("x-dhakira-forwarded-by");

const CONNECT_TIME: Duration = Duration::from_secs(1);
/// How often a connection to another node is probed, and how long that may take: the writer may have been frozen, or cut off.
const PROBE_PAUSE: Duration = Duration::from_secs(1);
const PROBE_TIME: Duration = Duration::from_secs(2);

/// How this node authenticates another one, and itself to that.
#[derive(Debug, Clone, Default)]
pub struct PeerTls {
    /// Certificates, PEM, of the authority of the nodes; those of the system when absent.
    pub ca: Option<Vec<u8>>,
    /// Certificate and private key of this node, PEM.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// The other nodes of the cluster.
#[derive(Debug)]
pub(in crate::server) struct Peers {
    member: Arc<Member>,
    tokens: Option<Arc<Tokens>>,
    tls: PeerTls,
    /// The connection to the writer at a URL.
    channel: Mutex<Option<(String, Channel)>>,
}

impl Peers {
    pub(in crate::server) fn new(
        member: Arc<Member>,
        tokens: Option<Arc<Tokens>>,
        tls: PeerTls,
    ) -> Self {
        Self { member, tokens, tls, channel: Mutex::default() }
    }

    /// The answer of the writer to a write, or the request, if this node is to answer it.
    pub(super) async fn forward(
        &self,
        request: Request<Body>,
    ) -> Result<Response<Body>, Request<Body>> {
        let Some(url) = self.writer_for(&request) else { return Err(request) };
        let (mut parts, body) = request.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(status) => return Ok(status.into_http()),
        };
        let Some(message) = with_request_id(parts.uri.path(), &body) else {
            return Err(Request::from_parts(parts, Body::new(Full::new(body))));
        };
        parts.headers.remove(CONTENT_LENGTH);
        let sent = self.request(&parts, message.clone());
        let outcome = match self.send(&url, sent).await {
            Ok(answer) => {
                counter!("dhakira_cluster_forwarded_total", "outcome" => "answered").increment(1);
                return Ok(answer);
            }
            Err(outcome) => outcome,
        };
        tracing::info!(writer = url, outcome, "the writer does not answer; this node commits");
        counter!("dhakira_cluster_forwarded_total", "outcome" => "committed_here").increment(1);
        Err(Request::from_parts(parts, Body::new(Full::new(message))))
    }

    /// The refusal of a write while the database of the cluster does not answer, which the write would wait for.
    pub(super) fn refusal(&self, method: &str) -> Option<Status> {
        let rule = number_of(method).and_then(|number| RULES.get(number))?;
        let silence = self.member.state().contact_age;
        if silence <= CLUSTER_SILENCE_MAX || !rule.fields.iter().any(|field| field.writes) {
            return None;
        }
        let message = format!(
            "writes are paused: the database of the cluster has not answered this node for {} s. They resume by themselves when it \
             does",
            silence.as_secs()
        );
        let retry = Some(Duration::from_secs(1));
        Some(refusal(Code::Unavailable, "WRITES_PAUSED", &message, retry))
    }

    /// The URL of the node that a call is sent to; `None` if this node answers it.
    fn writer_for(&self, request: &Request<Body>) -> Option<String> {
        let headers = request.headers();
        if !takes_request_id(request.uri().path()) || headers.contains_key(FORWARDED) {
            return None;
        }
        // The certificate of a client cannot be shown to another node.
        let guarded = self.tokens.as_ref().is_some_and(|tokens| tokens.required());
        if guarded && !headers.contains_key(AUTHORIZATION) {
            return None;
        }
        self.member.state().writer
    }

    /// The request as it is sent on.
    fn request(&self, parts: &http::request::Parts, message: Bytes) -> Request<Body> {
        let mut request = Request::new(Body::new(Full::new(message)));
        *request.method_mut() = Method::POST;
        if let Ok(path) = parts.uri.path().parse() {
            *request.uri_mut() = path;
        }
        let headers = request.headers_mut();
        *headers = parts.headers.clone();
        headers.remove(HOST);
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        if let Ok(id) = HeaderValue::from_str(&self.member.id().to_string()) {
            headers.insert(FORWARDED, id);
        }
        if let Some(info) = parts.extensions.get::<CallInfo>() {
            let left = info.ends.saturating_duration_since(Instant::now());
            // At most eight digits.
            let millis = left.as_millis().min(99_999_999);
            if let Ok(timeout) = HeaderValue::from_str(&format!("{millis}m")) {
                headers.insert("grpc-timeout", timeout);
            }
        }
        request
    }

    /// Sends a request; fails with the reason when this node is to answer it.
    async fn send(&self, url: &str, request: Request<Body>) -> Result<Response<Body>, String> {
        let mut channel = self.channel(url)?;
        let text = |error: tonic::transport::Error| error.to_string();
        let ready = channel.ready().await.map_err(text)?;
        let (parts, body) = ready.call(request).await.map_err(text)?.into_parts();
        if parts.status != StatusCode::OK {
            return Err(parts.status.to_string());
        }
        let body = body.collect().await.map_err(|status| status.message().to_owned())?;
        let trailers = body.trailers().cloned();
        check(&parts.headers, trailers.as_ref())?;
        let body = Full::new(body.to_bytes());
        let body = match trailers {
            Some(trailers) => {
                let body = body.with_trailers(async move { Some(Ok(trailers)) });
                Body::new(body)
            }
            None => Body::new(body),
        };
        Ok(Response::from_parts(parts, body))
    }

    /// The connection to the node at a URL.
    fn channel(&self, url: &str) -> Result<Channel, String> {
        let mut kept = self.channel.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, channel)) = kept.as_ref().filter(|(it, _)| it == url) {
            return Ok(channel.clone());
        }
        let text = |error: tonic::transport::Error| error.to_string();
        let mut endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(text)?
            .connect_timeout(CONNECT_TIME)
            .http2_keep_alive_interval(PROBE_PAUSE)
            .keep_alive_timeout(PROBE_TIME)
            .tcp_nodelay(true);
        if url.starts_with("https://") {
            let mut tls = match &self.tls.ca {
                Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
                None => ClientTlsConfig::new().with_native_roots(),
            };
            if let Some((certificate, key)) = &self.tls.identity {
                tls = tls.identity(Identity::from_pem(certificate, key));
            }
            endpoint = endpoint.tls_config(tls).map_err(text)?;
        }
        let channel = endpoint.connect_lazy();
        *kept = Some((url.to_owned(), channel.clone()));
        Ok(channel)
    }
}

/// Fails when an answer says that its node could not commit, or does not know the caller, whom this node knows.
fn check(headers: &HeaderMap, trailers: Option<&HeaderMap>) -> Result<(), String> {
    let code = code_of(headers).or_else(|| trailers.and_then(code_of));
    match code {
        None => Err("its answer is incomplete".to_owned()),
        Some(code @ (Code::Unavailable | Code::Unauthenticated | Code::Unimplemented)) => {
            Err(format!("it answers {code:?}"))
        }
        Some(_) => Ok(()),
    }
}
