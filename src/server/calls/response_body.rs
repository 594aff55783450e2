//! Sends answers in pieces, each of which is counted until the client has it, and ends them at the deadline of the call.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::body::Body;
use tonic::{Code, Status};

use super::super::limits::{BytesPermit, CallPermit, Deadline, Reader};
use super::call::Call;

/// Bytes passed to the connection at a time: what a stalled reader holds, beside its flow-control window.
const PIECE_BYTES: usize = 64 * 1024;

/// The body of an answer.
pub(in crate::server) struct ResponseBody {
    inner: Body,
    call: Arc<Call>,
    permit: Arc<CallPermit>,
    deadline: Deadline,
    reader: Arc<Reader>,
    /// Whether the connection has a piece and has not asked for the next one.
    owed: bool,
    /// The rest of a long frame, counted.
    rest: Option<(Bytes, BytesPermit)>,
    ended: bool,
}

impl ResponseBody {
    pub(in crate::server) fn new(
        inner: Body,
        call: Arc<Call>,
        permit: Arc<CallPermit>,
        deadline: Deadline,
        reader: Arc<Reader>,
    ) -> Self {
        let ended = inner.is_end_stream();
        Self { inner, call, permit, deadline, reader, owed: false, rest: None, ended }
    }

    fn end(&mut self, code: Code) {
        self.ended = true;
        self.call.end(code);
    }

    /// Splits a piece from a frame and keeps the rest.
    fn piece(&mut self, mut data: Bytes) -> Bytes {
        let piece = data.split_to(data.len().min(PIECE_BYTES));
        self.rest = None;
        if !data.is_empty() {
            let permit = self.permit.bytes_anyway(data.len());
            self.rest = Some((data, permit));
        }
        self.reader.queued();
        self.owed = true;
        self.reader.queued();
        Bytes::from_owner(Piece {
            _counted: self.permit.bytes_anyway(piece.len()),
            bytes: piece,
            reader: self.reader.clone(),
            _permit: self.permit.clone(),
        })
    }
}

/// Bytes that are being sent; dropped when they were.
struct Piece {
    bytes: Bytes,
    reader: Arc<Reader>,
    _counted: BytesPermit,
    _permit: Arc<CallPermit>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.reader.sent();
    }
}

/// The status code in headers or trailers.
pub(in crate::server) fn code_of(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|value| Code::from_bytes(value.as_bytes()))
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if std::mem::take(&mut self.owed) {
            self.reader.sent();
        }
        if self.ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(status) = Pin::new(&mut self.deadline).poll(context) {
            self.inner = Body::empty();
            self.rest = None;
            self.end(status.code());
            let mut trailers = HeaderMap::new();
            return match status.add_header(&mut trailers) {
                Ok(()) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                Err(status) => Poll::Ready(Some(Err(status))),
            };
        }
        if let Some((data, _)) = self.rest.take() {
            let piece = self.piece(data);
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match Pin::new(&mut self.inner).poll_frame(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                self.end(Code::Unknown);
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(status))) => {
                self.end(status.code());
                Poll::Ready(Some(Err(status)))
            }
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(match frame.into_data() {
                Ok(data) => Frame::data(self.piece(data)),
                Err(trailers) => {
                    let code = trailers.trailers_ref().and_then(code_of);
                    self.end(code.unwrap_or(Code::Unknown));
                    trailers
                }
            }))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if std::mem::take(&mut self.owed) {
            self.reader.sent();
        }
        // Without an end, the client went away; after an end this has no effect.
        self.call.end(Code::Cancelled);
    }
}
