//! Writes the answers of calls as JSON: one message, one message a line, or one message an event.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};
use prost_reflect::{DynamicMessage, MessageDescriptor};
use tokio::time::{Instant, Sleep};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::grpc::{refusal, truncated_stream};

use super::body::INLINE_BYTES_MAX;
use super::budget::{Hold, Room};
use super::errors;
use super::frames::{Message, Messages, early_error};
use super::guard::copy_ids;
use super::protocol::{Protocol, json};
use super::resume;

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One.
    Message,
    /// Newline-delimited JSON.
    Lines,
    /// Server-sent events.
    Events,
}

impl Form {
    fn content_type(self) -> &'static str {
        match self {
            Self::Message => errors::JSON,
            Self::Lines => "application/x-ndjson",
            Self::Events => "text/event-stream",
        }
    }
}

/// How long an answer waits for its first message before it begins without: an error that comes first has a code of HTTP.
const FIRST_MESSAGE_TIME: Duration = Duration::from_millis(500);
/// Silence after which a stream of events says that it lives.
const EVENTS_SILENCE: Duration = Duration::from_secs(15);
/// Bytes of an answer passed to the connection at a time.
const PIECE_BYTES: usize = 64 * 1024;
/// About how many bytes a message takes in memory while it is written as JSON, by its bytes on the wire.
const WRITING_FACTOR: usize = 8;

/// Tells the answer of one call.
pub(super) struct Reply {
    protocol: Protocol,
    output: MessageDescriptor,
    form: Form,
    room: Room,
}

impl Reply {
    pub(super) fn new(
        protocol: Protocol,
        output: MessageDescriptor,
        form: Form,
        room: Room,
    ) -> Self {
        Self { protocol, output, form, room }
    }

    pub(super) async fn respond(self, answer: Response<Body>) -> Response<Body> {
        let (parts, body) = answer.into_parts();
        let mut response = match early_error(&parts.headers) {
            Some(status) => errors::of_call(&self.protocol, &status),
            _ if self.form == Form::Message => self.one(Messages::new(body)).await,
            _ => self.many(Messages::new(body)).await,
        };
        copy_ids(&parts.headers, response.headers_mut());
        response
    }

    /// The answer of a call with one.
    async fn one(self, mut messages: Messages) -> Response<Body> {
        let message = match messages.next().await {
            Some(Ok(message)) => message,
            Some(Err(status)) => return errors::of_call(&self.protocol, &status),
            None => return errors::of_call(&self.protocol, &truncated_stream()),
        };
        // The trailers say whether it went well.
        if let Some(Err(status)) = messages.next().await {
            return errors::of_call(&self.protocol, &status);
        }
        match self.written(message).await {
            Ok(queue) => self.answer(Sent::whole(queue)),
            Err(status) => errors::of_call(&self.protocol, &status),
        }
    }

    async fn written(&self, message: Message) -> Result<VecDeque<Bytes>, Status> {
        let held = self.room.hold_anyway(message.bytes.len().saturating_mul(WRITING_FACTOR));
        let output = self.output.clone();
        let (bytes, pieces) = (message.bytes, message.pieces);
        let text = if bytes.len() > INLINE_BYTES_MAX {
            let writing = tokio::task::spawn_blocking(move || write(output, bytes));
            writing.await.map_err(|_| unwritable())??.0
        } else {
            write(output, bytes)?.0
        };
        drop(held);
        Ok(pieces_of(text, pieces, &self.room))
    }

    /// The answer of a call with a stream of them.
    async fn many(self, mut messages: Messages) -> Response<Body> {
        let first = tokio::time::timeout(FIRST_MESSAGE_TIME, messages.next()).await;
        let first = match first {
            Ok(Some(Err(status))) => return errors::of_call(&self.protocol, &status),
            Ok(first) => first.transpose().ok().flatten().map(Some),
            Err(_) => None,
        };
        let Self { protocol, output, form, room } = self;
        let mut stream = Stream {
            messages,
            protocol,
            output,
            form,
            room,
            queue: VecDeque::new(),
            ended: false,
            silence: Box::pin(tokio::time::sleep(EVENTS_SILENCE)),
        };
        if let Some(Some(message)) = first {
            stream.push(Ok(message));
        }
        let mut answer = Response::new(Body::new(stream));
        errors::headers(form.content_type(), answer.headers_mut());
        answer
    }

