//! How do connections come in, and how are they kept honest? Accepting, TLS, first bytes, HTTP/2, closing.
//!
//! Each step has its time: who connects and says nothing, or says it one byte at a time, holds a connection for seconds.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
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
use super::limits::{Admitted, Line};
use super::telemetry::Turned;
use super::tls::Tls;

/// What every HTTP/2 connection begins with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What somebody is told who speaks HTTP/1.1.
const NOT_GRPC: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n\
    This port speaks gRPC (HTTP/2 without upgrade). Health and metrics over HTTP/1.1: dhakira serve --http-listen.\n";

/// Takes connections and serves them.
#[derive(Clone)]
pub(super) struct Connections<S> {
    pub(super) shared: Arc<Shared>,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) service: S,
    /// Connections take no new calls and close when theirs are over.
    pub(super) closing: CancellationToken,
    /// Connections close.
    pub(super) kill: CancellationToken,
}

impl<S> Connections<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    /// Takes connections until they are to close, then waits until they have.
    pub(super) async fn serve(self, listener: TcpListener) {
        let open = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = self.closing.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => self.take(&open, stream, address),
                Err(error) => {
                    // Out of file descriptors, most of all: trying at once would only burn time.
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        drop(listener);
        open.close();
        open.wait().await;
    }

    fn take(&self, open: &TaskTracker, stream: TcpStream, address: SocketAddr) {
        let shared = &self.shared;
        let (limits, kill) = (&shared.admission.limits, self.kill.child_token());
        let guarded = shared.guarded();
        let permit = match shared.connections.admit(address.ip(), limits, guarded, kill.clone()) {
            Admitted::Free(permit) => permit,
            Admitted::InPlaceOfAnother(permit) => {
                shared.metrics.turned(Turned::Evicted);
                tracing::debug!(%address, "a connection without a token makes room for another one");
                permit
            }
            Admitted::Full => {
                shared.metrics.turned(Turned::ConnectionFull);
                tracing::debug!(%address, "a connection too many is closed");
                return;
            }
        };
        shared.metrics.connected();
        let connections = self.clone();
        open.spawn(async move {
            let whole = connections.whole(stream, address, permit.0.clone());
            tokio::select! {
                () = whole => {}
                () = kill.cancelled() => {}
            }
            drop(permit);
        });
    }

    /// One connection from its first byte to its last.
    async fn whole(&self, stream: TcpStream, address: SocketAddr, line: Arc<Line>) {
        let name = address.ip().to_string().into();
        let mut peer = Peer { name, certificate: None, line };
        // Answers are small; waiting for more of them to fill a packet costs more than it saves.
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
                    Ok(Err(error)) => self.no_handshake(address, &error.to_string()),
                    Err(_) => self.no_handshake(address, "it takes too long"),
                }
            }
        }
    }

    fn no_handshake(&self, address: SocketAddr, cause: &str) {
        self.shared.metrics.turned(Turned::Handshake);
        tracing::info!(%address, cause, "a TLS handshake failed");
    }

    async fn after_tls<I>(&self, mut io: I, address: SocketAddr, peer: Peer)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut first = [0; PREFACE.len()];
        let time = self.shared.admission.limits.handshake_time;
        match tokio::time::timeout(time, read_preface(&mut io, &mut first)).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => {
                self.shared.metrics.turned(Turned::NotGrpc);
                tracing::info!(%address, "a client does not speak HTTP/2");
                if first.is_ascii() {
                    // A courtesy; who is gone misses nothing.
                    let _ = tokio::time::timeout(time, io.write_all(NOT_GRPC)).await;
                    let _ = tokio::time::timeout(time, io.shutdown()).await;
                }
                return;
            }
            Ok(Err(_)) => return,
            Err(_) => {
                self.shared.metrics.turned(Turned::Handshake);
                tracing::info!(%address, "a client connected and said nothing");
                return;
            }
        }
        let io = TokioIo::new(Begun { first, read: 0, io });
        self.http2(io, address, peer).await;
    }

    async fn http2<I>(&self, io: I, address: SocketAddr, peer: Peer)
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let line = peer.line.clone();
        let service = self.service.clone().map_request(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer.clone());
            request
        });
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
        let connection = builder.serve_connection(io, TowerToHyperService::new(service));
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = self.closing.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            () = line.idle(|known| self.shared.idle_time(known)) => {
                self.shared.metrics.turned(Turned::Idle);
                tracing::debug!(%address, "a connection without calls is closed");
                connection.as_mut().graceful_shutdown();
                // Calls that were begun before the client heard of it still end; who only holds the line does not.
                let end = self.end_of_idle(&line);
                tokio::select! {
                    ended = &mut connection => ended,
                    () = end => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%address, %error, "a connection ended with a fault");
        }
    }
}

impl<S> Connections<S> {
    /// Returns when a connection that is to close has had its time and has no call under way.
    async fn end_of_idle(&self, line: &Line) {
        let time = self.shared.admission.limits.handshake_time;
        loop {
            tokio::time::sleep(time).await;
            if !line.is_used() {
                return;
            }
        }
    }
}

/// Reads what HTTP/2 begins with; stops at the first byte that is another.
async fn read_preface(io: &mut (impl AsyncRead + Unpin), first: &mut [u8; 24]) -> io::Result<bool> {
    let mut read = 0;
    while read < first.len() {
        let more = io.read(&mut first[read..]).await?;
        if more == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        read += more;
        if first[..read] != PREFACE[..read] {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A connection whose first bytes were read already; they are read again.
struct Begun<I> {
    first: [u8; 24],
    read: usize,
    io: I,
}

impl<I: AsyncRead + Unpin> AsyncRead for Begun<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let again = &self.first[self.read..];
        if again.is_empty() {
            return Pin::new(&mut self.io).poll_read(context, buffer);
        }
        let part = again.len().min(buffer.remaining());
        buffer.put_slice(&again[..part]);
        self.read += part;
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Begun<I> {
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
