//! Checks the messages of a request as their bytes arrive: time, size, memory, and the memories that they name.
//!
//! A message is held back until it is complete and checked: how much memory it takes once decoded, and whether its caller may
//! name what it names, is known before anything of it is decoded.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http_body::{Body as HttpBody, Frame};
use tokio::time::Sleep;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::grpc::access::{ResourceRef, Role, Rule, streams_of};
use crate::grpc::decoded_size::measure;
use crate::grpc::{refusal, undecodable};
use crate::limits::{MESSAGE_BYTES_MAX, PROBE_MESSAGE_BYTES_MAX};

use super::super::limits::{BytesPermit, CallPermit, Overload};
use super::super::telemetry::Rejection;
use super::call::Call;
use super::message_buffer::{Header, MessageBuffer};

/// The body of a request, which passes on complete and checked messages.
pub(in crate::server) struct RequestBody {
    inner: Body,
    call: Arc<Call>,
    permit: Arc<CallPermit>,
    /// The rule by which the content of messages is checked; `None` when it need not be.
    rule: Option<&'static Rule>,
    buffer: MessageBuffer,
    held: Option<BytesPermit>,
    /// How long a message, or a whole request of one message, may take to arrive.
    time: Duration,
    /// When that time is over for the message that is arriving.
    late: Option<Pin<Box<Sleep>>>,
    /// Whether the client may pause between messages.
    streams: bool,
    ended: bool,
}

impl RequestBody {
    pub(in crate::server) fn new(
        inner: Body,
        call: Arc<Call>,
        permit: Arc<CallPermit>,
        time: Duration,
    ) -> Self {
        let rule = call.rule().filter(|rule| {
            let writes = rule.fields.iter().any(|field| field.writes);
            let audited = writes && call.shared.audited();
            let free = call.grants().is_none_or(|it| it.role_for_all() == Some(Role::Admin));
            !rule.fields.is_empty() && (audited || !free)
        });
        Self {
            inner,
            permit,
            rule,
            buffer: MessageBuffer::default(),
            held: None,
            time,
            late: None,
            streams: call.rule.map_or(!call.is_probe(), |number| streams_of(number).client),
            ended: false,
            call,
        }
    }

    /// Checks the header of a message.
    fn check_header(&mut self, header: Header) -> Result<(), Status> {
        let Header { compressed, length } = header;
        let most =
            if self.call.rule.is_some() { MESSAGE_BYTES_MAX } else { PROBE_MESSAGE_BYTES_MAX };
        if length > most {
            let message = format!("a message of {length} bytes; this call accepts at most {most}");
            return Err(refusal(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", &message, None));
        }
        if compressed {
            // A call that names a compression was refused before its messages are read.
            let message = "a message is marked as compressed, but the call names no compression";
            return Err(refusal(Code::InvalidArgument, "MALFORMED_REQUEST", message, None));
        }
        self.hold(length)
    }

    /// Counts the bytes of the message in place of those of the one before, which was passed on.
    fn hold(&mut self, bytes: usize) -> Result<(), Status> {
        self.held = None;
        self.held = Some(self.permit.bytes(bytes).map_err(|overload: Overload| {
            self.call.shared.metrics.rejected(Rejection::MemoryFull);
            let retry = Some(overload.retry_after());
            refusal(Code::ResourceExhausted, overload.reason(), overload.message(), retry)
        })?);
        Ok(())
    }

    /// Checks the message that is complete.
    fn check_message(&mut self) -> Result<(), Status> {
        let message = self.buffer.message();
        let length = message.remaining();
        let decoded = match self.call.rule {
            Some(number) => measure(number, message)?,
            // Health checks have no repeated fields.
            None => length,
        };
        if let Some(rule) = self.rule {
            let named = rule.resources(message);
            self.authorize(rule, &named.map_err(|error| undecodable(&error.to_string()))?)?;
        }
        if decoded > length {
            self.hold(decoded)?;
        }
        Ok(())
    }

    fn authorize(&self, rule: &'static Rule, named: &[ResourceRef]) -> Result<(), Status> {
        for memory in named.iter().filter(|memory| memory.writes) {
            self.call.writes(&memory.text);
        }
        let Some(grants) = self.call.grants() else { return Ok(()) };
        match named.iter().find(|memory| !memory.is_allowed_by(grants)) {
            None => Ok(()),
            Some(ResourceRef { text, role, memory, .. }) => {
                let what = if memory.is_some() { text.as_str() } else { "all memories" };
                let message = format!("{} requires the role {role} for {what}", rule.name());
                Err(self.call.denied(&message))
            }
        }
    }

    fn take(&mut self, mut data: Bytes) -> Result<(), Status> {
        while !data.is_empty() {
            let header = self.buffer.take(&mut data);
            if let Some(header) = header {
                self.check_header(header)?;
            }
            if self.buffer.is_complete() {
                self.check_message()?;
                self.buffer.release();
                if self.streams {
                    self.late = None;
                }
            }
        }
        Ok(())
    }

    /// Whether the message that is arriving takes too long.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        if self.streams && !self.buffer.is_partial() {
            return false;
        }
        let late = self.late.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.time)));
        late.as_mut().poll(context).is_ready()
    }

    fn fail(&mut self, status: Status) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.ended = true;
        self.held = None;
        self.buffer = MessageBuffer::default();
        Poll::Ready(Some(Err(status)))
    }

    fn too_slow(&self) -> Status {
        self.call.shared.metrics.rejected(Rejection::SlowMessage);
        let message = format!(
            "the request did not arrive within {} s (settings message_seconds_max and, for callers without a token, \
             handshake_seconds_max)",
            self.time.as_secs_f32()
        );
        refusal(Code::DeadlineExceeded, "MESSAGE_TOO_SLOW", &message, None)
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if let Some(data) = self.buffer.next() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let frame = match Pin::new(&mut self.inner).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(None) => {
                    // What is left is an incomplete message; its decoder says so.
                    self.ended = true;
                    self.buffer.release();
                    continue;
                }
                Poll::Ready(Some(Err(status))) => return self.fail(status),
                Poll::Pending if self.is_late(context) => {
                    let status = self.too_slow();
                    return self.fail(status);
                }
                Poll::Pending => return Poll::Pending,
            };
            match frame.into_data() {
                Ok(data) => {
                    if let Err(status) = self.take(data) {
                        return self.fail(status);
                    }
                }
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.buffer.is_empty() && (self.ended || self.inner.is_end_stream())
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        // The message of a unary call takes memory until the call ends, not only until it is read.
        if let Some(held) = self.held.take().filter(|_| !self.streams) {
            self.permit.keep(held);
        }
    }
}
