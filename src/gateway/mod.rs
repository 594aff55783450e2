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

use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, Version};
use tonic::body::Body;
use tower::{Layer, Service};

use crate::grpc::DESCRIPTORS;

use answer::{Form, Reply};
use path::Path;
use protocol::Protocol;
use routes::{Kind, Routes};

pub use budget::{Budget, Hold, Room};
pub use protocol::RoutesError;

/// What the gateway serves, and how careful it is.
pub struct Facade {
    routes: Routes,
    /// Whether everybody who reaches the port may call, with nothing to show.
    open_to_all: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Facade {
    /// JSON over HTTP, by the annotations of the protocol.
    ///
    /// # Errors
    /// The descriptors or their annotations are invalid.
    pub fn json(
        open_to_all: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<Self, RoutesError> {
        let routes = Routes::new(Protocol::read(DESCRIPTORS)?)?;
        Ok(Self { routes, open_to_all: Box::new(open_to_all) })
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

/// Whether a request is a gRPC call, or one of the forms of gRPC that the service behind refuses in its own way.
/// There is none by HTTP/1.1, which web pages reach that have made their name mean this machine.
fn is_grpc(request: &Request<Body>) -> bool {
    const KIND: &[u8] = b"application/grpc";
    if request.version() < Version::HTTP_2 {
        return false;
    }
    let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.get(..KIND.len()).is_some_and(|start| start.eq_ignore_ascii_case(KIND))
}

impl Facade {
    fn translate(&self, request: Request<Body>) -> Result<Translated, Response<Body>> {
        guard::check_browser(&request, (self.open_to_all)())?;
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
