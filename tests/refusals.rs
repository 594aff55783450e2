//! Everything that a server refuses says why in a form for programs (`google.rpc.ErrorInfo`), and nothing that it answers names a
//! file of its machine.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use dhakira::engine::Engine;
use dhakira::grpc::{Api, ERROR_DOMAIN};
use dhakira::server::{Limits, ServeOptions};
use dhakira::store::{Sequence, StoreError};
use http_body_util::BodyExt as _;
use prost::Message as _;
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::failing::{Access, FailingStore, Fault};
use crate::support::proto::import_units_request::Message as ImportMessage;
use crate::support::{AlignmentServiceClient, TestServer, lookup_request, proto, unit};
use crate::upkeep::{create_memory, name};

/// Sends bytes as the body of a call, however wrong they are; what the server says in headers or trailers.
async fn raw(mut channel: Channel, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Status {
    let mut request = http::Request::post(format!("http://x{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = http_body_util::Full::new(Bytes::copy_from_slice(body));
    let request = request.body(tonic::body::Body::new(body)).unwrap();
    std::future::poll_fn(|context| tower::Service::poll_ready(&mut channel, context))
        .await
        .unwrap();
    let response = tower::Service::call(&mut channel, request).await.unwrap();
    let (parts, body) = response.into_parts();
    if let Some(status) = Status::from_header_map(&parts.headers) {
        return status;
    }
    let collected = body.collect().await.unwrap();
    Status::from_header_map(collected.trailers().unwrap()).unwrap()
}

fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag], &length[..], message].concat()
}

/// The reason that a refusal gives to programs.
fn reason(status: &Status) -> String {
    let info = status.get_details_error_info();
    let info = info.unwrap_or_else(|| panic!("no ErrorInfo: {status}"));
    assert_eq!(info.domain, ERROR_DOMAIN);
    assert!(!status.message().is_empty(), "{status}");
    info.reason
}

#[tokio::test]
async fn what_the_protocol_itself_refuses_carries_error_info() {
    let server = TestServer::start().await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    let get = "/dhakira.v1.MemoryService/GetMemory";
    let good = framed(0, &proto::GetMemoryRequest { name: "memories/m".into() }.encode_to_vec());
    let watch = "/dhakira.v1.UnitService/WatchUnits";
    let feed = proto::WatchUnitsRequest { parent: "memories/-".into(), ..Default::default() };
    let feed = framed(0, &feed.encode_to_vec());
    let none: &[(&str, &str)] = &[];
    let cases: [(&str, &[(&str, &str)], Vec<u8>, Code, &str); 10] = [
        (
            "/dhakira.v1.MemoryService/Nothing",
            none,
            good.clone(),
            Code::Unimplemented,
            "UNKNOWN_METHOD",
        ),
        ("/nobody.v1.Service/Call", none, good.clone(), Code::Unimplemented, "UNKNOWN_METHOD"),
        (
            get,
            &[("grpc-encoding", "gzip")],
            good.clone(),
            Code::Unimplemented,
            "COMPRESSION_NOT_SUPPORTED",
        ),
        (get, none, framed(1, &good[5..]), Code::InvalidArgument, "MALFORMED_REQUEST"),
        (get, none, framed(7, &good[5..]), Code::InvalidArgument, "MALFORMED_REQUEST"),
        (get, none, Vec::new(), Code::InvalidArgument, "MALFORMED_REQUEST"),
        (get, none, good[..good.len() - 1].to_vec(), Code::InvalidArgument, "MALFORMED_REQUEST"),
        (get, none, framed(0, &[0x0a, 5, b'x']), Code::InvalidArgument, "INVALID_FIELD"),
        (get, none, vec![0, 0xff, 0xff, 0xff, 0xff], Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
        (watch, &[("grpc-timeout", "50m")], feed, Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
    ];
    for (path, headers, body, code, expected) in cases {
        let status = raw(clients.channel.clone(), path, headers, &body).await;
        assert_eq!((status.code(), reason(&status).as_str()), (code, expected), "{path}: {status}");
    }
    let mut health = tonic_health::pb::health_client::HealthClient::new(clients.channel.clone());
    let request = tonic_health::pb::HealthCheckRequest { service: "nothing".into() };
    let status = health.check(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "NOT_FOUND"));
}

#[tokio::test]
async fn an_answer_that_no_message_holds_says_so() {
    let server = TestServer::start().await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    let text = "word ".repeat(50_000);
    let mut units = clients.units.clone().max_decoding_message_size(64 << 20);
    for _ in 0..2 {
        let request = proto::BatchCreateUnitsRequest {
            parent: "memories/m".into(),
            units: vec![unit("\u{646}\u{635}", &text); 40],
            duplicate_policy: proto::DuplicatePolicy::KeepAll.into(),
            request_id: String::new(),
            ..Default::default()
        };
        units.batch_create_units(request).await.unwrap();
    }
    let request = proto::ListUnitsRequest { parent: "memories/m".into(), ..Default::default() };
    let status = units.list_units(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::OutOfRange, "ANSWER_TOO_LARGE"));
}

