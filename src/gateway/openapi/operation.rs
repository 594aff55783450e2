//! Describes routes as operations: parameters, bodies, answers, examples.

use http::StatusCode;
use prost_reflect::{Cardinality, FieldDescriptor, Kind as FieldKind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::super::routes::{BodyRule, Kind, Route};
use super::super::template::Template;
use crate::formats::Format;

use super::super::download;
use super::super::resume;
use super::bounds;
use super::comments::Comment;
use super::schema::{Schemas, reference_to};

/// An operation at its path.
pub(super) fn operation(schemas: &mut Schemas, template: &Template, route: &Route) -> Value {
    let method = &route.method;
    let service = method.parent_service();
    let comment = schemas.comments.of(&method.parent_file(), method.path());
    let parameters = parameters(schemas, template, route, &comment);
    let body = body(schemas, template, route, (&comment, &parameters));
    let mut operation = json!({
        "operationId": format!("{}_{}", service.name(), method.name()),
        "tags": [service.name()],
        "summary": comment.summary(),
        "description": comment.text,
        "parameters": parameters,
        "responses": responses(schemas, route, &comment),
        "x-grpc-method": format!("/{}/{}", service.full_name(), method.name()),
    });
    if let Some(body) = body {
        operation["requestBody"] = body;
    }
    operation
}

fn parameters(
    schemas: &mut Schemas,
    template: &Template,
    route: &Route,
    comment: &Comment,
) -> Vec<Value> {
    let sent = comment.request.as_ref();
    let mut all: Vec<Value> = template
        .variations()
        .into_iter()
        .map(|(name, field, place)| {
            let mut schema = bounds::id(name);
            if route.method.name() == "WatchUnits" && name == "memory" {
                schema = json!({"anyOf": [{"type": "string", "const": "-"}, schema]});
            }
            let mut parameter =
                json!({"name": name, "in": "path", "required": true, "schema": schema});
            let example = sent.and_then(|it| at(it, &route.method.input(), field)?.as_str());
            if let Some(part) = example.and_then(|it| it.split('/').nth(place)) {
                parameter["example"] = part.into();
            }
            parameter
        })
        .collect();
    match &route.body {
        _ if route.kind == Kind::File => {
            if let Some(header) = header_of(&route.method.input()) {
                let in_path = template.fields();
                query(schemas, &header, ("", &["header."], &in_path), None, &mut all);
            }
        }
        BodyRule::Message => {}
        BodyRule::Nothing => {
            let in_path = template.fields();
            query(schemas, &route.method.input(), ("", &[""], &in_path), sent, &mut all);
        }
        BodyRule::Field(field) => {
            let mut left_out = template.fields();
            left_out.push(field.name().to_owned());
            query(schemas, &route.method.input(), ("", &[""], &left_out), sent, &mut all);
        }
    }
    if route.method.full_name() == download::METHOD {
        let names: Vec<&str> = download::formats().map(Format::name).collect();
        all.push(json!({
            "name": download::PARAMETER, "in": "query", "required": false,
            "description": "Answer with a file of this format, to be saved, instead of lines.",
            "schema": {"type": "string", "enum": names},
        }));
    }
    if route.kind == Kind::ServerStream && resume::id_field(&route.method.output()).is_some() {
        all.push(json!({
            "name": "Last-Event-ID", "in": "header", "required": false,
            "description": "Resumes a stream of events after the one with this id, as browsers do.",
            "schema": {"type": "string", "pattern": "^[!-~]*$"},
        }));
    }
    all
}

/// Parameters for the fields of a message, and of those inside it, that a query can give.
fn query(
    schemas: &mut Schemas,
    of: &MessageDescriptor,
    (outer, prefix, left_out): (&str, &[&str], &[String]),
    example: Option<&Value>,
    all: &mut Vec<Value>,
) {
    for field in of.fields() {
        let path = format!("{}{}", prefix.concat(), field.name());
        if left_out.contains(&path) {
            continue;
        }
        let name = format!("{outer}{}", field.json_name());
        let example = example.and_then(|it| it.get(field.json_name()));
        let is_list = field.cardinality() == Cardinality::Repeated;
        if let FieldKind::Message(inner) = field.kind()
            && inner.parent_file().package_name() != "google.protobuf"
        {
            if !is_list {
                query(schemas, &inner, (&format!("{name}."), &[], &[]), example, all);
            }
            continue;
        }
        all.push(parameter(schemas, &field, name, example));
    }
}

fn parameter(
    schemas: &mut Schemas,
    field: &FieldDescriptor,
    name: String,
    example: Option<&Value>,
) -> Value {
    let behavior = schemas.behavior(field);
    let mut schema = schemas.described(field, behavior, true);
    let description = schema.as_object_mut().and_then(|it| it.remove("description"));
    // In a query, everything is text.
    if schema["type"] == json!(["string", "integer"]) {
        schema = json!({"type": "integer", "format": "int64", "minimum": 0});
    }
    let is_given_by_server = name == "importId";
    let mut parameter = json!({
        "name": name,
        "in": "query",
        "required": behavior.required && !is_given_by_server,
        "schema": schema,
    });
    if let Some(description) = description {
        parameter["description"] = description;
    }
    if field.cardinality() == Cardinality::Repeated {
        parameter["style"] = "form".into();
        parameter["explode"] = true.into();
    }
    if let Some(example) = example {
        parameter["example"] = example.clone();
    }
    parameter
}

/// The message of the header of a file.
fn header_of(of: &MessageDescriptor) -> Option<MessageDescriptor> {
    match of.get_field_by_name("header")?.kind() {
        FieldKind::Message(header) => Some(header),
        _ => None,
    }
}

fn body(
    schemas: &mut Schemas,
    template: &Template,
    route: &Route,
    (comment, parameters): (&Comment, &[Value]),
) -> Option<Value> {
    let input = route.method.input();
    if route.kind == Kind::File {
        return Some(file_body(parameters));
    }
    let (schema, mut example) = match &route.body {
        BodyRule::Nothing => return None,
        BodyRule::Message => (schemas.message(&input), comment.request.clone()),
        BodyRule::Field(field) => {
            let FieldKind::Message(inner) = field.kind() else { return None };
            let example = comment.request.as_ref().and_then(|it| it.get(field.json_name()));
            (schemas.message(&inner), example.cloned())
        }
    };
    // The path gives these fields, so the body need not.
    for path in template.fields() {
        let path = match &route.body {
            BodyRule::Field(field) => path
                .strip_prefix(field.name())
                .and_then(|it| it.strip_prefix('.'))
                .map(str::to_owned),
            _ => Some(path),
        };
        if let (Some(path), Some(example)) = (path, example.as_mut()) {
            remove(example, &path);
        }
    }
    let schema = match required_in_creation(schemas, route) {
        required if required.is_empty() => schema,
        required => json!({"allOf": [schema, {"type": "object", "required": required}]}),
    };
    let mut media = json!({"schema": schema});
    if let Some(example) = example {
        media["examples"] = json!({"example": {"value": example}});
    }
    Some(json!({"required": true, "content": {"application/json": media}}))
}

/// The fields of a resource that must be given when it is created.
fn required_in_creation(schemas: &Schemas, route: &Route) -> Vec<String> {
    let BodyRule::Field(field) = &route.body else { return Vec::new() };
    let (FieldKind::Message(inner), true) =
        (field.kind(), route.method.name().starts_with("Create"))
    else {
        return Vec::new();
    };
    let required = inner.fields().filter(|field| schemas.behavior(field).required);
    required.map(|field| field.json_name().to_owned()).collect()
}

/// A file as it is, or in a form with the parameters of the query as fields.
fn file_body(parameters: &[Value]) -> Value {
    let mut properties = Map::new();
    for parameter in parameters.iter().filter(|it| it["in"] == "query") {
        let mut schema = parameter["schema"].clone();
        schema["description"] = parameter["description"].clone();
        properties.insert(parameter["name"].as_str().unwrap_or_default().to_owned(), schema);
    }
    let file = json!({"type": "string", "format": "binary", "description": "The last part; the ending of its name tells the format."});
    properties.insert("file".into(), file);
    let form = json!({
        "type": "object", "properties": properties, "required": ["file"], "additionalProperties": false,
    });
    json!({
        "required": true,
        "description": "The file itself, of any format and compressed or not, with any content type but `text/plain`; or a form whose \
            last part is the file, with a header `authorization` or from an allowed origin.",
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {"schema": form},
        },
    })
}

