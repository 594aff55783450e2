//! Risk: by gRPC-Web a call does something else than by gRPC, or what is malformed costs more than an error.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use prost::Message as _;
use serde_json::json;
use tonic::Code;

use dhakira::server::ServeOptions;

use crate::facades::without_tools;
use crate::guarded::Guarded;
use crate::json::{Answer, Http, raw};
use crate::support::{TestServer, empty_api, lookup_request, proto};

const BINARY: &str = "application/grpc-web+proto";
const TEXT: &str = "application/grpc-web-text+proto";
const LOOKUP: &str = "/dhakira.v1.LookupService/LookupSegments";
const EXPORT: &str = "/dhakira.v1.UnitService/ExportUnits";

/// A message behind its header.
fn framed(message: &impl prost::Message) -> Vec<u8> {
    let message = message.encode_to_vec();
    let length = u32::try_from(message.len()).unwrap();
    [&[0][..], &length.to_be_bytes(), &message].concat()
}

/// A call with a body as it is.
fn request(
    http: &Http,
    path: &str,
    kind: &str,
    body: Vec<u8>,
) -> Request<http_body_util::Full<bytes::Bytes>> {
    let mut request = http.request("POST", path, Some(body));
    request.headers_mut().insert("content-type", kind.parse().unwrap());
    request.headers_mut().insert("x-grpc-web", "1".parse().unwrap());
    request
}

/// A call by one of the content types.
async fn call(http: &mut Http, path: &str, kind: &str, message: &impl prost::Message) -> Answer {
    let body = framed(message);
    let body = if kind == TEXT { STANDARD.encode(body).into_bytes() } else { body };
    let answer = http.send(request(http, path, kind, body)).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, kind));
    answer
}

/// The messages of an answer, its code, and what it says.
fn read(answer: &Answer) -> (Vec<Vec<u8>>, Code, String) {
    // Pieces of text are padded each for itself.
    let mut bytes = Vec::new();
    if answer.header("content-type").starts_with(TEXT) {
        let text = std::str::from_utf8(&answer.body).unwrap();
        for part in text.split_inclusive('=').filter(|it| *it != "=") {
            let part = part.trim_end_matches('=');
            let padded = format!("{part}{}", "=".repeat((4 - part.len() % 4) % 4));
            bytes.extend(STANDARD.decode(padded).unwrap());
        }
    } else {
        bytes.extend_from_slice(&answer.body);
    }
    let (mut rest, mut messages, mut trailers) = (&bytes[..], Vec::new(), None);
    while let Some((header, after)) = rest.split_first_chunk::<5>() {
        assert!(trailers.is_none(), "there is something after the trailers");
        let length = u32::from_be_bytes(header[1..].try_into().unwrap()) as usize;
        let (frame, after) = after.split_at(length);
        match header[0] {
            0 => messages.push(frame.to_vec()),
            0x80 => trailers = Some(String::from_utf8(frame.to_vec()).unwrap()),
            other => panic!("a frame {other}"),
        }
        rest = after;
    }
    assert!(rest.is_empty());
    let in_headers = || {
        format!(
            "grpc-status:{}\r\ngrpc-message:{}\r\n",
            answer.header("grpc-status"),
            answer.header("grpc-message")
        )
    };
    let said = trailers.unwrap_or_else(in_headers);
    let code = said.lines().find_map(|line| line.strip_prefix("grpc-status:")).unwrap();
    (messages, Code::from_bytes(code.as_bytes()), said)
}

