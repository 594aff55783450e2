//! Callers without a token, and callers that are no clients of gRPC: what they get, how long, and that whoever has a token is
//! served meanwhile.
//!
//! `cargo test --test tests strangers::floods -- --nocapture` shows how long calls with a token take during each flood.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dhakira::server::{AuditKeeping, Limits, TokenFile};
use http_body_util::BodyExt as _;
use prost::Message as _;
use tokio::net::{TcpSocket, TcpStream};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::crash::Process;
use crate::guarded::{Guarded, call, grants};
use crate::overload::{Sender, ending, framed, raw, reason, request, start, until};
use crate::support::{TestServer, lookup_request, proto, unit};

const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";
const CREATE: &str = "/dhakira.v1.UnitService/CreateUnit";
const IMPORT: &str = "/dhakira.v1.UnitService/ImportUnits";
const LIST: &str = "/dhakira.v1.MemoryService/ListMemories";

#[tokio::test]
async fn only_what_a_client_of_grpc_sends_is_taken() {
    let server = TestServer::start().await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    let mut sender = raw(&server, None).await;
    let delete = proto::DeleteMemoryRequest { name: "memories/m".into(), ..Default::default() };
    let delete = framed(&delete.encode_to_vec());
    let method = "/dhakira.v1.MemoryService/DeleteMemory";
    // What a page may have a browser send to anywhere, what it may ask permission for, and gRPC that is not spoken here.
    for kind in [
        None,
        Some("text/plain"),
        Some("multipart/form-data; boundary=x"),
        Some("application/x-www-form-urlencoded"),
        Some("application/grpc-web+json"),
        Some("application/grpc-webx"),
        Some("application/grpc+json"),
        Some("application/grpcx"),
        Some("text/plain; application/grpc"),
    ] {
        let mut request = request(method, None, vec![delete.clone()], true);
        request.headers_mut().remove("content-type");
        if let Some(kind) = kind {
            request.headers_mut().insert("content-type", kind.parse().unwrap());
        }
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), 415, "{kind:?}");
        assert!(Status::from_header_map(answer.headers()).is_none());
    }
    // JSON is taken, but this is none.
    let mut json = request(method, None, vec![delete.clone()], true);
    json.headers_mut().insert("content-type", "application/json".parse().unwrap());
    assert_eq!(sender.send_request(json).await.unwrap().status(), 400);
    for verb in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let mut request = request(method, None, vec![delete.clone()], true);
        *request.method_mut() = verb.parse().unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["allow"]),
            (405, &"POST".parse().unwrap())
        );
    }
    assert_eq!(clients.lookup("m", "text").await, [], "the memory is still there");
    for kind in ["application/grpc", "application/grpc+proto", "Application/gRPC; charset=utf-8"] {
        let mut request = request(LIST, None, vec![framed(&[])], true);
        request.headers_mut().insert("content-type", kind.parse().unwrap());
        assert_eq!(ending(&mut sender, request).await.code(), Code::Ok, "{kind}");
    }
}

#[tokio::test]
async fn a_message_arrives_in_time_or_not_at_all() {
    let limits = Limits { message_time: Duration::from_millis(300), ..Limits::default() };
    let (server, pages) = start(limits).await;
    let mut sender = raw(&server, None).await;
    let half = Bytes::from_static(&[0, 0, 0, 0, 9, 1]);
    let empty = framed(&[]);
    for (method, frames) in [
        // Nothing of the one message, part of its header, part of it, all of it without an end.
        (CREATE, vec![]),
        (CREATE, vec![Bytes::from_static(&[0, 0])]),
        (CREATE, vec![half.clone()]),
        (LIST, vec![empty.clone()]),
        (CHECK, vec![]),
        // Part of a message of a stream.
        (IMPORT, vec![half]),
    ] {
        let status = ending(&mut sender, request(method, None, frames, false)).await;
        assert_eq!(
            (status.code(), reason(&status)),
            (Code::DeadlineExceeded, "MESSAGE_TOO_SLOW".into()),
            "{method}"
        );
    }
    // Between the messages of a stream its client may take its time.
    let lookup = proto::StreamLookupRequest {
        message: Some(proto::stream_lookup_request::Message::Settings(
            proto::LookupSettings::default(),
        )),
    };
    let watch = request(
        "/dhakira.v1.LookupService/StreamLookup",
        Some("1500m"),
        vec![framed(&lookup.encode_to_vec())],
        false,
    );
    let status = ending(&mut sender, watch).await;
    assert_ne!(reason(&status), "MESSAGE_TOO_SLOW", "{status}");
    until(&pages, "dhakira_calls_in_flight", 0).await;
    until(&pages, "dhakira_message_bytes", 0).await;
    until(&pages, "dhakira_turned_away_total{cause=\"slow_message\"}", 6).await;
}

