//! Risk: what a browser needs is missing or unsafe: streams that resume, a page without strangers, requests without a name.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::DynamicMessage;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use dhakira::server::Limits;

use crate::json::Http;
use crate::method_examples::methods;
use crate::overload::{start, until};
use crate::support::{TestServer, proto};

/// What a stream of events says in some time.
async fn events(address: &str, path: &str, last: Option<&str>, time: Duration) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let last = last.map(|id| format!("last-event-id: {id}\r\n")).unwrap_or_default();
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n{last}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    let _ = tokio::time::timeout(time, stream.read_to_end(&mut said)).await;
    String::from_utf8(said).unwrap()
}

fn ids(said: &str) -> Vec<&str> {
    said.lines().filter_map(|line| line.strip_prefix("id: ")).collect()
}

fn changes(said: &str) -> Vec<String> {
    let data = said.lines().filter_map(|line| line.strip_prefix("data: "));
    let all = data.map(|it| serde_json::from_str::<Value>(it).unwrap());
    all.flat_map(|it| it["changes"].as_array().cloned().unwrap_or_default())
        .map(|it| it["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn events_resume_after_the_last_one() {
    let server = TestServer::start().await;
    let mut http = Http::one(server.address()).await;
    http.create_memory("news").await;
    for number in 0..5 {
        http.create_unit("news", &format!("\u{646}\u{639}\u{645} {number}"), "Yes").await;
    }
    let watch = "/v1/memories/news/units:watch?afterSequence=0";
    let time = Duration::from_secs(2);
    let said = events(server.address(), watch, None, time).await;
    assert!(said.contains("content-type: text/event-stream"), "{said}");
    let all = changes(&said);
    let ids = ids(&said).into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert!(all.len() == 5 && ids.len() >= 5, "{said}");
    // A browser connects again to the same address.
    let third = said.split("\n\n").find(|event| event.contains(&all[2])).unwrap();
    let third = third.lines().find_map(|line| line.strip_prefix("id: ")).unwrap();
    let rest = events(server.address(), watch, Some(third), time).await;
    assert_eq!(changes(&rest), all[3..], "{rest}");
    let wrong = events(server.address(), watch, Some("nonsense"), time).await;
    assert!(wrong.starts_with("HTTP/1.1 400"), "{wrong}");
    // An export resumes in the same way.
    let export = "/v1/memories/news:export";
    let said = events(server.address(), export, None, time).await;
    let last =
        said.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().unwrap().to_owned();
    let rest = events(server.address(), export, Some(&last), time).await;
    assert!(rest.starts_with("HTTP/1.1 200") && !rest.contains("data: {\"units\""), "{rest}");
}

#[tokio::test]
async fn a_silent_stream_of_events_says_that_it_lives() {
    let server = TestServer::start().await;
    let mut http = Http::one(server.address()).await;
    http.create_memory("news").await;
    let said =
        events(server.address(), "/v1/memories/news/units:watch", None, Duration::from_secs(17))
            .await;
    assert!(said.contains(":\n\n") && !said.contains("data:"), "{said}");
}

#[tokio::test]
async fn streams_of_the_server_are_the_same_by_json() {
    let server = TestServer::start().await;
    let mut clients = server.clients().await;
    clients.create_memory("news").await;
    for number in 0..450 {
        clients.create_unit("news", &format!("\u{646}\u{639}\u{645} {number}"), "Yes").await;
    }
    let mut http = Http::two(server.address()).await;
    let of = |name: &str| methods().into_iter().find(|it| it.name() == name).unwrap();
    let export = proto::ExportUnitsRequest { parent: "memories/news".into(), ..Default::default() };
    let mut expected = Vec::new();
    let mut stream = clients.units.export_units(export).await.unwrap().into_inner();
    while let Some(page) = stream.message().await.unwrap() {
        let page =
            DynamicMessage::decode(of("ExportUnits").output(), &*page.encode_to_vec()).unwrap();
        expected.push(serde_json::to_value(&page).unwrap());
    }
    assert_eq!(http.get("/v1/memories/news:export").await.lines(), expected);
    let align = proto::AlignDocumentsRequest {
        source_language_code: "ar".into(),
        target_language_code: "en".into(),
        source: Some(proto::DocumentSide {
            text: "\u{646}\u{639}\u{645}. \u{644}\u{627}.".into(),
            ..Default::default()
        }),
        target: Some(proto::DocumentSide { text: "Yes. No.".into(), ..Default::default() }),
        ..Default::default()
    };
    let sent =
        DynamicMessage::decode(of("AlignDocuments").input(), &*align.encode_to_vec()).unwrap();
    let mut client = crate::support::AlignmentServiceClient::new(clients.channel.clone());
    let mut stream = client.align_documents(align).await.unwrap().into_inner();
    let mut expected = Vec::new();
    while let Some(answer) = stream.message().await.unwrap() {
        let answer =
            DynamicMessage::decode(of("AlignDocuments").output(), &*answer.encode_to_vec())
                .unwrap();
        expected.push(serde_json::to_value(&answer).unwrap());
    }
    let lines =
        http.post("/v1/documents:align", serde_json::to_value(&sent).unwrap()).await.lines();
    let without_progress = |all: Vec<Value>| {
        all.into_iter().filter(|it| it.get("progress").is_none()).collect::<Vec<_>>()
    };
    assert_eq!(without_progress(lines), without_progress(expected));
}

#[tokio::test]
async fn the_page_is_whole_and_fetches_nothing_from_elsewhere() {
    let server = TestServer::start().await;
    let mut http = Http::one(server.address()).await;
    for (path, kind) in [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/style.css", "text/css; charset=utf-8"),
        ("/docs/script.js", "text/javascript; charset=utf-8"),
    ] {
        let answer = http.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, kind));
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        for elsewhere in
            ["http:", "https:", "//cdn", "@import", "innerHTML", "eval(", " style=", " onclick="]
        {
            assert!(!text.contains(elsewhere), "{path} has {elsewhere}");
        }
        let posted = http.send(http.request("POST", path, Some(b"{}".to_vec()))).await;
        assert_eq!((posted.status.as_u16(), posted.header("allow")), (405, "GET"));
    }
    for path in ["/docs/", "/docs/other.js", "/docs/../openapi.json"] {
        assert!(http.get(path).await.status.is_client_error(), "{path}");
    }
}

