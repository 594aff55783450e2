//! Nodes that serve: writes go to one of them, each reads its own writes, and lookups go on without the database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dhakira::store::{CommitLog as _, InMemoryStore};
use tokio::net::TcpListener;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

use super::link::Way;
use super::world::{Node, until};
use crate::json::Http;
use crate::support::{lookup_request, proto, unit};

const SEQUENCE: &str = "x-dhakira-sequence";

fn sequence<T>(answer: &tonic::Response<T>) -> u64 {
    answer.metadata().get(SEQUENCE).unwrap().to_str().unwrap().parse().unwrap()
}

fn create(source: &str, request_id: &str) -> proto::CreateUnitRequest {
    proto::CreateUnitRequest {
        parent: "memories/m".into(),
        unit: Some(unit(source, "target")),
        duplicate_policy: proto::DuplicatePolicy::KeepAll.into(),
        request_id: request_id.into(),
        ..Default::default()
    }
}

/// Arabic words for sources.
fn source(number: usize) -> String {
    format!("\u{645}\u{635}\u{62f}\u{631} {number}")
}

/// Two nodes, the first of which is the writer, and a memory.
async fn two_nodes(store: &Arc<InMemoryStore>, directories: &[tempfile::TempDir; 2]) -> [Node; 2] {
    let first = Node::start(store, directories[0].path()).await;
    until("the first node writes", || first.member.state().is_writer).await;
    first.clients().await.create_memory("m").await;
    let second = Node::start(store, directories[1].path()).await;
    until("the second node knows the writer", || second.member.state().writer.is_some()).await;
    [first, second]
}

