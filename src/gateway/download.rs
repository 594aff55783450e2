//! Answers an export as a file of an exchange format, written as the units come.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::CONTENT_DISPOSITION;
use http::{HeaderValue, Request, Response};
use http_body::{Body as HttpBody, Frame};
use prost_reflect::{DynamicMessage, MessageDescriptor};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::formats::{self, FileHeader, Format, SharedBuffer, UnitWriter};
use crate::grpc::{exported_units, invalid_field, refusal, truncated_stream};

use super::budget::{Hold, Room};
use super::frames::{Messages, early_error, frame};
use super::guard::copy_ids;
use super::protocol::Protocol;
use super::routes::Found;
use super::{errors, query};

/// The parameter of the query that asks for a file.
pub(super) const PARAMETER: &str = "format";

/// The method whose units are written as a file.
pub(super) const METHOD: &str = "dhakira.v1.UnitService.ExportUnits";
/// Fields that a file has no room for.
const WITHOUT_FILE: [&str; 5] = ["readMask", "read_mask", "offsetUnit", "offset_unit", "cursor"];

/// The format that a parameter names.
fn format(name: &str) -> Result<Format, Status> {
    let found = Format::written().find(|it| it.name() == name);
    found.ok_or_else(|| {
        let shown: String = name.chars().take(80).collect();
        invalid_field(PARAMETER, &format!("'{shown}' is none of {}", Format::written_names()))
    })
}

/// The formats of files.
pub(super) fn formats() -> impl Iterator<Item = Format> {
    Format::written()
}

/// The content type of the files of a format.
pub(super) fn content_type(format: Format) -> &'static str {
    match format {
        Format::Tmx => "application/x-tmx+xml",
        Format::Xliff => "application/xliff+xml",
        Format::Jsonl => "application/jsonl",
        Format::Po => "text/x-gettext-translation; charset=utf-8",
        Format::Tsv => "text/tab-separated-values; charset=utf-8",
        Format::Csv => "text/csv; charset=utf-8",
        Format::Xlsx | Format::Moses => "application/octet-stream",
    }
}

/// A file that is asked for.
pub(super) struct Download {
    pub(super) protocol: Protocol,
    format: Format,
    /// `memories/news`.
    parent: String,
    room: Room,
}

impl Download {
    /// The file that a request asks for; what says so is taken out of its query.
    ///
    /// # Errors
    /// There is no such format, or the query asks for what no file has.
    pub(super) fn asked(
        protocol: &Protocol,
        found: &Found,
        query: &mut String,
        room: &Room,
    ) -> Result<Option<Self>, Status> {
        let parent = found.fields.iter().find(|(name, _)| name == "parent");
        let Some((_, parent)) = parent.filter(|_| found.route.method.full_name() == METHOD) else {
            return Ok(None);
        };
        let pairs = query::parsed(query)?;
        let Some((_, name)) = pairs.iter().find(|(key, _)| key == PARAMETER) else {
            return Ok(None);
        };
        let format = format(name)?;
        for (key, _) in &pairs {
            if WITHOUT_FILE.contains(&key.as_str()) {
                return Err(invalid_field(
                    key,
                    "a file is whole, in units of its format: without `format` only",
                ));
            }
        }
        let is_other = |part: &&str| part.split('=').next() != Some(PARAMETER);
        *query = query.split('&').filter(is_other).collect::<Vec<_>>().join("&");
        Ok(Some(Self {
            protocol: protocol.clone(),
            format,
            parent: parent.clone(),
            room: room.clone(),
        }))
    }

    const GET_MEMORY: &str = "/dhakira.v1.MemoryService/GetMemory";

    /// The call that tells the languages of the memory, with the headers of another.
    pub(super) fn ask_languages(&self, like: &Request<Body>) -> Result<Request<Body>, Status> {
        let message = self.message("dhakira.v1.GetMemoryRequest").and_then(|of| {
            let mut message = DynamicMessage::new(of);
            let name = prost_reflect::Value::String(self.parent.clone());
            message.try_set_field_by_name("name", name).ok()?;
            frame(&prost::Message::encode_to_vec(&message)).ok()
        });
        let body = http_body_util::Full::new(message.ok_or_else(internal)?);
        let mut call = Request::new(Body::new(body));
        *call.method_mut() = like.method().clone();
        *call.version_mut() = like.version();
        *call.headers_mut() = like.headers().clone();
        *call.extensions_mut() = like.extensions().clone();
        // The memory of this call is counted separately.
        call.extensions_mut().insert(Room::default());
        *call.uri_mut() = http::Uri::from_static(Self::GET_MEMORY);
        Ok(call)
    }

    fn message(&self, name: &str) -> Option<MessageDescriptor> {
        self.protocol.pool.get_message_by_name(name)
    }

