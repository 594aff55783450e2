//! Names and counts the requests that were answered without a call: unknown paths, wrong methods, web pages.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, Request, Response};
use tonic::body::Body;
use tower::{Layer, Service};

use crate::gateway::{NoCall, copy_ids};

use super::super::telemetry::{CallIds, Rejection};
use super::call::Shared;

#[derive(Debug, Clone)]
pub(in crate::server) struct NamedLayer(pub(in crate::server) Arc<Shared>);

impl<S> Layer<S> for NamedLayer {
    type Service = Named<S>;

    fn layer(&self, inner: S) -> Named<S> {
        Named { inner, shared: self.0.clone() }
    }
}

/// Adds a request id to every answer that has none, and counts the answers to requests that did not become calls.
#[derive(Debug, Clone)]
pub(in crate::server) struct Named<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Request<Body>> for Named<S>
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
        let mut given = HeaderMap::new();
        copy_ids(request.headers(), &mut given);
        let shared = self.shared.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            // The answers of calls have one.
            if !answer.headers().contains_key("x-request-id") {
                CallIds::of(&given).add_to(answer.headers_mut());
            }
            if answer.extensions().get::<NoCall>().is_some() {
                shared.metrics.rejected(Rejection::NoCall);
            }
            Ok(answer)
        })
    }
}
