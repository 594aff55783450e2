//! Accepts connections and serves them: TLS, HTTP/2 preface or HTTP/1.1, calls, closing.
//!
//! Each step has a time limit: a client that sends nothing, or one byte at a time, holds a connection for seconds only.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tower::{Service, ServiceExt as _};

use crate::limits::{
    CONNECTION_STREAMS_MAX, FAULTY_STREAMS_MAX, HEADER_BYTES_MAX, KEEPALIVE_SECONDS,
    RESET_STREAMS_MAX, SEND_BUFFER_BYTES,
};

use super::auth::fingerprint;
use super::calls::{Peer, Shared};
use super::limits::{Admitted, Connection};
use super::telemetry::Rejection;
use super::tls::Tls;

/// The start of every HTTP/2 connection.
const PREFACE: &[u8; PREFACE_BYTES] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PREFACE_BYTES: usize = 24;
/// The answer to a client that speaks HTTP/1.1.
const NOT_GRPC: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
    This port speaks gRPC (HTTP/2 without upgrade); JSON over HTTP and gRPC-Web are switched off. Health and metrics over HTTP/1.1: dhakira serve --http-listen.\n";

/// Accepts connections and serves them.
#[derive(Clone)]
pub(super) struct Listener<S> {
    pub(super) shared: Arc<Shared>,
    pub(super) tls: Option<Arc<Tls>>,
    /// Whether HTTP/1.1 is spoken too.
    pub(super) http1: bool,
    pub(super) service: S,
    /// Cancelled when connections take no new calls and close after their last one.
    pub(super) closing: CancellationToken,
    /// Cancelled when connections close at once.
    pub(super) kill: CancellationToken,
}