    /// The beginning of the file, by the answer about the memory.
    pub(super) async fn header(
        &self,
        answer: Response<Body>,
    ) -> Result<FileHeader, Response<Body>> {
        let failed = |status: &Status| errors::of_call(&self.protocol, status);
        let (parts, body) = answer.into_parts();
        if let Some(status) = early_error(&parts.headers) {
            return Err(failed(&status));
        }
        let message = match Messages::new(body).next().await {
            Some(Ok(message)) => message,
            Some(Err(status)) => return Err(failed(&status)),
            None => return Err(failed(&truncated_stream())),
        };
        let header = self.message("dhakira.v1.GetMemoryResponse").and_then(|of| {
            let answer = DynamicMessage::decode(of, message.bytes).ok()?;
            let memory = answer.get_field_by_name("memory")?;
            let memory = memory.as_message()?;
            let language = |name: &str| memory.get_field_by_name(name)?.as_str()?.parse().ok();
            Some(FileHeader {
                source_lang: language("source_language_code")?,
                target_lang: language("target_language_code")?,
                tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            })
        });
        header.ok_or_else(|| failed(&internal()))
    }

    /// The file, by the answer with the units.
    pub(super) async fn respond(
        self,
        header: FileHeader,
        answer: Response<Body>,
    ) -> Response<Body> {
        let (parts, body) = answer.into_parts();
        let mut messages = Messages::new(body);
        let first = match early_error(&parts.headers) {
            Some(status) => Some(Err(status)),
            None => messages.next().await,
        };
        if let Some(Err(status)) = first {
            return errors::of_call(&self.protocol, &status);
        }
        let written = SharedBuffer::default();
        let Ok(writer) = formats::create(self.format, &header, written.clone()) else {
            return errors::of_call(&self.protocol, &internal());
        };
        let mut file = File {
            messages,
            writer: Some(writer),
            written,
            room: self.room,
            queue: VecDeque::new(),
        };
        let begun = first.map_or(Ok(()), |message| file.write(message.map(|it| it.bytes)));
        if let Err(status) = begun {
            return errors::of_call(&self.protocol, &status);
        }
        let mut answer = Response::new(Body::new(file));
        errors::headers(content_type(self.format), answer.headers_mut());
        let id = self.parent.strip_prefix("memories/").unwrap_or(&self.parent);
        let name = format!("{id}.{}", self.format.extensions().first().copied().unwrap_or("txt"));
        // Names of memories are letters, digits, `-`, `_` and `.`, which both forms write as they are.
        let disposition = format!("attachment; filename=\"{name}\"; filename*=UTF-8''{name}");
        if let Ok(value) = HeaderValue::from_str(&disposition) {
            answer.headers_mut().insert(CONTENT_DISPOSITION, value);
        }
        copy_ids(&parts.headers, answer.headers_mut());
        answer
    }
}

fn internal() -> Status {
    refusal(Code::Internal, "INTERNAL", "the file cannot be written", None)
}

/// A file that is written as its units come. An error breaks it off: its end would look like that of a whole file.
struct File {
    messages: Messages,
    /// `None` after the end of the file.
    writer: Option<UnitWriter<SharedBuffer>>,
    written: SharedBuffer,
    room: Room,
    queue: VecDeque<Bytes>,
}

/// A piece of the file, counted until it is sent.
struct Piece(Vec<u8>, #[expect(dead_code, reason = "counts while it lives")] Option<Hold>);

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl File {
    /// Writes the units of a message.
    fn write(&mut self, message: Result<Bytes, Status>) -> Result<(), Status> {
        let units = exported_units(message?)?;
        let writer = self.writer.as_mut().ok_or_else(internal)?;
        for unit in &units {
            writer.write(unit).map_err(|_| internal())?;
        }
        self.queue_written();
        Ok(())
    }

    fn end(&mut self) -> Result<(), Status> {
        if let Some(writer) = self.writer.take() {
            writer.finish().map_err(|_| internal())?;
        }
        self.queue_written();
        Ok(())
    }

    fn queue_written(&mut self) {
        let bytes = self.written.take();
        if !bytes.is_empty() {
            let held = self.room.hold_anyway(bytes.len());
            self.queue.push_back(Bytes::from_owner(Piece(bytes, held)));
        }
    }
}

impl HttpBody for File {
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
            if self.writer.is_none() {
                return Poll::Ready(None);
            }
            let done = match self.messages.poll_next(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(message)) => self.write(message.map(|it| it.bytes)),
                Poll::Ready(None) => self.end(),
            };
            if let Err(status) = done {
                self.writer = None;
                return Poll::Ready(Some(Err(status)));
            }
        }
    }
}
