//! Serves the API as JSON over HTTP and as gRPC-Web: turns each request into the gRPC call that it stands for, and the answer back.
//!
//! Knows nothing of sockets, and decides nothing about calls: what it makes of a request goes through every layer that a gRPC
//! call goes through (tokens, access rules, limits, audit, deadlines), and through each once. There is no handler here: routes,
//! requests and answers are read from the descriptors of the protocol.

#![expect(
    clippy::result_large_err,
    reason = "a refusal is an answer, and made at most once a request"
)]

mod answer;
mod body;
mod browser;
mod budget;
mod download;
mod errors;
mod fields;
mod files;
mod frames;
mod guard;
mod multipart;
mod openapi;
mod origins;
mod pages;
mod path;
mod protocol;
mod query;
mod resume;
mod routes;
mod template;
mod web;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::ACCEPT;
use http::{Request, Response, Version};
use tonic::body::Body;
use tower::{Layer, Service, ServiceExt as _};

use crate::grpc::DESCRIPTORS;

use answer::{Form, Reply};
use download::Download;
use pages::Pages;
use path::Path;
use protocol::{Protocol, is_grpc, is_web};
use routes::{Kind, Routes};

pub(crate) use errors::http_code;
pub use guard::copy_ids;
pub(crate) use guard::{is_form, token_as_bearer};
pub(crate) use multipart::{Part, Parts};
pub(crate) use path::percent_decoded;
pub(crate) use query::pairs as query_pairs;

pub use browser::{BrowserGuard, BrowserGuardLayer};
pub use budget::{Budget, Hold, Room};
pub use errors::NoCall;
pub use origins::{OriginError, Origins};
pub use protocol::RoutesError;

/// What the gateway serves; nothing, until more is switched on.
#[derive(Default)]
pub struct Facade {
    json: Option<Routes>,
    pages: Pages,
    grpc_web: bool,
}

impl Facade {
    /// With JSON over HTTP, by the annotations of the protocol.
    ///
    /// # Errors
    /// The descriptors or their annotations are invalid.
    pub fn with_json(mut self) -> Result<Self, RoutesError> {
        self.json = Some(Routes::new(Protocol::read(DESCRIPTORS)?)?);
        Ok(self)
    }

    /// With gRPC-Web.
    #[must_use]
    pub fn with_grpc_web(mut self) -> Self {
        self.grpc_web = true;
        self
    }
}

/// Puts [`Gateway`] in front of a service that answers gRPC.
#[derive(Clone)]
pub struct GatewayLayer(Option<Arc<Facade>>);

impl GatewayLayer {
    /// With no facade, everything is passed on as it is.
    pub fn new(facade: Option<Facade>) -> Self {
        Self(facade.map(Arc::new))
    }
}

impl<S> Layer<S> for GatewayLayer {
    type Service = Gateway<S>;

    fn layer(&self, inner: S) -> Gateway<S> {
        Gateway { inner, facade: self.0.clone() }
    }
}

/// Answers requests that are not gRPC, by calls of the service behind it.
#[derive(Clone)]
pub struct Gateway<S> {
    inner: S,
    facade: Option<Arc<Facade>>,
}

/// A gRPC call made of a request, and what turns its answer into the response.
struct Translated {
    call: Request<Body>,
    reply: Reply,
    /// The answer as a file, instead.
    download: Option<Download>,
}

impl<S> Service<Request<Body>> for Gateway<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Some(facade) = self.facade.clone().filter(|it| it.serves(&request)) else {
            return Box::pin(self.inner.call(request));
        };
        facade.answer(&mut self.inner, request)
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl Facade {
    /// Whether a request is not for the service behind, which refuses in its own way what is no gRPC.
    fn serves(&self, request: &Request<Body>) -> bool {
        let is_http1 = request.version() < Version::HTTP_2;
        match (self.grpc_web && is_web(request), self.json.is_some()) {
            (true, _) => true,
            (false, true) => !is_grpc(request) && (is_http1 || !is_web(request)),
            (false, false) => is_http1,
        }
    }

    fn answer<S>(&self, inner: &mut S, request: Request<Body>) -> Answering
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send + 'static,
    {
        let refused = |refusal| -> Answering { Box::pin(std::future::ready(Ok(refusal))) };
        if self.grpc_web && is_web(&request) {
            return match web::prepare(request) {
                Ok(call) => Box::pin(web::call(inner, call)),
                Err(refusal) => refused(refusal),
            };
        }
        let Some(routes) = &self.json else { return refused(errors::no_json()) };
        if let Some(page) = self.pages.answer(routes, &request) {
            return refused(page);
        }
        match translate(routes, request) {
            Ok(Translated { call, download: Some(download), .. }) => {
                Box::pin(download_by(inner.clone(), download, call))
            }
            Ok(Translated { call, reply, download: None }) => {
                let answer = inner.call(call);
                Box::pin(async move { Ok(reply.respond(answer.await?).await) })
            }
            Err(refusal) => refused(refusal),
        }
    }
}

/// Answers an export with a file. Its beginning names the languages of the memory, which are asked for first.
async fn download_by<S>(
    mut inner: S,
    download: Download,
    call: Request<Body>,
) -> Result<Response<Body>, Infallible>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let asked = match download.ask_languages(&call) {
        Ok(ask) => inner.ready().await?.call(ask).await?,
        Err(status) => return Ok(errors::of_call(&download.protocol, &status)),
    };
    match download.header(asked).await {
        Ok(header) => Ok(download.respond(header, inner.ready().await?.call(call).await?).await),
        Err(refusal) => Ok(refusal),
    }
}

/// The call that a request of JSON over HTTP stands for.
fn translate(routes: &Routes, request: Request<Body>) -> Result<Translated, Response<Body>> {
    let path = Path::parse(request.uri().path()).map_err(|fault| errors::bad_path(&fault))?;
    let mut found = routes.find(request.method(), request.uri().path(), &path)?;
    let protocol = routes.protocol();
    match found.route.kind {
        Kind::Unary | Kind::ServerStream => {
            guard::check_json(&request, found.route.has_body())?;
        }
        Kind::File => guard::check_file(&request)?,
        Kind::ClientStream => return Err(errors::not_by_json(found.route.method.name())),
    }
    let wants_events = request
        .headers()
        .get_all(ACCEPT)
        .iter()
        .any(|accept| accept.to_str().is_ok_and(|accept| accept.contains("text/event-stream")));
    let form = match found.route.kind {
        Kind::Unary => Form::Message,
        _ if wants_events => Form::Events,
        _ => Form::Lines,
    };
    let (parts, body) = request.into_parts();
    let mut query = parts.uri.query().unwrap_or_default().to_owned();
    if form == Form::Events
        && let Some((field, rest)) = resume::resumed(&found.route.method, &parts.headers, &query)
    {
        found.fields.push(field);
        query = rest;
    }
    let room = Room::default();
    let download = Download::asked(protocol, &found, &mut query, &room)
        .map_err(|status| errors::of_call(protocol, &status))?;
    let reply = Reply::new(protocol.clone(), found.route.method.output(), form, room.clone());
    let mut call = Request::new(body::of_call(&found, (&parts, query, body), room.clone()));
    guard::carry_over(&parts, &mut call);
    *call.uri_mut() = found.route.call.clone();
    *call.extensions_mut() = parts.extensions;
    call.extensions_mut().insert(room);
    Ok(Translated { call, reply, download })
}
