//! Risk: HTTP/1.1 lets in what gRPC keeps out: smuggled and endless requests, odd paths, web pages.

use std::time::Duration;

use dhakira::limits::MESSAGE_BYTES_MAX;
use dhakira::server::{Limits, ServeOptions};

use crate::facades::without_tools;
use crate::json::{Http, raw};
use crate::overload::{start, until};
use crate::support::{TestServer, empty_api};

/// The status lines in some text.
fn answers(text: &str) -> Vec<u16> {
    text.match_indices("HTTP/1.1 ")
        .filter_map(|(place, head)| text.get(place + head.len()..)?.get(..3)?.parse().ok())
        .collect()
}

#[tokio::test]
async fn one_request_is_one_request() {
    let server = TestServer::start().await;
    let hidden = "GET /v1/memories HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let head = "POST /v1/segments:lookup HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    for lengths in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\ncontent-length: 9\r\n",
    ] {
        let text = raw(
            server.address(),
            format!("{head}{lengths}\r\n2\r\n{{}}\r\n0\r\n\r\n{hidden}").as_bytes(),
        )
        .await;
        let lower = text.to_lowercase();
        assert_eq!(answers(&text).len(), 1, "{lengths}: {text}");
        assert!(lower.contains("connection: close"), "{lengths}: {text}");
    }
    for malformed in [
        "content-length: 2\r\ncontent-length: 3\r\n",
        "content-length: +2\r\n",
        "content-length: 2, 3\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: chunked, identity\r\n",
        "content-length : 2\r\n",
        " x: y\r\n",
        "a\0b: c\r\n",
    ] {
        let text =
            raw(server.address(), format!("{head}{malformed}\r\n{{}}{hidden}").as_bytes()).await;
        assert_eq!(answers(&text), [400], "{malformed:?}: {text}");
    }
    // Two requests at once are two answers, in order.
    let last = "GET /v1/none HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let text = raw(server.address(), format!("{hidden}{last}").as_bytes()).await;
    assert_eq!(answers(&text), [200, 404], "{text}");
}

#[tokio::test]
async fn what_is_too_long_or_too_slow_is_ended() {
    let limits = Limits {
        message_time: Duration::from_millis(400),
        handshake_time: Duration::from_millis(400),
        ..Limits::default()
    };
    let (server, pages) = start(limits).await;
    let head = "POST /v1/segments:lookup HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let announced = format!("{head}content-length: {}\r\n\r\n", MESSAGE_BYTES_MAX + 1);
    assert_eq!(answers(&raw(server.address(), announced.as_bytes()).await), [413]);
    let slow = format!("{head}content-length: 100\r\n\r\n{{");
    let text = raw(server.address(), slow.as_bytes()).await;
    assert!(answers(&text) == [408] && text.contains("MESSAGE_TOO_SLOW"), "{text}");
    for slow in ["G", "GET /v1/memories HTTP/1.1\r\nhost: loc"] {
        let text = raw(server.address(), slow.as_bytes()).await;
        assert!(answers(&text).iter().all(|it| *it == 408), "{text}");
    }
    let long = format!(
        "GET /v1/memories HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n",
        "y".repeat(20_000)
    );
    assert_eq!(answers(&raw(server.address(), long.as_bytes()).await), [431]);
    until(&pages, "dhakira_connections", 0).await;
    until(&pages, "dhakira_message_bytes", 0).await;
    // An endless body, in time.
    let (server, pages) = start(Limits::default()).await;
    let mut chunked = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
    chunked.extend(format!("{:x}\r\n", MESSAGE_BYTES_MAX + 1).bytes());
    chunked.resize(chunked.len() + MESSAGE_BYTES_MAX + 1, b' ');
    assert_eq!(answers(&raw(server.address(), &chunked).await), [413]);
    until(&pages, "dhakira_message_bytes", 0).await;
    // Little text that would be millions of elements.
    let mut http = Http::one(server.address()).await;
    let many = format!("{{\"segments\":[{}{{}}]}}", "{},".repeat(1_000_000));
    let answer = http.send(http.request("POST", "/v1/segments:lookup", Some(many.into()))).await;
    assert!(answer.status == 400 && answer.json()["message"].to_string().contains("too many"));
    until(&pages, "dhakira_message_bytes", 0).await;
}

#[tokio::test]
async fn odd_paths_are_refused_clearly() {
    let server = TestServer::start().await;
    let mut http = Http::one(server.address()).await;
    http.create_memory("news").await;
    for (path, code) in [
        ("/v1/memories/news%2Funits", 400),
        ("/v1/memories/..", 400),
        ("/v1/memories/%2e%2e/news", 400),
        ("/v1/memories/a%00b", 400),
        ("/v1/memories/%ff", 400),
        ("/v1/memories/%c0%ae", 400),
        ("/v1/memories/%", 400),
        ("/v1/memories/%d8%a7", 400),
        ("/v1//memories", 404),
        ("/v1/memories/", 404),
        ("/V1/memories", 404),
        ("/v1/memories/news:none", 404),
        ("/v1/memories/news/units/%D9%A1", 400),
        ("/v1/memories/news/units/99999999999999999999", 400),
        ("/dhakira.v1.MemoryService/None", 404),
        ("/grpc.health.v1.Health/Check", 404),
        ("/", 404),
    ] {
        let answer = http.get(path).await;
        let given = answer.status.as_u16();
        assert!(given == code || (code == 400 && given == 404), "{path}: {answer:?}");
        assert!(answer.json()["message"].is_string());
    }
}

#[tokio::test]
async fn web_pages_get_nothing() {
    let server = TestServer::start().await;
    let mut http = Http::one(server.address()).await;
    http.create_memory("news").await;
    let verify = "/v1/store:verify";
    for kind in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/grpc"),
        Some("text/plain; application/json"),
        Some("application/json, text/plain"),
    ] {
        let mut request = http.request("POST", verify, None);
        *request.body_mut() = "{}".into();
        if let Some(kind) = kind {
            request.headers_mut().insert("content-type", kind.parse().unwrap());
        }
        let answer = http.send(request).await;
        assert_eq!(answer.status, 415, "{kind:?}: {answer:?}");
    }
    let here = server.address().to_owned();
    for (host, origin, code) in [
        (here.as_str(), None, 200),
        ("localhost:1", None, 200),
        ("tm-server", None, 200),
        ("evil.example", None, 403),
        ("127.0.0.1.nip.io:50051", None, 403),
        (here.as_str(), Some("http://evil.example"), 403),
        (here.as_str(), Some("null"), 403),
        ("localhost", Some("http://localhost"), 200),
    ] {
        let mut request = http.request("GET", "/v1/memories", None);
        request.headers_mut().insert("host", host.parse().unwrap());
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        let answer = http.send(request).await;
        assert_eq!(answer.status, code, "{host} {origin:?}: {answer:?}");
        assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("access-control")));
    }
    let preflight = http.send(http.request("OPTIONS", "/v1/memories", None)).await;
    assert_eq!(preflight.status, 405);
    let text = raw(server.address(), b"GET /v1/memories HTTP/1.1\r\n\r\n").await;
    assert_eq!(answers(&text), [400], "{text}");
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let facades = without_tools(false, false);
    let options = ServeOptions { facades, ..ServeOptions::default() };
    let server = TestServer::with_options(empty_api(), options).await;
    let text = raw(server.address(), b"GET /v1/memories HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(answers(&text) == [400] && text.contains("switched off"), "{text}");
    let mut http = Http::two(server.address()).await;
    assert_eq!(http.get("/v1/memories").await.status, 405);
    server.clients().await.create_memory("m").await;
}
