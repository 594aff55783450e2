//! A file as the body of a request: its header is made of path and query, and its bytes are passed on as they come.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::request::Parts;
use http_body::{Body as HttpBody, Frame};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_reflect::{DynamicMessage, MessageDescriptor};
use tonic::Status;
use tonic::body::Body;
use uuid::Uuid;

use crate::formats::Format;

use super::fields::set;
use super::frames::frame;
use super::multipart::{Form, Next};
use super::{guard, query};

/// Bytes of the file in one message.
const CHUNK_BYTES: usize = 64 * 1024;

/// The stream of a call that a file stands for: a header, then chunks.
pub(super) struct FileBody {
    /// Frames that are ready; the first one is the header.
    ready: VecDeque<Result<Bytes, Status>>,
    chunk: Option<u32>,
    source: Source,
    ended: bool,
}

/// Where the file comes from.
enum Source {
    /// The body is the file.
    Body(Body),
    /// It is a part of a form, behind fields that the header is made of.
    Form(Box<Form>, Box<Unmade>),
}

/// The header of a file whose form is still being read.
struct Unmade {
    message: DynamicMessage,
    /// Of the query, then of the form.
    pairs: Vec<(String, String)>,
}

impl FileBody {
    pub(super) fn new(
        of: &MessageDescriptor,
        (parts, query, fields): (&Parts, &str, &[(String, String)]),
        inner: Body,
    ) -> Self {
        let chunk = of.get_field_by_name("chunk").map(|field| field.number());
        let mut ready = VecDeque::new();
        let source = begin(of, (parts, query, fields), inner, &mut ready);
        let source = source.unwrap_or_else(|status| {
            ready.push_back(Err(status));
            Source::Body(Body::empty())
        });
        Self { ready, chunk, source, ended: false }
    }

    /// The next bytes of the file.
    fn poll_data(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Option<Bytes>, Status>>> {
        match &mut self.source {
            Source::Body(inner) => match ready!(Pin::new(inner).poll_frame(context)) {
                None => Poll::Ready(None),
                Some(Err(status)) => Poll::Ready(Some(Err(status))),
                Some(Ok(frame)) => Poll::Ready(Some(Ok(frame.into_data().ok()))),
            },
            Source::Form(form, unmade) => match ready!(form.poll_next(context)) {
                Err(status) => Poll::Ready(Some(Err(status))),
                Ok(Next::End) => Poll::Ready(None),
                Ok(Next::Data(data)) => Poll::Ready(Some(Ok(Some(data)))),
                Ok(Next::Field(name, value)) => {
                    unmade.pairs.push((name, value));
                    Poll::Ready(Some(Ok(None)))
                }
                Ok(Next::File(name)) => {
                    let made = unmade.header(&name);
                    self.ready.push_back(made);
                    Poll::Ready(Some(Ok(None)))
                }
            },
        }
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

/// Begins to read: parameters of the query are fields of the header, and those of a form too.
fn begin(
    of: &MessageDescriptor,
    (parts, query, fields): (&Parts, &str, &[(String, String)]),
    body: Body,
    ready: &mut VecDeque<Result<Bytes, Status>>,
) -> Result<Source, Status> {
    let mut message = DynamicMessage::new(of.clone());
    for (name, value) in fields {
        set(&mut message, name, value)?;
    }
    let pairs = query::parsed(query)?;
    let mut unmade = Unmade { message, pairs };
    if guard::is_form(&parts.headers) {
        let form = Form::new(&parts.headers, body)?;
        return Ok(Source::Form(Box::new(form), Box::new(unmade)));
    }
    // A file whose length is announced has broken off when it is shorter.
    if let Some(bytes) =
        body.size_hint().exact().filter(|_| !unmade.has(["sizeBytes", "size_bytes"]))
        && parts.headers.contains_key(http::header::CONTENT_LENGTH)
        && bytes > 0
    {
        set(&mut unmade.message, "header.size_bytes", &bytes.to_string())?;
    }
    ready.push_back(unmade.header(""));
    Ok(Source::Body(body))
}

impl Unmade {
    fn has(&self, names: [&str; 2]) -> bool {
        self.pairs.iter().any(|(key, _)| names.contains(&key.as_str()))
    }

    /// The first message. The name of the file tells its format, unless it is said.
    fn header(&mut self, file: &str) -> Result<Bytes, Status> {
        if !self.has(["importId", "import_id"]) {
            set(&mut self.message, "header.import_id", &Uuid::new_v4().to_string())?;
        }
        let ending = file.rsplit_once('.').and_then(|(_, ending)| Format::of_extension(ending));
        if let Some(format) = ending.filter(|_| !self.has(["format", "format"])) {
            set(&mut self.message, "header.format", format.name())?;
        }
        for (key, value) in &self.pairs {
            set(&mut self.message, &format!("header.{key}"), value)?;
        }
        frame(&self.message.encode_to_vec())
    }
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
            match ready!(self.poll_data(context)) {
                None => self.ended = true,
                Some(Err(status)) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(status)));
                }
                Some(Ok(data)) => self.push(data.unwrap_or_default()),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.ready.is_empty()
    }
}
