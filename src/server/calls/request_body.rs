//! May these messages come in? Looks at the bytes of a request on their way: how long they take, sizes, memory, and which memories
//! they name.
//!
//! A message is held back until it has been looked at as a whole: what it would become in memory, and whether its caller may
//! name what it names, are known before anything of it is decoded.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http_body::{Body as HttpBody, Frame};
use tokio::time::Sleep;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::grpc::access::{Named, Role, Rule, streams_of};
use crate::grpc::decoded::measure;
use crate::grpc::{refusal, undecodable};
use crate::limits::{MESSAGE_BYTES_MAX, PROBE_MESSAGE_BYTES_MAX};

use super::super::limits::{BytesPermit, CallPermit, Full};
use super::super::telemetry::Turned;
use super::call::Call;
use super::message_buffer::{Arrival, Header};

/// The messages of a request.
pub(in crate::server) struct Messages {
    inner: Body,
    call: Arc<Call>,
    permit: Arc<CallPermit>,
    /// Looks at what they say.
    rule: Option<&'static Rule>,
    arrival: Arrival,
    held: Option<BytesPermit>,
    /// How long a message, or a whole request of one message, may be on its way.
    time: Duration,
    /// When that is over, for what is on its way.
    late: Option<Pin<Box<Sleep>>>,
    /// Whether the client may pause between messages.
    streams: bool,
    ended: bool,
}

impl Messages {
    pub(in crate::server) fn new(
        inner: Body,
        call: Arc<Call>,
        permit: Arc<CallPermit>,
        time: Duration,
    ) -> Self {
        let rule = call.rule().filter(|rule| {
            let writes = rule.places.iter().any(|place| place.writes);
            let audited = writes && call.shared.audited();
            let free = call.grants().is_none_or(|it| it.role_for_all() == Some(Role::Admin));
            !rule.places.is_empty() && (audited || !free)
        });
        Self {
            inner,
            permit,
            rule,
            arrival: Arrival::default(),
            held: None,
            time,
            late: None,
            streams: call.rule.map_or(!call.is_probe(), |number| streams_of(number).client),
            ended: false,
            call,
        }
    }

    /// What the length of a message says about it.
    fn begin(&mut self, header: Header) -> Result<(), Status> {
        let Header { compressed, length } = header;
        let most =
            if self.call.rule.is_some() { MESSAGE_BYTES_MAX } else { PROBE_MESSAGE_BYTES_MAX };
        if length > most {
            let message = format!("a message of {length} bytes; this call takes at most {most}");
            return Err(refusal(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", &message, None));
        }
        if compressed {
            // A call that names a compression is refused before its messages are read.
            let message = "a message is marked as compressed, but the call names no compression";
            return Err(refusal(Code::InvalidArgument, "MALFORMED_REQUEST", message, None));
        }
        self.hold(length)
    }

    /// Counts the bytes of the message in place of those of the one before, which has been handed on by now.
    fn hold(&mut self, bytes: usize) -> Result<(), Status> {
        self.held = None;
        self.held = Some(self.permit.bytes(bytes).map_err(|full: Full| {
            self.call.shared.metrics.turned(Turned::MemoryFull);
            let retry = Some(full.retry_after());
            refusal(Code::ResourceExhausted, full.reason(), full.message(), retry)
        })?);
        Ok(())
    }

    /// Looks at the message that is whole.
    fn look(&mut self) -> Result<(), Status> {
        let message = self.arrival.message();
        let length = message.remaining();
        let decoded = match self.call.rule {
            Some(number) => measure(number, message)?,
            // Probes have nothing that repeats.
            None => length,
        };
        if let Some(rule) = self.rule {
            let named = rule.memories(message);
            self.named(rule, &named.map_err(|error| undecodable(&error.to_string()))?)?;
        }
        if decoded > length {
            self.hold(decoded)?;
        }
        Ok(())
    }

    fn named(&self, rule: &'static Rule, named: &[Named]) -> Result<(), Status> {
        for memory in named.iter().filter(|memory| memory.writes) {
            self.call.writes(&memory.text);
        }
        let Some(grants) = self.call.grants() else { return Ok(()) };
        match named.iter().find(|memory| !memory.is_open_to(grants)) {
            None => Ok(()),
            Some(Named { text, role, memory, .. }) => {
                let what = if memory.is_some() { text.as_str() } else { "all memories" };
                let message = format!("{} takes the role {role} for {what}", rule.name());
                Err(self.call.denied(&message))
            }
        }
    }

    fn take(&mut self, mut data: Bytes) -> Result<(), Status> {
        while !data.is_empty() {
            let header = self.arrival.take(&mut data);
            if let Some(header) = header {
                self.begin(header)?;
            }
            if self.arrival.is_whole() {
                self.look()?;
                self.arrival.release();
                if self.streams {
                    self.late = None;
                }
            }
        }
        Ok(())
    }

    /// Whether what is on its way has been so for too long.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        if self.streams && !self.arrival.is_partial() {
            return false;
        }
        let late = self.late.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.time)));
        late.as_mut().poll(context).is_ready()
    }

    fn fail(&mut self, status: Status) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.ended = true;
        self.held = None;
        self.arrival = Arrival::default();
        Poll::Ready(Some(Err(status)))
    }

    fn too_slow(&self) -> Status {
        self.call.shared.metrics.turned(Turned::SlowMessage);
        let message = format!(
            "the request did not arrive within {} s (settings message_seconds_max and, for callers without a token, \
             handshake_seconds_max)",
            self.time.as_secs_f32()
        );
        refusal(Code::DeadlineExceeded, "MESSAGE_TOO_SLOW", &message, None)
    }
}

impl HttpBody for Messages {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if let Some(data) = self.arrival.next() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let frame = match Pin::new(&mut self.inner).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(None) => {
                    // What is left is no whole message: nothing can be made of it, and its reader says so.
                    self.ended = true;
                    self.arrival.release();
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
        self.arrival.is_empty() && (self.ended || self.inner.is_end_stream())
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        // The one message of a call takes memory until the call is over, not only until it is read.
        if let Some(held) = self.held.take().filter(|_| !self.streams) {
            self.permit.keep(held);
        }
    }
}
