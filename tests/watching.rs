//! Risk: a watcher misses a change, sees one twice, or sees a unit as it was not at that commit.
//!
//! The feed is compared with a model that keeps the content of every unit after each write.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tokio_stream::StreamExt as _;
use tonic::Code;

use crate::grpc::field;
use crate::support::proto::watch_units_request::Start;
use crate::support::{Clients, TestServer, proto, segment, unit};

const PARENT: &str = "memories/m";

/// A change as the model expects it: kind, number of the unit, its target, its author.
type Seen = (proto::ChangeKind, u64, String, String);

#[derive(Debug, Clone)]
enum Write {
    Create { author: &'static str },
    Update { unit: usize, word: u32 },
    Use { unit: usize },
    Delete { unit: usize },
}

#[derive(Default)]
struct Model {
    made: u64,
    /// Target and author by number.
    units: BTreeMap<u64, (String, String)>,
    log: Vec<Seen>,
}

impl Model {
    /// The number of some unit that exists.
    fn some(&self, index: usize) -> Option<u64> {
        self.units.keys().nth(index % self.units.len().max(1)).copied()
    }

    fn saw(&mut self, kind: proto::ChangeKind, number: u64) {
        let (target, author) = self.units[&number].clone();
        self.log.push((kind, number, target, author));
    }
}

fn name(number: u64) -> String {
    format!("{PARENT}/units/{number}")
}

async fn write(clients: &mut Clients, model: &mut Model, write: Write) {
    match write {
        Write::Create { author } => {
            model.made += 1;
            let number = model.made;
            let (source, target) = (format!("\u{646}\u{635} {number}"), format!("text {number}"));
            let given = proto::Unit { author: author.into(), ..unit(&source, &target) };
            let request = proto::CreateUnitRequest {
                parent: PARENT.into(),
                unit: Some(given),
                ..Default::default()
            };
            clients.units.create_unit(request).await.unwrap();
            model.units.insert(number, (target, author.into()));
            model.saw(proto::ChangeKind::Created, number);
        }
        Write::Update { unit, word } => {
            let Some(number) = model.some(unit) else { return };
            let target = format!("text {number} word{word}");
            let given =
                proto::Unit { name: name(number), target: segment(&target), ..Default::default() };
            let request = proto::UpdateUnitRequest { unit: Some(given), ..Default::default() };
            clients.units.update_unit(request).await.unwrap();
            model.units.get_mut(&number).unwrap().0 = target;
            model.saw(proto::ChangeKind::Updated, number);
        }
        Write::Use { unit } => {
            let Some(number) = model.some(unit) else { return };
            let request = proto::RecordUnitUsesRequest {
                parent: PARENT.into(),
                uses: vec![proto::UnitUse { name: name(number), ..Default::default() }],
                ..Default::default()
            };
            clients.units.record_unit_uses(request).await.unwrap();
            model.saw(proto::ChangeKind::Used, number);
        }
        Write::Delete { unit } => {
            let Some(number) = model.some(unit) else { return };
            let request = proto::DeleteUnitRequest { name: name(number), ..Default::default() };
            clients.units.delete_unit(request).await.unwrap();
            model.saw(proto::ChangeKind::Deleted, number);
            model.units.remove(&number);
        }
    }
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let index = || 0..8_usize;
    let one = prop_oneof![
        3 => prop::sample::select(vec!["amal", "sara"]).prop_map(|author| Write::Create { author }),
        3 => (index(), 0..4_u32).prop_map(|(unit, word)| Write::Update { unit, word }),
        2 => index().prop_map(|unit| Write::Use { unit }),
        1 => index().prop_map(|unit| Write::Delete { unit }),
    ];
    prop::collection::vec(one, 1..25)
}

fn seen(change: &proto::UnitChange) -> Seen {
    let unit = change.unit.as_ref().unwrap();
    assert_eq!((&unit.name, unit.revision), (&change.name, change.revision));
    let number = change.name.rsplit('/').next().unwrap().parse().unwrap();
    (change.kind(), number, unit.target.as_ref().unwrap().text.clone(), unit.author.clone())
}

fn watch(start: Option<Start>) -> proto::WatchUnitsRequest {
    proto::WatchUnitsRequest { parent: PARENT.into(), start, ..Default::default() }
}

/// The changes of a feed until it has caught up with `count` of them; each with its token.
async fn read(
    clients: &mut Clients,
    request: proto::WatchUnitsRequest,
    count: usize,
) -> Vec<(Seen, String)> {
    let mut feed = clients.units.watch_units(request).await.unwrap().into_inner();
    let mut found = Vec::new();
    while found.len() < count {
        let answer = feed.next().await.unwrap().unwrap();
        let token = answer.resume_token.clone();
        found.extend(answer.changes.iter().map(|it| (seen(it), token.clone())));
    }
    found
}

fn only(found: &[(Seen, String)]) -> Vec<Seen> {
    found.iter().map(|(seen, _)| seen.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_feed_is_the_history_of_the_memory(steps in writes(), from in any::<prop::sample::Index>()) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.unwrap().block_on(async {
            let server = TestServer::start().await;
            let mut clients = server.clients().await;
            clients.create_memory("m").await;
            let mut model = Model::default();
            write(&mut clients, &mut model, Write::Create { author: "sara" }).await;
            for step in steps {
                write(&mut clients, &mut model, step).await;
            }
            let all = read(&mut clients, watch(Some(Start::AfterSequence(0))), model.log.len()).await;
            assert_eq!(only(&all), model.log);
            // From the middle, by token.
            let place = from.index(model.log.len());
            let token = Start::ResumeToken(all[place].1.clone());
            let rest = &model.log[place + 1..];
            assert_eq!(only(&read(&mut clients, watch(Some(token)), rest.len()).await), rest);
            // By kind, and by filter: units as they are after the change, or were before their deletion.
            let kinds = [proto::ChangeKind::Updated, proto::ChangeKind::Deleted];
            let request = proto::WatchUnitsRequest {
                kinds: kinds.map(i32::from).to_vec(),
                ..watch(Some(Start::AfterSequence(0)))
            };
            let wanted: Vec<Seen> =
                model.log.iter().filter(|it| kinds.contains(&it.0)).cloned().collect();
            assert_eq!(only(&read(&mut clients, request, wanted.len()).await), wanted);
            let word = proto::TextCondition { contains: "word2".into(), ..Default::default() };
            let author =
                proto::StringCondition { any_of: vec!["sara".into()], ..Default::default() };
            for (filter, accepts) in [
                (
                    proto::UnitFilter { author: Some(author), ..Default::default() },
                    (|it: &Seen| it.3 == "sara") as fn(&Seen) -> bool,
                ),
                (proto::UnitFilter { target: Some(word), ..Default::default() }, |it: &Seen| {
                    it.2.ends_with("word2")
                }),
            ] {
                let request = proto::WatchUnitsRequest {
                    filter: Some(filter),
                    ..watch(Some(Start::AfterSequence(0)))
                };
                let wanted: Vec<Seen> =
                    model.log.iter().filter(|it| accepts(it)).cloned().collect();
                assert_eq!(only(&read(&mut clients, request, wanted.len()).await), wanted);
            }
        });
    }
}

#[tokio::test]
async fn a_feed_without_a_start_begins_with_the_next_commit() {
    let server = TestServer::start().await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    clients.create_unit("m", "\u{623}", "before").await;
    let mut feed = clients.units.watch_units(watch(None)).await.unwrap().into_inner();
    clients.create_unit("m", "\u{628}", "after").await;
    let first = feed.next().await.unwrap().unwrap();
    assert_eq!(seen(&first.changes[0]).2, "after");
}

#[tokio::test]
async fn a_feed_that_nothing_matches_reports_that_it_has_advanced() {
    let server = TestServer::start().await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    let request = proto::WatchUnitsRequest {
        kinds: vec![proto::ChangeKind::Deleted.into()],
        ..watch(Some(Start::AfterSequence(0)))
    };
    let mut feed = clients.units.watch_units(request).await.unwrap().into_inner();
    let name = clients.create_unit("m", "\u{623}", "text").await.name;
    let uses = proto::RecordUnitUsesRequest {
        parent: PARENT.into(),
        uses: vec![proto::UnitUse { name, ..Default::default() }],
        ..Default::default()
    };
    for _ in 0..1_000 {
        clients.units.record_unit_uses(uses.clone()).await.unwrap();
    }
    let answer = feed.next().await.unwrap().unwrap();
    assert!(answer.changes.is_empty() && answer.sequence >= 1_000);
    let resumed = watch(Some(Start::ResumeToken(answer.resume_token)));
    clients.units.watch_units(resumed).await.unwrap();
}

#[tokio::test]
async fn bad_starts_are_refused_by_field() {
    let server = TestServer::start().await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    let stranger = TestServer::start().await;
    let mut strange = stranger.clients().await;
    strange.create_memory("m").await;
    strange.create_unit("m", "\u{623}", "text").await;
    let start = Some(Start::AfterSequence(0));
    let mut feed = strange.units.watch_units(watch(start)).await.unwrap().into_inner();
    let token = feed.next().await.unwrap().unwrap().resume_token;
    for (start, name) in [
        (Start::AfterSequence(-1), "after_sequence"),
        (Start::AfterSequence(1_000), "after_sequence"),
        (Start::ResumeToken("00".into()), "resume_token"),
        (Start::ResumeToken(String::new()), "resume_token"),
        (Start::ResumeToken(token), "resume_token"),
    ] {
        let error = clients.units.watch_units(watch(Some(start))).await.unwrap_err();
        assert_eq!(field(&error, Code::InvalidArgument), name);
    }
    for kind in [0, 9] {
        let request = proto::WatchUnitsRequest { kinds: vec![kind], ..watch(None) };
        let error = clients.units.watch_units(request).await.unwrap_err();
        assert_eq!(field(&error, Code::InvalidArgument), "kinds[0]");
    }
    let text = proto::TextCondition { contains: "!".into(), ..Default::default() };
    let filter = Some(proto::UnitFilter { target: Some(text), ..Default::default() });
    let request = proto::WatchUnitsRequest { filter, ..watch(None) };
    let error = clients.units.watch_units(request).await.unwrap_err();
    assert_eq!(field(&error, Code::InvalidArgument), "filter.target.contains");
}
