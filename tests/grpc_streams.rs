//! The contract of bulk on the wire: imports that resume, exports, watchers, and many writers at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use dhakira::store::{OpenOptions, SledStore};
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};

use crate::grpc::{ID, OTHER_ID, field, start};
use crate::support::proto::{self, import_units_request::Message as ImportMessage};
use crate::support::{Clients, TestServer, unit};

fn header(id: &str, policy: proto::DuplicatePolicy) -> ImportMessage {
    ImportMessage::Header(proto::ImportHeader {
        parent: "memories/m".into(),
        import_id: id.into(),
        duplicate_policy: policy.into(),
        ..Default::default()
    })
}

fn batch(number: i64, units: &[(&str, &str)]) -> ImportMessage {
    let units = units.iter().map(|(source, target)| unit(source, target)).collect();
    ImportMessage::Batch(proto::ImportBatch { number, units, last: false })
}

async fn import(
    clients: &mut Clients,
    messages: Vec<ImportMessage>,
) -> Result<Vec<proto::ImportUnitsResponse>, Status> {
    let requests: Vec<_> = messages
        .into_iter()
        .map(|message| proto::ImportUnitsRequest { message: Some(message) })
        .collect();
    let answers = clients.units.import_units(tokio_stream::iter(requests)).await?;
    answers.into_inner().collect::<Result<_, _>>().await
}

#[tokio::test]
async fn an_import_acknowledges_rejects_and_resumes() {
    use proto::DuplicatePolicy::SkipIdentical;
    let (_server, mut clients) = start().await;
    clients.create_memory("m").await;
    let first = vec![
        header(ID, SkipIdentical),
        batch(1, &[("\u{623}", "a"), ("\u{628}", " "), ("\u{623}", "a"), ("\u{623}", "another")]),
        batch(2, &[("\u{62a}", "t\u{2}"), ("\u{62b}", "th")]),
    ];
    let answers = import(&mut clients, first.clone()).await.unwrap();
    assert_eq!(answers[0].acked_through, 0, "nothing is known of it yet");
    let last = answers.last().unwrap();
    assert_eq!(last.acked_through, 2);
    let counts = last.counts.unwrap();
    assert_eq!((counts.read, counts.stored, counts.duplicates, counts.rejected), (6, 3, 1, 2));
    let faults: Vec<_> = answers
        .iter()
        .flat_map(|answer| &answer.diagnostics)
        .map(|it| (it.batch, it.index, it.cause.as_str(), it.field.as_str()))
        .collect();
    assert_eq!(
        faults,
        [(1, 1, "EMPTY_SEGMENT", "target.text"), (2, 0, "CONTROL_CHARACTER", "target.text")]
    );
    // The same import again, with one more batch: what is there is acknowledged and not stored again.
    let mut more = first;
    more.push(batch(3, &[("\u{62c}", "j")]));
    let answers = import(&mut clients, more).await.unwrap();
    assert_eq!(answers[0].acked_through, 2);
    let counts = answers.last().unwrap().counts.unwrap();
    assert_eq!((counts.read, counts.stored), (7, 4));
    let list = proto::ListUnitsRequest { parent: "memories/m".into(), ..Default::default() };
    assert_eq!(clients.units.list_units(list).await.unwrap().into_inner().units.len(), 4);
}

#[tokio::test]
async fn an_import_keeps_to_its_duplicate_policy() {
    use proto::DuplicatePolicy::{KeepAll, ReplaceSameSource, SkipIdentical};
    let units = [
        ("\u{623}", "old"),
        ("\u{623}", "old"),
        ("\u{623}", "new"),
        ("\u{623}", "newest"),
        ("\u{628}", "b"),
    ];
    let expected: [(_, &[&str], (i64, i64, i64)); 3] = [
        (KeepAll, &["old", "old", "new", "newest", "b"], (5, 0, 0)),
        (SkipIdentical, &["old", "new", "newest", "b"], (4, 0, 1)),
        (ReplaceSameSource, &["newest", "b"], (4, 2, 1)),
    ];
    for (policy, targets, counted) in expected {
        // Once in one commit, once in a commit each, once in an import each.
        for way in 0..3 {
            let (_server, mut clients) = start().await;
            clients.create_memory("m").await;
            let mut total = (0, 0, 0);
            let imports: Vec<Vec<ImportMessage>> = match way {
                0 => vec![vec![header(ID, policy), batch(1, &units)]],
                1 => {
                    let batches = (1..).zip(&units).map(|(number, unit)| batch(number, &[*unit]));
                    vec![std::iter::once(header(ID, policy)).chain(batches).collect()]
                }
                _ => (0..units.len())
                    .map(|index| {
                        let id = format!("01890a5d-ac96-774b-bcce-b30209900{index:03}");
                        vec![header(&id, policy), batch(1, &units[index..=index])]
                    })
                    .collect(),
            };
            for messages in imports {
                let answers = import(&mut clients, messages).await.unwrap();
                let counts = answers.last().unwrap().counts.unwrap();
                total.0 += counts.stored;
                total.1 += counts.replaced;
                total.2 += counts.duplicates;
            }
            assert_eq!(total, counted, "{policy:?}, way {way}");
            let list =
                proto::ListUnitsRequest { parent: "memories/m".into(), ..Default::default() };
            let stored = clients.units.list_units(list).await.unwrap().into_inner().units;
            let stored: Vec<_> =
                stored.iter().map(|it| it.target.as_ref().unwrap().text.as_str()).collect();
            assert_eq!(stored, targets, "{policy:?}, way {way}");
        }
    }
}

