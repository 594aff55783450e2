//! The body of a call, made of a request when it is asked for: a call that may not run reads nothing of its request.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt as _;
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor, Value};
use tonic::Status;
use tonic::body::Body;

use crate::limits::{JSON_DECODED_BYTES_MAX, MESSAGE_BYTES_MAX};

use super::budget::Room;
use super::fields::{malformed, set, set_from_path};
use super::files::FileBody;
use super::frames::{frame, too_large};
use super::query;
use super::routes::{BodyRule, Found, Kind};

/// The body of the call that a request stands for.
pub(super) fn of_call(
    found: &Found,
    (parts, query, body): (&Parts, String, Body),
    room: Room,
) -> Body {
    let (route, fields) = (found.route.clone(), found.fields.clone());
    if route.kind == Kind::File {
        return Body::new(FileBody::new(&route.method.input(), (parts, &query, &fields), body));
    }
    Body::new(Made(Some(Box::pin(async move {
        let message = read(&route.method.input(), &route.body, (body, &room)).await?;
        frame(&completed(message, &route.body, (&query, &fields))?.encode_to_vec())
    }))))
}

type Making = Pin<Box<dyn Future<Output = Result<Bytes, Status>> + Send>>;

/// One frame that is made when it is asked for.
struct Made(Option<Making>);

impl HttpBody for Made {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(making) = &mut self.0 else { return Poll::Ready(None) };
        let Poll::Ready(made) = making.as_mut().poll(context) else { return Poll::Pending };
        self.0 = None;
        Poll::Ready(Some(made.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

/// The message with what the body of a request says.
async fn read(
    of: &MessageDescriptor,
    rule: &BodyRule,
    (body, room): (Body, &Room),
) -> Result<DynamicMessage, Status> {
    let inner = match rule {
        BodyRule::Nothing => return Ok(DynamicMessage::new(of.clone())),
        BodyRule::Message => of.clone(),
        BodyRule::Field(field) => match field.kind() {
            prost_reflect::Kind::Message(inner) => inner,
            _ => return Err(malformed("the body cannot be read")),
        },
    };
    let (text, _held) = collect(body, room).await?;
    if text.is_empty() {
        return Ok(DynamicMessage::new(of.clone()));
    }
    let decoded_bytes = decoded_bytes(&text);
    if decoded_bytes > JSON_DECODED_BYTES_MAX {
        return Err(malformed("the body has too many elements; send fewer at a time"));
    }
    let held = room.hold(decoded_bytes)?;
    let message = if text.len() > INLINE_BYTES_MAX {
        let parsing = tokio::task::spawn_blocking(move || parse(inner, &text));
        parsing.await.map_err(|_| malformed("the body cannot be read"))??
    } else {
        parse(inner, &text)?
    };
    drop(held);
    Ok(match rule {
        BodyRule::Field(field) => {
            let mut outer = DynamicMessage::new(of.clone());
            outer.set_field(field, Value::Message(message));
            outer
        }
        _ => message,
    })
}

/// JSON that is parsed on the thread of the connection.
pub(super) const INLINE_BYTES_MAX: usize = 128 * 1024;

fn parse(of: MessageDescriptor, text: &[u8]) -> Result<DynamicMessage, Status> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let read = DynamicMessage::deserialize(of, &mut reader);
    let read = read.and_then(|message| reader.end().map(|()| message));
    read.map_err(|error| malformed(&format!("the body: {error}")))
}

/// The bytes of a body, counted as they arrive.
async fn collect(
    mut body: Body,
    room: &Room,
) -> Result<(Vec<u8>, Vec<super::budget::Hold>), Status> {
    if body.size_hint().lower() > MESSAGE_BYTES_MAX as u64 {
        return Err(too_large());
    }
    let (mut text, mut held) = (Vec::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if text.len() + data.len() > MESSAGE_BYTES_MAX {
            return Err(too_large());
        }
        held.extend(room.hold(data.len())?);
        text.extend_from_slice(&data);
    }
    Ok((text, held))
}

/// About how much memory JSON takes once it is parsed: little text may be many elements.
fn decoded_bytes(text: &[u8]) -> usize {
    const OBJECT_BYTES: usize = 640;
    const ELEMENT_BYTES: usize = 64;
    let (mut bytes, mut in_text, mut escaped) = (text.len(), false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' => bytes += OBJECT_BYTES,
            b',' | b'[' => bytes += ELEMENT_BYTES,
            _ => {}
        }
    }
    bytes
}

/// Adds what query and path say.
fn completed(
    mut message: DynamicMessage,
    rule: &BodyRule,
    (query, fields): (&str, &[(String, String)]),
) -> Result<DynamicMessage, Status> {
    let pairs = query::parsed(query)?;
    for (key, value) in pairs {
        let first = key.split('.').next().unwrap_or_default();
        let is_of_body = match rule {
            BodyRule::Nothing => false,
            BodyRule::Message => true,
            BodyRule::Field(field) => first == field.json_name() || first == field.name(),
        };
        let is_of_path = fields.iter().any(|(name, _)| *name == key);
        if is_of_body || is_of_path {
            let place = if is_of_body { "the body" } else { "the path" };
            let shown: String = key.chars().take(80).collect();
            return Err(malformed(&format!("the query: {shown} stands in {place}")));
        }
        set(&mut message, &key, &value)?;
    }
    for (name, value) in fields {
        set_from_path(&mut message, name, value)?;
    }
    Ok(message)
}
