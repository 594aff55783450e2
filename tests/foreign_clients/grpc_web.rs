//! Clients for web pages call by gRPC-Web: Connect's in binary, and that of the protocol's authors as text.

use dhakira::grpc::DESCRIPTORS;
use serde_json::{Value, json};

use super::{Served, answer, node, stored};

/// What a script printed that called a server; `None` where its packages cannot be had.
fn called(script: &str) -> Option<Value> {
    let at = node("grpc_web", script)?;
    let served = Served::start();
    let descriptors = served.path("descriptors.binpb");
    std::fs::write(&descriptors, DESCRIPTORS).unwrap();
    let arguments = [served.url(), &served.token, &descriptors];
    Some(answer("node", &at.join(script), &arguments))
}

#[test]
fn connect_calls_in_binary() {
    let Some(said) = called("calls.js") else { return };
    let missing = json!(["NotFound", ["google.rpc.ErrorInfo", "google.rpc.ResourceInfo"]]);
    let wanted = json!({
        "best": ["Sentence 42", 100, 100],
        "exported": 1_000,
        "severalMessages": true,
        "missing": missing,
        "missingStream": missing,
        "stranger": ["Unauthenticated", ["google.rpc.ErrorInfo"]],
    });
    assert_eq!(said, wanted);
}

#[test]
fn the_official_client_calls_as_text() {
    let Some(said) = called("text.js") else { return };
    let targets: Vec<Value> = stored().iter().map(|unit| unit["target"].clone()).collect();
    let wanted = json!({
        "found": [["Yes", 100]],
        "exported": targets,
        "missing": [5, "memory 'm' has no unit 99999"],
        "missingStream": [5, "there is no memory 'none'"],
    });
    assert_eq!(said, wanted);
}