#[tokio::test]
async fn what_the_server_refuses_carries_error_info() {
    let loading = TestServer::with(Api::default()).await;
    let request = proto::ListMemoriesRequest::default();
    let status = loading.clients().await.memories.list_memories(request.clone()).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "LOADING"));

    let limits = Limits { calls: 0, ..Limits::default() };
    let options = ServeOptions { limits, ..ServeOptions::default() };
    let full = TestServer::with_options(crate::support::empty_api(), options).await;
    let status = full.clients().await.memories.list_memories(request.clone()).await.unwrap_err();
    let found = (status.code(), reason(&status));
    assert_eq!(found, (Code::ResourceExhausted, "TOO_MANY_CALLS".to_owned()));

    let stopping = TestServer::start().await;
    let mut clients = stopping.clients().await;
    clients.create_memory("m").await;
    // An import without an end holds the server up.
    let (sender, messages) = tokio::sync::mpsc::channel(1);
    let header = proto::ImportHeader {
        parent: "memories/m".into(),
        import_id: "01890a5d-ac96-774b-bcce-b302099a8057".into(),
        ..Default::default()
    };
    let message = proto::ImportUnitsRequest { message: Some(ImportMessage::Header(header)) };
    sender.send(message).await.unwrap();
    let messages = tokio_stream::wrappers::ReceiverStream::new(messages);
    let mut answers = clients.units.import_units(messages).await.unwrap().into_inner();
    answers.next().await.unwrap().unwrap();
    stopping.shutdown.request();
    let status = clients.memories.list_memories(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "STOPPING"));
    drop(sender);
    assert!(answers.next().await.is_none());
}

/// Where the store of these tests would be.
const DIRECTORY: &str = "dhakira-data-of-the-test";

/// Everything that a client can see of a refusal.
fn seen(status: &Status) -> String {
    let details = String::from_utf8_lossy(status.details()).into_owned();
    format!("{} {details} {:?}", status.message(), status.metadata())
}

