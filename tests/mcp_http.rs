//! The Model Context Protocol on the port of gRPC: the same tools, by the rules that hold for every call.

use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tonic::Code;

use crate::facades::{server, without_tools};
use crate::guarded::Guarded;
use crate::json::{Answer, Http};
use crate::support::{TestServer, empty_api};
use dhakira::server::ServeOptions;

const SEGMENT: &str = "حفظ الملف";

/// A message to `/mcp`, as clients of the protocol send it.
fn message(http: &Http, method: &str, params: Value) -> Request<Full<bytes::Bytes>> {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let mut request = http.request("POST", "/mcp", Some(body.to_string().into_bytes()));
    let accept = "application/json, text/event-stream".parse().unwrap();
    request.headers_mut().insert("accept", accept);
    request
}

async fn send(http: &mut Http, method: &str, params: Value) -> Answer {
    let request = message(http, method, params);
    http.send(request).await
}

/// The result of a tool.
async fn tool(http: &mut Http, name: &str, arguments: Value) -> Value {
    let answer = send(http, "tools/call", json!({"name": name, "arguments": arguments})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["result"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_stands_for_itself() {
    let server = server(|_| {}).await;
    for version in [1, 2] {
        let mut http = match version {
            1 => Http::one(server.address()).await,
            _ => Http::two(server.address()).await,
        };
        let client = json!({"name": "by-hand", "version": "1"});
        let params =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        let answer = send(&mut http, "initialize", params).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (200, "application/json")
        );
        assert_eq!(answer.json()["result"]["protocolVersion"], "2025-11-25");
        assert!(answer.headers.get("mcp-session-id").is_none());
        let listed = send(&mut http, "tools/list", json!({})).await.json();
        assert_eq!(listed["result"]["tools"].as_array().unwrap().len(), 6);
        let found =
            tool(&mut http, "lookup", json!({"segments": [SEGMENT], "memories": ["news"]})).await;
        let matches = &found["structuredContent"]["results"][0]["matches"];
        assert_eq!(matches.as_array().unwrap().len(), 2, "{found}");
        assert_eq!((&matches[0]["kind"], &matches[0]["score"]), (&json!("exact"), &json!(100.0)));
        let packed = tool(
            &mut http,
            "context_pack",
            json!({"segment": "حفظ ملف جديد", "source_language": "ar", "memories": ["news"]}),
        )
        .await;
        assert_eq!(packed["isError"], json!(false), "{packed}");
        let refused =
            tool(&mut http, "lookup", json!({"segments": [SEGMENT], "memories": ["other"]})).await;
        assert_eq!(refused["isError"], true);
        assert!(
            refused["content"][0]["text"].as_str().unwrap().contains("law (ar-SA to en-GB)"),
            "{refused}"
        );
        let saved =
            send(&mut http, "tools/call", json!({"name": "save", "arguments": {}})).await.json();
        assert!(
            saved["error"]["message"].as_str().unwrap().contains("facade.mcp.writes"),
            "{saved}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_is_refused() {
    let server = server(|_| {}).await;
    let mut http = Http::one(server.address()).await;
    for (method, path, expected) in [
        ("GET", "/mcp", 405),
        ("DELETE", "/mcp", 405),
        ("GET", "/mcp/x", 404),
        ("GET", "/mcpx", 404),
    ] {
        assert_eq!(
            http.send(http.request(method, path, None)).await.status,
            expected,
            "{method} {path}"
        );
    }
    for (name, value, expected) in [
        ("accept", "text/html", 406),
        ("content-type", "text/plain", 415),
        ("origin", "http://evil.example", 403),
        ("host", "evil.example", 403),
        ("mcp-protocol-version", "1999-01-01", 400),
    ] {
        let mut request = message(&http, "tools/list", json!({}));
        request.headers_mut().insert(name, value.parse().unwrap());
        let answer = http.send(request).await;
        assert_eq!(answer.status, expected, "{name}: {answer:?}");
    }
    let long = json!({"name": "lookup", "arguments": {"segments": ["x".repeat(600 * 1024)]}});
    assert_eq!(send(&mut http, "tools/call", long).await.status, 413);
    for body in ["", "{", "[]", "{}", "\u{0}", "[[[[[[[["] {
        let mut request = message(&http, "tools/list", json!({}));
        *request.body_mut() = body.as_bytes().to_vec().into();
        let status = http.send(request).await.status;
        assert!(status.is_client_error(), "{body}: {status}");
    }
    assert_eq!(send(&mut http, "tools/list", json!({})).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_switch_it_off_choose_memories_and_allow_to_write() {
    let options = ServeOptions { facades: without_tools(true, true), ..ServeOptions::default() };
    let off = TestServer::with_options(empty_api(), options).await;
    let mut http = Http::one(off.address()).await;
    assert_eq!(send(&mut http, "tools/list", json!({})).await.status, 404);

    let chosen = dhakira::engine::MemoryChoice {
        memory: "news".parse().unwrap(),
        penalty: Some(dhakira::unit::Score::from_points(5.0).unwrap()),
    };
    let server = server(|table| {
        table.mcp.memories = vec![chosen];
        table.mcp.writes = true;
    });
    let server = server.await;
    let mut http = Http::one(server.address()).await;
    let found = tool(&mut http, "lookup", json!({"segments": [SEGMENT]})).await;
    let best = &found["structuredContent"]["results"][0]["matches"][0];
    assert_eq!(
        (&best["score"], &best["deductions"][0]["reason"]),
        (&json!(95.0), &json!("penalty")),
        "{found}"
    );
    let new = json!({"memory": "news", "source": "فتح الملف", "target": "Open the file"});
    let saved = tool(&mut http, "save", new).await;
    let unit = saved["structuredContent"]["unit"].as_str().unwrap().to_owned();
    let stored = http.get(&format!("/v1/{unit}")).await.json();
    assert_eq!(stored["unit"]["target"]["text"], "Open the file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_decides_what_the_tools_reach() {
    let guarded = Guarded::start().await;
    let root = guarded.token("setup", "admin:*");
    let reader = guarded.token("anna", "reader:own");
    guarded.until(&reader, Code::Ok).await;
    guarded.create_memories(&["own", "other"], &root).await;
    let mut http = Http::one(guarded.server.address()).await;
    // Nothing is said without a token, not even which tools there are.
    for token in [None, Some("Bearer dhk_wrong"), Some("Basic eDp5")] {
        http.authorization = token.map(str::to_owned);
        for method in ["initialize", "tools/list", "tools/call"] {
            let answer = send(&mut http, method, json!({})).await;
            assert_eq!(answer.status, 401, "{method} {token:?}: {answer:?}");
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{answer:?}");
        }
    }
    http.authorization = Some(format!("Bearer {reader}"));
    let listed = tool(&mut http, "list_memories", json!({})).await;
    let names = listed["structuredContent"]["memories"].as_array().unwrap();
    assert_eq!(names.iter().map(|it| it["name"].as_str().unwrap()).collect::<Vec<_>>(), ["own"]);
    let refused = tool(&mut http, "search", json!({"text": "x", "memories": ["other"]})).await;
    assert!(
        refused["content"][0]["text"].as_str().unwrap().contains("no memory 'other' here"),
        "{refused}"
    );
    // A check of a whole memory is work that readers may not start.
    let refused = tool(&mut http, "check", json!({"memory": "own"})).await;
    assert_eq!(refused["isError"], true, "{refused}");
}
