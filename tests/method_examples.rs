//! Risk: the example of a method, which people copy, is not what the method takes or answers.
//!
//! Every method of the protocol has `Request:` and `Response:` in its comment, with a message as JSON.

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor};
use serde_json::Value;
use tonic::Code;

use dhakira::grpc::DESCRIPTORS;

use crate::guarded::call;
use crate::support::{Clients, TestServer, proto, unit};

pub(crate) fn methods() -> Vec<MethodDescriptor> {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let services = pool.services().filter(|it| it.package_name() == "dhakira.v1");
    services.flat_map(|it| it.methods().collect::<Vec<_>>()).collect()
}

/// The comment of a method, as one line.
fn comment(method: &MethodDescriptor) -> String {
    let file = method.parent_file().file_descriptor_proto().clone();
    let places = file.source_code_info.unwrap().location;
    let place = places.into_iter().find(|it| it.path == method.path()).unwrap();
    place.leading_comments().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The JSON after a label.
pub(crate) fn example(method: &MethodDescriptor, label: &str) -> Value {
    let comment = comment(method);
    let text = comment
        .split_once(&format!("{label}: `"))
        .and_then(|(_, rest)| rest.split_once('`'))
        .unwrap_or_else(|| panic!("{} has no {label}", method.full_name()))
        .0;
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

pub(crate) fn message(of: &MessageDescriptor, json: &Value) -> DynamicMessage {
    DynamicMessage::deserialize(of.clone(), json)
        .unwrap_or_else(|error| panic!("{json} is no {}: {error}", of.full_name()))
}

/// Whether all that an example says stands in a message just so.
fn holds(message: &Value, example: &Value) -> bool {
    match (message, example) {
        (Value::Object(message), Value::Object(example)) => {
            example.iter().all(|(key, value)| message.get(key).is_some_and(|it| holds(it, value)))
        }
        (Value::Array(message), Value::Array(example)) => {
            message.len() == example.len()
                && message.iter().zip(example).all(|(it, value)| holds(it, value))
        }
        (Value::Number(message), Value::Number(example)) => message.as_f64() == example.as_f64(),
        _ => message == example,
    }
}

#[test]
fn every_method_has_examples_that_come_back_as_they_are() {
    use prost::Message as _;
    let methods = methods();
    assert!(methods.len() > 35, "{}", methods.len());
    let options = prost_reflect::SerializeOptions::new().skip_default_fields(false);
    for method in methods {
        for (label, of) in [("Request", method.input()), ("Response", method.output())] {
            let json = example(&method, label);
            let sent = message(&of, &json);
            let read = DynamicMessage::decode(of.clone(), &*sent.encode_to_vec()).unwrap();
            let mut written = Vec::new();
            let mut writer = serde_json::Serializer::new(&mut written);
            read.serialize_with_options(&mut writer, &options).unwrap();
            let written: Value = serde_json::from_slice(&written).unwrap();
            assert!(
                holds(&written, &json),
                "{}: {json} comes back as {written}",
                method.full_name()
            );
        }
    }
}

/// The calls whose example is a message that does not begin a stream, needs a token of an earlier answer, or a commit of an earlier backup.
pub(crate) const PARTS: [&str; 9] = [
    "ImportUnits",
    "StreamLookup",
    "AnalyzeSegments",
    "ExtractUnits",
    "WatchUnits",
    "UpdateMatchingUnits",
    "DeleteMatchingUnits",
    "BackupStore",
    "StartImportFile",
];

/// A server that holds what the examples name.
pub(crate) async fn example_server(method: &MethodDescriptor) -> (TestServer, Clients) {
    let server = TestServer::start().await;
    let mut clients = server.clients().await;
    if method.name() != "CreateMemory" {
        clients.create_memory("news").await;
        let units = ["\u{646}\u{639}\u{645}", "\u{635}\u{628}\u{627}\u{62d}", "\u{644}\u{627}"];
        let request = proto::BatchCreateUnitsRequest {
            parent: "memories/news".into(),
            units: units.iter().map(|source| unit(source, "Yes")).collect(),
            ..Default::default()
        };
        clients.units.batch_create_units(request).await.unwrap();
    }
    (server, clients)
}

#[tokio::test]
async fn every_example_is_a_request_that_the_server_understands() {
    let mut examined = 0;
    for method in methods() {
        if PARTS.contains(&method.name()) {
            continue;
        }
        // Each on a server of its own.
        let (_server, clients) = example_server(&method).await;
        use prost::Message as _;
        let request = message(&method.input(), &example(&method, "Request")).encode_to_vec();
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let answer = call(&clients.channel, &path, request, None).await;
        let code = answer.as_ref().map_or_else(tonic::Status::code, |_| Code::Ok);
        // An etag of the example is not that of the unit, and an operation of it does not exist.
        let is_understood =
            matches!(code, Code::Ok | Code::Aborted | Code::NotFound | Code::FailedPrecondition);
        assert!(is_understood, "{}: {answer:?}", method.full_name());
        if let Ok(Some(bytes)) = answer {
            let answer = DynamicMessage::decode(method.output(), &*bytes).unwrap();
            assert!(answer.unknown_fields().next().is_none());
        }
        examined += 1;
    }
    assert!(examined > 25, "{examined}");
}
