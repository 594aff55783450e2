//! May these messages come in? Looks at the bytes of a request on their way: sizes, memory, and which memories they name.
//!
//! Where access depends on what a message says, the message is held back until it has been looked at as a whole.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::limits::MESSAGE_BYTES_MAX;
use crate::service::access::{Named, Role, Rule};
use crate::service::{refusal, undecodable};

use super::admission::{BytesPermit, CallPermit, Full};
use super::call::Call;
use super::metrics::Turned;

/// Bytes before each message: whether it is compressed, and its length.
const HEADER_BYTES: usize = 5;

/// The messages of a request.
pub(super) struct Messages {
    inner: Body,
    call: Arc<Call>,
    permit: Arc<CallPermit>,
    /// Looks at what they say.
    rule: Option<&'static Rule>,
    /// What is held back.
    kept: BytesMut,
    header: BytesMut,
    /// Bytes of the message that are still to come.
    left: usize,
    held: Option<BytesPermit>,
    failed: bool,
}

impl Messages {
    pub(super) fn new(inner: Body, call: Arc<Call>, permit: Arc<CallPermit>) -> Self {
        let rule = call.rule().filter(|rule| {
            let writes = rule.places.iter().any(|place| place.writes);
            let audited = writes && call.shared.audited();
            let free = call.grants().is_none_or(|it| it.role_for_all() == Some(Role::Admin));
            !rule.places.is_empty() && (audited || !free)
        });
        Self {
            inner,
            call,
            permit,
            rule,
            kept: BytesMut::new(),
            header: BytesMut::with_capacity(HEADER_BYTES),
            left: 0,
            held: None,
            failed: false,
        }
    }

    /// Follows where messages begin and end, and how long they say they are.
    fn measure(&mut self, mut data: &[u8]) -> Result<(), Status> {
        while !data.is_empty() {
            if self.left > 0 {
                let passed = self.left.min(data.len());
                self.left -= passed;
                data.advance(passed);
                continue;
            }
            let missing = (HEADER_BYTES - self.header.len()).min(data.len());
            self.header.extend_from_slice(&data[..missing]);
            data.advance(missing);
            if self.header.len() == HEADER_BYTES {
                let compressed = self.header.get_u8() != 0;
                let length = usize::try_from(self.header.get_u32()).unwrap_or(usize::MAX);
                self.header.clear();
                self.begin(length, compressed)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, length: usize, compressed: bool) -> Result<(), Status> {
        if length > MESSAGE_BYTES_MAX {
            let message = format!(
                "a message of {length} bytes; this server takes at most {MESSAGE_BYTES_MAX}"
            );
            return Err(refusal(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", &message, None));
        }
        if compressed && self.rule.is_some() {
            let message = "compressed messages are not taken here";
            return Err(refusal(Code::Unimplemented, "COMPRESSED", message, None));
        }
        self.left = length;
        // The one before has been handed on by now.
        self.held = None;
        self.held = Some(self.permit.bytes(length).map_err(|full: Full| {
            self.call.shared.metrics.turned(Turned::MemoryFull);
            let retry = Some(full.retry_after());
            refusal(Code::ResourceExhausted, full.reason(), full.message(), retry)
        })?);
        Ok(())
    }

    /// The messages that are whole, after a look at each.
    fn release(&mut self, rule: &'static Rule) -> Result<Bytes, Status> {
        let mut whole = 0;
        while let Some(header) = self.kept.get(whole..whole + HEADER_BYTES) {
            let length = (&header[1..]).get_u32() as usize;
            let begin = whole + HEADER_BYTES;
            let Some(message) = self.kept.get(begin..begin + length) else { break };
            self.look_at(rule, message)?;
            whole = begin + length;
        }
        Ok(self.kept.split_to(whole).freeze())
    }

    fn look_at(&self, rule: &'static Rule, message: &[u8]) -> Result<(), Status> {
        let named = rule.memories(message).map_err(|error| undecodable(&error.to_string()))?;
        for memory in &named {
            if memory.writes {
                self.call.writes(&memory.text);
            }
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

    fn take(&mut self, data: Bytes) -> Result<Bytes, Status> {
        self.measure(&data)?;
        match self.rule {
            None => Ok(data),
            Some(rule) => {
                self.kept.extend_from_slice(&data);
                self.release(rule)
            }
        }
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
            if self.failed {
                return Poll::Ready(None);
            }
            let frame = match Pin::new(&mut self.inner).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(None) if !self.kept.is_empty() => {
                    // Not a whole message: nothing can be made of it, and its reader says so.
                    let rest = self.kept.split().freeze();
                    return Poll::Ready(Some(Ok(Frame::data(rest))));
                }
                other => return other,
            };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            };
            match self.take(data) {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(status) => {
                    self.failed = true;
                    self.held = None;
                    return Poll::Ready(Some(Err(status)));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.failed || (self.kept.is_empty() && self.inner.is_end_stream())
    }
}
