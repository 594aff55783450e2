//! Operations in a server that is killed in the middle of them.

use tokio_stream::StreamExt as _;

use crate::crash::Process;
use crate::support::proto;
use crate::support::proto::operation_response::Response;

use super::response;
use super::world::{Client, ID, rows, train};

/// Waits until an operation has begun, and kills the server.
async fn kill_in_the_middle(mut process: Process, client: &mut Client, name: &str) {
    let watch = proto::WatchOperationRequest { name: name.into() };
    let mut states = client.operations.watch_operation(watch).await.unwrap().into_inner();
    while let Some(state) = states.next().await {
        let state = state.unwrap().operation.unwrap();
        if state.done || state.progress.is_some_and(|it| it.fraction > 0.0) {
            break;
        }
    }
    process.signal("-KILL");
    process.child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_and_a_training_run_again_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path());
    let mut client = Client::connect_to(&process.url, &["m"]).await;
    // With keep-all: what was stored twice would be there twice.
    let import = client.start_import("m", ID, &rows(20_000)).await.unwrap();
    kill_in_the_middle(process, &mut client, &import.name).await;

    let process = Process::start(directory.path());
    let mut client = Client::connect_to(&process.url, &[]).await;
    let done = client.wait(&import.name).await;
    let Some(Response::ImportFile(summary)) = response(&done) else { panic!("{done:?}") };
    let counts = summary.counts.unwrap();
    assert_eq!((counts.read, counts.stored, summary.complete), (20_000, 20_000, true));
    assert_eq!(client.stored("m").await, 20_000);
    assert_eq!(done.create_time, import.create_time);

    let training = client.start_train(train("m", "")).await.unwrap();
    kill_in_the_middle(process, &mut client, &training.name).await;
    let process = Process::start(directory.path());
    let mut client = Client::connect_to(&process.url, &[]).await;
    let done = client.wait(&training.name).await;
    let Some(Response::TrainLexicon(summary)) = response(&done) else { panic!("{done:?}") };
    assert_eq!(summary.units, 20_000);
    assert_eq!(client.result(&done.name).await.unwrap().len(), 1);
    // The import is still there, and the same upload is still the same operation.
    assert!(client.get(&import.name).await.unwrap().done);
    let again = client.start_import("m", ID, &rows(20_000)).await.unwrap();
    assert_eq!((again.name, again.done), (import.name, true));
    assert_eq!(client.stored("m").await, 20_000);
    drop(process);
}