/// Calls that read or write the store, each with its answer or its refusal.
async fn all_calls(server: &TestServer) -> Vec<(&'static str, Result<(), Status>)> {
    let mut clients = server.clients().await;
    let mut alignment = AlignmentServiceClient::new(clients.channel.clone());
    let mut admin = proto::admin_service_client::AdminServiceClient::new(clients.channel.clone());
    async fn whole<T>(
        answers: Result<tonic::Response<tonic::Streaming<T>>, Status>,
    ) -> Result<(), Status> {
        let mut answers = answers?.into_inner();
        while let Some(answer) = answers.next().await {
            answer?;
        }
        Ok(())
    }
    let (parent, name) = ("memories/m".to_owned(), "memories/m/units/1".to_owned());
    let id = || uuid::Uuid::new_v4().to_string();
    let create = proto::CreateUnitRequest {
        parent: parent.clone(),
        unit: Some(unit("\u{646}\u{635}", "text")),
        request_id: id(),
        ..Default::default()
    };
    let update = proto::UpdateUnitRequest {
        unit: Some(proto::Unit { name: name.clone(), ..unit("\u{646}\u{635}", "other") }),
        ..Default::default()
    };
    let header =
        proto::ImportHeader { parent: parent.clone(), import_id: id(), ..Default::default() };
    let import = vec![proto::ImportUnitsRequest { message: Some(ImportMessage::Header(header)) }];
    let export = proto::ExportUnitsRequest { parent: parent.clone(), ..Default::default() };
    let watch = proto::WatchUnitsRequest {
        parent: parent.clone(),
        start: Some(proto::watch_units_request::Start::AfterSequence(0)),
        ..Default::default()
    };
    let watched = async {
        let mut feed = clients.units.clone().watch_units(watch).await?.into_inner();
        feed.next().await.transpose().map(drop)
    };
    let search = proto::SearchConcordanceRequest {
        memories: vec![parent.clone()],
        text: "text".into(),
        side: proto::TextSide::Target.into(),
        ..Default::default()
    };
    let train = proto::TrainLexiconRequest { memory: parent.clone() };
    let check = proto::CheckUnitsRequest { memory: parent.clone(), ..Default::default() };
    let mut found = vec![("WatchUnits", watched.await)];
    let units = &mut clients.units;
    found.push(("CreateUnit", units.create_unit(create).await.map(drop)));
    found.push(("UpdateUnit", units.update_unit(update).await.map(drop)));
    let get = proto::GetUnitRequest { name, ..Default::default() };
    found.push(("GetUnit", units.get_unit(get).await.map(drop)));
    let list = proto::ListUnitsRequest { parent, ..Default::default() };
    found.push(("ListUnits", units.list_units(list).await.map(drop)));
    found.push(("ExportUnits", whole(units.export_units(export).await).await));
    found.push(("ImportUnits", whole(units.import_units(tokio_stream::iter(import)).await).await));
    let lookup = lookup_request(&["m"], "\u{646}\u{635}");
    found.push(("LookupSegments", clients.lookups.lookup_segments(lookup).await.map(drop)));
    found.push(("SearchConcordance", clients.lookups.search_concordance(search).await.map(drop)));
    found.push(("TrainLexicon", whole(alignment.train_lexicon(train).await).await));
    found.push(("CheckUnits", whole(alignment.check_units(check).await).await));
    let request = proto::BackupStoreRequest::default();
    found.push(("BackupStore", whole(admin.backup_store(request).await).await));
    found
        .push(("VerifyStore", whole(admin.verify_store(proto::VerifyStoreRequest {}).await).await));
    let request = proto::CompactStoreRequest::default();
    found.push(("CompactStore", whole(admin.compact_store(request).await).await));
    found
}

#[tokio::test]
async fn no_refusal_names_a_file_of_the_server() {
    let faults: [(&str, Fault); 5] = [
        ("I/O", |_| {
            Err(StoreError::Io {
                doing: format!("writing to the store in {DIRECTORY}"),
                cause: format!("No space left on device ({DIRECTORY}/sled/db)"),
            })
        }),
        ("damaged", |_| {
            Err(StoreError::Damaged {
                directory: PathBuf::from(DIRECTORY),
                what: format!("a page of {DIRECTORY}/sled/db"),
                hint: "",
            })
        }),
        ("poisoned", |_| {
            Err(StoreError::WritesPaused(format!("writing to the store in {DIRECTORY}")))
        }),
        ("behind", |_| {
            Err(StoreError::Behind {
                directory: PathBuf::from(DIRECTORY),
                found: Sequence(1),
                acknowledged: Sequence(2),
            })
        }),
        ("cancelled", |_| Err(StoreError::Cancelled)),
    ];
    let store = Arc::new(FailingStore::default());
    let server = TestServer::over(store.clone()).await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    clients.create_unit("m", "\u{646}\u{635}", "text").await;
    for (call, answer) in all_calls(&server).await {
        answer.unwrap_or_else(|status| panic!("{call}: {status}"));
    }
    for (name, fault) in faults {
        store.set(Some(fault));
        let mut refused = 0;
        for (call, answer) in all_calls(&server).await {
            let Err(status) = answer else { continue };
            refused += 1;
            let seen = seen(&status);
            assert!(!seen.contains(DIRECTORY), "{name}, {call}: {seen}");
            reason(&status);
        }
        assert!(refused >= 2, "{name}: hardly anything failed");
        store.set(None);
    }
}

/// What a server says of itself to operators names no file either.
#[test]
fn readiness_names_no_file() {
    let store = Arc::new(FailingStore::default());
    let engine = Engine::open(store.clone(), None, &mut |_| ()).unwrap();
    create_memory(&engine, &name());
    store.set(Some(|access| match access {
        Access::Commit => Err(StoreError::WritesPaused(format!("writing to {DIRECTORY}"))),
        Access::Other => Ok(()),
    }));
    engine.delete_memory(&name(), true, None, None).unwrap_err();
    let api = Api::ready(engine);
    let trouble = api.serving_status().trouble.unwrap();
    assert!(trouble.contains("writes are paused") && !trouble.contains(DIRECTORY), "{trouble}");
    store.set(None);
}
