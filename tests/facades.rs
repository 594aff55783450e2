//! Risk: a tool that speaks the protocol of a facade is answered in another form, or with other matches, than it expects.
//!
//! Exchanges are text files in `tests/data/facades`: `> METHOD PATH`, headers and the body, `< CODE TYPE` and the body of the answer. In
//! JSON the text "*" stands for any value; a body that is `*` alone for any text.

use std::path::Path;

use bytes::Bytes;
use dhakira::engine::MemoryChoice;
use dhakira::facades::FacadeTable;
use dhakira::server::{Facades, ServeOptions};
use dhakira::unit::MemoryName;
use http::HeaderName;
use serde_json::{Value, json};

use crate::json::Http;
use crate::support::{TestServer, empty_api};

struct Exchange {
    place: String,
    request: (String, String),
    headers: Vec<(String, String)>,
    body: String,
    status: u16,
    kind: String,
    answer: String,
}

fn read(file: &str) -> Vec<Exchange> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/facades").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let mut exchanges: Vec<Exchange> = Vec::new();
    let mut in_answer = false;
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("# ") {
            continue;
        }
        if let Some(request) = line.strip_prefix("> ") {
            let (method, path) = request.split_once(' ').unwrap();
            exchanges.push(Exchange {
                place: format!("{file}:{}", number + 1),
                request: (method.to_owned(), path.to_owned()),
                headers: Vec::new(),
                body: String::new(),
                status: 0,
                kind: String::new(),
                answer: String::new(),
            });
            in_answer = false;
            continue;
        }
        let Some(exchange) = exchanges.last_mut() else { continue };
        if let Some(answer) = line.strip_prefix("< ") {
            let (status, kind) = answer.split_once(' ').unwrap();
            (exchange.status, exchange.kind) = (status.parse().unwrap(), kind.to_owned());
            in_answer = true;
        } else if let Some(header) = line.strip_prefix(">> ") {
            let (name, value) = header.split_once(": ").unwrap();
            exchange.headers.push((name.to_owned(), value.to_owned()));
        } else {
            let to = if in_answer { &mut exchange.answer } else { &mut exchange.body };
            to.push_str(line);
            to.push('\n');
        }
    }
    exchanges
}

/// Whether a value is as expected, where "*" stands for any.
fn agrees(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::String(any), _) if any == "*" => true,
        (Value::Array(expected), Value::Array(got)) => {
            expected.len() == got.len() && expected.iter().zip(got).all(|(a, b)| agrees(a, b))
        }
        (Value::Object(expected), Value::Object(got)) => {
            expected.len() == got.len()
                && expected.iter().all(|(key, a)| got.get(key).is_some_and(|b| agrees(a, b)))
        }
        _ => expected == got,
    }
}

/// What is spoken without the protocols of tools.
pub(crate) fn without_tools(json: bool, grpc_web: bool) -> Facades {
    let mut tools = FacadeTable::default();
    for facade in [&mut tools.tmserver, &mut tools.mymemory, &mut tools.t5memory, &mut tools.mcp] {
        facade.enabled = false;
    }
    Facades { json, grpc_web, tools, pages: false }
}

/// A server with two small memories.
pub(crate) async fn server(change: impl FnOnce(&mut FacadeTable)) -> TestServer {
    with_options(change, |_| {}).await
}