#[tokio::test]
async fn bad_imports_are_refused_by_field() {
    use proto::DuplicatePolicy::{KeepAll, SkipIdentical};
    let (_server, mut clients) = start().await;
    clients.create_memory("m").await;
    let header_with = |change: fn(&mut proto::ImportHeader)| {
        let ImportMessage::Header(mut it) = header(OTHER_ID, SkipIdentical) else { unreachable!() };
        change(&mut it);
        vec![ImportMessage::Header(it)]
    };
    let cases = [
        (vec![], Code::InvalidArgument, "message"),
        (vec![batch(1, &[])], Code::InvalidArgument, "message"),
        (header_with(|it| it.import_id.clear()), Code::InvalidArgument, "header.import_id"),
        (header_with(|it| it.parent = "memories/x".into()), Code::NotFound, "memories/x"),
        (
            header_with(|it| it.target_language_code = "fr".into()),
            Code::InvalidArgument,
            "header.target_language_code",
        ),
        (
            header_with(|it| it.duplicate_policy = 9),
            Code::InvalidArgument,
            "header.duplicate_policy",
        ),
        (
            vec![header(ID, SkipIdentical), header(ID, SkipIdentical)],
            Code::InvalidArgument,
            "header",
        ),
        (vec![header(ID, SkipIdentical), batch(0, &[])], Code::InvalidArgument, "batch.number"),
        (vec![header(ID, SkipIdentical), batch(2, &[])], Code::InvalidArgument, "batch.number"),
        (
            vec![header(ID, SkipIdentical), batch(1, &[("\u{623}", "a"); 201])],
            Code::InvalidArgument,
            "batch.units",
        ),
    ];
    for (messages, code, expected) in cases {
        let error = import(&mut clients, messages).await.unwrap_err();
        assert_eq!(field(&error, code), expected);
    }
    import(&mut clients, vec![header(ID, SkipIdentical), batch(1, &[("\u{623}", "a")])])
        .await
        .unwrap();
    let error = import(&mut clients, vec![header(ID, KeepAll)]).await.unwrap_err();
    assert_eq!(field(&error, Code::AlreadyExists), "import_id");
}

fn export(cursor: &str) -> proto::ExportUnitsRequest {
    proto::ExportUnitsRequest {
        parent: "memories/m".into(),
        cursor: cursor.into(),
        ..Default::default()
    }
}

async fn exported(clients: &mut Clients, cursor: &str) -> Vec<proto::ExportUnitsResponse> {
    let pages = clients.units.export_units(export(cursor)).await.unwrap().into_inner();
    pages.map(Result::unwrap).collect().await
}

#[tokio::test]
async fn an_export_gives_everything_and_goes_on_from_its_cursor() {
    let (_server, mut clients) = start().await;
    clients.create_memory("m").await;
    let units: Vec<(String, String)> = (0..450)
        .map(|index| (format!("\u{646}\u{635} {index}"), format!("text {index}")))
        .collect();
    let pairs: Vec<(&str, &str)> = units.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let mut messages = vec![header(ID, proto::DuplicatePolicy::KeepAll)];
    messages.extend((1..).zip(pairs.chunks(200)).map(|(number, chunk)| batch(number, chunk)));
    import(&mut clients, messages).await.unwrap();
    let pages = exported(&mut clients, "").await;
    let names = |pages: &[proto::ExportUnitsResponse]| -> Vec<String> {
        pages.iter().flat_map(|page| &page.units).map(|unit| unit.name.clone()).collect()
    };
    let all = names(&pages);
    assert_eq!(all.len(), 450);
    let rest = exported(&mut clients, &pages[0].cursor).await;
    assert_eq!(names(&rest), all[pages[0].units.len()..]);
    let error = clients.units.export_units(export("00")).await.unwrap_err();
    assert_eq!(field(&error, Code::InvalidArgument), "cursor");
}