#[tokio::test]
async fn a_connection_without_calls_is_closed_and_one_with_a_call_is_not() {
    let limits = Limits {
        idle_time: Duration::from_millis(300),
        handshake_time: Duration::from_millis(500),
        ..Limits::default()
    };
    let (server, pages) = start(limits).await;
    let (quiet, mut watching) = (raw(&server, None).await, raw(&server, None).await);
    let health = tonic_health::pb::HealthCheckRequest::default();
    let watch = request(WATCH, None, vec![framed(&health.encode_to_vec())], true);
    let mut watch = watching.send_request(watch).await.unwrap().into_body();
    watch.frame().await.unwrap().unwrap();
    until(&pages, "dhakira_connections", 1).await;
    assert!(quiet.is_closed());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!watching.is_closed(), "a call is under way on it");
    drop(watch);
    until(&pages, "dhakira_connections", 0).await;
    // Clients connect again by themselves.
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    clients.create_unit("m", "source", "target").await;
}

#[tokio::test]
async fn strangers_have_less_time_and_little_room() {
    let limits = Limits {
        handshake_time: Duration::from_millis(300),
        anonymous_idle_time: Duration::from_millis(300),
        anonymous_calls: 4,
        ..Limits::default()
    };
    let guarded = Guarded::with(AuditKeeping::default(), limits).await;
    let token = guarded.token("t", "reader:*");
    guarded.until(&token, Code::Ok).await;
    let known = guarded.channel().await;
    let list = || call(&known, LIST, Vec::new(), Some(&token));
    list().await.unwrap();
    let mut stranger = raw(&guarded.server, None).await;
    let status = ending(&mut stranger, request(CHECK, None, Vec::new(), false)).await;
    assert_eq!(reason(&status), "MESSAGE_TOO_SLOW");
    let long = Bytes::from_static(&[0, 0, 0, 0x10, 1]);
    let status = ending(&mut stranger, request(CHECK, None, vec![long], false)).await;
    assert_eq!(reason(&status), "MESSAGE_TOO_LARGE");
    // One address has one of four calls, unless it has a token.
    let health = tonic_health::pb::HealthCheckRequest::default().encode_to_vec();
    let watch = || request(WATCH, None, vec![framed(&health)], true);
    let held = stranger.send_request(watch()).await.unwrap();
    let status = ending(&mut stranger, watch()).await;
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::ResourceExhausted, "TOO_MANY_CALLS_WITHOUT_TOKEN".into())
    );
    call(&known, CHECK, health, Some(&token)).await.unwrap();
    drop((held, stranger));
    let idle = raw(&guarded.server, None).await;
    let begin = Instant::now();
    while !idle.is_closed() {
        assert!(begin.elapsed() < Duration::from_secs(20), "it is still open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    list().await.unwrap();
}

/// A connection from an address of this machine.
async fn connect(from: u8, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, from], 0)))?;
    socket.connect(to).await
}

async fn http2(from: u8, to: SocketAddr) -> Option<Sender> {
    let stream = connect(from, to).await.ok()?;
    let builder = hyper::client::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new());
    let stream = hyper_util::rt::TokioIo::new(stream);
    let (sender, connection) = builder.handshake(stream).await.ok()?;
    tokio::spawn(connection);
    Some(sender)
}