fn responses(schemas: &mut Schemas, route: &Route, comment: &Comment) -> Value {
    let output = schemas.message(&route.method.output());
    let example = comment.response.clone();
    let mut responses = Map::new();
    let content = if route.kind == Kind::Unary {
        let mut media = json!({"schema": output});
        if let Some(example) = example {
            media["examples"] = json!({"example": {"value": example}});
        }
        json!({"application/json": media})
    } else {
        let stream = |what: &str, example: Option<String>| {
            let mut media =
                json!({"schema": {"type": "string", "description": what}, "x-item-schema": output});
            if let Some(example) = example {
                media["examples"] = json!({"example": {"value": example}});
            }
            media
        };
        let line = example.as_ref().map(|it| format!("{it}\n"));
        let event = example.as_ref().map(|it| format!("data: {it}\n\n"));
        let name = route.method.output().name().to_owned();
        let lines = format!(
            "Lines, each a `{name}` as JSON; after an error, the last one is `{{\"error\": Status}}`."
        );
        let events = format!(
            "Events, the data of each a `{name}` as JSON; after an error, the last event is `error`."
        );
        json!({
            "application/x-ndjson": stream(&lines, line),
            "text/event-stream": stream(&events, event),
        })
    };
    let mut content = content;
    if route.method.full_name() == download::METHOD {
        for format in download::formats() {
            content[download::content_type(format)] =
                json!({"schema": {"type": "string", "format": "binary"}});
        }
    }
    let headers = json!({"x-request-id": {"$ref": "#/components/headers/RequestId"}});
    responses.insert(
        "200".into(),
        json!({"description": "The answer.", "headers": headers, "content": content}),
    );
    let has_body = route.has_body();
    for (code, ..) in ERRORS.iter().filter(|(.., of_body)| has_body || !of_body) {
        responses
            .insert(code.to_string(), json!({"$ref": format!("#/components/responses/{code}")}));
    }
    responses.into()
}