#[tokio::test]
async fn a_watcher_sees_every_change_once_and_in_order() {
    let (_server, mut clients) = start().await;
    clients.create_memory("m").await;
    clients.create_memory("n").await;
    let first = clients.create_unit("m", "\u{623}", "a").await;
    let watch = |parent: &str, after_sequence| proto::WatchUnitsRequest {
        parent: parent.into(),
        start: Some(proto::watch_units_request::Start::AfterSequence(after_sequence)),
        ..Default::default()
    };
    let mut feed = clients.units.watch_units(watch("memories/m", 0)).await.unwrap().into_inner();
    let event = feed.next().await.unwrap().unwrap();
    assert_eq!(event.changes[0].kind(), proto::ChangeKind::Created);
    assert_eq!(event.changes[0].unit.as_ref().unwrap(), &first);
    let seen = event.sequence;
    clients.create_unit("n", "\u{628}", "elsewhere").await;
    let delete = proto::DeleteUnitRequest { name: first.name.clone(), ..Default::default() };
    clients.units.delete_unit(delete).await.unwrap();
    let event = feed.next().await.unwrap().unwrap();
    assert_eq!(event.changes[0].kind(), proto::ChangeKind::Deleted);
    assert_eq!(
        (event.changes[0].name.as_str(), &event.changes[0].unit),
        (first.name.as_str(), &Some(first.clone()))
    );
    assert_eq!(event.sequence, seen + 2);
    // From the middle, over all memories.
    let feed = clients.units.watch_units(watch("memories/-", seen)).await.unwrap().into_inner();
    let events: Vec<_> = feed.take(2).map(Result::unwrap).collect().await;
    let names: Vec<_> = events.iter().map(|event| event.changes[0].name.as_str()).collect();
    assert_eq!(names, ["memories/n/units/1", "memories/m/units/1"]);
    let error = clients.units.watch_units(watch("memories/m", 1_000)).await.unwrap_err();
    assert_eq!(field(&error, Code::InvalidArgument), "after_sequence");
}

#[tokio::test]
async fn many_writers_share_commits_and_lose_nothing() {
    let (server, mut clients) = start().await;
    clients.create_memory("m").await;
    let mut tasks = Vec::new();
    for writer in 0..8 {
        let mut clients = server.clients().await;
        tasks.push(tokio::spawn(async move {
            let mut made = Vec::new();
            for index in 0..25 {
                let text = format!("\u{646}\u{635} {writer} {index}");
                made.push((clients.create_unit("m", &text, &text).await.name, text));
            }
            made
        }));
    }
    let mut made = BTreeMap::new();
    for task in tasks {
        for (name, text) in task.await.unwrap() {
            assert!(made.insert(name, text).is_none(), "no name is given twice");
        }
    }
    for (name, text) in made {
        let request = proto::GetUnitRequest { name, ..Default::default() };
        let unit = clients.units.get_unit(request).await.unwrap().into_inner().unit.unwrap();
        assert_eq!(unit.source.unwrap().text, text);
        assert_eq!(clients.lookup("m", &text).await[0].kind(), proto::MatchKind::Exact);
    }
}

#[tokio::test]
async fn a_watcher_resumes_after_any_commit_that_it_has_seen() {
    let directory = tempfile::tempdir().unwrap();
    let options = OpenOptions { create: true, accept_data_loss: false, purpose: "test".into() };
    let store = Arc::new(SledStore::open(directory.path(), &options).unwrap());
    let server = TestServer::over(store).await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    let writers: Vec<_> = (0..6)
        .map(|writer| {
            let channel = clients.channel.clone();
            tokio::spawn(async move {
                let mut clients = Clients::over(channel);
                for number in 0..15 {
                    clients.create_unit("m", &format!("{writer} {number}"), "target").await;
                }
            })
        })
        .collect();
    // Each commit is read from a new stream, which resumes after the commit before.
    let (mut seen, mut after_sequence) = (0, 0);
    while seen < 6 * 15 {
        let watch = proto::WatchUnitsRequest {
            parent: "memories/m".into(),
            start: Some(proto::watch_units_request::Start::AfterSequence(after_sequence)),
            ..Default::default()
        };
        let mut feed = clients.units.watch_units(watch).await.unwrap().into_inner();
        let commit = feed.next().await.unwrap().unwrap();
        assert!(commit.sequence > after_sequence);
        (seen, after_sequence) = (seen + commit.changes.len(), commit.sequence);
    }
    for writer in writers {
        writer.await.unwrap();
    }
}
