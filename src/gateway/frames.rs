//! Messages of gRPC: framed for a call, and taken out of an answer.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body as _;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::grpc::truncated_stream;

const HEADER_BYTES: usize = 5;

/// Appends a message behind its header, which says that it is not compressed, and how long it is.
pub(super) fn frame(message: &[u8]) -> Result<Bytes, Status> {
    let length = u32::try_from(message.len()).map_err(|_| too_large())?;
    let mut framed = BytesMut::with_capacity(HEADER_BYTES + message.len());
    framed.put_u8(0);
    framed.put_u32(length);
    framed.put_slice(message);
    Ok(framed.freeze())
}

/// The refusal of a body that is too long for a message.
pub(super) fn too_large() -> Status {
    let message = format!("the body is longer than {} bytes", crate::limits::MESSAGE_BYTES_MAX);
    crate::grpc::refusal(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", &message, None)
}

/// The error of a call that failed before its first message.
pub(super) fn early_error(headers: &HeaderMap) -> Option<Status> {
    Status::from_header_map(headers).filter(|status| status.code() != Code::Ok)
}

/// A message of an answer, and the pieces it came in, which are counted until they are dropped.
pub(super) struct Message {
    pub(super) bytes: Bytes,
    pub(super) pieces: Vec<Bytes>,
}

/// The messages of an answer.
pub(super) struct Messages {
    body: Body,
    buffer: BytesMut,
    pieces: Vec<Bytes>,
    ended: bool,
}

impl Messages {
    pub(super) fn new(body: Body) -> Self {
        Self { body, buffer: BytesMut::new(), pieces: Vec::new(), ended: false }
    }

    /// The next message; `None` at the end of an answer that went well.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Message, Status>>> {
        loop {
            if self.ended {
                return Poll::Ready(None);
            }
            if let Some(message) = self.complete() {
                return Poll::Ready(Some(Ok(message)));
            }
            let frame = match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(status))) => return self.fail(status),
                Poll::Ready(None) => return self.fail(truncated_stream()),
            };
            match frame.into_data() {
                Ok(data) => {
                    self.buffer.extend_from_slice(&data);
                    self.pieces.push(data);
                }
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    let status = Status::from_header_map(&trailers);
                    match status.unwrap_or_else(truncated_stream) {
                        good if good.code() == Code::Ok => self.ended = true,
                        status => return self.fail(status),
                    }
                }
            }
        }
    }

    pub(super) async fn next(&mut self) -> Option<Result<Message, Status>> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// Takes a message that has arrived as a whole.
    fn complete(&mut self) -> Option<Message> {
        let header = self.buffer.first_chunk::<HEADER_BYTES>()?;
        let [_, a, b, c, d] = *header;
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
        if self.buffer.len() - HEADER_BYTES < length {
            return None;
        }
        self.buffer.advance(HEADER_BYTES);
        let bytes = self.buffer.split_to(length).freeze();
        Some(Message { bytes, pieces: std::mem::take(&mut self.pieces) })
    }

    fn fail(&mut self, status: Status) -> Poll<Option<Result<Message, Status>>> {
        self.ended = true;
        Poll::Ready(Some(Err(status)))
    }
}