    fn answer(&self, body: Sent) -> Response<Body> {
        let mut answer = Response::new(Body::new(body));
        errors::headers(self.form.content_type(), answer.headers_mut());
        answer
    }
}

fn unwritable() -> Status {
    refusal(Code::Internal, "INTERNAL", "the answer cannot be written as JSON", None)
}

/// A message as JSON, and its place in the stream.
fn write(output: MessageDescriptor, bytes: Bytes) -> Result<(Vec<u8>, Option<String>), Status> {
    let id = resume::id_field(&output);
    let message = DynamicMessage::decode(output, bytes).map_err(|_| unwritable())?;
    let text = json(&message).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written as JSON");
        unwritable()
    })?;
    let id = id.and_then(|name| message.get_field_by_name(name)?.as_str().map(str::to_owned));
    Ok((text, id.filter(|id| !id.is_empty())))
}

/// A piece of an answer; with it go the pieces it was made of, so that a client that does not read is noticed.
struct Piece {
    text: Bytes,
    _from: Vec<Bytes>,
    _counted: Option<Hold>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

/// Splits a text, and what it was made of with it.
fn pieces_of(text: Vec<u8>, mut from: Vec<Bytes>, room: &Room) -> VecDeque<Bytes> {
    let mut rest = Bytes::from(text);
    let count = rest.len().div_ceil(PIECE_BYTES).max(1);
    let mut queue = VecDeque::with_capacity(count);
    for left in (1..=count).rev() {
        let text = rest.split_to(rest.len().min(PIECE_BYTES));
        // From the front, so that the last one goes with the end of the text.
        let goes: Vec<Bytes> = from.drain(..from.len() / left).collect();
        let counted = room.hold_anyway(text.len());
        queue.push_back(Bytes::from_owner(Piece { text, _from: goes, _counted: counted }));
    }
    queue
}

/// An answer that is written already.
struct Sent {
    queue: VecDeque<Bytes>,
    left: u64,
}

impl Sent {
    fn whole(queue: VecDeque<Bytes>) -> Self {
        let left = queue.iter().map(|piece| piece.len() as u64).sum();
        Self { queue, left }
    }
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let piece = self.queue.pop_front();
        self.left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.queue.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// An answer that is written as its messages come.
struct Stream {
    messages: Messages,
    protocol: Protocol,
    output: MessageDescriptor,
    form: Form,
    room: Room,
    queue: VecDeque<Bytes>,
    ended: bool,
    silence: Pin<Box<Sleep>>,
}

impl Stream {
    fn push(&mut self, message: Result<Message, Status>) {
        let written = message.and_then(|message| {
            let _held = self.room.hold_anyway(message.bytes.len().saturating_mul(WRITING_FACTOR));
            let (json, id) = write(self.output.clone(), message.bytes)?;
            Ok((json, id, message.pieces))
        });
        let (text, pieces) = match written {
            Ok((json, id, pieces)) => {
                let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
                (self.line(&json, &id), pieces)
            }
            Err(status) => {
                self.ended = true;
                let status = self.protocol.status(&status);
                let wrapped = [&b"{\"error\":"[..], &status, b"}"].concat();
                (self.line(&wrapped, "event: error\n"), Vec::new())
            }
        };
        self.queue.extend(pieces_of(text, pieces, &self.room));
        self.silence.as_mut().reset(Instant::now() + EVENTS_SILENCE);
    }

    /// A message with the other lines of its event.
    fn line(&self, json: &[u8], event: &str) -> Vec<u8> {
        match self.form {
            Form::Events => [event.as_bytes(), b"data: ", json, b"\n\n"].concat(),
            _ => [json, b"\n"].concat(),
        }
    }
}

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if let Some(piece) = self.queue.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            match self.messages.poll_next(context) {
                Poll::Ready(Some(message)) => self.push(message),
                Poll::Ready(None) => self.ended = true,
                Poll::Pending => {
                    if self.form != Form::Events || self.silence.as_mut().poll(context).is_pending()
                    {
                        return Poll::Pending;
                    }
                    self.silence.as_mut().reset(Instant::now() + EVENTS_SILENCE);
                    self.queue.push_back(Bytes::from_static(b":\n\n"));
                }
            }
        }
    }
}
