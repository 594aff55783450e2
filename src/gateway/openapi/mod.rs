//! Describes the API as JSON over HTTP in OpenAPI 3.1, from the descriptors of the protocol and their comments.

mod bounds;
mod comments;
mod operation;
mod schema;

use serde_json::{Map, Value, json};

use super::protocol::Protocol;
use super::routes::{BodyRule, Kind, Route};
use super::template::Template;

use schema::Schemas;

const INTRODUCTION: &str = "A translation memory: stores translated segments and finds those that fit a new one. Every call is also gRPC, \
    on the same port and under the same rules; calls whose client streams messages are gRPC only. JSON is that of protocol buffers: 64-bit \
    numbers are text, fields of value zero are left out. Every call is also `POST /dhakira.v1.SERVICE/METHOD` with the whole request as JSON.";

/// The document; `None` when the descriptors lack what it is made of.
pub(super) fn document<'a>(
    protocol: &Protocol,
    routes: impl Iterator<Item = (&'a http::Method, &'a Template, &'a Route)>,
) -> Option<Value> {
    let routes: Vec<_> = routes.filter(|(.., route)| route.kind != Kind::ClientStream).collect();
    let methods: Vec<_> = routes.iter().map(|(.., route)| route.method.clone()).collect();
    let mut schemas = Schemas::new(&protocol.pool, &methods)?;
    for (_, template, route) in &routes {
        if let BodyRule::Message = route.body {
            for path in template.fields() {
                schemas.give_in_path(&route.method.input(), &path);
            }
        }
    }
    let mut paths = Map::new();
    for (verb, template, route) in &routes {
        let operation = operation::operation(&mut schemas, template, route);
        let item = paths.entry(template.named()).or_insert_with(|| json!({}));
        item[verb.as_str().to_lowercase()] = operation;
    }
    schemas.message(&protocol.pool.get_message_by_name("google.rpc.Status")?);
    let mut services: Vec<_> =
        methods.iter().map(prost_reflect::MethodDescriptor::parent_service).collect();
    services.dedup();
    let tags = services.iter().map(|service| {
        let text = schemas.comments.of(&service.parent_file(), service.path()).text;
        json!({"name": service.name(), "description": text})
    });
    let tags: Vec<Value> = tags.collect();
    Some(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Dhakira",
            "version": env!("CARGO_PKG_VERSION"),
            "description": INTRODUCTION,
            "license": {"name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE")},
        },
        "servers": [{"url": "/"}],
        "tags": tags,
        "security": [{"bearer": []}, {"basic": []}, {}],
        "paths": paths,
        "components": {
            "schemas": schemas.finish(),
            "responses": operation::error_responses(),
            "headers": {"RequestId": {
                "description": "Names the call in the logs of the server; the client's own, if it sent one.",
                "schema": {"type": "string"},
            }},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An access token, where the server requires one."},
                "basic": {"type": "http", "scheme": "basic", "description": "Any user, and the token as password."},
            },
        },
    }))
}
