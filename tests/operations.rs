//! Operations: long calls that run without their clients give the same answers, can be watched and cancelled, belong to whoever
//! started them, and survive a restart.

mod restarts;
mod rights;
mod world;

use std::fs;
use std::time::Duration;

use dhakira::operations::Operations;
use dhakira::unit::Timestamp;
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::proto;
use crate::support::proto::operation_response::Response;
use crate::support::proto::read_operation_result_response::Answer;
use crate::support::{AlignmentServiceClient, TestServer};
use world::{
    Client, Gate, ID, World, align_request, check, import_messages, rows, start_import, train,
};

/// The answers of a plain call but its progress.
async fn plain<T>(
    answers: Result<tonic::Response<tonic::Streaming<T>>, tonic::Status>,
    is_progress: impl Fn(&T) -> bool,
) -> Vec<T> {
    let answers: Vec<T> = answers.unwrap().into_inner().collect::<Result<_, _>>().await.unwrap();
    answers.into_iter().filter(|it| !is_progress(it)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_gives_the_answers_of_its_call() {
    let world = World::new();
    let server = world.serve().await;
    let mut client = Client::connect(&server, &["m", "plain"]).await;
    // A file with a faulty row, imported by the call and by an operation.
    let mut file = rows(400);
    file.extend_from_slice("\u{62c}\t\n".as_bytes());
    let called = client.import_plainly("plain", &file).await;
    let operation = client.start_import("m", ID, &file).await.unwrap();
    assert_eq!(operation.name, format!("operations/{ID}"));
    let done = client.wait(&operation.name).await;
    let Some(Response::ImportFile(last)) = response(&done) else { panic!("{done:?}") };
    assert_eq!(&last, called.last().unwrap());
    assert_eq!((last.counts.unwrap().stored, last.complete), (400, true));
    let of_import = |it| match it {
        Answer::ImportFile(it) => it.diagnostics,
        other => panic!("{other:?}"),
    };
    let diagnostics: Vec<_> =
        client.result(&done.name).await.unwrap().into_iter().flat_map(of_import).collect();
    let expected: Vec<_> = called.iter().flat_map(|it| it.diagnostics.clone()).collect();
    assert_eq!((diagnostics.len(), diagnostics), (1, expected));

    // A lexicon.
    let mut calls = AlignmentServiceClient::new(client.channel.clone());
    use proto::train_lexicon_response::Message as Train;
    let request = proto::TrainLexiconRequest { memory: "memories/m".into() };
    let expected = plain(calls.train_lexicon(request).await, |it| {
        matches!(it.message, Some(Train::Progress(_)))
    });
    let expected = expected.await.into_iter().map(Answer::TrainLexicon).collect::<Vec<_>>();
    let done = client.run_train("m").await;
    let Some(Response::TrainLexicon(summary)) = response(&done) else { panic!("{done:?}") };
    assert_eq!(summary.units, 400);
    assert_eq!(client.result(&done.name).await.unwrap(), expected);

    // A check of units that are all suspect.
    use proto::check_units_response::Message as Check;
    let request = check("m");
    let expected = plain(calls.check_units(request.clone()).await, |it| {
        matches!(it.message, Some(Check::Progress(_)))
    });
    let expected = expected.await.into_iter().map(Answer::CheckUnits).collect::<Vec<_>>();
    let start = proto::StartCheckUnitsRequest { request: Some(request), ..Default::default() };
    let started = client.operations.start_check_units(start).await.unwrap().into_inner();
    let done = client.wait(&started.operation.unwrap().name).await;
    assert!(matches!(response(&done), Some(Response::CheckUnits(_))), "{done:?}");
    assert!(expected.len() > 1);
    assert_eq!(client.result(&done.name).await.unwrap(), expected);

    // Documents, and then the same stored: without an id of its own, it has that of the operation.
    use proto::align_documents_response::Message as Align;
    let request = align_request(None);
    let expected = plain(calls.align_documents(request.clone()).await, |it| {
        matches!(it.message, Some(Align::Progress(_)))
    });
    let expected = expected.await.into_iter().map(Answer::AlignDocuments).collect::<Vec<_>>();
    let done = client.run_align(request).await;
    assert!(expected.len() > 3);
    assert_eq!(client.result(&done.name).await.unwrap(), expected);
    let done = client.run_align(align_request(Some("m"))).await;
    let Some(Response::AlignDocuments(summary)) = response(&done) else { panic!("{done:?}") };
    assert!(summary.units_stored > 0);
    assert_eq!(client.stored("m").await, 400 + summary.units_stored);

    // A backup.
    use proto::backup_store_response::Message as Backup;
    let mut admin = proto::admin_service_client::AdminServiceClient::new(client.channel.clone());
    let content = |it: proto::BackupStoreResponse| match it.message {
        Some(Backup::Content(bytes)) => bytes,
        _ => Vec::new(),
    };
    let request = proto::BackupStoreRequest::default();
    let expected = plain(admin.backup_store(request).await, |_| false).await;
    let expected: Vec<u8> = expected.into_iter().flat_map(content).collect();
    let start = proto::StartBackupStoreRequest { request: Some(request), ..Default::default() };
    let started = client.operations.start_backup_store(start).await.unwrap().into_inner();
    let done = client.wait(&started.operation.unwrap().name).await;
    let Some(Response::BackupStore(summary)) = response(&done) else { panic!("{done:?}") };
    assert_eq!((summary.units > 400, summary.tokens_required), (true, Some(false)));
    let of_backup = |it| match it {
        Answer::BackupStore(it) => content(it),
        other => panic!("{other:?}"),
    };
    let result = client.result(&done.name).await.unwrap();
    let bytes: Vec<u8> = result.into_iter().flat_map(of_backup).collect();
    assert_eq!(bytes.len(), expected.len());
}

fn response(operation: &proto::Operation) -> Option<Response> {
    match operation.result.clone() {
        Some(proto::operation::Result::Response(response)) => response.response,
        _ => None,
    }
}

fn error(operation: &proto::Operation) -> (Code, String) {
    match operation.result.clone() {
        Some(proto::operation::Result::Error(error)) => {
            let status = tonic::Status::with_details(
                Code::from_i32(error.code),
                error.message.clone(),
                prost::Message::encode_to_vec(&error).into(),
            );
            (status.code(), status.get_details_error_info().unwrap().reason)
        }
        other => panic!("{other:?}"),
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, tonic::Status>) -> Code {
    result.unwrap_err().code()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_ends_nothing() {
    static GATE: Gate = Gate::new();
    let world = World::gated(|access| GATE.pass(access));
    let server = world.serve().await;
    let mut client = Client::connect(&server, &["m"]).await;
    GATE.close();
    let operation = client.start_import("m", ID, &rows(500)).await.unwrap();
    drop(client);
    let mut other = Client::connect(&server, &[]).await;
    assert!(!other.get(&operation.name).await.unwrap().done);
    GATE.open();
    let done = other.wait(&operation.name).await;
    assert!(matches!(response(&done), Some(Response::ImportFile(_))), "{done:?}");
    assert_eq!(other.stored("m").await, 500);
    assert!(done.end_time.is_some() && done.create_time.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_are_watched_and_cancelled_whether_they_run_or_wait() {
    static GATE: Gate = Gate::new();
    let world = World::gated(|access| GATE.pass(access));
    let server = world.serve().await;
    let mut client = Client::connect(&server, &["m"]).await;
    GATE.close();
    let mut names = Vec::new();
    // Two run, and the third one waits.
    for number in 1..=3 {
        let id = format!("{}{number}", &ID[..35]);
        names.push(client.start_import("m", &id, &rows(200)).await.unwrap().name);
    }
    let timeout = Some(prost_types::Duration { seconds: 0, nanos: 1_000_000 });
    let wait = proto::WaitOperationRequest { name: names[2].clone(), timeout };
    let waited = client.operations.wait_operation(wait).await.unwrap().into_inner();
    assert!(!waited.operation.unwrap().done);
    // A deadline that is near ends the wait too, with an answer.
    let wait = proto::WaitOperationRequest { name: names[2].clone(), timeout: None };
    let mut wait = tonic::Request::new(wait);
    wait.set_timeout(Duration::from_secs(3));
    let waited = client.operations.wait_operation(wait).await.unwrap().into_inner();
    assert!(!waited.operation.unwrap().done);
    let (page, next) = client.list(2, "").await.unwrap();
    assert_eq!(page.iter().map(|it| &it.name).collect::<Vec<_>>(), [&names[2], &names[1]]);
    let (page, end) = client.list(2, &next).await.unwrap();
    assert_eq!((page[0].name.as_str(), page.len(), end.as_str()), (names[0].as_str(), 1, ""));
    assert_eq!(code(client.delete(&names[0]).await), Code::FailedPrecondition);
    assert_eq!(code(client.result(&names[0]).await), Code::FailedPrecondition);

    // One that waits, and one that runs.
    client.cancel(&names[2]).await.unwrap();
    assert_eq!(error(&client.wait(&names[2]).await), (Code::Cancelled, "CANCELLED".into()));
    let watch = proto::WatchOperationRequest { name: names[1].clone() };
    let mut states = client.operations.watch_operation(watch).await.unwrap().into_inner();
    assert!(!states.next().await.unwrap().unwrap().operation.unwrap().done);
    client.cancel(&names[1]).await.unwrap();
    let mut last = None;
    while let Some(state) = states.next().await {
        last = state.unwrap().operation;
    }
    assert_eq!(error(&last.unwrap()), (Code::Cancelled, "CANCELLED".into()));
    // What it has answered is there, and ends as its call would have ended.
    assert_eq!(code(client.result(&names[1]).await), Code::Cancelled);
    GATE.open();
    let done = client.wait(&names[0]).await;
    assert!(matches!(response(&done), Some(Response::ImportFile(_))), "{done:?}");
    assert!(client.stored("m").await >= 200);
    // Nothing happens to one that is done.
    client.cancel(&names[0]).await.unwrap();
    assert_eq!(client.get(&names[0]).await.unwrap(), done);
    client.delete(&names[0]).await.unwrap();
    assert_eq!(code(client.get(&names[0]).await), Code::NotFound);
    assert_eq!(client.list(10, "").await.unwrap().0.len(), 2);
    let bad = client.get("operations/1").await;
    assert_eq!(code(bad), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_sees_progress_and_the_end() {
    let world = World::new();
    let server = world.serve().await;
    let mut client = Client::connect(&server, &["m"]).await;
    let operation = client.start_import("m", ID, &rows(3_000)).await.unwrap();
    let watch = proto::WatchOperationRequest { name: operation.name };
    let mut states = client.operations.watch_operation(watch).await.unwrap().into_inner();
    let (mut fraction, mut last) = (0.0, None);
    while let Some(state) = states.next().await {
        let state = state.unwrap().operation.unwrap();
        let now = state.progress.map_or(0.0, |it| it.fraction);
        assert!(now >= fraction && now <= 1.0, "{now} after {fraction}");
        fraction = now;
        last = Some(state);
    }
    assert!(last.unwrap().done && (fraction - 1.0).abs() < 1e-9, "{fraction}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_start_is_the_same_operation() {
    let world = World::new();
    let server = world.serve().await;
    let mut client = Client::connect(&server, &["m", "other"]).await;
    let first = client.start_train(train("m", ID)).await.unwrap();
    assert_eq!(first.name, format!("operations/{ID}"));
    let first = client.wait(&first.name).await;
    assert_eq!(client.start_train(train("m", ID)).await.unwrap(), first);
    assert_eq!(code(client.start_train(train("other", ID)).await), Code::AlreadyExists);
    assert_eq!(code(client.start_import("m", ID, &rows(5)).await), Code::AlreadyExists);
    let backup = proto::StartBackupStoreRequest {
        request: Some(proto::BackupStoreRequest::default()),
        request_id: ID.into(),
    };
    assert_eq!(code(client.operations.start_backup_store(backup).await), Code::AlreadyExists);
    let other_id = format!("{}9", &ID[..35]);
    let import = client.start_import("m", &other_id, &rows(5)).await.unwrap();
    let import = client.wait(&import.name).await;
    assert_eq!(client.start_import("m", &other_id, &rows(5)).await.unwrap(), import);
    assert_eq!(code(client.start_import("m", &other_id, &rows(6)).await), Code::AlreadyExists);
    assert_eq!(code(client.start_import("other", &other_id, &rows(5)).await), Code::AlreadyExists);
    assert_eq!(client.stored("m").await, 5);
    // Without an id, each is a new one.
    let (one, two) = (client.run_train("m").await, client.run_train("m").await);
    assert_ne!(one.name, two.name);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_call_would_refuse_does_not_start() {
    let world = World::new();
    let server = world.serve().await;
    let mut client = Client::connect(&server, &["m"]).await;
    assert_eq!(code(client.start_train(train("none", "")).await), Code::NotFound);
    assert_eq!(code(client.start_train(train("m", "1")).await), Code::InvalidArgument);
    let nothing = proto::StartTrainLexiconRequest::default();
    assert_eq!(code(client.start_train(nothing).await), Code::InvalidArgument);
    let request = Some(proto::CheckUnitsRequest { max_units: -1, ..check("m") });
    let start = proto::StartCheckUnitsRequest { request, ..Default::default() };
    assert_eq!(code(client.operations.start_check_units(start).await), Code::InvalidArgument);
    assert_eq!(code(client.start_import("none", ID, &rows(1)).await), Code::NotFound);
    let file = rows(3);
    let size = i64::try_from(file.len()).unwrap();
    for size_bytes in [0, -1, size - 1, size + 1, i64::MAX] {
        let messages = import_messages("m", ID, &file, size_bytes);
        let refused = start_import(&mut client, messages).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{size_bytes}");
        assert!(refused.message().contains("size_bytes"), "{refused}");
    }
    // An upload begins with its header, and has one.
    let mut messages = import_messages("m", ID, &file, size);
    let twice = [messages.clone(), messages.clone()].concat();
    assert_eq!(code(start_import(&mut client, twice).await), Code::InvalidArgument);
    messages.remove(0);
    assert_eq!(code(start_import(&mut client, messages).await), Code::InvalidArgument);
    assert_eq!(code(start_import(&mut client, Vec::new()).await), Code::InvalidArgument);
    assert_eq!(world.files(), [""; 0], "nothing is left behind");
    // What goes wrong later is the error of the operation.
    let failed = client.start_import("m", ID, b"PK\x03\x04 no archive").await.unwrap();
    let failed = client.wait(&failed.name).await;
    assert_eq!(error(&failed), (Code::InvalidArgument, "INVALID_FIELD".into()));
    assert_eq!(code(client.result(&failed.name).await), Code::InvalidArgument);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_leaves_nothing_behind() {
    let world = World::new();
    let server = world.serve().await;
    let mut client = Client::connect(&server, &["m"]).await;
    let file = rows(1_000);
    let mut messages = import_messages("m", ID, &file, i64::try_from(file.len()).unwrap());
    messages.truncate(2);
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    for message in messages {
        sender.send(message).await.unwrap();
    }
    let mut operations = client.operations.clone();
    let upload = tokio::spawn(async move {
        let messages = tokio_stream::wrappers::ReceiverStream::new(receiver);
        operations.start_import_file(messages).await.map(drop)
    });
    world.until(|files| files.len() == 1).await;
    // Another upload with the id is told to wait.
    assert_eq!(code(client.start_import("m", ID, &file).await), Code::Aborted);
    upload.abort();
    world.until(|files| files.is_empty()).await;
    assert_eq!(client.list(10, "").await.unwrap().0, []);
    let done = client.start_import("m", ID, &file).await.unwrap();
    client.wait(&done.name).await;
    assert_eq!(client.stored("m").await, 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_waits_for_no_operation_and_records_no_end() {
    static GATE: Gate = Gate::new();
    let world = World::gated(|access| GATE.pass(access));
    let server = world.serve().await;
    let mut client = Client::connect(&server, &["m"]).await;
    GATE.close();
    let operation = client.start_import("m", ID, &rows(100)).await.unwrap();
    let waiting = {
        let mut client = Client::connect(&server, &[]).await;
        let name = operation.name.clone();
        tokio::spawn(async move {
            let wait = proto::WaitOperationRequest { name, timeout: None };
            client.operations.wait_operation(wait).await
        })
    };
    let watch = proto::WatchOperationRequest { name: operation.name };
    let mut states = client.operations.watch_operation(watch).await.unwrap().into_inner();
    states.next().await.unwrap().unwrap();
    server.shutdown.request();
    tokio::time::timeout(Duration::from_secs(10), server.task).await.unwrap().unwrap();
    assert!(waiting.await.unwrap().is_err());
    while let Some(Ok(_)) = states.next().await {}
    let kept = Operations::open(&world.operations(), Timestamp { micros: 0 }).unwrap();
    assert!(!kept.list()[0].is_done());
    GATE.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_stays_and_the_others_work() {
    let world = World::new();
    let server = world.serve().await;
    let mut client = Client::connect(&server, &["m"]).await;
    let (good, bad) = (client.run_train("m").await, client.start_train(train("m", ID)).await);
    let bad = client.wait(&bad.unwrap().name).await;
    drop(server);
    let record = world.operations().join(ID).join("record");
    fs::write(&record, b"\x01damaged").unwrap();
    let server = world.serve().await;
    let mut client = Client::connect(&server, &[]).await;
    assert!(client.get(&good.name).await.unwrap().done);
    assert_eq!(code(client.get(&bad.name).await), Code::NotFound);
    assert_eq!(code(client.start_train(train("m", ID)).await), Code::DataLoss);
    assert!(record.exists());
}

#[tokio::test]
async fn without_a_directory_there_are_no_operations() {
    let server = TestServer::start().await;
    let mut client = Client::connect(&server, &["m"]).await;
    let refused = client.start_train(train("m", "")).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(refused.get_details_error_info().unwrap().reason, "NO_OPERATIONS");
    assert_eq!(code(client.list(1, "").await), Code::FailedPrecondition);
}
