//! Risk: odd, endless or slow requests in the protocol of a tool hang or exhaust the server, or are answered as its fault.

use std::time::Duration;

use bytes::Bytes;
use dhakira::limits::MESSAGE_BYTES_MAX;
use dhakira::server::{Limits, ServeOptions};
use http_body_util::Full;
use proptest::prelude::{Strategy as _, any, prop};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::facades::{server, with_options};
use crate::json::{Http, raw};

#[tokio::test(flavor = "multi_thread")]
async fn no_text_is_a_fault_of_the_server() {
    let server = server(|table| {
        for facade in [&mut table.tmserver, &mut table.mymemory, &mut table.t5memory] {
            facade.writes = true;
        }
    });
    let server = server.await;
    let mut http = Http::one(server.address()).await;
    let mut runner = TestRunner::deterministic();
    // Bytes as they come, texts of every script, and pieces of the syntax of paths, queries, JSON and markup.
    let bytes = prop::collection::vec(any::<u8>(), 0..60);
    let pieces = prop::sample::select(vec![
        "%",
        "%2F",
        "/",
        "//",
        "..",
        "?",
        "&",
        "=",
        "|",
        "+",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "\\u0000",
        "<",
        "</bpt>",
        "<ph/>",
        "\u{646}\u{639}\u{645}",
        "\u{202E}",
        "\u{0}",
        "1e999",
        "null",
        "-1",
        "key",
        "source",
        "langpair",
        "ar|en",
        ":",
    ]);
    let pieces = prop::collection::vec(pieces, 0..12).prop_map(|it| it.concat().into_bytes());
    let text = prop::strategy::Union::new([bytes.boxed(), pieces.boxed()]);
    for round in 0..400 {
        let mut next = || text.new_tree(&mut runner).unwrap().current();
        let (in_path, in_query, body) = (next(), next(), next());
        let encoded = |bytes: &[u8], all: bool| -> String {
            let keep =
                |byte: u8| !all && byte.is_ascii_graphic() && !b"#<>\"\\^`{|}".contains(&byte);
            bytes
                .iter()
                .map(
                    |it| if keep(*it) { char::from(*it).to_string() } else { format!("%{it:02X}") },
                )
                .collect()
        };
        let all = round % 2 == 0;
        let (path, query) = (encoded(&in_path, all), encoded(&in_query, all));
        let starts = [
            "/tmserver/",
            "/tmserver/ar/en/unit/",
            "/tmserver/m/",
            "/tmserver/ar/en/store/",
            "/api/v1/",
            "/mymemory/",
            "/mymemory/get?langpair=ar|en&q=",
            "/mymemory/get?q=x&langpair=",
            "/mymemory/set?",
            "/mymemory/update?",
            "/mymemory/delete_by_id?id=",
            "/t5memory/",
            "/t5memory/news/",
            "/t5memory/news/fuzzysearch?",
            "/t5memory/news/search?",
            "/t5memory/news/entry?",
            "/t5memory_service/",
        ];
        let start = starts[round % starts.len()].replace('|', "%7C");
        let joint = if start.contains('?') { "" } else { "?" };
        let address = format!("{start}{path}{joint}{query}");
        let Ok(uri) = address.parse::<http::Uri>() else { continue };
        let method = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"][round / 3 % 6];
        let mut request = http.request(method, &uri.to_string(), None);
        *request.body_mut() = Full::new(Bytes::from(body.clone()));
        let answer = http.send(request).await;
        let code = answer.status.as_u16();
        assert!(code < 500, "{method} {address} {body:?}: {answer:?}");
        let is_served = !address.starts_with("/t5memory");
        assert!(
            !is_served || !answer.header("x-request-id").is_empty(),
            "{method} {address}: {answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_have_an_end() {
    let limits = Limits { message_time: Duration::from_millis(500), ..Limits::default() };
    let server = with_options(
        |table| {
            table.tmserver.writes = true;
            table.mymemory.writes = true;
        },
        |options: &mut ServeOptions| options.limits = limits,
    );
    let server = server.await;
    let paths = ["PUT /tmserver/m/news/ar/en/unit/x", "POST /mymemory/get", "POST /mymemory/set"];
    for path in paths {
        let head = format!("{path} HTTP/1.1\r\nhost: localhost\r\n");
        let announced = format!("{head}content-length: {}\r\n\r\n", MESSAGE_BYTES_MAX + 1);
        let text = raw(server.address(), announced.as_bytes()).await;
        assert!(text.starts_with("HTTP/1.1 413"), "{path}: {text}");
        let slow = format!("{head}content-length: 100\r\n\r\n{{");
        let text = raw(server.address(), slow.as_bytes()).await;
        assert!(text.starts_with("HTTP/1.1 408"), "{path}: {text}");
        // A request of two lengths is one request, and the last one.
        let hidden = "GET /tmserver/languages/ HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let two = format!(
            "{head}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n{hidden}"
        );
        let text = raw(server.address(), two.as_bytes()).await;
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{path}: {text}");
        assert!(text.to_lowercase().contains("connection: close"), "{path}: {text}");
    }
    // Deeply nested JSON, and a list of a million pairs that are none.
    let mut http = Http::one(server.address()).await;
    for body in
        ["[".repeat(1_000_000), "{\"a\":".repeat(500_000), format!("[{}0]", "0,".repeat(1_000_000))]
    {
        let mut request = http.request("POST", "/tmserver/m/news/ar/en/store/x", None);
        *request.body_mut() = Full::new(Bytes::from(body));
        assert_eq!(http.send(request).await.status, 400);
    }
    // A file that breaks off is not the whole file: nothing says that it was stored.
    let file = "ar\ten\n\u{645}\u{646}\tFrom\n";
    let head = "PUT /tmserver/m/news/ar/en/store/x.tsv HTTP/1.1\r\nhost: localhost\r\n";
    let bytes = file.len();
    let broken = format!("{head}transfer-encoding: chunked\r\n\r\n{bytes:x}\r\n{file}\r\nzz\r\n");
    let text = raw(server.address(), broken.as_bytes()).await;
    assert!(!text.contains(" 200 "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn web_pages_get_no_suggestions() {
    let server = server(|table| table.mymemory.writes = true).await;
    let mut http = Http::one(server.address()).await;
    let get = "/tmserver/ar/en/unit/x?callback=f";
    for (headers, code) in [
        (vec![], 200),
        (vec![("sec-fetch-site", "none")], 200),
        (vec![("sec-fetch-site", "same-origin")], 200),
        // A script of another page that is embedded, which needs no permission; a link is another thing.
        (vec![("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")], 403),
        (vec![("sec-fetch-site", "same-site"), ("sec-fetch-dest", "script")], 403),
        (
            vec![
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
            ],
            200,
        ),
        (
            vec![
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "iframe"),
            ],
            403,
        ),
        (vec![("origin", "http://evil.example")], 403),
        (vec![("host", "evil.example")], 403),
    ] {
        let mut request = http.request("GET", get, None);
        for (name, value) in &headers {
            let name: http::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let answer = http.send(request).await;
        assert_eq!(answer.status, code, "{headers:?}: {answer:?}");
    }
    let mut form = http.request("POST", "/mymemory/set", None);
    *form.body_mut() = "seg=a&tra=b&langpair=ar|en&key=news".into();
    form.headers_mut().insert("origin", "http://evil.example".parse().unwrap());
    assert_eq!(http.send(form).await.status, 403);
}
