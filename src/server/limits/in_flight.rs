//! Which calls are under way? Counts them from request to the end of the answer, and refuses new ones during a drain.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::grpc::refusal;

/// The number of calls under way.
#[derive(Debug, Clone)]
pub(in crate::server) struct InFlight {
    count: Arc<watch::Sender<usize>>,
}

impl Default for InFlight {
    fn default() -> Self {
        Self { count: Arc::new(watch::Sender::new(0)) }
    }
}

impl InFlight {
    /// The layer that counts, and that refuses once `draining`.
    pub(in crate::server) fn layer(&self, draining: CancellationToken) -> CountLayer {
        CountLayer { in_flight: self.clone(), draining }
    }

    /// Waits until no call is under way.
    pub(in crate::server) async fn none(&self) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.count.subscribe().wait_for(|&count| count == 0).await;
    }

    fn begin(&self) -> Ticket {
        self.count.send_modify(|count| *count += 1);
        Ticket(self.clone())
    }
}

/// One call under way.
struct Ticket(InFlight);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.count.send_modify(|count| *count -= 1);
    }
}

#[derive(Debug, Clone)]
pub(in crate::server) struct CountLayer {
    in_flight: InFlight,
    draining: CancellationToken,
}

impl<S> Layer<S> for CountLayer {
    type Service = Count<S>;

    fn layer(&self, inner: S) -> Count<S> {
        Count { inner, layer: self.clone() }
    }
}

#[derive(Debug, Clone)]
pub(in crate::server) struct Count<S> {
    inner: S,
    layer: CountLayer,
}

/// Calls that last as long as their client likes, and that tell it nothing it must not miss.
fn is_endless_probe(path: &str) -> bool {
    path == "/grpc.health.v1.Health/Watch" || path.starts_with("/grpc.reflection.")
}

impl<S, B, R> Service<http::Request<B>> for Count<S>
where
    S: Service<http::Request<B>, Response = http::Response<R>>,
    R: HttpBody<Data = Bytes> + Send + 'static,
    R::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let probe = is_endless_probe(request.uri().path());
        // Health keeps answering: NOT_SERVING is what a balancer wants to hear now.
        let health = request.uri().path().starts_with("/grpc.health.");
        if self.layer.draining.is_cancelled() && !health {
            let message = "the server is shutting down";
            let refusal = refusal(Code::Unavailable, "STOPPING", message, None).into_http();
            return Box::pin(async move { Ok(refusal) });
        }
        let ticket = (!probe).then(|| self.layer.in_flight.begin());
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await?;
            Ok(response.map(|inner| Body::new(Counted { inner: Body::new(inner), ticket })))
        })
    }
}

/// An answer that holds its ticket until it ends or is dropped.
struct Counted {
    inner: Body,
    ticket: Option<Ticket>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) {
            self.ticket = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
