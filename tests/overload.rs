//! Clients that ask for too much, too long, too fast, or never read the answer: each is stopped, the others are served.

use std::time::{Duration, Instant};

use bytes::Bytes;
use dhakira::server::{Limits, ServeOptions};
use http_body_util::{BodyExt as _, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::guarded::call;
use crate::support::{TestServer, empty_api, proto, unit};

pub(crate) type Sender = hyper::client::conn::http2::SendRequest<
    http_body_util::combinators::UnsyncBoxBody<Bytes, std::convert::Infallible>,
>;

pub(crate) async fn start(limits: Limits) -> (TestServer, String) {
    let http = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pages = http.local_addr().unwrap().to_string();
    let options = ServeOptions { limits, http: Some(http), ..ServeOptions::default() };
    (TestServer::with_options(empty_api(), options).await, pages)
}

/// A page over HTTP/1.1: status line, headers and text.
async fn page(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

pub(crate) async fn figure(address: &str, name: &str) -> u64 {
    let text = page(address, "/metrics").await;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
}

/// Waits until a figure has a value.
pub(crate) async fn until(address: &str, name: &str, wanted: u64) {
    let begin = Instant::now();
    loop {
        let got = figure(address, name).await;
        if got == wanted {
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{name} is {got}, not {wanted}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A connection that does what it likes.
pub(crate) async fn raw(server: &TestServer, window: Option<u32>) -> Sender {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    if let Some(window) = window {
        builder.initial_stream_window_size(window).initial_connection_window_size(window);
    }
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

pub(crate) fn request(
    method: &str,
    timeout: Option<&str>,
    frames: Vec<Bytes>,
    ends: bool,
) -> http::Request<http_body_util::combinators::UnsyncBoxBody<Bytes, std::convert::Infallible>> {
    let frames = tokio_stream::iter(frames).map(|data| Ok(http_body::Frame::data(data)));
    let body = if ends {
        StreamBody::new(frames).boxed_unsync()
    } else {
        StreamBody::new(frames.chain(tokio_stream::pending())).boxed_unsync()
    };
    let mut request = http::Request::post(format!("http://dhakira{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(timeout) = timeout {
        request = request.header("grpc-timeout", timeout);
    }
    request.body(body).unwrap()
}

pub(crate) fn framed(message: &[u8]) -> Bytes {
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    bytes.extend(message);
    bytes.into()
}

/// The code at the end of an answer.
pub(crate) async fn ending(
    sender: &mut Sender,
    request: http::Request<
        http_body_util::combinators::UnsyncBoxBody<Bytes, std::convert::Infallible>,
    >,
) -> Status {
    let answer = sender.send_request(request).await.unwrap();
    if let Some(status) = Status::from_header_map(answer.headers()) {
        return status;
    }
    let trailers = answer.into_body().collect().await.unwrap().trailers().cloned().unwrap();
    Status::from_header_map(&trailers).unwrap()
}

pub(crate) fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

const CREATE: &str = "/dhakira.v1.UnitService/CreateUnit";

#[tokio::test]
async fn a_deadline_of_a_millisecond_is_kept_by_calls_and_streams() {
    let (server, pages) = start(Limits::default()).await;
    let mut sender = raw(&server, None).await;
    // Neither request ever ends: only the deadline can.
    for method in
        [CREATE, "/dhakira.v1.UnitService/ImportUnits", "/dhakira.v1.LookupService/StreamLookup"]
    {
        let status = ending(&mut sender, request(method, Some("1m"), Vec::new(), false)).await;
        assert_eq!(status.code(), Code::DeadlineExceeded, "{method}");
        assert_eq!(reason(&status), "DEADLINE_EXCEEDED");
    }
    // A stream that answers at once and then waits.
    let watch = proto::WatchUnitsRequest {
        parent: "memories/-".into(),
        start: Some(proto::watch_units_request::Start::AfterSequence(0)),
        ..Default::default()
    };
    let watch = framed(&watch.encode_to_vec());
    let watch = request("/dhakira.v1.UnitService/WatchUnits", Some("150m"), vec![watch], true);
    assert_eq!(ending(&mut sender, watch).await.code(), Code::DeadlineExceeded);
    until(&pages, "dhakira_calls_in_flight", 0).await;
    let text = page(&pages, "/metrics").await;
    let line = "dhakira_calls_total{method=\"dhakira.v1.UnitService/WatchUnits\",code=\"DEADLINE_EXCEEDED\"} 1";
    assert!(text.contains(line), "{text}");
}

#[tokio::test]
async fn the_server_has_a_longest_time_of_its_own() {
    let limits = Limits {
        call_time: Duration::from_millis(50),
        stream_time: Duration::from_millis(100),
        ..Limits::default()
    };
    let (server, _pages) = start(limits).await;
    let mut sender = raw(&server, None).await;
    for method in [CREATE, "/dhakira.v1.UnitService/ImportUnits"] {
        let status = ending(&mut sender, request(method, Some("1H"), Vec::new(), false)).await;
        assert_eq!(status.code(), Code::DeadlineExceeded, "{method}");
    }
}

#[tokio::test]
async fn messages_that_are_too_large_are_refused_before_they_come() {
    let (server, pages) = start(Limits::default()).await;
    let mut sender = raw(&server, None).await;
    // The length is said and never sent.
    let header = Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff]);
    let status = ending(&mut sender, request(CREATE, None, vec![header], false)).await;
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::ResourceExhausted, "MESSAGE_TOO_LARGE".into())
    );
    let clients = server.clients().await;
    let long = vec![b'x'; dhakira::limits::MESSAGE_BYTES_MAX + 1];
    let got = call(&clients.channel, CREATE, long, None).await.unwrap_err();
    assert_eq!(got.code(), Code::ResourceExhausted, "{got}");
    until(&pages, "dhakira_message_bytes", 0).await;
}

#[tokio::test]
async fn memory_for_messages_has_an_end() {
    let limits = Limits { message_bytes: 2 * 1024 * 1024, ..Limits::default() };
    let (server, pages) = start(limits).await;
    let mut sender = raw(&server, None).await;
    // Announced and never sent: reserved, so that it is there when it comes.
    let announced = Bytes::from_static(&[0, 0x00, 0x0c, 0x00, 0x00]);
    let first = sender.send_request(request(CREATE, None, vec![announced.clone()], false));
    let first = tokio::spawn(first);
    until(&pages, "dhakira_message_bytes", 0x000c_0000).await;
    let status = ending(&mut sender, request(CREATE, None, vec![announced], false)).await;
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::ResourceExhausted, "TOO_MUCH_MEMORY".into())
    );
    assert!(status.get_details_retry_info().unwrap().retry_delay.is_some());
    first.abort();
    until(&pages, "dhakira_message_bytes", 0).await;
    server.clients().await.create_memory("m").await;
}

#[tokio::test]
async fn one_client_has_so_many_calls_and_gets_them_back() {
    let limits = Limits { client_calls: 2, ..Limits::default() };
    let (server, pages) = start(limits).await;
    let mut clients = server.clients().await;
    let watch = || proto::WatchUnitsRequest {
        parent: "memories/-".into(),
        start: Some(proto::watch_units_request::Start::AfterSequence(0)),
        ..Default::default()
    };
    let first = clients.units.watch_units(watch()).await.unwrap();
    let second = clients.units.watch_units(watch()).await.unwrap();
    let status = clients.units.watch_units(watch()).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::ResourceExhausted, "TOO_MANY_CALLS_OF_CLIENT".into())
    );
    assert!(status.get_details_retry_info().unwrap().retry_delay.unwrap() > Duration::ZERO);
    drop((first, second));
    until(&pages, "dhakira_calls_in_flight", 0).await;
    clients.create_memory("m").await;
}