impl<S> Listener<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    /// Accepts connections until `closing`, then waits until they are closed.
    pub(super) async fn serve(self, listener: TcpListener) {
        let open = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = self.closing.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => self.accept(&open, stream, address),
                Err(error) => {
                    // Usually out of file descriptors: trying again at once would only burn time.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(listener);
        open.close();
        open.wait().await;
    }

    fn accept(&self, open: &TaskTracker, stream: TcpStream, address: SocketAddr) {
        let shared = &self.shared;
        let (limits, kill) = (&shared.admission.limits, self.kill.child_token());
        let guarded = shared.guarded();
        let permit = match shared.connections.admit(address.ip(), limits, guarded, kill.clone()) {
            Admitted::Free(permit) => permit,
            Admitted::Evicting(permit) => {
                shared.metrics.rejected(Rejection::Evicted);
                tracing::debug!(%address, "closed a connection without a token to make room for another");
                permit
            }
            Admitted::Full => {
                shared.metrics.rejected(Rejection::ConnectionFull);
                tracing::debug!(%address, "closed a connection over the limit");
                return;
            }
        };
        shared.metrics.connected();
        let listener = self.clone();
        open.spawn(async move {
            let served = listener.serve_connection(stream, address, permit.0.clone());
            tokio::select! {
                () = served => {}
                () = kill.cancelled() => {}
            }
            drop(permit);
        });
    }

    /// Serves one connection from its first byte to its last.
    async fn serve_connection(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        connection: Arc<Connection>,
    ) {
        let name = address.ip().to_string().into();
        let mut peer = Peer { name, certificate: None, connection };
        // Answers are small: waiting for more of them to fill a packet costs more than it saves.
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => self.after_tls(stream, address, peer).await,
            Some(tls) => {
                let time = self.shared.admission.limits.handshake_time;
                let handshake = TlsAcceptor::from(tls.config()).accept(stream);
                match tokio::time::timeout(time, handshake).await {
                    Ok(Ok(stream)) => {
                        let shown = stream.get_ref().1.peer_certificates();
                        let shown = shown.and_then(|it| it.first());
                        peer.certificate = shown.map(|it| fingerprint(it));
                        self.after_tls(stream, address, peer).await;
                    }
                    Ok(Err(error)) => self.handshake_failed(address, &error.to_string()),
                    Err(_) => self.handshake_failed(address, "timed out"),
                }
            }
        }
    }

    fn handshake_failed(&self, address: SocketAddr, cause: &str) {
        self.shared.metrics.rejected(Rejection::Handshake);
        tracing::info!(%address, cause, "a TLS handshake failed");
    }

    async fn after_tls<I>(&self, mut io: I, address: SocketAddr, peer: Peer)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut first = [0; PREFACE.len()];
        let time = self.shared.admission.limits.handshake_time;
        match tokio::time::timeout(time, read_preface(&mut io, &mut first)).await {
            Ok(Ok((_, true))) => {}
            // Methods of HTTP are words in capitals.
            Ok(Ok((length, false))) if self.http1 && first[0].is_ascii_uppercase() => {
                let io = TokioIo::new(Replayed { first, length, read: 0, io });
                return self.http1(io, address, peer).await;
            }
            Ok(Ok(_)) => {
                self.shared.metrics.rejected(Rejection::NotGrpc);
                tracing::info!(%address, "a client does not speak HTTP/2");
                if first.is_ascii() {
                    // A courtesy: failing to send it does not matter.
                    let _ = tokio::time::timeout(time, io.write_all(NOT_GRPC)).await;
                    let _ = tokio::time::timeout(time, io.shutdown()).await;
                }
                return;
            }
            Ok(Err(_)) => return,
            Err(_) => {
                self.shared.metrics.rejected(Rejection::Handshake);
                tracing::info!(%address, "a client connected and sent nothing");
                return;
            }
        }
        let io = TokioIo::new(Replayed { first, length: PREFACE_BYTES, read: 0, io });
        self.http2(io, address, peer).await;
    }

    /// Serves HTTP/1.1, where each request, and each pause between two, has the time of a handshake for its headers.
    async fn http1<I>(&self, io: I, address: SocketAddr, peer: Peer)
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let service = self.service.clone();
        let answer = service_fn(move |request: Request<Incoming>| {
            // A request of two lengths may be two requests to somebody in between: nothing after it is read.
            let closes = request.headers().contains_key(TRANSFER_ENCODING);
            let answer = service.clone().oneshot(of_peer(request, &peer));
            async move {
                let mut answer = answer.await?;
                if closes {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer)
            }
        });
        let http = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.shared.admission.limits.handshake_time)
            .max_buf_size(HEADER_BYTES_MAX as usize)
            .serve_connection(io, answer);
        tokio::pin!(http);
        let ended = tokio::select! {
            ended = &mut http => ended,
            () = self.closing.cancelled() => {
                http.as_mut().graceful_shutdown();
                http.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%address, %error, "a connection failed");
        }
    }

    async fn http2<I>(&self, io: I, address: SocketAddr, peer: Peer)
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let connection = peer.connection.clone();
        let service = self.service.clone().map_request(move |it| of_peer(it, &peer));
        let mut builder = http2::Builder::new(TokioExecutor::new());
        let pause = Duration::from_secs(KEEPALIVE_SECONDS);
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(pause)
            .keep_alive_timeout(pause)
            .max_concurrent_streams(CONNECTION_STREAMS_MAX)
            .max_header_list_size(HEADER_BYTES_MAX)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .max_pending_accept_reset_streams(RESET_STREAMS_MAX)
            .max_local_error_reset_streams(FAULTY_STREAMS_MAX);
        let http = builder.serve_connection(io, TowerToHyperService::new(service));
        tokio::pin!(http);
        let ended = tokio::select! {
            ended = &mut http => ended,
            () = self.closing.cancelled() => {
                http.as_mut().graceful_shutdown();
                http.await
            }
            () = connection.idle(|authenticated| self.shared.idle_time(authenticated)) => {
                self.shared.metrics.rejected(Rejection::Idle);
                tracing::debug!(%address, "closed a connection without calls");
                http.as_mut().graceful_shutdown();
                // Calls that were sent before the client saw the shutdown still finish; a connection without calls is closed.
                let end = self.end_of_idle(&connection);
                tokio::select! {
                    ended = &mut http => ended,
                    () = end => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%address, %error, "a connection failed");
        }
    }
}

impl<S> Listener<S> {
    /// Returns when a closing connection has had its time and has no call in flight.
    async fn end_of_idle(&self, connection: &Connection) {
        let time = self.shared.admission.limits.handshake_time;
        loop {
            tokio::time::sleep(time).await;
            if !connection.is_used() {
                return;
            }
        }
    }
}

/// A request that knows its connection.
fn of_peer(request: Request<Incoming>, peer: &Peer) -> Request<Body> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(peer.clone());
    request
}

/// Reads the HTTP/2 preface; stops at the first byte that differs. How much it read, and whether that is the preface.
async fn read_preface(
    io: &mut (impl AsyncRead + Unpin),
    first: &mut [u8; PREFACE_BYTES],
) -> io::Result<(usize, bool)> {
    let mut read = 0;
    while read < first.len() {
        let more = io.read(&mut first[read..]).await?;
        if more == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        read += more;
        if first[..read] != PREFACE[..read] {
            return Ok((read, false));
        }
    }
    Ok((read, true))
}

/// A connection whose first bytes were read already, and are read again.
struct Replayed<I> {
    first: [u8; PREFACE_BYTES],
    length: usize,
    read: usize,
    io: I,
}

impl<I: AsyncRead + Unpin> AsyncRead for Replayed<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let again = &self.first[self.read..self.length];
        if again.is_empty() {
            return Pin::new(&mut self.io).poll_read(context, buffer);
        }
        let part = again.len().min(buffer.remaining());
        buffer.put_slice(&again[..part]);
        self.read += part;
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Replayed<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
