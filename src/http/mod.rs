//! Serves `/healthz`, `/readyz` and `/metrics` over HTTP/1.1, on an address of their own.
//!
//! Knows nothing of the content of the pages.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tonic::body::Body;

use crate::limits::{HANDSHAKE_SECONDS_MAX, HTTP_CONNECTIONS_MAX};

/// The content of the pages.
pub trait Pages: Send + Sync + 'static {
    /// Why the server accepts no calls; `None` when it does.
    fn trouble(&self) -> Option<String>;
    /// All metrics, in the text format of Prometheus.
    fn metrics(&self) -> String;
}

/// Time limit of a connection: long enough for a slow scrape.
const CONNECTION_TIME: Duration = Duration::from_secs(30);

/// Serves the pages; never ends.
pub async fn serve(listener: TcpListener, pages: Arc<impl Pages>) {
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
                let answer = page(&request, &*pages);
                async move { Ok::<_, Infallible>(answer) }
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

fn page(request: &Request<Incoming>, pages: &impl Pages) -> Response<Body> {
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
        _ => text(StatusCode::NOT_FOUND, "/healthz, /readyz, /metrics\n".to_owned()),
    }
}

fn text(status: StatusCode, text: String) -> Response<Body> {
    let body = Body::new(http_body_util::Full::new(Bytes::from(text)));
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let kind = http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
