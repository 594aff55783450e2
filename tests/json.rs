//! A plain client of HTTP, as a script has one: what the tests of JSON share.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        let text = std::str::from_utf8(&self.body).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The reason of an error.
    pub(crate) fn reason(&self) -> String {
        let json = self.json();
        let details = json["details"].as_array().unwrap_or_else(|| panic!("{json}")).clone();
        let info = details
            .iter()
            .find(|it| it["@type"] == "type.googleapis.com/google.rpc.ErrorInfo")
            .unwrap_or_else(|| panic!("{json}"));
        assert_eq!(info["domain"], "dhakira.v1");
        info["reason"].as_str().unwrap().to_owned()
    }
}

/// A connection to a server.
pub(crate) struct Http {
    sender: Sender,
    pub(crate) address: String,
    pub(crate) authorization: Option<String>,
}

enum Sender {
    One(hyper::client::conn::http1::SendRequest<Full<Bytes>>),
    Two(hyper::client::conn::http2::SendRequest<Full<Bytes>>),
}

impl Http {
    /// By HTTP/1.1.
    pub(crate) async fn one(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let io = TokioIo::new(stream);
        let (sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        Self { sender: Sender::One(sender), address: address.to_owned(), authorization: None }
    }

    /// By HTTP/2.
    pub(crate) async fn two(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let io = TokioIo::new(stream);
        let (sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        Self { sender: Sender::Two(sender), address: address.to_owned(), authorization: None }
    }

    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Answer {
        let answer = match &mut self.sender {
            Sender::One(sender) => {
                if sender.ready().await.is_err() {
                    // The server closed it, as it may.
                    let again = Self::one(&self.address).await;
                    self.sender = again.sender;
                    let Sender::One(sender) = &mut self.sender else { unreachable!() };
                    sender.send_request(request).await.unwrap()
                } else {
                    sender.send_request(request).await.unwrap()
                }
            }
            Sender::Two(sender) => sender.send_request(request).await.unwrap(),
        };
        let (parts, body) = answer.into_parts();
        let body = tokio::time::timeout(Duration::from_secs(60), body.collect());
        let body = body.await.expect("the answer ends").unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// The status of an answer that may never end.
    pub(crate) async fn status(&mut self, request: Request<Full<Bytes>>) -> StatusCode {
        match &mut self.sender {
            Sender::One(sender) => sender.send_request(request).await.unwrap().status(),
            Sender::Two(sender) => sender.send_request(request).await.unwrap().status(),
        }
    }

    /// A request, with a body of JSON if there is one.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Request<Full<Bytes>> {
        let uri = match self.sender {
            Sender::One(_) => path.to_owned(),
            Sender::Two(_) => format!("http://{}{path}", self.address),
        };
        let mut request = Request::builder().method(method).uri(uri);
        if matches!(self.sender, Sender::One(_)) {
            request = request.header("host", &self.address);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        if let Some(value) = &self.authorization {
            request = request.header("authorization", value);
        }
        request.body(Full::new(Bytes::from(body.unwrap_or_default()))).unwrap()
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(self.request("GET", path, None)).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: Value) -> Answer {
        self.send(self.request("POST", path, Some(body.to_string().into_bytes()))).await
    }

    /// Creates a memory from Arabic to English.
    pub(crate) async fn create_memory(&mut self, id: &str) {
        let memory = serde_json::json!({"sourceLanguageCode": "ar", "targetLanguageCode": "en"});
        let answer = self.post(&format!("/v1/memories?memoryId={id}"), memory).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Creates a unit.
    pub(crate) async fn create_unit(&mut self, memory: &str, source: &str, target: &str) {
        let unit = serde_json::json!({"source": {"text": source}, "target": {"text": target}});
        let answer = self.post(&format!("/v1/memories/{memory}/units"), unit).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// What a server says to some bytes until it closes the connection, or for a while.
pub(crate) async fn raw(address: &str, said: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may have had enough before the end.
    let _ = stream.write_all(said).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}
