//! Answers that must be true: tokens that nobody made up, feeds of memories that are gone, matches that were changed meanwhile,
//! languages of other regions.

use std::sync::Arc;
use std::time::Duration;

use dhakira::engine::Engine;
use dhakira::grpc::Api;
use dhakira::store::{InMemoryStore, OpenOptions, SledStore};
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::grpc::{field, memory, start};
use crate::support::proto::import_units_request::Message as ImportMessage;
use crate::support::{TestServer, lookup_request, proto, unit};

fn list(memory: &str, page_token: &str) -> proto::ListUnitsRequest {
    proto::ListUnitsRequest {
        parent: format!("memories/{memory}"),
        page_size: 2,
        page_token: page_token.into(),
        ..Default::default()
    }
}

fn export(memory: &str, cursor: &str) -> proto::ExportUnitsRequest {
    proto::ExportUnitsRequest {
        parent: format!("memories/{memory}"),
        cursor: cursor.into(),
        ..Default::default()
    }
}

/// A token as earlier versions made it, whose checksum anybody can compute.
fn unkeyed(position: u64, listing: &str) -> String {
    let mut bytes = vec![1];
    bytes.extend_from_slice(&position.to_be_bytes());
    let sum = xxhash_rust::xxh3::xxh3_64(&[&bytes[..], listing.as_bytes()].concat());
    bytes.extend_from_slice(&sum.to_be_bytes());
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_token_that_somebody_made_up_is_refused() {
    let (_server, mut clients) = start().await;
    clients.create_memory("m").await;
    for number in 0..5 {
        clients.create_unit("m", &format!("\u{646}\u{635} {number}"), "text").await;
    }
    let page = clients.units.list_units(list("m", "")).await.unwrap().into_inner();
    let token = page.next_page_token;
    clients.units.list_units(list("m", &token)).await.unwrap();
    let cursor = clients.units.export_units(export("m", "")).await.unwrap().into_inner();
    let cursor = cursor.map(Result::unwrap).collect::<Vec<_>>().await.pop().unwrap().cursor;
    clients.units.export_units(export("m", &cursor)).await.unwrap();
    // A page token is no cursor, and a cursor no page token.
    let status = clients.units.export_units(export("m", &token)).await.unwrap_err();
    assert_eq!(field(&status, Code::InvalidArgument), "cursor");
    let status = clients.units.list_units(list("m", &cursor)).await.unwrap_err();
    assert_eq!(field(&status, Code::InvalidArgument), "page_token");
    let other_server = TestServer::start().await;
    let mut other = other_server.clients().await;
    other.create_memory("m").await;
    for number in 0..5 {
        other.create_unit("m", &format!("\u{646}\u{635} {number}"), "text").await;
    }
    let others = other.units.list_units(list("m", "")).await.unwrap().into_inner().next_page_token;
    let flipped = |place: usize| {
        let mut text = token.clone().into_bytes();
        text[place] = if text[place] == b'0' { b'1' } else { b'0' };
        String::from_utf8(text).unwrap()
    };
    let mut forged: Vec<String> = (0..token.len()).map(flipped).collect();
    forged.extend([others, unkeyed(2, "units of m"), unkeyed(2, "units of 1"), "00".into()]);
    for text in forged {
        let status = clients.units.list_units(list("m", &text)).await.unwrap_err();
        assert_eq!(field(&status, Code::InvalidArgument), "page_token", "{text}");
        let status = clients.units.export_units(export("m", &text)).await.unwrap_err();
        assert_eq!(field(&status, Code::InvalidArgument), "cursor", "{text}");
        let request = proto::ListMemoriesRequest { page_size: 1, page_token: text.clone() };
        let status = clients.memories.list_memories(request).await.unwrap_err();
        assert_eq!(field(&status, Code::InvalidArgument), "page_token", "{text}");
        let request = proto::SearchConcordanceRequest {
            memories: vec!["memories/m".into()],
            text: "text".into(),
            side: proto::TextSide::Target.into(),
            page_token: text.clone(),
            ..Default::default()
        };
        let status = clients.lookups.search_concordance(request).await.unwrap_err();
        assert_eq!(field(&status, Code::InvalidArgument), "page_token", "{text}");
    }
    // The place in a memory is not a place in another one that has its name now.
    let request =
        proto::DeleteMemoryRequest { name: "memories/m".into(), force: true, ..Default::default() };
    clients.memories.delete_memory(request).await.unwrap();
    clients.create_memory("m").await;
    let status = clients.units.list_units(list("m", &token)).await.unwrap_err();
    assert_eq!(field(&status, Code::InvalidArgument), "page_token");
}

#[tokio::test]
async fn a_token_outlasts_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let open = || {
        let options =
            OpenOptions { create: true, accept_data_loss: false, purpose: "testing".to_owned() };
        let store = SledStore::open(directory.path(), &options).unwrap();
        Api::ready(Engine::open(Arc::new(store), None, &mut |_| ()).unwrap()).routes()
    };
    let routes = open();
    let mut memories = crate::support::MemoryServiceClient::new(routes.clone());
    let mut units = crate::support::UnitServiceClient::new(routes.clone());
    let request = proto::CreateMemoryRequest {
        memory_id: "m".into(),
        memory: memory("ar", "en"),
        ..Default::default()
    };
    memories.create_memory(request).await.unwrap();
    let request = proto::BatchCreateUnitsRequest {
        parent: "memories/m".into(),
        units: (0..5).map(|it| unit(&format!("\u{646}\u{635} {it}"), "text")).collect(),
        ..Default::default()
    };
    units.batch_create_units(request).await.unwrap();
    let token = units.list_units(list("m", "")).await.unwrap().into_inner().next_page_token;
    drop((routes, memories, units));
    // The database is given back when the last of its threads has ended.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut units = crate::support::UnitServiceClient::new(open());
    let page = units.list_units(list("m", &token)).await.unwrap().into_inner();
    assert_eq!(page.units[0].name, "memories/m/units/3");
}

