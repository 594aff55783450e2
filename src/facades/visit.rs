//! One request to a facade: its parts, its body within bounds, and a client that makes calls on behalf of its caller.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt as _};
use uuid::Uuid;

use crate::client::Client;
use crate::gateway::{query_pairs, token_as_bearer};
use crate::limits::{FACADE_BODIES_KIB, MESSAGE_BYTES_MAX, REQUEST_ID_BYTES_MAX};

use super::answers::JSON;
use super::refusal::Refusal;

/// How long a body may take, by whether its request has a token.
pub type BodyTime = Arc<dyn Fn(bool) -> Duration + Send + Sync>;

/// What bodies may take.
#[derive(Clone)]
pub(super) struct BodyLimits {
    /// The memory of all of them, in KiB.
    budget: Arc<Semaphore>,
    time: BodyTime,
}

impl BodyLimits {
    pub(super) fn new(time: BodyTime) -> Self {
        Self { budget: Arc::new(Semaphore::new(FACADE_BODIES_KIB)), time }
    }
}

/// A request to a facade.
pub(super) struct Visit {
    pub(super) method: Method,
    /// The path behind the prefix of the facade, as it came.
    pub(super) path: String,
    /// The decoded pairs of the query.
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    /// Makes calls on behalf of the caller, through every layer that calls of gRPC go through.
    pub(super) client: Client,
    pub(super) body: Body,
    limits: BodyLimits,
    /// The headers of its calls.
    call_headers: HeaderMap,
    connect: Box<dyn Fn(HeaderMap) -> Client + Send + Sync>,
}

/// A body, and its part of the budget.
pub(super) struct Received {
    pub(super) bytes: Bytes,
    _held: Vec<OwnedSemaphorePermit>,
}