#[tokio::test]
async fn calls_and_streams_answer_as_by_grpc() {
    let server = TestServer::start().await;
    let mut clients = server.clients().await;
    clients.create_memory("news").await;
    for number in 0..450 {
        clients.create_unit("news", &format!("\u{646}\u{639}\u{645} {number}"), "Yes").await;
    }
    let lookup = lookup_request(&["news"], "\u{646}\u{639}\u{645} 7");
    let expected = clients.lookups.lookup_segments(lookup.clone()).await.unwrap().into_inner();
    let export = proto::ExportUnitsRequest { parent: "memories/news".into(), ..Default::default() };
    let mut pages = Vec::new();
    let mut stream = clients.units.export_units(export.clone()).await.unwrap().into_inner();
    while let Some(page) = stream.message().await.unwrap() {
        pages.push(page.encode_to_vec());
    }
    assert!(pages.len() > 2);
    for version in [1, 2] {
        for kind in [BINARY, TEXT] {
            let mut http = match version {
                1 => Http::one(server.address()).await,
                _ => Http::two(server.address()).await,
            };
            let answer = call(&mut http, LOOKUP, kind, &lookup).await;
            assert!(!answer.header("x-request-id").is_empty());
            let (messages, code, _) = read(&answer);
            assert_eq!((code, messages), (Code::Ok, vec![expected.encode_to_vec()]));
            let (messages, code, _) = read(&call(&mut http, EXPORT, kind, &export).await);
            assert_eq!((code, &messages), (Code::Ok, &pages));
            // Errors at once and for a method that there is not.
            let none =
                proto::ExportUnitsRequest { parent: "memories/none".into(), ..Default::default() };
            let (messages, code, said) = read(&call(&mut http, EXPORT, kind, &none).await);
            assert!(messages.is_empty() && code == Code::NotFound, "{said}");
            let (_, code, _) =
                read(&call(&mut http, "/dhakira.v1.UnitService/None", kind, &none).await);
            assert_eq!(code, Code::Unimplemented);
        }
    }
}

#[tokio::test]
async fn every_layer_is_passed_once() {
    let guarded = Guarded::start().await;
    let root = guarded.token("setup", "admin:*");
    let reader = guarded.token("anna", "reader:own");
    guarded.until(&reader, Code::Ok).await;
    guarded.create_memories(&["own", "other"], &root).await;
    let mut http = Http::one(guarded.server.address()).await;
    let create = proto::CreateUnitRequest {
        parent: "memories/own".into(),
        unit: Some(crate::support::unit("\u{646}\u{639}\u{645}", "Yes")),
        ..Default::default()
    };
    let method = "/dhakira.v1.UnitService/CreateUnit";
    let basic = |token: &str| format!("Basic {}", STANDARD.encode(format!("x:{token}")));
    for (authorization, path, expected) in [
        (None, method, Code::Unauthenticated),
        (Some("Bearer dhk_1_2".to_owned()), method, Code::Unauthenticated),
        (Some(format!("Bearer {reader}")), method, Code::PermissionDenied),
        (
            Some(format!("Bearer {reader}")),
            "/dhakira.v1.AdminService/CompactStore",
            Code::PermissionDenied,
        ),
        (Some(format!("Bearer {root}")), method, Code::Ok),
        (Some(basic(&root)), method, Code::Ok),
    ] {
        http.authorization = authorization;
        for kind in [BINARY, TEXT] {
            let (_, code, said) = read(&call(&mut http, path, kind, &create).await);
            assert_eq!(code, expected, "{path}: {said}");
        }
    }
    for (memory, expected) in [("own", Code::Ok), ("other", Code::PermissionDenied)] {
        http.authorization = Some(format!("Bearer {reader}"));
        let lookup = lookup_request(&[memory], "\u{646}\u{639}\u{645}");
        let (_, code, said) = read(&call(&mut http, LOOKUP, BINARY, &lookup).await);
        assert_eq!(code, expected, "{memory}: {said}");
    }
}

