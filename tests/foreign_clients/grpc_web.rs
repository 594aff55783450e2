//! Connect's client for web pages calls by gRPC-Web.

use dhakira::grpc::DESCRIPTORS;
use serde_json::json;

use super::{Served, answer, node};

#[test]
fn connect_calls_by_grpc_web() {
    let Some(at) = node("grpc_web", "calls.js") else { return };
    let served = Served::start();
    let descriptors = served.path("descriptors.binpb");
    std::fs::write(&descriptors, DESCRIPTORS).unwrap();
    let arguments = [served.url(), &served.token, &descriptors];
    let info = json!(["google.rpc.ErrorInfo", "google.rpc.ResourceInfo"]);
    let wanted = json!({
        "best": ["Sentence 42", 100, 100],
        "exported": 1_000,
        "severalMessages": true,
        "missing": ["NotFound", info],
        "missingStream": ["NotFound", info],
        "stranger": ["Unauthenticated", ["google.rpc.ErrorInfo"]],
    });
    assert_eq!(answer("node", &at.join("calls.js"), &arguments), wanted);
}
