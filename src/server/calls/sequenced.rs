//! Orders calls after commits: a call may ask for what an earlier answer has seen, and each answer says which commits it has seen.
//!
//! The header `x-dhakira-sequence` of an answer is the last commit that its readers could see. A client that sends it with its next
//! call, to any node, reads its own writes.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::grpc::{Api, refusal};
use crate::limits::APPLY_WAIT_MAX;

use super::forward::Peers;

/// A commit that an answer has seen, or that a call wants to see.
pub(super) const SEQUENCE: HeaderName = HeaderName::from_static("x-dhakira-sequence");

#[derive(Clone)]
pub(in crate::server) struct SequencedLayer {
    pub(in crate::server) api: Api,
    /// The other nodes, in a cluster.
    pub(in crate::server) peers: Option<Arc<Peers>>,
}

impl<S> Layer<S> for SequencedLayer {
    type Service = Sequenced<S>;

    fn layer(&self, inner: S) -> Sequenced<S> {
        Sequenced { inner, layer: self.clone() }
    }
}

#[derive(Clone)]
pub(in crate::server) struct Sequenced<S> {
    inner: S,
    layer: SequencedLayer,
}

impl<S> Service<Request<Body>> for Sequenced<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
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
        // The one that is ready.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let SequencedLayer { api, peers } = self.layer.clone();
        Box::pin(async move {
            let refused = peers.as_ref().and_then(|it| it.refusal(request.uri().path()));
            let refused = match refused {
                None => wait_for_asked(&api, request.headers()).await,
                refused => refused,
            };
            if let Some(refused) = refused {
                return Ok(refused.into_http());
            }
            let forwarded = match &peers {
                Some(peers) => peers.forward(request).await,
                None => Err(request),
            };
            let mut answer = match forwarded {
                Ok(answer) => {
                    // The caller's next call comes to this node.
                    if let Some(seen) = sequence_of(answer.headers()) {
                        api.applied(seen, APPLY_WAIT_MAX).await;
                    }
                    answer
                }
                Err(request) => inner.call(request).await?,
            };
            let seen = sequence_of(answer.headers()).max(api.sequence());
            if let Some(seen) = seen {
                answer.headers_mut().insert(SEQUENCE, HeaderValue::from(seen));
            }
            Ok(answer)
        })
    }
}

/// Waits until the commit that a call asks for is visible; the refusal when that takes too long.
async fn wait_for_asked(api: &Api, headers: &HeaderMap) -> Option<Status> {
    let asked = match headers.get(SEQUENCE) {
        None => return None,
        Some(text) => text.to_str().ok().and_then(|text| text.parse().ok()),
    };
    let Some(asked) = asked else {
        let message = format!("the header {SEQUENCE} is not the number of a commit");
        return Some(refusal(Code::InvalidArgument, "INVALID_FIELD", &message, None));
    };
    // While the memories are being loaded, the call is refused with that reason.
    if api.sequence().is_none() || api.applied(asked, APPLY_WAIT_MAX).await {
        return None;
    }
    let here = api.sequence().unwrap_or_default();
    let message = format!(
        "commit {asked}, which the call asks for, has not arrived on this node, which is at commit {here}; try again, or on another \
         node"
    );
    Some(refusal(Code::Unavailable, "BEHIND", &message, Some(Duration::from_secs(1))))
}

/// The commit in the headers of an answer.
fn sequence_of(headers: &HeaderMap) -> Option<u64> {
    headers.get(SEQUENCE)?.to_str().ok()?.parse().ok()
}