/// Codes of errors, what they say, and whether only calls with a body have them.
const ERRORS: [(u16, &str, bool); 15] = [
    (
        400,
        "INVALID_ARGUMENT, FAILED_PRECONDITION or OUT_OF_RANGE: the request, or the state of what it names, is not right.",
        false,
    ),
    (401, "UNAUTHENTICATED: a token is missing, unknown, expired or revoked.", false),
    (
        403,
        "PERMISSION_DENIED: the token does not allow this, or a web page may not send it.",
        false,
    ),
    (404, "NOT_FOUND: there is nothing of that name.", false),
    (408, "DEADLINE_EXCEEDED (`MESSAGE_TOO_SLOW`): the body arrived too slowly.", true),
    (
        409,
        "ALREADY_EXISTS or ABORTED: the name or id is taken, or something was changed meanwhile.",
        false,
    ),
    (413, "RESOURCE_EXHAUSTED (`MESSAGE_TOO_LARGE`): the body is too large.", true),
    (415, "The content type is not one that this path takes.", true),
    (
        429,
        "RESOURCE_EXHAUSTED: there are too many calls; `Retry-After` says when to come back.",
        false,
    ),
    (431, "The headers, or the path with its query, are longer than 16 KiB.", false),
    (499, "CANCELLED: the call was cancelled.", false),
    (500, "INTERNAL or DATA_LOSS: a fault of the server.", false),
    (501, "UNIMPLEMENTED: this server, or this call over HTTP, does not do that.", false),
    (503, "UNAVAILABLE: the server starts, stops, or cannot write; try again.", false),
    (504, "DEADLINE_EXCEEDED: the time of the call is over.", false),
];

/// The answers to calls that failed.
pub(super) fn error_responses() -> Value {
    let mut all = Map::new();
    for (code, text, _) in ERRORS {
        let mut headers = json!({"x-request-id": {"$ref": "#/components/headers/RequestId"}});
        match StatusCode::from_u16(code) {
            Ok(StatusCode::UNAUTHORIZED) => {
                headers["www-authenticate"] = json!({"schema": {"type": "string"}});
            }
            Ok(StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
                headers["retry-after"] =
                    json!({"description": "Seconds.", "schema": {"type": "integer"}});
            }
            _ => {}
        }
        let mut answer = json!({"description": text, "headers": headers});
        // Headers that are too long are refused before the gateway sees the request: the body is empty.
        if code != StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE.as_u16() {
            answer["content"] = json!({"application/json": {"schema": reference_to("Status")}});
        }
        all.insert(code.to_string(), answer);
    }
    all.into()
}

/// The value in JSON that a path of the names of the protocol leads to.
fn at<'a>(value: &'a Value, of: &MessageDescriptor, path: &str) -> Option<&'a Value> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(a, b)| (a, Some(b)));
    let field = of.get_field_by_name(name)?;
    let inner = value.get(field.json_name())?;
    match (rest, field.kind()) {
        (Some(rest), FieldKind::Message(of)) => at(inner, &of, rest),
        _ => Some(inner),
    }
}

/// Removes the value that a path of names leads to; the names of those in paths are the same in JSON.
fn remove(value: &mut Value, path: &str) {
    let Some(object) = value.as_object_mut() else { return };
    match path.split_once('.') {
        Some((name, rest)) => {
            if let Some(inner) = object.get_mut(name) {
                remove(inner, rest);
            }
        }
        None => {
            object.remove(path);
        }
    }
}
