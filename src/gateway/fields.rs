//! Sets fields of messages from text: those that a path or a query gives.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value,
};
use tonic::{Code, Status};

use crate::grpc::invalid_field;

/// The field of a message by its JSON name or its name in the protocol.
pub(super) fn field(of: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    of.get_field_by_json_name(name).or_else(|| of.get_field_by_name(name))
}

/// Sets a field, which a path of names with dots leads to; a repeated field gets one more value.
///
/// # Errors
/// `INVALID_ARGUMENT` that names the field.
pub(super) fn set(message: &mut DynamicMessage, path: &str, text: &str) -> Result<(), Status> {
    let fault = |what: &str| invalid_field(path, what);
    let (outer, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut inside = message;
    for part in outer.split('.').filter(|_| !outer.is_empty()) {
        let field = field(&inside.descriptor(), part).ok_or_else(|| fault("no such field"))?;
        check_oneof(inside, &field).map_err(fault)?;
        inside = inside
            .get_field_mut(&field)
            .as_message_mut()
            .ok_or_else(|| fault("a field on the way to it holds no single message"))?;
    }
    let field = field(&inside.descriptor(), name).ok_or_else(|| fault("no such field"))?;
    check_oneof(inside, &field).map_err(fault)?;
    let value = value(&field.kind(), text).map_err(|what| fault(&what))?;
    if field.is_map() {
        return Err(fault("a map is given in a body only"));
    }
    if field.is_list() {
        if let Some(list) = inside.get_field_mut(&field).as_list_mut() {
            list.push(value);
        }
        return Ok(());
    }
    if inside.has_field(&field) {
        return Err(fault("given twice"));
    }
    inside.try_set_field(&field, value).map_err(|error| fault(&error.to_string()))
}

/// Sets the field that a path of a request names; the body may give the same value.
///
/// # Errors
/// As [`set`]; the body gives another value.
pub(super) fn set_from_path(
    message: &mut DynamicMessage,
    path: &str,
    text: &str,
) -> Result<(), Status> {
    match get(message, path) {
        None => set(message, path, text),
        Some(same) if same == text => Ok(()),
        Some(_) => Err(invalid_field(path, "the body names another than the path")),
    }
}

/// The text of a field that is set and not empty.
fn get(message: &DynamicMessage, path: &str) -> Option<String> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let field = field(&message.descriptor(), name)?;
    let value = message.get_field(&field);
    match rest {
        Some(rest) => get(value.as_message()?, rest),
        None => value.as_str().filter(|text| !text.is_empty()).map(str::to_owned),
    }
}

/// Whether a field may be set beside the others.
fn check_oneof(message: &DynamicMessage, field: &FieldDescriptor) -> Result<(), &'static str> {
    let Some(oneof) = field.containing_oneof() else { return Ok(()) };
    let other = oneof.fields().any(|it| it != *field && message.has_field(&it));
    if other { Err("only one of several fields may be given, and another is") } else { Ok(()) }
}

fn value(kind: &Kind, text: &str) -> Result<Value, String> {
    let number = |what: &str| format!("'{}' is not {what}", shown(text));
    Ok(match kind {
        Kind::String => Value::String(text.to_owned()),
        Kind::Bool => Value::Bool(text.parse().map_err(|_| number("true or false"))?),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            Value::I32(text.parse().map_err(|_| number("a number"))?)
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            Value::I64(text.parse().map_err(|_| number("a number"))?)
        }
        Kind::Uint32 | Kind::Fixed32 => {
            Value::U32(text.parse().map_err(|_| number("a number of at least 0"))?)
        }
        Kind::Uint64 | Kind::Fixed64 => {
            Value::U64(text.parse().map_err(|_| number("a number of at least 0"))?)
        }
        Kind::Float => Value::F32(text.parse().map_err(|_| number("a number"))?),
        Kind::Double => Value::F64(text.parse().map_err(|_| number("a number"))?),
        Kind::Bytes => {
            let decoded = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text));
            Value::Bytes(Bytes::from(decoded.map_err(|_| number("base64"))?))
        }
        Kind::Enum(of) => {
            let named = of.get_value_by_name(text).map(|it| it.number());
            let known = |number: &i32| of.get_value(*number).is_some();
            let number = named.or_else(|| text.parse().ok().filter(known));
            Value::EnumNumber(number.ok_or_else(|| {
                let all: Vec<String> = of.values().map(|it| it.name().to_owned()).collect();
                format!("'{}' is none of {}", shown(text), all.join(", "))
            })?)
        }
        Kind::Message(of) if of.parent_file().package_name() == "google.protobuf" => {
            // A time, a duration, a mask: JSON writes them as one string.
            let json = serde_json::Value::String(text.to_owned());
            let read = DynamicMessage::deserialize(of.clone(), json);
            Value::Message(read.map_err(|error| error.to_string())?)
        }
        Kind::Message(_) => return Err("a message: name one of its fields, as in a.b=".to_owned()),
    })
}

/// The beginning of a text, for a message.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// INVALID_ARGUMENT for a body or a query that cannot be read.
pub(super) fn malformed(what: &str) -> Status {
    crate::grpc::refusal(Code::InvalidArgument, "MALFORMED_REQUEST", what, None)
}
