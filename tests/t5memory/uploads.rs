//! Files as translate5 uploads them, and what becomes of them.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::json::{Answer, Http};

/// A form as Guzzle sends it.
pub(super) fn form(parts: &[(&str, &str)]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, content) in parts {
        let extra = match *name {
            "file" => "; filename=\"a b.tmx\"\r\nContent-Type: text/xml",
            _ => "\r\nContent-Type: application/json",
        };
        let head = format!(
            "--b0undary\r\nContent-Disposition: form-data; name=\"{name}\"{extra}\r\nContent-Length: {}\r\n\r\n",
            content.len()
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content.as_bytes());
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b0undary--\r\n");
    ("multipart/form-data; boundary=b0undary".to_owned(), body)
}

pub(super) async fn send(http: &mut Http, path: &str, (kind, body): (String, Vec<u8>)) -> Answer {
    let mut request = http.request("POST", path, None);
    request.headers_mut().insert("content-type", kind.parse().unwrap());
    *request.body_mut() = Full::new(Bytes::from(body));
    http.send(request).await
}

pub(super) fn tmx(count: usize) -> String {
    let mut file = String::from(
        "<?xml version=\"1.0\"?><tmx version=\"1.4\"><header srclang=\"ar\" datatype=\"plaintext\"/><body>\n",
    );
    for number in 0..count {
        writeln!(
            file,
            "<tu tuid=\"{number}\" changedate=\"20240101T000000Z\" changeid=\"anna\">\
             <prop type=\"tmgr:docname\">doc-{}.docx</prop><prop type=\"tmgr:context\">c{number}</prop>\
             <tuv xml:lang=\"ar\"><seg>الجملة <bpt i=\"1\" x=\"1\"/>رقم<ept i=\"1\"/> {number}</seg></tuv>\
             <tuv xml:lang=\"en\"><seg>Sentence <bpt i=\"1\" x=\"1\"/>number<ept i=\"1\"/> {number}</seg></tuv></tu>",
            number % 7
        )
        .unwrap();
    }
    file + "</body></tmx>\n"
}

/// The status of a memory when no import runs any more.
pub(super) async fn status(http: &mut Http, memory: &str) -> Value {
    for _ in 0..600 {
        let answer = http.get(&format!("/t5memory/{memory}/status")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let status = answer.json();
        if status["tmxImportStatus"] != "import" {
            return status;
        }
        assert_eq!(
            (&status["status"], &status["importTime"]),
            (&json!("import running"), &json!("not finished"))
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the import does not end");
}