#[tokio::test]
async fn what_is_malformed_is_an_error_of_its_client() {
    let server = TestServer::start().await;
    let good = framed(&lookup_request(&["none"], "x"));
    let with_length = |length: u32| [&[0][..], &length.to_be_bytes(), &good[5..]].concat();
    let text = |bytes: &[u8]| STANDARD.encode(bytes).into_bytes();
    let mut cut = text(&good);
    cut.truncate(cut.len() - 2);
    for (kind, body, expected) in [
        (BINARY, good.clone(), Code::NotFound),
        (TEXT, text(&good), Code::NotFound),
        (BINARY, Vec::new(), Code::InvalidArgument),
        (BINARY, good[..3].to_vec(), Code::InvalidArgument),
        (BINARY, good[..good.len() - 1].to_vec(), Code::InvalidArgument),
        (BINARY, with_length(u32::MAX), Code::ResourceExhausted),
        (BINARY, with_length(0), Code::ResourceExhausted),
        (BINARY, [&[1][..], &good[1..]].concat(), Code::InvalidArgument),
        (BINARY, [&[0x80][..], &good[1..]].concat(), Code::InvalidArgument),
        (BINARY, vec![0xff; 70_000], Code::ResourceExhausted),
        (TEXT, good.clone(), Code::InvalidArgument),
        (TEXT, cut, Code::InvalidArgument),
        (TEXT, b"====".to_vec(), Code::InvalidArgument),
        (TEXT, b"AAAA".repeat(3), Code::InvalidArgument),
        (TEXT, text(&with_length(u32::MAX)), Code::ResourceExhausted),
        (TEXT, text(&good[..good.len() - 1]), Code::InvalidArgument),
    ] {
        let shown = format!("{kind} {:?}", &body[..body.len().min(40)]);
        let mut http = Http::one(server.address()).await;
        let answer = http.send(request(&http, LOOKUP, kind, body)).await;
        assert_eq!(answer.status, 200, "{shown}: {answer:?}");
        let (messages, code, said) = read(&answer);
        assert!(messages.is_empty() && code == expected, "{shown}: {said}");
    }
    let mut http = Http::one(server.address()).await;
    for (method, kind, code) in [
        ("GET", BINARY, 405),
        ("POST", "application/grpc-web+json", 415),
        ("POST", "application/grpc-webx", 415),
        ("POST", "application/grpc", 415),
        ("POST", "Application/gRPC-Web; charset=x", 200),
    ] {
        let mut request = request(&http, LOOKUP, kind, good.clone());
        *request.method_mut() = method.parse().unwrap();
        let answer = http.send(request).await;
        assert_eq!(answer.status, code, "{method} {kind}: {answer:?}");
    }
    // Pages of other origins, and names that may be theirs.
    for (name, value) in [("origin", "http://evil.example"), ("host", "evil.example")] {
        let mut request = request(&http, LOOKUP, BINARY, good.clone());
        request.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(http.send(request).await.status, 403, "{name}");
    }
}

#[tokio::test]
async fn it_is_switched_on_and_off_for_itself() {
    let with = |json, grpc_web| ServeOptions {
        facades: without_tools(json, grpc_web),
        ..Default::default()
    };
    let alone = TestServer::with_options(empty_api(), with(false, true)).await;
    let mut http = Http::one(alone.address()).await;
    let list = proto::ListMemoriesRequest::default();
    let path = "/dhakira.v1.MemoryService/ListMemories";
    assert_eq!(read(&call(&mut http, path, BINARY, &list).await).1, Code::Ok);
    assert_eq!(http.post(path, json!({})).await.status, 415);
    assert_eq!(http.get("/v1/memories").await.status, 415);
    let body = framed(&list);
    assert_eq!(http.send(request(&http, path, "application/grpc", body.clone())).await.status, 415);
    let mut two = Http::two(alone.address()).await;
    assert_eq!(read(&call(&mut two, path, TEXT, &list).await).1, Code::Ok);
    assert_eq!(two.get("/v1/memories").await.status, 405);
    assert_eq!(two.send(request(&two, path, "application/grpc", body.clone())).await.status, 200);
    let without = TestServer::with_options(empty_api(), with(true, false)).await;
    let mut http = Http::one(without.address()).await;
    assert_eq!(http.post(path, json!({})).await.status, 200);
    assert_eq!(http.send(request(&http, path, BINARY, body.clone())).await.status, 415);
    let mut two = Http::two(without.address()).await;
    assert_eq!(two.send(request(&two, path, BINARY, body)).await.status, 415);
    let neither = TestServer::with_options(empty_api(), with(false, false)).await;
    let said = raw(
        neither.address(),
        b"POST /x HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/grpc-web\r\n\r\n",
    )
    .await;
    assert!(said.contains("switched off"), "{said}");
    for (json, grpc_web, text) in [
        (true, true, "gRPC, gRPC-Web and JSON over HTTP"),
        (false, true, "gRPC and gRPC-Web"),
        (false, false, "gRPC"),
    ] {
        assert_eq!(without_tools(json, grpc_web).to_string(), text);
    }
}

