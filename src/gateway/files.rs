//! A file as the body of a request: its header is made of path and query, and its bytes are passed on as they come.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http_body::{Body as HttpBody, Frame};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_reflect::{DynamicMessage, MessageDescriptor};
use tonic::Status;
use tonic::body::Body;
use uuid::Uuid;

use super::fields::{malformed, set};
use super::frames::frame;
use super::query;

/// Bytes of the file in one message.
const CHUNK_BYTES: usize = 64 * 1024;

/// The stream of a call that a file stands for: a header, then chunks.
pub(super) struct FileBody {
    /// Frames that are ready; the first one is the header.
    ready: VecDeque<Result<Bytes, Status>>,
    chunk: Option<u32>,
    inner: Body,
    ended: bool,
}

impl FileBody {
    pub(super) fn new(
        of: &MessageDescriptor,
        (parts, query, fields): (&Parts, &str, &[(String, String)]),
        inner: Body,
    ) -> Self {
        let header = header(of, (parts, query, fields), &inner);
        let chunk = of.get_field_by_name("chunk").map(|field| field.number());
        Self { ready: [header].into(), chunk, inner, ended: false }
    }

    fn push(&mut self, mut data: Bytes) {
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(CHUNK_BYTES));
            let mut message = Vec::with_capacity(piece.len() + 8);
            encode_key(self.chunk.unwrap_or_default(), WireType::LengthDelimited, &mut message);
            encode_varint(piece.len() as u64, &mut message);
            message.extend_from_slice(&piece);
            self.ready.push_back(frame(&message));
        }
    }
}

/// The first message: parameters of the query are fields of the header.
fn header(
    of: &MessageDescriptor,
    (parts, query, fields): (&Parts, &str, &[(String, String)]),
    body: &Body,
) -> Result<Bytes, Status> {
    let mut message = DynamicMessage::new(of.clone());
    for (name, value) in fields {
        set(&mut message, name, value)?;
    }
    let pairs = query::pairs(query).map_err(|what| malformed(&format!("the query: {what}")))?;
    let has = |names: [&str; 2]| pairs.iter().any(|(key, _)| names.contains(&key.as_str()));
    if !has(["importId", "import_id"]) {
        set(&mut message, "header.import_id", &Uuid::new_v4().to_string())?;
    }
    // A file whose length is announced has broken off when it is shorter.
    if let Some(bytes) = body.size_hint().exact().filter(|_| !has(["sizeBytes", "size_bytes"]))
        && parts.headers.contains_key(http::header::CONTENT_LENGTH)
        && bytes > 0
    {
        set(&mut message, "header.size_bytes", &bytes.to_string())?;
    }
    for (key, value) in &pairs {
        set(&mut message, &format!("header.{key}"), value)?;
    }
    frame(&message.encode_to_vec())
}

impl HttpBody for FileBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                self.ended |= frame.is_err();
                return Poll::Ready(Some(frame.map(Frame::data)));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            match Pin::new(&mut self.inner).poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => self.ended = true,
                Poll::Ready(Some(Err(status))) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(status)));
                }
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.push(data);
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.ready.is_empty()
    }
}
