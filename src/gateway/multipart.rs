//! Reads a form (`multipart/form-data`) as it comes: its parts, and, for an import, fields, then the file, then nothing.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body::Body as _;
use multer::{Field, Multipart};
use tokio_stream::Stream;
use tonic::Status;
use tonic::body::Body;

use crate::limits::{FIELD_BYTES_MAX, FORM_FIELDS_MAX, FORM_HEADER_BYTES_MAX};

use super::fields::malformed;

/// What comes next in a form.
#[derive(Debug)]
pub(super) enum Next {
    /// A field and its value.
    Field(String, String),
    /// The file begins; its name.
    File(String),
    /// The next bytes of the file.
    Data(Bytes),
    /// The form is complete, and had a file.
    End,
}

/// A form that is being read.
pub(super) struct Form {
    parts: Parts,
    part: Option<Current>,
    fields: usize,
    had_file: bool,
}

enum Current {
    Text { name: String, value: Vec<u8>, part: Part },
    File(Part),
}

impl Form {
    /// # Errors
    /// The content type does not say what is between the parts.
    pub(super) fn new(headers: &HeaderMap, body: Body) -> Result<Self, Status> {
        let parts = Parts::new(headers, body)?;
        Ok(Self { parts, part: None, fields: 0, had_file: false })
    }

    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Next, Status>> {
        loop {
            match &mut self.part {
                None => match ready!(self.parts.poll_next(context))? {
                    Some(part) => {
                        if let Some(next) = self.begin(part)? {
                            return Poll::Ready(Ok(next));
                        }
                    }
                    None if self.had_file => return Poll::Ready(Ok(Next::End)),
                    None => return Poll::Ready(Err(malformed("the form holds no file"))),
                },
                Some(Current::File(part)) => match ready!(part.poll_piece(context))? {
                    Some(piece) => return Poll::Ready(Ok(Next::Data(piece))),
                    None => self.part = None,
                },
                Some(Current::Text { name, value, part }) => {
                    if let Some(piece) = ready!(part.poll_piece(context))? {
                        value.extend_from_slice(&piece);
                        if value.len() > FIELD_BYTES_MAX {
                            return Poll::Ready(Err(malformed(&format!(
                                "the field {name} is longer than {FIELD_BYTES_MAX} bytes"
                            ))));
                        }
                        continue;
                    }
                    let (name, value) = (mem::take(name), mem::take(value));
                    self.part = None;
                    let value = String::from_utf8(value)
                        .map_err(|_| malformed(&format!("the field {name} is not UTF-8")))?;
                    return Poll::Ready(Ok(Next::Field(name, value)));
                }
            }
        }
    }

    /// Begins a part.
    fn begin(&mut self, part: Part) -> Result<Option<Next>, Status> {
        let name: String = part.name().chars().take(80).collect();
        if self.had_file {
            return Err(malformed(&format!(
                "the part '{name}' comes after the file, which must be the last part of the form"
            )));
        }
        if let Some(file) = part.field.file_name().map(str::to_owned) {
            self.had_file = true;
            self.part = Some(Current::File(part));
            return Ok(Some(Next::File(file)));
        }
        self.fields += 1;
        if self.fields > FORM_FIELDS_MAX {
            return Err(malformed("the form has too many fields"));
        }
        self.part = Some(Current::Text { name, value: Vec::new(), part });
        Ok(None)
    }
}

/// The parts of a form, in order.
pub(crate) struct Parts {
    parts: Multipart<'static>,
    /// Bytes that no part has taken yet.
    waiting: Arc<AtomicUsize>,
}

/// A part of a form.
pub(crate) struct Part {
    field: Field<'static>,
    waiting: Arc<AtomicUsize>,
}

impl Parts {
    /// # Errors
    /// The content type does not say what is between the parts.
    pub(crate) fn new(headers: &HeaderMap, body: Body) -> Result<Self, Status> {
        let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
        let boundary = multer::parse_boundary(kind).map_err(|_| {
            malformed("the header is `content-type: multipart/form-data; boundary=…`")
        })?;
        let waiting = Arc::new(AtomicUsize::new(0));
        let pieces = Pieces { body, rest: Bytes::new(), waiting: waiting.clone(), pauses: false };
        Ok(Self { parts: Multipart::new(pieces, boundary), waiting })
    }

    /// The next part; the one before is skipped as far as it was not read.
    pub(crate) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Part>, Status>> {
        let field = ready!(self.parts.poll_next_field(context)).map_err(fault)?;
        // What is left of the part before, and the headers of this one.
        self.waiting.store(0, Ordering::Relaxed);
        Poll::Ready(Ok(field.map(|field| Part { field, waiting: self.waiting.clone() })))
    }
}

impl Part {
    /// The name of its field.
    pub(crate) fn name(&self) -> &str {
        self.field.name().unwrap_or_default()
    }

    /// The next bytes; `None` when all have come.
    pub(crate) fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Status>> {
        let piece = ready!(Pin::new(&mut self.field).poll_next(context));
        let piece = piece.transpose().map_err(fault)?;
        let taken = piece.as_ref().map_or(0, Bytes::len);
        let less = |waiting: usize| Some(waiting.saturating_sub(taken));
        let _ = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        Poll::Ready(Ok(piece))
    }
}

/// The error of a form; that of its connection, if it has broken off.
fn fault(error: multer::Error) -> Status {
    match error {
        multer::Error::StreamReadFailed(error) => match error.downcast::<Status>() {
            Ok(status) => *status,
            Err(error) => malformed(&format!("the form: {error}")),
        },
        error => malformed(&format!("the form: {error}")),
    }
}

/// The pieces of a body, short ones, one each time it is asked, since the parser takes all that it can get.
struct Pieces {
    body: Body,
    /// What is left of a long piece.
    rest: Bytes,
    waiting: Arc<AtomicUsize>,
    pauses: bool,
}

/// Bytes that the parser gets at a time.
const PIECE_BYTES: usize = 64 * 1024;

impl Stream for Pieces {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if mem::take(&mut self.pauses) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        while self.rest.is_empty() {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(context)) else {
                return Poll::Ready(None);
            };
            if let Ok(piece) = frame?.into_data() {
                self.rest = piece;
            }
        }
        let bytes = self.rest.len().min(PIECE_BYTES);
        let piece = self.rest.split_to(bytes);
        let waiting = self.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes;
        // What waits longer than a few pieces is no file, but the headers of a part.
        if waiting > FORM_HEADER_BYTES_MAX {
            return Poll::Ready(Some(Err(malformed(
                "the headers of a part of the form are too long",
            ))));
        }
        self.pauses = true;
        Poll::Ready(Some(Ok(piece)))
    }
}