#[tokio::test]
async fn a_feed_of_a_memory_ends_with_it() {
    let (_server, mut clients) = start().await;
    let delete = || proto::DeleteMemoryRequest {
        name: "memories/m".into(),
        force: true,
        ..Default::default()
    };
    for made_again in [false, true] {
        clients.create_memory("m").await;
        clients.create_unit("m", "\u{646}\u{635}", "text").await;
        let watch = |parent: &str| proto::WatchUnitsRequest {
            parent: parent.into(),
            start: Some(proto::watch_units_request::Start::AfterSequence(0)),
            ..Default::default()
        };
        let mut feed = clients.units.watch_units(watch("memories/m")).await.unwrap().into_inner();
        let mut all = clients.units.watch_units(watch("memories/-")).await.unwrap().into_inner();
        let first = feed.next().await.unwrap().unwrap();
        assert_eq!(first.changes[0].name, "memories/m/units/1");
        all.next().await.unwrap().unwrap();
        clients.memories.delete_memory(delete()).await.unwrap();
        if made_again {
            clients.create_memory("m").await;
        }
        let ended = tokio::time::timeout(Duration::from_secs(30), feed.next()).await.unwrap();
        let status = ended.unwrap().unwrap_err();
        assert_eq!(field(&status, Code::NotFound), "memories/m");
        // The feed of all memories goes on.
        clients.create_memory(&format!("other-{made_again}")).await;
        let silent = tokio::time::timeout(Duration::from_millis(100), all.next()).await;
        assert!(silent.is_err(), "{silent:?}");
        if made_again {
            clients.memories.delete_memory(delete()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_export_of_a_memory_that_is_deleted_meanwhile_does_not_pass_for_whole() {
    let (_server, mut clients) = start().await;
    clients.create_memory("m").await;
    let text = "word ".repeat(200);
    for batch in 0..40 {
        let units = (0..200).map(|it| unit(&format!("\u{646}\u{635} {batch} {it}"), &text));
        let request = proto::BatchCreateUnitsRequest {
            parent: "memories/m".into(),
            units: units.collect(),
            ..Default::default()
        };
        clients.units.batch_create_units(request).await.unwrap();
    }
    let mut answers = clients.units.export_units(export("m", "")).await.unwrap().into_inner();
    let mut units = answers.next().await.unwrap().unwrap().units.len();
    let request =
        proto::DeleteMemoryRequest { name: "memories/m".into(), force: true, ..Default::default() };
    clients.memories.delete_memory(request).await.unwrap();
    let end = loop {
        match answers.next().await {
            Some(Ok(answer)) => units += answer.units.len(),
            Some(Err(status)) => break Err(status),
            None => break Ok(()),
        }
    };
    match end {
        Ok(()) => assert_eq!(units, 8_000, "it ended well, and before its end"),
        Err(status) => assert_eq!(field(&status, Code::NotFound), "memories/m"),
    }
}

/// The time of a change is what clients say it is; only the revision tells whether a unit is what was found.
#[tokio::test]
async fn a_match_that_was_changed_meanwhile_is_not_shown_as_it_was() {
    let store = Arc::new(InMemoryStore::default());
    let server = TestServer::over(store.clone()).await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    let source = "\u{646}\u{635} \u{637}\u{648}\u{64a}\u{644}";
    clients.create_unit("m", source, "a long text").await;
    assert_eq!(clients.lookup("m", source).await.len(), 1);
    // As between the commit of a change and the moment when the index knows of it, with a time that a client gave.
    store.tamper(|units| {
        let unit = units.values_mut().next().unwrap();
        unit.revision += 1;
        unit.content.source.text = "\u{643}\u{62a}\u{627}\u{628}".to_owned();
    });
    let status = clients.lookups.lookup_segments(lookup_request(&["m"], source)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    let request = proto::SearchConcordanceRequest {
        memories: vec!["memories/m".into()],
        text: "long".into(),
        side: proto::TextSide::Target.into(),
        ..Default::default()
    };
    let status = clients.lookups.search_concordance(request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
}

/// Clients that set the time of every change to the same moment get what is there, however often it changes.
#[tokio::test(flavor = "multi_thread")]
async fn matches_are_true_while_units_change_under_one_date() {
    let (_server, mut clients) = start().await;
    clients.create_memory("m").await;
    let sources = [
        "\u{643}\u{62a}\u{627}\u{628} \u{62c}\u{62f}\u{64a}\u{62f}",
        "\u{628}\u{64a}\u{62a} \u{642}\u{62f}\u{64a}\u{645}",
    ];
    let targets = ["a new book", "an old house"];
    let dated = move |which: usize| proto::Unit {
        update_time: Some(prost_types::Timestamp { seconds: 1_600_000_000, nanos: 0 }),
        ..unit(sources[which], targets[which])
    };
    let request = proto::CreateUnitRequest {
        parent: "memories/m".into(),
        unit: Some(dated(0)),
        ..Default::default()
    };
    clients.units.create_unit(request).await.unwrap();
    let mut writer = clients.units.clone();
    let writing = tokio::spawn(async move {
        for round in 1..300 {
            let unit = proto::Unit { name: "memories/m/units/1".into(), ..dated(round % 2) };
            let request = proto::UpdateUnitRequest { unit: Some(unit), ..Default::default() };
            writer.update_unit(request).await.unwrap();
        }
    });
    while !writing.is_finished() {
        for which in 0..2 {
            let request = lookup_request(&["m"], sources[which]);
            // One that changes too fast to be read is said to do so.
            let Ok(answer) = clients.lookups.lookup_segments(request).await else { continue };
            for found in &answer.into_inner().results[0].matches {
                let stored = found.unit.as_ref().unwrap();
                assert_eq!(stored.source.as_ref().unwrap().text, sources[which]);
                assert_eq!(stored.target.as_ref().unwrap().text, targets[which]);
            }
        }
    }
    writing.await.unwrap();
}

#[tokio::test]
async fn languages_of_other_regions_follow_the_rule() {
    let (_server, mut clients) = start().await;
    for (id, target) in [("british", "en-GB"), ("american", "en-US"), ("any", "en")] {
        let request = proto::CreateMemoryRequest {
            memory_id: id.into(),
            memory: memory("ar", target),
            ..Default::default()
        };
        clients.memories.create_memory(request).await.unwrap();
    }
    for (id, target, goes) in [
        ("british", "en-GB", true),
        ("british", "en", true),
        ("british", "en-US", false),
        ("american", "en-GB", false),
        ("any", "en-GB", true),
        ("any", "fr", false),
    ] {
        let mut request = lookup_request(&[id], "\u{646}\u{635}");
        request.settings.as_mut().unwrap().target_language_code = target.into();
        let answer = clients.lookups.lookup_segments(request).await;
        assert_eq!(answer.is_ok(), goes, "{id}: {target}");
        if let Err(status) = answer {
            assert_eq!(field(&status, Code::InvalidArgument), "settings.target_language_code");
        }
        let header = proto::ImportHeader {
            parent: format!("memories/{id}"),
            import_id: uuid::Uuid::new_v4().to_string(),
            target_language_code: target.into(),
            ..Default::default()
        };
        let message = proto::ImportUnitsRequest { message: Some(ImportMessage::Header(header)) };
        let answers = clients.units.import_units(tokio_stream::iter([message])).await.unwrap();
        let first = answers.into_inner().next().await.unwrap();
        assert_eq!(first.is_ok(), goes, "{id}: {target}");
    }
    // Whatever the order in which they are named.
    for (memories, goes) in [
        (vec!["any", "british"], true),
        (vec!["american", "any"], true),
        (vec!["any", "british", "american"], false),
        (vec!["british", "any", "american"], false),
        (vec!["british", "american", "any"], false),
    ] {
        let request = lookup_request(&memories, "\u{646}\u{635}");
        let answer = clients.lookups.lookup_segments(request).await;
        assert_eq!(answer.is_ok(), goes, "{memories:?}");
        if let Err(status) = answer {
            assert!(status.get_details_error_info().is_some());
        }
    }
}