impl Visit {
    /// Takes a request apart whose facade has a prefix of some length.
    ///
    /// # Errors
    /// The query cannot be decoded.
    pub(super) fn new<S>(
        request: Request<Body>,
        prefix_bytes: usize,
        inner: &S,
        (limits, request_id): (&BodyLimits, &HeaderValue),
    ) -> Result<Self, Refusal>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        let (parts, body) = request.into_parts();
        let query = query_pairs(parts.uri.query().unwrap_or_default());
        let query = query.map_err(|fault| Refusal::bad_request(&format!("the query: {fault}")))?;
        let path = parts.uri.path().get(prefix_bytes..).unwrap_or_default().to_owned();
        let (inner, extensions) = (inner.clone(), parts.extensions);
        let connect = move |headers: HeaderMap| {
            let (headers, extensions) = (Arc::new(headers), extensions.clone());
            let service = inner.clone().map_request(move |mut call: Request<Body>| {
                for (name, value) in &*headers {
                    call.headers_mut().insert(name, value.clone());
                }
                call.extensions_mut().extend(extensions.clone());
                call
            });
            Client::of_service(BoxCloneSyncService::new(service))
        };
        let call_headers = call_headers(&parts.headers, &query, request_id);
        Ok(Self {
            method: parts.method,
            path,
            query,
            headers: parts.headers,
            client: connect(call_headers.clone()),
            call_headers,
            connect: Box::new(connect),
            body,
            limits: limits.clone(),
        })
    }

    /// The first value of a parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A parameter of the query that is a number; what is none is ignored.
    pub(super) fn number(&self, name: &str) -> Option<u32> {
        self.parameter(name)?.trim().parse().ok()
    }

    /// Whether the body says that it is JSON.
    pub(super) fn is_json(&self) -> bool {
        let kind = self.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        kind.get(..JSON.len()).is_some_and(|start| start.eq_ignore_ascii_case(JSON.as_bytes()))
    }

    /// Adds the pairs of a form to those of the query. A token among them authorizes the calls.
    ///
    /// # Errors
    /// As of [`receive`](Self::receive); it is not a form.
    pub(super) async fn read_form(&mut self) -> Result<(), Refusal> {
        let received = self.receive().await?;
        let broken = || Refusal::bad_request("the body is not a form");
        let text = std::str::from_utf8(&received.bytes).map_err(|_| broken())?;
        self.add_fields(query_pairs(text).map_err(|_| broken())?);
        Ok(())
    }

    /// Adds the fields of a form to the pairs of the query. A token among them authorizes the calls.
    pub(super) fn add_fields(&mut self, mut fields: Vec<(String, String)>) {
        self.use_token_of(&fields);
        self.query.append(&mut fields);
    }

    /// Whether its calls carry a token.
    pub(super) fn has_token(&self) -> bool {
        self.call_headers.contains_key(AUTHORIZATION)
    }

    /// Authorizes the calls by a token among some pairs, if there is no other.
    fn use_token_of(&mut self, pairs: &[(String, String)]) {
        if let Some(token) = token_of(pairs)
            && !self.has_token()
        {
            self.call_headers.insert(AUTHORIZATION, token);
            self.client = (self.connect)(self.call_headers.clone());
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// It is too large or too slow, or there is no room for it.
    pub(super) async fn receive(&mut self) -> Result<Received, Refusal> {
        let time = (self.limits.time)(self.has_token());
        let too_slow = |_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body came too slowly");
        tokio::time::timeout(time, self.collect()).await.map_err(too_slow)?
    }

    async fn collect(&mut self) -> Result<Received, Refusal> {
        let too_large = || {
            let message = format!("the body is longer than {MESSAGE_BYTES_MAX} bytes");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, &message)
        };
        if self.body.size_hint().lower() > MESSAGE_BYTES_MAX as u64 {
            return Err(too_large());
        }
        let (mut bytes, mut held) = (Vec::new(), Vec::new());
        while let Some(frame) = self.body.frame().await {
            let broken = |_| Refusal::bad_request("the body broke off");
            let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
            if bytes.len() + data.len() > MESSAGE_BYTES_MAX {
                return Err(too_large());
            }
            let kib = u32::try_from(data.len().div_ceil(1024)).unwrap_or(u32::MAX);
            let room = self.limits.budget.clone().try_acquire_many_owned(kib);
            held.push(room.map_err(|_| Refusal::busy("too many bodies arrive at a time"))?);
            bytes.extend_from_slice(&data);
        }
        Ok(Received { bytes: bytes.into(), _held: held })
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// As of [`receive`](Self::receive); it is not JSON of this form.
    pub(super) async fn json<T: DeserializeOwned>(&mut self) -> Result<T, Refusal> {
        let received = self.receive().await?;
        let parsed = serde_json::from_slice(&received.bytes);
        parsed.map_err(|error| Refusal::bad_request(&format!("the body: {error}")))
    }
}

/// The id that names all calls of a visit in the logs: that of the client, where it can be written to a log, or else a new one.
pub(super) fn request_id(headers: &HeaderMap) -> HeaderValue {
    let given = headers
        .get("x-request-id")
        .filter(|id| (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.to_str().is_ok());
    // A UUID is visible ASCII.
    let new = || HeaderValue::from_str(&Uuid::now_v7().to_string());
    given.cloned().or_else(|| new().ok()).unwrap_or(HeaderValue::from_static("-"))
}

/// The headers of every call of a visit: a token comes in `Authorization`, as the password of Basic credentials, or as the
/// parameter `key`, from clients that can send no header.
fn call_headers(
    headers: &HeaderMap,
    query: &[(String, String)],
    request_id: &HeaderValue,
) -> HeaderMap {
    let mut result = HeaderMap::new();
    result.insert("x-request-id", request_id.clone());
    for name in ["user-agent", "traceparent", "tracestate"] {
        if let Some(value) = headers.get(name) {
            result.insert(name, value.clone());
        }
    }
    if let Some(value) = headers.get(AUTHORIZATION) {
        result.insert(AUTHORIZATION, token_as_bearer(value).unwrap_or_else(|| value.clone()));
    } else if let Some(token) = token_of(query) {
        result.insert(AUTHORIZATION, token);
    }
    result
}

/// The first token among the values of `key`, which may hold several keys.
fn token_of(pairs: &[(String, String)]) -> Option<HeaderValue> {
    let keys = pairs.iter().filter(|(name, _)| name == "key").flat_map(|(_, it)| it.split(','));
    let token = keys.map(str::trim).find(|key| is_token(key))?;
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether a key is an access token.
pub(super) fn is_token(key: &str) -> bool {
    key.starts_with("dhk_")
}
