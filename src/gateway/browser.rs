//! Refuses requests that a web page made a browser send.
//!
//! A page may make a browser send *simple requests* to any address, with the certificate of its user: GET, and POST of forms or
//! plain text or nothing. The others need a permission (CORS), which [`Origins`] gives. A page whose name is made to mean this machine (DNS rebinding) may
//! send anything, so that names are checked where no token is asked for.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio_util::either::Either;
use tonic::body::Body;
use tower::{Layer, Service};

use super::errors;
use super::origins::Origins;
use super::protocol::is_grpc;

/// Puts [`BrowserGuard`] in front of a service.
#[derive(Clone)]
pub struct BrowserGuardLayer {
    open_to_all: Arc<dyn Fn() -> bool + Send + Sync>,
    origins: Arc<Origins>,
}

impl BrowserGuardLayer {
    /// `open_to_all` tells whether everybody who reaches the port may call, with nothing to show; pages of `origins` may call too.
    pub fn new(open_to_all: impl Fn() -> bool + Send + Sync + 'static, origins: Origins) -> Self {
        Self { open_to_all: Arc::new(open_to_all), origins: Arc::new(origins) }
    }
}

impl<S> Layer<S> for BrowserGuardLayer {
    type Service = BrowserGuard<S>;

    fn layer(&self, inner: S) -> BrowserGuard<S> {
        BrowserGuard { inner, layer: self.clone() }
    }
}

/// Refuses what comes from a web page; calls of gRPC, which no page can send, pass.
#[derive(Clone)]
pub struct BrowserGuard<S> {
    inner: S,
    layer: BrowserGuardLayer,
}

impl<S> Service<Request<Body>> for BrowserGuard<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, Ready<Result<Response<Body>, Infallible>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if !is_grpc(&request)
            && let Err(refusal) = self.layer.check(&request)
        {
            return Either::Right(ready(Ok(refusal)));
        }
        Either::Left(self.inner.call(request))
    }
}

impl BrowserGuardLayer {
    /// Refuses what comes from a web page that may not call.
    fn check(&self, request: &Request<Body>) -> Result<(), Response<Body>> {
        let hosts: Vec<&HeaderValue> = request.headers().get_all(HOST).iter().collect();
        if hosts.len() > 1 {
            return Err(errors::bad_path("it has two hosts"));
        }
        let host = request.uri().authority().map(Authority::as_str);
        let host = host.or_else(|| hosts.first().and_then(|host| host.to_str().ok()));
        let Some(host) = host.and_then(|host| host.parse::<Authority>().ok()) else {
            return Err(errors::bad_path("it needs a header `host`"));
        };
        let origins: Vec<&HeaderValue> = request.headers().get_all(ORIGIN).iter().collect();
        if let [origin] = origins[..]
            && self.origins.contains(origin)
        {
            // A page whose name was made to mean this machine has the origin of that name.
            return Ok(());
        }
        let is_same = |origin: &&HeaderValue| {
            let origin = origin.to_str().ok().and_then(|text| text.split_once("://"));
            origin.is_some_and(|(_, name)| name.eq_ignore_ascii_case(host.as_str()))
        };
        let embedded = origins.is_empty() && is_embedded(request.headers());
        if embedded || origins.len() > 1 || !origins.iter().all(is_same) {
            return Err(errors::forbidden(OTHER_ORIGIN));
        }
        if (self.open_to_all)() && !is_local_name(host.host()) {
            return Err(errors::forbidden(
                "this server asks for no token, so that it is called by an IP address, `localhost` or a name without a dot: \
                 other names may be those of a web page (dhakira access-tokens create makes a token)",
            ));
        }
        Ok(())
    }
}

const OTHER_ORIGIN: &str = "web pages of this origin are not served (setting cors_origins)";

/// Whether a browser says that a page of another site embeds the answer, as a script or an image, which needs no permission.
/// The page cannot read an answer that the browser navigates to.
fn is_embedded(headers: &HeaderMap) -> bool {
    let is = |name: &str, values: &[&str]| {
        let value = headers.get(name).map(HeaderValue::as_bytes);
        value.is_some_and(|value| values.iter().any(|it| it.as_bytes() == value))
    };
    is("sec-fetch-site", &["cross-site", "same-site"])
        && !(is("sec-fetch-mode", &["navigate"]) && is("sec-fetch-dest", &["document"]))
}

/// Whether a name cannot be one that a stranger registered.
fn is_local_name(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<std::net::IpAddr>().is_ok()
        || !host.contains('.')
        || host.to_ascii_lowercase().ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_stranger_may_own_are_told_apart() {
        for local in ["127.0.0.1", "[::1]", "localhost", "tm-server", "a.localhost", "10.0.0.7"] {
            assert!(is_local_name(local), "{local}");
        }
        for other in ["evil.example", "127.0.0.1.nip.io", "localhost.evil.com", "a.b"] {
            assert!(!is_local_name(other), "{other}");
        }
    }
}