#[tokio::test]
async fn what_is_refused_without_a_call_is_named_and_counted() {
    let (server, pages) = start(Limits::default()).await;
    let mut http = Http::one(server.address()).await;
    let mut refused = 0;
    for (method, path, kind, host, code) in [
        ("GET", "/v1/nothing", None, None, 404),
        ("PUT", "/v1/memories", Some("application/json"), None, 405),
        ("POST", "/v1/segments:lookup", Some("text/plain"), None, 415),
        ("GET", "/v1/memories", None, Some("evil.example"), 403),
        ("GET", "/v1/%ff", None, None, 400),
    ] {
        let mut request = http.request(method, path, None);
        *request.body_mut() =
            if kind.is_some() { Bytes::from("{}").into() } else { Bytes::new().into() };
        for (name, value) in
            [("content-type", kind), ("host", host), ("x-request-id", Some("mine-7"))]
        {
            if let Some(value) = value {
                request.headers_mut().insert(name, value.parse().unwrap());
            }
        }
        let answer = http.send(request).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("x-request-id")),
            (code, "mine-7"),
            "{path}"
        );
        refused += 1;
    }
    let unnamed = http.get("/v1/nothing").await;
    assert!(unnamed.header("x-request-id").len() > 30, "{unnamed:?}");
    refused += 1;
    let page = http.get("/docs").await;
    assert!(page.status == 200 && !page.header("x-request-id").is_empty());
    // A call that fails is a call.
    assert_eq!(http.get("/v1/memories/none").await.status, 404);
    until(&pages, r#"dhakira_turned_away_total{cause="no_call"}"#, refused).await;
}
