//! Reads a form (`multipart/form-data`) as it comes: fields, then the file, then nothing.

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
    parts: Multipart<'static>,
    /// Bytes that no part has taken yet.
    waiting: Arc<AtomicUsize>,
    part: Option<Part>,
    fields: usize,
    had_file: bool,
}

enum Part {
    Text { name: String, value: Vec<u8>, field: Field<'static> },
    File(Field<'static>),
}

impl Form {
    /// # Errors
    /// The content type does not say what is between the parts.
    pub(super) fn new(headers: &HeaderMap, body: Body) -> Result<Self, Status> {
        let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
        let boundary = multer::parse_boundary(kind).map_err(|_| {
            malformed("the header is `content-type: multipart/form-data; boundary=…`")
        })?;
        let waiting = Arc::new(AtomicUsize::new(0));
        let pieces = Pieces { body, waiting: waiting.clone(), pauses: false };
        let parts = Multipart::new(pieces, boundary);
        Ok(Self { parts, waiting, part: None, fields: 0, had_file: false })
    }

    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Next, Status>> {
        loop {
            match self.part.take() {
                None => match ready!(self.parts.poll_next_field(context)).map_err(fault)? {
                    Some(field) => {
                        self.waiting.store(0, Ordering::Relaxed);
                        if let Some(next) = self.begin(field)? {
                            return Poll::Ready(Ok(next));
                        }
                    }
                    None if self.had_file => return Poll::Ready(Ok(Next::End)),
                    None => return Poll::Ready(Err(malformed("the form holds no file"))),
                },
                Some(Part::File(mut field)) => {
                    let piece = Pin::new(&mut field).poll_next(context);
                    match piece {
                        Poll::Ready(None) => {}
                        Poll::Pending => {
                            self.part = Some(Part::File(field));
                            return Poll::Pending;
                        }
                        Poll::Ready(Some(piece)) => {
                            self.part = Some(Part::File(field));
                            return Poll::Ready(Ok(Next::Data(self.taken(piece)?)));
                        }
                    }
                }
                Some(Part::Text { name, mut value, mut field }) => {
                    match Pin::new(&mut field).poll_next(context) {
                        Poll::Ready(None) => {
                            let value = String::from_utf8(value).map_err(|_| {
                                malformed(&format!("the field {name} is not UTF-8"))
                            })?;
                            return Poll::Ready(Ok(Next::Field(name, value)));
                        }
                        Poll::Pending => {
                            self.part = Some(Part::Text { name, value, field });
                            return Poll::Pending;
                        }
                        Poll::Ready(Some(piece)) => {
                            value.extend_from_slice(&self.taken(piece)?);
                            if value.len() > FIELD_BYTES_MAX {
                                return Poll::Ready(Err(malformed(&format!(
                                    "the field {name} is longer than {FIELD_BYTES_MAX} bytes"
                                ))));
                            }
                            self.part = Some(Part::Text { name, value, field });
                        }
                    }
                }
            }
        }
    }

    /// Begins a part.
    fn begin(&mut self, field: Field<'static>) -> Result<Option<Next>, Status> {
        let name: String = field.name().unwrap_or_default().chars().take(80).collect();
        if self.had_file {
            return Err(malformed(&format!(
                "the part '{name}' comes after the file, which must be the last part of the form"
            )));
        }
        if let Some(file) = field.file_name().map(str::to_owned) {
            self.had_file = true;
            self.part = Some(Part::File(field));
            return Ok(Some(Next::File(file)));
        }
        self.fields += 1;
        if self.fields > FORM_FIELDS_MAX {
            return Err(malformed("the form has too many fields"));
        }
        self.part = Some(Part::Text { name, value: Vec::new(), field });
        Ok(None)
    }

    /// Counts a piece that a part has taken.
    fn taken(&self, piece: multer::Result<Bytes>) -> Result<Bytes, Status> {
        let piece = piece.map_err(fault)?;
        let less = |waiting: usize| Some(waiting.saturating_sub(piece.len()));
        let _ = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        Ok(piece)
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

/// The pieces of a body, one each time it is asked, since the parser takes all that it can get.
struct Pieces {
    body: Body,
    waiting: Arc<AtomicUsize>,
    pauses: bool,
}

impl Stream for Pieces {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.pauses) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(context)) else {
                return Poll::Ready(None);
            };
            let Ok(piece) = frame?.into_data() else { continue };
            let waiting = self.waiting.fetch_add(piece.len(), Ordering::Relaxed) + piece.len();
            // A piece of a body is far shorter; what waits longer than that is no file, but the headers of a part.
            if waiting > FORM_HEADER_BYTES_MAX {
                return Poll::Ready(Some(Err(malformed(
                    "the headers of a part of the form are too long",
                ))));
            }
            self.pauses = true;
            return Poll::Ready(Some(Ok(piece)));
        }
    }
}
