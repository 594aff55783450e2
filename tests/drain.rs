//! Shutting down: calls in flight end, new ones are refused, nothing waits for ever.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use crate::crash::Process;
use crate::support::proto::import_units_request::Message as ImportMessage;
use crate::support::{Clients, TestServer, proto, unit};

fn header() -> proto::ImportUnitsRequest {
    let header = proto::ImportHeader {
        parent: "memories/m".into(),
        import_id: "01890a5d-ac96-774b-bcce-b302099a8057".into(),
        ..Default::default()
    };
    proto::ImportUnitsRequest { message: Some(ImportMessage::Header(header)) }
}

fn batch(number: i64) -> proto::ImportUnitsRequest {
    let units = vec![unit(&format!("source {number}"), "target")];
    let batch = proto::ImportBatch { number, units, last: false };
    proto::ImportUnitsRequest { message: Some(ImportMessage::Batch(batch)) }
}

#[tokio::test]
async fn calls_in_flight_end_and_new_ones_are_refused() {
    let server = TestServer::start().await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    // A watcher and a health watch are open all the time; neither may hold the server up.
    let watch = proto::WatchUnitsRequest {
        parent: "memories/-".into(),
        start: Some(proto::watch_units_request::Start::AfterSequence(0)),
        ..Default::default()
    };
    let mut feed = clients.units.watch_units(watch).await.unwrap().into_inner();
    let mut health = tonic_health::pb::health_client::HealthClient::new(clients.channel.clone());
    let request = tonic_health::pb::HealthCheckRequest { service: String::new() };
    let mut health_feed = health.watch(request.clone()).await.unwrap().into_inner();

    let (sender, receiver) = mpsc::channel(4);
    sender.send(header()).await.unwrap();
    let import = clients.units.import_units(ReceiverStream::new(receiver));
    let mut answers = import.await.unwrap().into_inner();
    assert_eq!(answers.next().await.unwrap().unwrap().acked_through, 0);

    server.shutdown.request();
    let ended = loop {
        if let Err(status) = feed.next().await.expect("a watcher is told why") {
            break status;
        }
    };
    assert_eq!(ended.code(), Code::Unavailable, "{ended}");
    let not_serving = tonic_health::pb::health_check_response::ServingStatus::NotServing;
    while health_feed.next().await.unwrap().unwrap().status() != not_serving {}
    let list = proto::ListMemoriesRequest::default();
    let refused = clients.memories.list_memories(list).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);

    // The import goes on as if nothing had happened.
    for number in 1..=3 {
        sender.send(batch(number)).await.unwrap();
        assert_eq!(answers.next().await.unwrap().unwrap().acked_through, number);
    }
    drop(sender);
    assert!(answers.next().await.is_none());
    tokio::time::timeout(Duration::from_secs(5), server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn asked_twice_it_ends_at_once() {
    let server = TestServer::start().await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    let (sender, receiver) = mpsc::channel(4);
    sender.send(header()).await.unwrap();
    let import = clients.units.import_units(ReceiverStream::new(receiver));
    let _answers = import.await.unwrap().into_inner();
    server.shutdown.request();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!server.task.is_finished(), "an import is in flight");
    server.shutdown.request();
    tokio::time::timeout(Duration::from_secs(5), server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_signal_drains_and_a_stopped_store_opens_again() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..2 {
        let mut process = Process::start(directory.path());
        let since = Instant::now();
        process.signal(if round == 0 { "-TERM" } else { "-INT" });
        assert!(process.child.wait().unwrap().success());
        assert!(since.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_another_program_started_does_not_outlive_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = Process::start(directory.path());
    let mut clients = Clients::connect(&process.url).await;
    clients.create_memory("m").await;
    clients.create_unit("m", "\u{643}\u{62a}\u{627}\u{628}", "book").await;
    assert!(process.child.try_wait().unwrap().is_none(), "it ended too early");
    // What happens to the pipe when the program at its other end is killed.
    drop(process.child.stdin.take());
    assert!(process.child.wait().unwrap().success());
    let process = Process::start(directory.path());
    let mut clients = Clients::connect(&process.url).await;
    assert_eq!(clients.lookup("m", "\u{643}\u{62a}\u{627}\u{628}").await.len(), 1);
}