/// A server that pages of one origin may use.
async fn with_pages(origins: &str) -> TestServer {
    let options = ServeOptions { origins: origins.parse().unwrap(), ..ServeOptions::default() };
    TestServer::with_options(empty_api(), options).await
}

#[tokio::test]
async fn pages_of_allowed_origins_get_their_permissions_and_no_others() {
    const PAGE: &str = "https://tm.example.org";
    let server = with_pages("https://tm.example.org,http://localhost:3000").await;
    let off = TestServer::start().await;
    let preflight = |http: &Http, path: &str, origin: &str, host: &str| {
        let mut request = http.request("OPTIONS", path, None);
        for (name, value) in [
            ("origin", origin),
            ("host", host),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type,x-grpc-web"),
        ] {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        request
    };
    for path in ["/v1/segments:lookup", LOOKUP, "/tmserver/ar/en/unit/x"] {
        let mut http = Http::one(server.address()).await;
        let here = server.address().to_owned();
        let answer = http.send(preflight(&http, path, PAGE, &here)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), PAGE);
        assert!(answer.header("access-control-allow-methods").contains("PATCH"));
        assert!(answer.header("access-control-allow-headers").contains("x-grpc-web"));
        assert!(!answer.headers.contains_key("access-control-allow-credentials"));
        for other in
            ["https://evil.example", "http://tm.example.org", "https://tm.example.org.evil", "null"]
        {
            let answer = http.send(preflight(&http, path, other, &here)).await;
            assert_eq!(answer.status, 403, "{other}: {answer:?}");
            assert!(!answer.headers.contains_key("access-control-allow-origin"));
        }
        let mut http = Http::one(off.address()).await;
        assert_eq!(http.send(preflight(&http, path, PAGE, off.address())).await.status, 403);
    }
    let lookup = framed(&lookup_request(&["none"], "x"));
    for (origin, host, code) in [
        (PAGE, server.address(), 200),
        // A name that only its page knows, since the origin says which page it is.
        (PAGE, "tm.example.org", 200),
        ("http://localhost:3000", "localhost:1", 200),
        ("https://evil.example", server.address(), 403),
        ("https://evil.example", "tm.example.org", 403),
    ] {
        let mut http = Http::one(server.address()).await;
        let mut list = http.request("GET", "/v1/memories", None);
        let mut web = request(&http, LOOKUP, BINARY, lookup.clone());
        // A form, which needs no permission and is refused all the same.
        let mut form = http.request("POST", "/v1/store:verify", Some(b"{}".to_vec()));
        form.headers_mut().insert("content-type", "text/plain".parse().unwrap());
        for request in [&mut list, &mut web, &mut form] {
            request.headers_mut().insert("origin", origin.parse().unwrap());
            request.headers_mut().insert("host", host.parse().unwrap());
        }
        for (request, code) in
            [(list, code), (web, code), (form, if code == 200 { 415 } else { code })]
        {
            let answer = http.send(request).await;
            assert_eq!(answer.status, code, "{origin} {host}: {answer:?}");
            let allowed = if code == 403 { "" } else { origin };
            assert_eq!(answer.header("access-control-allow-origin"), allowed, "{answer:?}");
            let shown = answer.header("access-control-expose-headers");
            assert_eq!(shown.contains("grpc-status-details-bin"), code != 403, "{answer:?}");
            assert!(!answer.headers.contains_key("access-control-allow-credentials"));
        }
    }
    let mut http = Http::one(server.address()).await;
    let mut twice = http.request("GET", "/v1/memories", None);
    twice.headers_mut().append("origin", PAGE.parse().unwrap());
    twice.headers_mut().append("origin", "https://evil.example".parse().unwrap());
    assert_eq!(http.send(twice).await.status, 403);
}