#[tokio::test]
async fn one_address_has_so_many_connections() {
    let limits = Limits { peer_connections: 3, ..Limits::default() };
    let (server, pages) = start(limits).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(server.clients().await);
    }
    until(&pages, "dhakira_connections", 3).await;
    let mut fourth = TcpStream::connect(server.address()).await.unwrap();
    let mut byte = [0];
    let ended = tokio::time::timeout(Duration::from_secs(20), fourth.read(&mut byte)).await;
    assert!(matches!(ended.unwrap(), Ok(0) | Err(_)));
    drop(held);
    until(&pages, "dhakira_connections", 0).await;
    server.clients().await.create_memory("m").await;
}

#[tokio::test]
async fn a_reader_that_stops_loses_its_connection_and_its_memory() {
    let limits = Limits { stalled_time: Duration::from_millis(500), ..Limits::default() };
    let (server, pages) = start(limits).await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    let long = "word ".repeat(20_000);
    for number in 0..60 {
        clients.create_unit("m", &format!("{long}{number}"), &long).await;
    }
    let mut sender = raw(&server, Some(1024)).await;
    let export = proto::ExportUnitsRequest {
        parent: "memories/m".into(),
        cursor: String::new(),
        ..Default::default()
    };
    let export = framed(&export.encode_to_vec());
    let export = request("/dhakira.v1.UnitService/ExportUnits", None, vec![export], true);
    let answer = sender.send_request(export).await.unwrap();
    let most = figure(&pages, "dhakira_message_bytes").await;
    until(&pages, "dhakira_calls_in_flight", 0).await;
    until(&pages, "dhakira_message_bytes", 0).await;
    assert!(most < 16 * 1024 * 1024, "{most} bytes for one reader");
    assert!(answer.into_body().collect().await.is_err(), "the connection is gone");
    assert_eq!(figure(&pages, "dhakira_turned_away_total{cause=\"stalled_reader\"}").await, 1);
    // A reader that is only slow gets everything.
    let export = proto::ExportUnitsRequest {
        parent: "memories/m".into(),
        cursor: String::new(),
        ..Default::default()
    };
    let most = dhakira::limits::MESSAGE_BYTES_MAX;
    let mut units = clients.units.max_decoding_message_size(most);
    let mut pages_of_units = units.export_units(export).await.unwrap().into_inner();
    let mut units = 0;
    while let Some(page) = pages_of_units.next().await {
        units += page.unwrap().units.len();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(units, 60);
}

#[tokio::test]
async fn who_says_nothing_or_something_else_is_let_go() {
    let limits = Limits { handshake_time: Duration::from_millis(200), ..Limits::default() };
    let (server, pages) = start(limits).await;
    for said in [&b""[..], b"PRI * HT"] {
        let mut slow = TcpStream::connect(server.address()).await.unwrap();
        slow.write_all(said).await.unwrap();
        let mut byte = [0];
        let ended = tokio::time::timeout(Duration::from_secs(20), slow.read(&mut byte)).await;
        assert!(matches!(ended.unwrap(), Ok(0) | Err(_)));
    }
    let text = page(server.address(), "/").await;
    assert!(text.starts_with("HTTP/1.1 404") && text.contains("UNKNOWN_PATH"), "{text}");
    until(&pages, "dhakira_connections", 0).await;
    server.clients().await.create_memory("m").await;
}

#[tokio::test]
async fn a_flood_of_cancelled_calls_holds_nothing() {
    let (server, pages) = start(Limits::default()).await;
    for _ in 0..4 {
        let stream = TcpStream::connect(server.address()).await.unwrap();
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        for _ in 0..2_000 {
            // The server may have had enough.
            let Ok(ready) = client.clone().ready().await else { break };
            client = ready;
            let uri = "http://dhakira/dhakira.v1.UnitService/ImportUnits";
            let request = http::Request::post(uri)
                .header("content-type", "application/grpc")
                .body(())
                .unwrap();
            let Ok((_, mut stream)) = client.send_request(request, false) else { break };
            stream.send_reset(h2::Reason::CANCEL);
        }
        connection.abort();
    }
    until(&pages, "dhakira_calls_in_flight", 0).await;
    server.clients().await.create_memory("m").await;
}

#[tokio::test]
async fn operators_see_health_and_figures() {
    let (server, pages) = start(Limits::default()).await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    clients.create_unit("m", "source", "target").await;
    clients.lookup("m", "source").await;
    clients.lookup("m", "entirely different words here").await;
    assert!(page(&pages, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(page(&pages, "/readyz").await.ends_with("ready\n"));
    assert!(page(&pages, "/other").await.starts_with("HTTP/1.1 404"));
    let text = page(&pages, "/metrics").await;
    for line in [
        "dhakira_lookup_segments_total{stage=\"exact\"} 1",
        "dhakira_lookup_segments_total{stage=\"none\"} 1",
        "dhakira_calls_total{method=\"dhakira.v1.LookupService/LookupSegments\",code=\"OK\"} 2",
        "dhakira_ready 1",
        "dhakira_memories 1",
        "dhakira_units 1",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
    }
    let watch = proto::WatchUnitsRequest {
        parent: "memories/-".into(),
        start: Some(proto::watch_units_request::Start::AfterSequence(0)),
        ..Default::default()
    };
    let feed = clients.units.watch_units(watch).await.unwrap();
    // A call that the server lets end holds it in the state of stopping.
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let _import =
        clients.units.import_units(tokio_stream::wrappers::ReceiverStream::new(receiver)).await;
    server.shutdown.request();
    let begin = Instant::now();
    while !page(&pages, "/readyz").await.starts_with("HTTP/1.1 503") {
        assert!(begin.elapsed() < Duration::from_secs(20));
    }
    assert!(page(&pages, "/healthz").await.starts_with("HTTP/1.1 200"), "alive, not ready");
    drop((sender, feed));
    tokio::time::timeout(Duration::from_secs(20), server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn traces_go_on_through_the_server() {
    let (server, _pages) = start(Limits::default()).await;
    let mut sender = raw(&server, None).await;
    let list = "/dhakira.v1.MemoryService/ListMemories";
    let mut with = request(list, None, vec![framed(&[])], true);
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    with.headers_mut().insert("traceparent", parent.parse().unwrap());
    with.headers_mut().insert("x-request-id", "of the client".parse().unwrap());
    let answer = sender.send_request(with).await.unwrap();
    assert_eq!(answer.headers()["x-request-id"], "of the client");
    let told = answer.headers()["traceparent"].to_str().unwrap();
    assert!(told.starts_with(&parent[..36]) && told != parent, "{told}");
    let without = sender.send_request(request(list, None, vec![framed(&[])], true)).await.unwrap();
    assert!(without.headers().contains_key("x-request-id"));
    assert!(!without.headers().contains_key("traceparent"));
}

#[tokio::test]
async fn long_work_is_few_at_a_time_and_ends_with_its_caller() {
    let limits = Limits { heavy_calls: 1, ..Limits::default() };
    let (server, pages) = start(limits).await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    let mut align = proto::AlignDocumentsRequest {
        source_language_code: "ar".into(),
        target_language_code: "en".into(),
        ..Default::default()
    };
    // Enough to take seconds.
    let side = |word: &str| {
        let sentences =
            (0..20_000).map(|number| format!("{word} {} {number} {word}.", number * 7919 % 1_000));
        Some(proto::DocumentSide { sentences: sentences.collect(), ..Default::default() })
    };
    align.source = side("w");
    align.target = side("v");
    let channel = clients.channel.clone();
    let mut aligner = crate::support::AlignmentServiceClient::new(channel);
    let first = aligner.align_documents(align).await.unwrap();
    let check = proto::CheckUnitsRequest { memory: "memories/m".into(), ..Default::default() };
    let second = aligner.check_units(check.clone()).await;
    if let Err(status) = second {
        assert_eq!(
            (status.code(), reason(&status)),
            (Code::ResourceExhausted, "TOO_MANY_HEAVY_CALLS".into())
        );
    } else {
        assert_eq!(
            figure(&pages, "dhakira_calls_in_flight").await,
            0,
            "the first was done already"
        );
    }
    drop(first);
    until(&pages, "dhakira_calls_in_flight", 0).await;
    let unit = unit("s", "t");
    let create = proto::CreateUnitRequest {
        parent: "memories/m".into(),
        unit: Some(unit),
        request_id: String::new(),
        ..Default::default()
    };
    clients.units.create_unit(create).await.unwrap();
    aligner.check_units(check).await.unwrap();
}