/// Calls that are begun and kept, from some addresses; the senders hold the connections.
async fn calls(
    addresses: std::ops::Range<u8>,
    of_each: usize,
    to: SocketAddr,
    method: &'static str,
    frame: Bytes,
    ends: bool,
) -> Vec<tokio::task::JoinHandle<()>> {
    let mut tasks = Vec::new();
    for from in addresses {
        let Some(sender) = http2(from, to).await else { continue };
        for _ in 0..of_each {
            let (mut sender, frame) = (sender.clone(), frame.clone());
            tasks.push(tokio::spawn(async move {
                // Again whenever it is turned away or given up.
                while sender.ready().await.is_ok() {
                    let request = request(method, None, vec![frame.clone()], ends);
                    if let Ok(answer) = sender.send_request(request).await {
                        let _ = answer.into_body().collect().await;
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }));
        }
    }
    tasks
}

/// Connections that say nothing but what keeps them open.
fn idle_connections(count: u16, to: SocketAddr) -> Vec<tokio::task::JoinHandle<()>> {
    let hold = |number: u16| async move {
        let from = 2 + u8::try_from(number % 8).unwrap();
        loop {
            if let Some(sender) = http2(from, to).await {
                while !sender.is_closed() {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
            // Closed: it comes again.
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
    };
    (0..count).map(|number| tokio::spawn(hold(number))).collect()
}

struct Times {
    millis: Vec<f64>,
    failed: usize,
}

impl Times {
    fn at(&self, part: f64) -> f64 {
        let last = self.millis.len().saturating_sub(1);
        self.millis.get((last as f64 * part) as usize).copied().unwrap_or(f64::NAN)
    }
}

/// How long a call may take before it counts as refused: a busy machine may need seconds for one that is not.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long lookups with a token take, every tenth on a connection of its own.
async fn measure(url: &str, token: &str, rounds: usize) -> Times {
    let mut times = Times { millis: Vec::new(), failed: 0 };
    let lookup = lookup_request(&["m"], "the quick brown fox number 7").encode_to_vec();
    let mut channel: Option<Channel> = None;
    for round in 0..rounds {
        let begin = Instant::now();
        let once = async {
            if round % 10 == 0 {
                channel = Channel::from_shared(url.to_owned()).unwrap().connect().await.ok();
            }
            let channel = channel.as_ref()?;
            let method = "/dhakira.v1.LookupService/LookupSegments";
            call(channel, method, lookup.clone(), Some(token)).await.ok()
        };
        match tokio::time::timeout(PATIENCE, once).await {
            Ok(Some(_)) => times.millis.push(begin.elapsed().as_secs_f64() * 1_000.0),
            _ => times.failed += 1,
        }
        if times.failed > 5 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    times.millis.sort_by(f64::total_cmp);
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_without_a_token_shut_nobody_out() {
    let directory = tempfile::tempdir().unwrap();
    let file = TokenFile::new(directory.path().join("access/tokens.json"));
    let (token, _) = file.create("root", grants("admin:*"), None).unwrap();
    let process = Process::start(directory.path());
    let to: SocketAddr = process.url.trim_start_matches("http://").parse().unwrap();
    let channel = Channel::from_shared(process.url.clone()).unwrap().connect().await.unwrap();
    let memory = proto::Memory {
        source_language_code: "en".into(),
        target_language_code: "fr".into(),
        ..Default::default()
    };
    let create = proto::CreateMemoryRequest {
        memory_id: "m".into(),
        memory: Some(memory),
        ..Default::default()
    };
    let method = "/dhakira.v1.MemoryService/CreateMemory";
    call(&channel, method, create.encode_to_vec(), Some(&token)).await.unwrap();
    let units = (0..200).map(|number| unit(&format!("the quick brown fox number {number}"), "x"));
    let units = proto::BatchCreateUnitsRequest {
        parent: "memories/m".into(),
        units: units.collect(),
        ..Default::default()
    };
    let method = "/dhakira.v1.UnitService/BatchCreateUnits";
    call(&channel, method, units.encode_to_vec(), Some(&token)).await.unwrap();
    let compared = std::env::var_os("DHAKIRA_TEST_SERVER").is_some();
    // Of few calls, the last percent is one or two that had bad luck.
    let rounds = if compared { 1_000 } else { 200 };
    measure(&process.url, &token, rounds).await;
    let idle = measure(&process.url, &token, rounds).await;
    eprintln!("| flood | p50 ms | p99 ms | p99 / p99 idle | refused of {rounds} |");
    let show = |name: &str, times: &Times| {
        let ratio = times.at(0.99) / idle.at(0.99);
        eprintln!(
            "| {name} | {:.1} | {:.1} | {ratio:.1} | {} |",
            times.at(0.5),
            times.at(0.99),
            times.failed
        );
    };
    show("none", &idle);
    let announced = Bytes::from_static(&[0, 0x00, 0xff, 0x00, 0x00]);
    let fits = Bytes::from_static(&[0, 0, 0, 0x0f, 0]);
    let health = framed(&tonic_health::pb::HealthCheckRequest::default().encode_to_vec());
    for flood in [
        "128 × Health/Check of 16 MB",
        "128 × Health/Check of 4 KB",
        "5 × 256 × Health/Watch",
        "1,000 idle connections",
    ] {
        let tasks = match flood {
            "128 × Health/Check of 16 MB" => {
                calls(2..6, 32, to, CHECK, announced.clone(), false).await
            }
            "128 × Health/Check of 4 KB" => calls(2..6, 32, to, CHECK, fits.clone(), false).await,
            "5 × 256 × Health/Watch" => calls(2..7, 256, to, WATCH, health.clone(), true).await,
            _ => idle_connections(1_000, to),
        };
        // Until it stands.
        tokio::time::sleep(Duration::from_secs(4)).await;
        let times = measure(&process.url, &token, rounds).await;
        show(flood, &times);
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        for task in tasks {
            let _ = task.await;
        }
        assert!(
            compared || times.failed == 0,
            "{flood}: {} of {rounds} were refused",
            times.failed
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
