//! Serves `/healthz`, `/readyz`, `/metrics` and `/cluster` over HTTP, on an address of their own, or in front of a service.
//!
//! Knows nothing of the content of the pages.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::either::Either;
use tonic::body::Body;
use tower::{Layer, Service};

use crate::limits::{HANDSHAKE_SECONDS_MAX, HTTP_CONNECTIONS_MAX};

/// The content of the pages.
pub trait Pages: Send + Sync + 'static {
    /// Why the server accepts no calls; `None` when it does.
    fn trouble(&self) -> Option<String>;
    /// All metrics, in the text format of Prometheus.
    fn metrics(&self) -> String;
    /// The cluster, as a page of HTML; `None` where the server is no node of one.
    fn cluster(&self) -> Option<String>;
}

/// Time limit of a connection: long enough for a slow scrape.
const CONNECTION_TIME: Duration = Duration::from_secs(30);

/// Serves the pages; never ends.
pub async fn serve(listener: TcpListener, pages: Arc<dyn Pages>) {
    let room = Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection for metrics could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let pages = pages.clone();
        tokio::spawn(async move {
            let answer = service_fn(|request: Request<Incoming>| {
                let page = page(&request, &*pages);
                async move { Ok::<_, Infallible>(page) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(HANDSHAKE_SECONDS_MAX))
                .max_buf_size(16 * 1024)
                .serve_connection(TokioIo::new(stream), answer);
            // A failure does not matter: the next scrape comes.
            let _ = tokio::time::timeout(CONNECTION_TIME, connection).await;
            drop(permit);
        });
    }
}

/// Binds to the address.
///
/// # Errors
/// The error of the system.
pub async fn bind(address: std::net::SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Puts the pages in front of a service; without pages, all is passed on.
#[derive(Clone)]
pub struct PagesLayer(Option<Arc<dyn Pages>>);

impl PagesLayer {
    /// Serves these pages.
    pub fn new(pages: Option<Arc<dyn Pages>>) -> Self {
        Self(pages)
    }
}

impl<S> Layer<S> for PagesLayer {
    type Service = WithPages<S>;

    fn layer(&self, inner: S) -> WithPages<S> {
        WithPages { inner, pages: self.0.clone() }
    }
}

/// Answers requests for the pages, and passes the others on.
#[derive(Clone)]
pub struct WithPages<S> {
    inner: S,
    pages: Option<Arc<dyn Pages>>,
}

impl<S> Service<Request<Body>> for WithPages<S>
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
        match &self.pages {
            Some(pages) if PATHS.contains(&request.uri().path()) => {
                Either::Right(ready(Ok(page(&request, &**pages))))
            }
            _ => Either::Left(self.inner.call(request)),
        }
    }
}

/// The paths of the pages.
const PATHS: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/cluster"];

fn page<B>(request: &Request<B>, pages: &dyn Pages) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n".to_owned());
    }
    match request.uri().path() {
        "/healthz" => text(StatusCode::OK, "alive\n".to_owned()),
        "/readyz" => match pages.trouble() {
            None => text(StatusCode::OK, "ready\n".to_owned()),
            Some(trouble) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{trouble}\n")),
        },
        "/metrics" => text(StatusCode::OK, pages.metrics()),
        "/cluster" => match pages.cluster() {
            None => text(StatusCode::NOT_FOUND, "this server is no node of a cluster\n".to_owned()),
            Some(page) => {
                let mut response = answer(StatusCode::OK, page, "text/html; charset=utf-8");
                response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, STYLE_ONLY);
                response
            }
        },
        _ => text(StatusCode::NOT_FOUND, PATHS.join(", ") + "\n"),
    }
}

/// A page may have a style, and nothing that runs or comes from elsewhere.
const STYLE_ONLY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");

fn text(status: StatusCode, text: String) -> Response<Body> {
    answer(status, text, "text/plain; version=0.0.4; charset=utf-8")
}

fn answer(status: StatusCode, content: String, kind: &'static str) -> Response<Body> {
    let body = Body::new(http_body_util::Full::new(Bytes::from(content)));
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
