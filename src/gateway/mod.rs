//! Serves the API as JSON over HTTP: turns each request into the gRPC call that its route names, and the answer back.
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
mod errors;
mod fields;
mod files;
mod frames;
mod guard;
mod path;
mod protocol;
mod query;
mod routes;
mod template;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{ACCEPT, CONNECTION, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, Version};
use tonic::body::Body;
use tower::{Layer, Service};

use crate::grpc::DESCRIPTORS;

use answer::{Form, Reply};
use path::Path;
use protocol::{Protocol, is_grpc};
use routes::{Kind, Routes};

pub use browser::{BrowserGuard, BrowserGuardLayer};
pub use budget::{Budget, Hold, Room};
pub use protocol::RoutesError;

/// What the gateway serves.
pub struct Facade {
    routes: Routes,
}

impl Facade {
    /// JSON over HTTP, by the annotations of the protocol.
    ///
    /// # Errors
    /// The descriptors or their annotations are invalid.
    pub fn json() -> Result<Self, RoutesError> {
        Ok(Self { routes: Routes::new(Protocol::read(DESCRIPTORS)?)? })
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
}

impl<S> Service<Request<Body>> for Gateway<S>
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
        let Some(facade) = self.facade.as_ref().filter(|_| !is_grpc(&request)) else {
            return Box::pin(self.inner.call(request));
        };
        // A request of two lengths may be two requests to somebody in between: nothing after it is read.
        let closes = request.version() < Version::HTTP_2
            && request.headers().contains_key(TRANSFER_ENCODING);
        let answer = match facade.translate(request) {
            Ok(Translated { call, reply }) => Ok((self.inner.call(call), reply)),
            Err(refusal) => Err(refusal),
        };
        Box::pin(async move {
            let mut answer = match answer {
                Ok((answer, reply)) => reply.respond(answer.await?).await,
                Err(refusal) => refusal,
            };
            if closes {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(answer)
        })
    }
}

impl Facade {
    fn translate(&self, request: Request<Body>) -> Result<Translated, Response<Body>> {
        let path = Path::parse(request.uri().path()).map_err(|fault| errors::bad_path(&fault))?;
        let found = self.routes.find(request.method(), request.uri().path(), &path)?;
        let protocol = self.routes.protocol();
        match found.route.kind {
            Kind::Unary | Kind::ServerStream => {
                guard::check_json(&request, found.route.has_body())?;
            }
            Kind::File => guard::check_file(&request)?,
            Kind::ClientStream => return Err(errors::not_by_json(found.route.method.name())),
        }
        let wants_events =
            request.headers().get_all(ACCEPT).iter().any(|accept| {
                accept.to_str().is_ok_and(|accept| accept.contains("text/event-stream"))
            });
        let form = match found.route.kind {
            Kind::Unary => Form::Message,
            _ if wants_events => Form::Events,
            _ => Form::Lines,
        };
        let (parts, body) = request.into_parts();
        let room = Room::default();
        let reply = Reply::new(protocol.clone(), found.route.method.output(), form, room.clone());
        let mut call = Request::new(body::of_call(&found, (&parts, body), room.clone()));
        guard::carry_over(&parts, &mut call);
        *call.uri_mut() = found.route.call.clone();
        *call.extensions_mut() = parts.extensions;
        call.extensions_mut().insert(room);
        Ok(Translated { call, reply })
    }
}