fn directories() -> [tempfile::TempDir; 2] {
    [0, 1].map(|_| tempfile::tempdir().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_go_to_the_writer_and_every_node_reads_its_own() {
    let (store, directories) = (Arc::new(InMemoryStore::shared()), directories());
    let [first, second] = two_nodes(&store, &directories).await;
    let (mut one, mut other) = (first.clients().await, second.clients().await);
    for number in 0..30 {
        let written = other.units.create_unit(create(&source(number), "")).await.unwrap();
        let seen = sequence(&written);
        assert_eq!(seen, store.end().unwrap().sequence.0);
        // At once on the same node, and on the other one by the number.
        assert_eq!(other.lookup("m", &source(number)).await[0].score_percent, 100.0);
        let mut request = Request::new(lookup_request(&["m"], &source(number)));
        request.metadata_mut().insert(SEQUENCE, seen.into());
        let found = one.lookups.lookup_segments(request).await.unwrap();
        assert!(sequence(&found) >= seen);
        assert_eq!(found.into_inner().results[0].matches[0].score_percent, 100.0);

        let written = one.units.create_unit(create(&source(100 + number), "")).await.unwrap();
        let mut request = Request::new(lookup_request(&["m"], &source(100 + number)));
        request.metadata_mut().insert(SEQUENCE, sequence(&written).into());
        let found = other.lookups.lookup_segments(request).await.unwrap().into_inner();
        assert_eq!(found.results[0].matches[0].score_percent, 100.0);
    }
    assert_eq!(second.link.appends(), 0, "the writer committed everything");

    // An error of the writer is the answer, with its details.
    let mut missing = create("source", "");
    missing.parent = "memories/none".into();
    let error = other.units.create_unit(missing).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    assert_eq!(error.get_details_error_info().unwrap().reason, "NOT_FOUND");
    assert!(error.metadata().get("x-request-id").is_some());

    // A commit that does not exist yet is waited for, and then refused.
    let mut request = Request::new(lookup_request(&["m"], "text"));
    request.metadata_mut().insert(SEQUENCE, 1_000_000.into());
    let error = one.lookups.lookup_segments(request).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(error.get_details_error_info().unwrap().reason, "BEHIND");
    assert!(error.get_details_retry_info().is_some());
    let mut request = Request::new(lookup_request(&["m"], "text"));
    request.metadata_mut().insert(SEQUENCE, "soon".parse().unwrap());
    let error = one.lookups.lookup_segments(request).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);

    // When the writer stops, the other node takes over.
    first.stop().await;
    other.units.create_unit(create("last", "")).await.unwrap();
    until("the second node writes", || second.member.state().is_writer).await;
    assert_eq!(second.link.appends(), 1);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_both_nodes_get_has_one_effect() {
    let (store, directories) = (Arc::new(InMemoryStore::shared()), directories());
    let [first, second] = two_nodes(&store, &directories).await;
    let request = create("source", "7d7a7a52-0000-4000-8000-000000000001");
    let mut made = Vec::new();
    for node in [&second, &first, &second] {
        let answer = node.clients().await.units.create_unit(request.clone()).await.unwrap();
        made.push(answer.into_inner());
    }
    assert!(made.iter().all(|it| *it == made[0]), "{made:?}");
    assert_eq!(first.link.appends() + second.link.appends(), 2, "the memory and the unit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_does_not_answer_delays_a_write_and_nothing_else() {
    let (store, directories) = (Arc::new(InMemoryStore::shared()), directories());
    // It accepts connections and never answers, as a frozen process does.
    let frozen = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", frozen.local_addr().unwrap());
    let first = Node::start_at(&store, directories[0].path(), Some(address)).await;
    until("the first node writes", || first.member.state().is_writer).await;
    first.clients().await.create_memory("m").await;
    let second = Node::start(&store, directories[1].path()).await;
    until("the second node knows the writer", || second.member.state().writer.is_some()).await;
    let since = Instant::now();
    let mut clients = second.clients().await;
    clients.units.create_unit(create("source", "")).await.unwrap();
    assert!(since.elapsed() < Duration::from_secs(8), "{:?}", since.elapsed());
    assert_eq!(second.link.appends(), 1);
    assert_eq!(clients.lookup("m", "source").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn lookups_go_on_without_the_database_and_writes_come_back() {
    let (store, directories) = (Arc::new(InMemoryStore::shared()), directories());
    let node = Node::start(&store, directories[0].path()).await;
    until("the node writes", || node.member.state().is_writer).await;
    let mut clients = node.clients().await;
    clients.create_memory("m").await;
    clients.units.create_unit(create("source", "")).await.unwrap();
    for way in [Way::Cut, Way::CutBeforeCommit, Way::CutAfterCommit] {
        node.link.set(way);
        let id = uuid::Uuid::new_v4().to_string();
        let refused = clients.units.create_unit(create("more", &id)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{way:?}");
        assert_eq!(refused.get_details_error_info().unwrap().reason, "WRITES_PAUSED");
        assert!(refused.get_details_retry_info().is_some());
        let found =
            clients.lookups.lookup_segments(lookup_request(&["m"], "source")).await.unwrap();
        assert!(sequence(&found) > 0);
        assert_eq!(found.into_inner().results[0].matches.len(), 1);
        node.link.set(Way::Open);
        // The same request, until it is answered.
        let since = Instant::now();
        while let Err(error) = clients.units.create_unit(create("more", &id)).await {
            assert_eq!(error.code(), Code::Unavailable, "{error}");
            assert!(since.elapsed() < Duration::from_secs(10));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let list = proto::ListUnitsRequest { parent: "memories/m".into(), ..Default::default() };
    let units = clients.units.list_units(list).await.unwrap().into_inner().units;
    assert_eq!(units.len(), 4, "each write has one effect");
    assert!(node.copied.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_node_shows_the_cluster_as_a_page() {
    let (store, directories) = (Arc::new(InMemoryStore::shared()), directories());
    let [first, second] = two_nodes(&store, &directories).await;
    for (node, other) in [(&first, &second), (&second, &first)] {
        let mut http = Http::one(node.url.strip_prefix("http://").unwrap()).await;
        let since = Instant::now();
        let page = loop {
            let answer = http.get("/cluster").await;
            assert_eq!(answer.status, 200);
            assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
            let page = String::from_utf8(answer.body.to_vec()).unwrap();
            if page.contains(&other.url) || since.elapsed() > Duration::from_secs(20) {
                break page;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let row = |url: &str| page.lines().find(|line| line.contains(url)).unwrap().to_owned();
        assert!(row(&node.url).contains("(this one)"), "{page}");
        assert!(
            row(&first.url).contains("writer") && row(&second.url).contains("reader"),
            "{page}"
        );
    }
}