/// The same with other options.
pub(crate) async fn with_options(
    change: impl FnOnce(&mut FacadeTable),
    configure: impl FnOnce(&mut ServeOptions),
) -> TestServer {
    let mut options = ServeOptions::default();
    change(&mut options.facades.tools);
    configure(&mut options);
    let server = TestServer::with_options(empty_api(), options).await;
    let mut http = Http::one(server.address()).await;
    for (memory, source, target) in [("law", "ar-SA", "en-GB"), ("news", "ar", "en")] {
        let body = json!({"sourceLanguageCode": source, "targetLanguageCode": target});
        let answer = http.post(&format!("/v1/memories?memoryId={memory}"), body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    for (memory, unit) in [
        (
            "news",
            json!({"source": {"text": "حفظ الملف"}, "target": {"text": "Store the file"},
                "author": "huda", "document": "old.po", "createTime": "2013-06-12T17:02:07Z",
                "updateTime": "2013-06-12T17:02:07Z"}),
        ),
        (
            "news",
            json!({"source": {"text": "حفظ الملف"}, "target": {"text": "Save the file"},
                "context": {"contextId": "menu.save"}, "author": "omar", "document": "app.po",
                "createTime": "2019-04-01T08:40:52Z", "updateTime": "2019-04-01T08:40:52Z"}),
        ),
        (
            "news",
            json!({"source": {"text": "حفظ ملف الصورة"}, "target": {"text": "Save the image file"},
                "createTime": "2020-01-01T00:00:00Z", "updateTime": "2020-01-01T00:00:00Z"}),
        ),
        (
            "law",
            json!({"source": {"text": "العقد ملزم"}, "target": {"text": "The contract is binding"},
                "createTime": "2020-01-01T00:00:00Z", "updateTime": "2020-01-01T00:00:00Z"}),
        ),
    ] {
        let answer = http.post(&format!("/v1/memories/{memory}/units"), unit).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    server
}

/// Sends the requests of a file one after the other, by HTTP/1.1 and then, where nothing is written, by HTTP/2.
pub(crate) async fn play(server: &TestServer, file: &str) {
    let exchanges = read(file);
    assert!(!exchanges.is_empty(), "{file}");
    let reads_only = !file.contains("writes");
    let mut wrong = String::new();
    for version in 1..=if reads_only { 2 } else { 1 } {
        let mut http = match version {
            1 => Http::one(server.address()).await,
            _ => Http::two(server.address()).await,
        };
        for it in &exchanges {
            let body = it.body.trim_end_matches('\n');
            // Lines of forms end in two characters.
            let is_form = it.headers.iter().any(|(_, value)| value.starts_with("multipart/"));
            let body = if is_form { body.replace('\n', "\r\n") } else { body.to_owned() };
            let body = (!body.is_empty()).then(|| body.into_bytes());
            let mut request = http.request(&it.request.0, &it.request.1, None);
            if let Some(body) = body {
                *request.body_mut() = http_body_util::Full::new(Bytes::from(body));
            }
            for (name, value) in &it.headers {
                let name: HeaderName = name.parse().unwrap();
                request.headers_mut().insert(name, value.parse().unwrap());
            }
            let answer = http.send(request).await;
            let text = String::from_utf8(answer.body.to_vec()).unwrap();
            let same_text = match it.answer.trim() {
                "*" => true,
                expected if it.kind == "application/json" => {
                    let expected: Value = serde_json::from_str(expected)
                        .unwrap_or_else(|error| panic!("{}: {error}", it.place));
                    serde_json::from_str(&text).is_ok_and(|got| agrees(&expected, &got))
                }
                expected => expected == text.trim(),
            };
            if (answer.status.as_u16(), answer.header("content-type")) != (it.status, &it.kind)
                || !same_text
            {
                let (status, kind) = (answer.status, answer.header("content-type").to_owned());
                wrong += &format!("{} by HTTP/{version}: {status} {kind}\n{text}\n", it.place);
            }
            assert!(!answer.header("x-request-id").is_empty(), "{}", it.place);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tmserver_answers_its_clients() {
    play(&server(|_| {}).await, "tmserver.txt").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tmserver_stores_where_it_may() {
    let server = server(|table| {
        table.tmserver.writes = true;
        let memory = "news".parse().unwrap();
        table.tmserver.memories = vec![MemoryChoice { memory, penalty: None }];
    });
    play(&server.await, "tmserver-writes.txt").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mymemory_answers_its_clients() {
    let server = server(|table| table.mymemory_keys = vec![project_key()]);
    play(&server.await, "mymemory.txt").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mymemory_stores_where_it_may() {
    let server = server(|table| {
        table.mymemory.writes = true;
        table.mymemory_keys = vec![project_key()];
        let memory = "news".parse().unwrap();
        table.mymemory.memories = vec![MemoryChoice { memory, penalty: None }];
    });
    play(&server.await, "mymemory-writes.txt").await;
}

fn project_key() -> (String, MemoryName) {
    ("PROJECT".to_owned(), "news".parse().unwrap())
}

#[tokio::test]
async fn the_pages_may_be_on_the_same_port() {
    for on in [false, true] {
        let server = with_options(|_| {}, |options| options.facades.pages = on).await;
        for version in [1, 2] {
            let mut http = match version {
                1 => Http::one(server.address()).await,
                _ => Http::two(server.address()).await,
            };
            for (path, part) in
                [("/healthz", "alive"), ("/readyz", "ready"), ("/metrics", "dhakira_connections")]
            {
                let answer = http.get(path).await;
                assert_eq!(answer.status, if on { 200 } else { 404 }, "{path}");
                let text = String::from_utf8(answer.body.to_vec()).unwrap();
                assert!(!on || text.contains(part), "{path}: {text}");
            }
            let cluster = http.get("/cluster").await;
            assert_eq!(cluster.status, 404, "one machine is no cluster");
            let post = http.send(http.request("POST", "/metrics", None)).await;
            assert_eq!(post.status, if on { 405 } else { 404 });
        }
    }
}
