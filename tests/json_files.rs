//! Risk: a file that comes or goes by HTTP is not the file: cut, changed, taken from a web page, or held in memory.

use http::Request;
use serde_json::json;

use dhakira::server::ServeOptions;

use crate::guarded::Guarded;
use crate::json::{Answer, Http, raw};
use crate::support::{TestServer, empty_api};

const FILE: &str = "ar\ten\n\u{646}\u{639}\u{645}\tYes\n\u{644}\u{627}\tNo\n";

/// A form of parts: name, file name, content.
fn form(parts: &[(&str, Option<&str>, &str)]) -> Vec<u8> {
    let mut body = String::new();
    for (name, file, content) in parts {
        let file = file.map(|it| format!("; filename=\"{it}\"")).unwrap_or_default();
        body += &format!(
            "--x\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n{content}\r\n"
        );
    }
    (body + "--x--\r\n").into_bytes()
}

fn import(http: &Http, path: &str, body: Vec<u8>) -> Request<http_body_util::Full<bytes::Bytes>> {
    let mut request = http.request("POST", path, Some(body));
    request
        .headers_mut()
        .insert("content-type", "multipart/form-data; boundary=x".parse().unwrap());
    request
}

#[tokio::test]
async fn a_form_is_imported_with_its_fields() {
    let options =
        ServeOptions { origins: "https://tm.example".parse().unwrap(), ..Default::default() };
    let server = TestServer::with_options(empty_api(), options).await;
    for version in [1, 2] {
        let mut http = match version {
            1 => Http::one(server.address()).await,
            _ => Http::two(server.address()).await,
        };
        let memory = format!("news-{version}");
        http.create_memory(&memory).await;
        let path = format!("/v1/memories/{memory}:import");
        // Nothing shows that no page sends it.
        let answer = http.send(import(&http, &path, form(&[("file", Some("a.tsv"), FILE)]))).await;
        assert_eq!(answer.status, 415, "{answer:?}");
        http.authorization = Some("Bearer unused".into());
        let parts = [
            ("duplicatePolicy", None, "DUPLICATE_POLICY_KEEP_ALL"),
            ("source_column", None, "en"),
            ("targetColumn", None, "ar"),
            ("swap", None, "true"),
            ("file", Some("\u{646}.TSV"), FILE),
        ];
        let answer = http.send(import(&http, &path, form(&parts))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let last = answer.lines().pop().unwrap();
        assert_eq!(
            (&last["complete"], &last["counts"]["stored"]),
            (&json!(true), &json!("2")),
            "{last}"
        );
        http.authorization = None;
        let mut request = import(
            &http,
            &format!("{path}?duplicatePolicy=DUPLICATE_POLICY_SKIP_IDENTICAL"),
            form(&[("f", Some("a.tsv"), FILE)]),
        );
        request.headers_mut().insert("origin", "https://tm.example".parse().unwrap());
        assert_eq!(http.send(request).await.status, 200);
        let mut request = import(&http, &path, form(&[("f", Some("a.tsv"), FILE)]));
        request.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
        assert_eq!(http.send(request).await.status, 403);
    }
    // What is wrong with a form.
    let mut http = Http::one(server.address()).await;
    http.authorization = Some("Bearer unused".into());
    let long = "y".repeat(70_000);
    let path = "/v1/memories/news-1:import";
    let many: Vec<(&str, Option<&str>, &str)> = vec![("a", None, "b"); 100];
    for (body, said) in [
        (form(&[("format", None, "tsv")]), "no file"),
        (form(&[("file", Some("a.tsv"), FILE), ("swap", None, "true")]), "after the file"),
        (form(&[("file", Some("a.tsv"), FILE), ("two", Some("b.tsv"), FILE)]), "after the file"),
        (form(&[("colour", None, "red"), ("file", Some("a.tsv"), FILE)]), "no such field"),
        (form(&[("format", None, &long), ("file", Some("a.tsv"), FILE)]), "longer"),
        (form(&[("format", None, "nothing"), ("file", Some("a.tsv"), FILE)]), "format"),
        (form(&many), "too many"),
        (b"--x\r\n".to_vec(), "form"),
        (b"nothing".to_vec(), "form"),
        (form(&[("file", Some("a.tsv"), FILE)])[..90].to_vec(), "form"),
        (
            [b"--x\r\ncontent-disposition: form-data; name=\"".to_vec(), vec![b'z'; 3_000_000]]
                .concat(),
            "headers of a part",
        ),
    ] {
        let answer = http.send(import(&http, path, body)).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        // Behind the first progress, it is the last line.
        assert!(answer.status == 400 || text.contains("\"error\""), "{said}: {answer:?}");
        assert!(text.contains(said), "{said}: {text}");
    }
    let mut request = import(&http, path, form(&[]));
    request.headers_mut().insert("content-type", "multipart/form-data".parse().unwrap());
    assert_eq!(http.send(request).await.status, 400);
}

#[tokio::test]
async fn a_large_form_comes_whole() {
    let server = TestServer::start().await;
    let mut http = Http::one(server.address()).await;
    http.create_memory("news").await;
    let rows: String =
        (0..60_000).map(|it| format!("\u{646}\u{639}\u{645} {it}\tYes {it}\n")).collect();
    let file = format!("ar\ten\n{rows}");
    assert!(file.len() > 1024 * 1024);
    http.authorization = Some("Bearer unused".into());
    let answer = http
        .send(import(&http, "/v1/memories/news:import", form(&[("file", Some("a.tsv"), &file)])))
        .await;
    let last = answer.lines().pop().unwrap();
    assert_eq!(
        (&last["complete"], &last["counts"]["stored"]),
        (&json!(true), &json!("60000")),
        "{last}"
    );
}

#[tokio::test]
async fn a_memory_is_saved_as_a_file() {
    let server = TestServer::start().await;
    let mut http = Http::one(server.address()).await;
    http.create_memory("news").await;
    http.create_memory("again").await;
    http.create_memory("empty").await;
    for number in 0..450 {
        http.create_unit("news", &format!("\u{646}\u{639}\u{645} {number} <&\""), "Yes, \"no\"")
            .await;
    }
    for (format, kind) in [
        ("tmx", "application/x-tmx+xml"),
        ("xliff", "application/xliff+xml"),
        ("jsonl", "application/jsonl"),
        ("tsv", "text/tab-separated-values; charset=utf-8"),
        ("csv", "text/csv; charset=utf-8"),
    ] {
        let file = http.get(&format!("/v1/memories/news:export?format={format}")).await;
        assert_eq!((file.status.as_u16(), file.header("content-type")), (200, kind), "{file:?}");
        let disposition = file.header("content-disposition");
        assert!(
            disposition.starts_with("attachment; filename=\"news.")
                && disposition.contains("filename*=UTF-8''news."),
            "{disposition}"
        );
        assert!(!file.header("x-request-id").is_empty());
        // It is what the same units are after a way through it.
        let mut request = http.request(
            "POST",
            &format!("/v1/memories/again:import?format={format}"),
            Some(file.body.to_vec()),
        );
        request.headers_mut().insert("content-type", "application/octet-stream".parse().unwrap());
        let last = http.send(request).await.lines().pop().unwrap();
        let counts = &last["counts"];
        assert_eq!(
            (&last["complete"], &counts["read"]),
            (&json!(true), &json!("450")),
            "{format}: {last}"
        );
        let stored = if format == "tmx" { json!("450") } else { json!(null) };
        assert_eq!(counts.get("stored").unwrap_or(&json!(null)), &stored, "{format}: {last}");
        let again = http.get(&format!("/v1/memories/news:export?format={format}")).await;
        assert_eq!(again.body, file.body, "the same bytes each time");
        assert_eq!(
            http.get(&format!("/v1/memories/empty:export?format={format}")).await.status,
            200
        );
    }
    let some = http.get("/v1/memories/news:export?format=tsv&query=449").await;
    assert_eq!(String::from_utf8(some.body.to_vec()).unwrap().lines().count(), 2);
    let some = http.get("/v1/memories/news:export?filter.source.contains=449&format=tsv").await;
    assert_eq!(String::from_utf8(some.body.to_vec()).unwrap().lines().count(), 2);
    for (path, code) in [
        ("/v1/memories/news:export?format=docx", 400),
        ("/v1/memories/news:export?format=", 400),
        ("/v1/memories/news:export?format=po", 400),
        ("/v1/memories/news:export?format=tmx&readMask=source", 400),
        ("/v1/memories/news:export?format=tmx&cursor=x", 400),
        ("/v1/memories/none:export?format=tmx", 404),
        ("/v1/memories/news/units?format=tmx", 400),
    ] {
        let answer: Answer = http.get(path).await;
        assert_eq!(answer.status, code, "{path}: {answer:?}");
        assert!(answer.json()["message"].is_string());
    }
}

#[tokio::test]
async fn a_file_that_breaks_off_has_no_clean_end() {
    let server = TestServer::start().await;
    let mut http = Http::one(server.address()).await;
    http.create_memory("news").await;
    let text = "\u{646}\u{639}\u{645} ".repeat(2_000);
    for number in 0..600 {
        http.create_unit("news", &format!("{text}{number}"), "Yes").await;
    }
    let whole = raw(server.address(), b"GET /v1/memories/news:export?format=tsv HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert!(whole.ends_with("\r\n0\r\n\r\n"), "it ends with its last chunk");
    // The time of the call is over before a slow client has it all.
    let begin = b"GET /v1/memories/news:export?format=tsv HTTP/1.1\r\nhost: localhost\r\ngrpc-timeout: 1500m\r\nconnection: close\r\n\r\n";
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpSocket::new_v4().unwrap();
    stream.set_recv_buffer_size(4_096).unwrap();
    let _ = &mut stream;
    let mut stream = stream.connect(server.address().parse().unwrap()).await.unwrap();
    stream.write_all(begin).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    let mut cut = Vec::new();
    let _ = stream.read_to_end(&mut cut).await;
    assert!(
        cut.starts_with(b"HTTP/1.1 200 OK")
            && !cut.ends_with(b"0\r\n\r\n")
            && cut.len() < whole.len()
    );
}

#[tokio::test]
async fn files_are_guarded_as_the_call_is() {
    let guarded = Guarded::start().await;
    let root = guarded.token("setup", "admin:*");
    let translator = guarded.token("anna", "translator:own");
    let manager = guarded.token("omar", "manager:own");
    guarded.until(&manager, tonic::Code::Ok).await;
    guarded.create_memories(&["own", "other"], &root).await;
    let mut http = Http::one(guarded.server.address()).await;
    for (token, memory, code) in [
        (None, "own", 401),
        (Some(&translator), "own", 403),
        (Some(&manager), "other", 403),
        (Some(&manager), "own", 200),
    ] {
        http.authorization = token.map(|it| format!("Bearer {it}"));
        let answer = http.get(&format!("/v1/memories/{memory}:export?format=tmx")).await;
        assert_eq!(answer.status, code, "{memory}: {answer:?}");
        // Without a token, the form may be that of a page.
        let code = if token.is_none() { 415 } else { code };
        let body = form(&[("file", Some("a.tsv"), FILE)]);
        let answer = http.send(import(&http, &format!("/v1/memories/{memory}:import"), body)).await;
        assert_eq!(answer.status, code, "{memory}: {answer:?}");
    }
}
