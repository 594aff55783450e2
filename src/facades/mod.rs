//! Speaks the protocols that translation tools and AI clients know, on the port of gRPC: tmserver and amaGama, MyMemory, t5memory,
//! the Model Context Protocol.
//!
//! Each request becomes calls of one client, which go through every layer that calls of gRPC go through (tokens, access rules,
//! limits, audit), so that a facade reaches nothing that gRPC would refuse. Knows nothing of sockets and handlers.

mod answers;
mod form;
pub mod mcp;
mod memories;
mod mymemory;
mod refusal;
mod settings;
mod t5memory;
mod times;
mod tmserver;
mod upload;
mod visit;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::body::Body;
use tower::{Layer, Service};

use visit::{BodyLimits, Visit, request_id};

pub use settings::{FacadeSettings, FacadeTable};
pub use visit::BodyTime;

/// Puts [`Facades`] in front of a service that answers gRPC.
#[derive(Clone)]
pub struct FacadesLayer {
    table: Arc<FacadeTable>,
    limits: BodyLimits,
    imports: t5memory::Imports,
}

impl FacadesLayer {
    /// Serves the facades that are on.
    pub fn new(table: FacadeTable, time: BodyTime) -> Self {
        let imports = t5memory::Imports::default();
        Self { table: Arc::new(table), limits: BodyLimits::new(time), imports }
    }
}

impl<S> Layer<S> for FacadesLayer {
    type Service = Facades<S>;

    fn layer(&self, inner: S) -> Facades<S> {
        Facades { inner, layer: self.clone() }
    }
}

/// Answers requests to facades, by calls of the service behind it.
#[derive(Clone)]
pub struct Facades<S> {
    inner: S,
    layer: FacadesLayer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Facade {
    TmServer,
    MyMemory,
    T5Memory,
    T5MemoryService,
    Mcp,
}

/// The first segments of the paths of each facade.
const PREFIXES: [(&str, Facade); 6] = [
    ("/tmserver", Facade::TmServer),
    ("/api/v1", Facade::TmServer),
    ("/mymemory", Facade::MyMemory),
    ("/t5memory", Facade::T5Memory),
    ("/t5memory_service", Facade::T5MemoryService),
    ("/mcp", Facade::Mcp),
];

impl FacadesLayer {
    /// The facade that answers a path, and the length of its prefix.
    fn facade_of(&self, path: &str) -> Option<(Facade, usize)> {
        let is_below = |prefix: &str| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let (prefix, facade) = PREFIXES.iter().find(|(prefix, _)| is_below(prefix))?;
        let settings = match facade {
            Facade::TmServer => &self.table.tmserver,
            Facade::MyMemory => &self.table.mymemory,
            Facade::Mcp => &self.table.mcp,
            Facade::T5Memory | Facade::T5MemoryService => &self.table.t5memory,
        };
        settings.enabled.then_some((*facade, prefix.len()))
    }

    async fn answer(self, facade: Facade, visit: Visit) -> Response<Body> {
        match facade {
            Facade::TmServer => tmserver::answer(visit, &self.table.tmserver).await,
            Facade::MyMemory => mymemory::answer(visit, &self.table).await,
            Facade::Mcp => mcp::answer(visit, &self.table.mcp).await,
            Facade::T5Memory => t5memory::answer(visit, &self.table.t5memory, &self.imports).await,
            Facade::T5MemoryService => t5memory::answer_of_service(visit).await,
        }
    }
}

impl<S> Service<Request<Body>> for Facades<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Some((facade, prefix_bytes)) = self.layer.facade_of(request.uri().path()) else {
            return Box::pin(self.inner.call(request));
        };
        let request_id = request_id(request.headers());
        let limits = (&self.layer.limits, &request_id);
        let visit = Visit::new(request, prefix_bytes, &self.inner, limits);
        let layer = self.layer.clone();
        Box::pin(async move {
            let mut answer = match visit {
                Ok(visit) => Box::pin(layer.answer(facade, visit)).await,
                Err(refusal) => answers::plain(&refusal),
            };
            answer.headers_mut().insert("x-request-id", request_id);
            Ok(answer)
        })
    }
}
