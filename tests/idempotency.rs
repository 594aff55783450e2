//! Repeated requests: every write, with the same and with other content, across restarts and across memories that are deleted and
//! created again under their name. A slow model gives the expected answers.

mod world;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dhakira::engine::{Cancel, Engine};
use dhakira::grpc::Api;
use dhakira::store::{InMemoryStore, OpenOptions, SledStore};
use proptest::prelude::*;
use prost::Message as _;
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::proto::import_units_request::Message as ImportMessage;
use crate::support::{UnitServiceClient, proto, unit};

use world::{NAME, World, request_id};

/// Every call that takes a request id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    CreateMemory,
    UpdateMemory,
    DeleteMemory,
    CreateUnit,
    BatchCreateUnits,
    UpdateUnit,
    DeleteUnit,
    BatchUpdateUnits,
    BatchDeleteUnits,
    RecordUnitUses,
    RollbackUnit,
    UpdateMatchingUnits,
    DeleteMatchingUnits,
    ImportUnits,
    ImportFile,
    StoreIn,
}

const KINDS: [Kind; 16] = [
    Kind::CreateMemory,
    Kind::UpdateMemory,
    Kind::DeleteMemory,
    Kind::CreateUnit,
    Kind::BatchCreateUnits,
    Kind::UpdateUnit,
    Kind::DeleteUnit,
    Kind::BatchUpdateUnits,
    Kind::BatchDeleteUnits,
    Kind::RecordUnitUses,
    Kind::RollbackUnit,
    Kind::UpdateMatchingUnits,
    Kind::DeleteMatchingUnits,
    Kind::ImportUnits,
    Kind::ImportFile,
    Kind::StoreIn,
];

impl Kind {
    /// Whether the request needs a token that is bound to the memory.
    fn is_matching(self) -> bool {
        matches!(self, Self::UpdateMatchingUnits | Self::DeleteMatchingUnits)
    }
}

/// One request: a kind, under one of a few ids, with one of two contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Request {
    kind: Kind,
    id: u8,
    content: u8,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Send(Request),
    /// The last request again, unchanged.
    Again,
    Restart,
}

/// What must be remembered of a request that succeeded.
struct Known {
    request: Request,
    /// Which of the memories that had the name it was for.
    incarnation: usize,
    answer: Vec<u8>,
}

#[derive(Default)]
struct Model {
    known: HashMap<u8, Known>,
    /// Memories of the name so far, and whether the last one is alive.
    incarnations: usize,
    alive: bool,
}

/// What must come of a request.
#[derive(Debug, PartialEq)]
enum Expected {
    /// It is carried out, or fails for a reason of its own.
    Anything,
    Same(Vec<u8>),
    Refused(Code),
}

impl Model {
    fn expected(&self, request: Request) -> Expected {
        let streams = [Kind::ImportUnits, Kind::ImportFile, Kind::StoreIn];
        if !self.alive && (streams.contains(&request.kind) || request.kind.is_matching()) {
            // Documented: the memory must exist.
            return Expected::Refused(Code::NotFound);
        }
        let Some(known) = self.known.get(&request.id) else { return Expected::Anything };
        let same_memory = !self.alive || known.incarnation == self.incarnations;
        if known.request == request && same_memory {
            Expected::Same(known.answer.clone())
        } else {
            Expected::Refused(Code::AlreadyExists)
        }
    }

    fn carried_out(&mut self, request: Request, answer: Vec<u8>) {
        if request.kind == Kind::CreateMemory {
            self.incarnations += 1;
            self.alive = true;
        }
        let incarnation = self.incarnations;
        self.known.insert(request.id, Known { request, incarnation, answer });
        if request.kind == Kind::DeleteMemory {
            self.alive = false;
        }
    }
}

async fn run(steps: Vec<Step>) {
    let mut world = World::open(Arc::new(InMemoryStore::default()));
    let mut model = Model::default();
    let mut last = Request { kind: Kind::CreateMemory, id: 0, content: 0 };
    for step in [Step::Again].into_iter().chain(steps) {
        let request = match step {
            Step::Restart => {
                world = world.restart();
                continue;
            }
            Step::Again => last,
            Step::Send(request) => request,
        };
        last = request;
        let before = world.memory().await;
        let expected = model.expected(request);
        let answer = world.send(request).await;
        if let Err(status) = &answer {
            let info = status.get_details_error_info();
            assert!(info.is_some(), "{request:?}: {status} has no ErrorInfo");
        }
        match (expected, answer) {
            (Expected::Anything, Ok(answer)) => model.carried_out(request, answer),
            (Expected::Anything, Err(_)) => assert_eq!(world.memory().await, before, "{request:?}"),
            (Expected::Same(first), Ok(answer)) => {
                assert_eq!(answer, first, "{request:?} is not answered as the first time");
                assert_eq!(world.memory().await, before, "{request:?} was carried out again");
            }
            (Expected::Refused(code), Err(status)) => {
                // The token may be refused first, since the memory has been replaced or nothing matches.
                if !(request.kind.is_matching() && status.code() == Code::InvalidArgument) {
                    assert_eq!(status.code(), code, "{request:?}: {status}");
                }
                assert_eq!(world.memory().await, before, "{request:?}");
            }
            (expected, answer) => panic!("{request:?}: expected {expected:?}, got {answer:?}"),
        }
        assert_eq!(world.memory().await.is_some(), model.alive);
    }
}

fn request() -> impl Strategy<Value = Request> {
    (0..KINDS.len(), 0..6_u8, 0..2_u8).prop_map(|(kind, id, content)| Request {
        kind: KINDS[kind],
        id,
        content,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => request().prop_map(Step::Send),
        4 => Just(Step::Again),
        1 => Just(Step::Restart),
    ]
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_repeated_request_answers_as_the_first_time_or_is_refused(
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        runtime().block_on(run(steps));
    }
}

/// Each kind of write once, and again after everything that may lie between.
#[test]
fn every_write_is_repeated_after_a_restart_and_after_its_memory_was_replaced() {
    let create = |id| Request { kind: Kind::CreateMemory, id, content: 0 };
    let delete = |id| Request { kind: Kind::DeleteMemory, id, content: 0 };
    let units = [Kind::CreateUnit, Kind::BatchCreateUnits].map(|kind| {
        let id = if kind == Kind::CreateUnit { 10 } else { 11 };
        Step::Send(Request { kind, id, content: 0 })
    });
    for kind in KINDS {
        let this = Request { kind, id: 5, content: 0 };
        let other = Request { content: 1, ..this };
        for between in [
            vec![],
            vec![Step::Restart],
            vec![Step::Send(Request { kind: Kind::UpdateUnit, id: 12, content: 0 })],
            vec![Step::Send(delete(13))],
            vec![Step::Send(delete(13)), Step::Restart],
            vec![Step::Send(delete(13)), Step::Send(create(14))],
            vec![Step::Send(delete(13)), Step::Send(create(14)), units[0], Step::Restart],
        ] {
            let mut steps = units.to_vec();
            if kind == Kind::CreateMemory {
                steps.push(Step::Send(delete(15)));
            }
            steps.push(Step::Send(this));
            steps.extend(between);
            steps.extend([Step::Send(this), Step::Send(other), Step::Send(this)]);
            runtime().block_on(run(steps));
        }
    }
}

/// Using one import id for two files is an error, however many batches the first one had.
#[tokio::test]
async fn every_batch_of_an_import_is_checked_when_it_comes_again() {
    let world = World::open(Arc::new(InMemoryStore::default()));
    world.send(Request { kind: Kind::CreateMemory, id: 0, content: 0 }).await.unwrap();
    let import = async |numbers: Vec<(i64, i64)>| {
        let header = proto::ImportHeader {
            parent: NAME.into(),
            import_id: request_id(1),
            ..Default::default()
        };
        let batch = |(number, content): (i64, i64)| {
            let units = vec![unit("\u{643}\u{62a}\u{627}\u{628}", &format!("book {content}"))];
            ImportMessage::Batch(proto::ImportBatch { number, units, last: false })
        };
        let messages = std::iter::once(ImportMessage::Header(header))
            .chain(numbers.into_iter().map(batch))
            .map(|message| proto::ImportUnitsRequest { message: Some(message) });
        let messages: Vec<_> = messages.collect();
        let answers = world.units().import_units(tokio_stream::iter(messages)).await.unwrap();
        answers.into_inner().collect::<Result<Vec<_>, Status>>().await
    };
    let all = import((1..=150).map(|it| (it, it)).collect()).await.unwrap();
    assert_eq!(all.last().unwrap().acked_through, 150);
    for number in [1, 2, 63, 64, 65, 127, 128, 129, 149, 150] {
        let same = import(vec![(number, number)]).await.unwrap();
        assert_eq!((same[1].batch, same[1].acked_through), (number, 150));
        let status = import(vec![(number, number + 1)]).await.unwrap_err();
        assert_eq!(status.code(), Code::AlreadyExists, "batch {number}: {status}");
    }
    import(vec![(151, 151)]).await.unwrap();
    assert_eq!(world.memory().await.unwrap().1, 151);
}

/// After a compaction has removed the answered version, no other answer is invented.
#[tokio::test]
async fn a_removed_version_is_not_invented() {
    let directory = tempfile::tempdir().unwrap();
    let options =
        OpenOptions { create: true, accept_data_loss: false, purpose: "testing".to_owned() };
    let store = SledStore::open(directory.path(), &options).unwrap();
    let world = World::open(Arc::new(store));
    let create = Request { kind: Kind::CreateUnit, id: 1, content: 0 };
    world.send(Request { kind: Kind::CreateMemory, id: 0, content: 0 }).await.unwrap();
    let first = world.send(create).await.unwrap();
    world.send(Request { kind: Kind::UpdateUnit, id: 2, content: 0 }).await.unwrap();
    assert_eq!(world.send(create).await.unwrap(), first);
    let world = world.restart();
    assert_eq!(world.send(create).await.unwrap(), first);
    let store = world.store.clone();
    drop(world);
    let engine = Engine::open(store, None, &mut |_| ()).unwrap();
    let compacted = tokio::task::spawn_blocking(move || {
        engine.compact(Duration::ZERO, &Cancel::default(), &|_| ()).unwrap();
        engine
    });
    let routes = Api::ready(compacted.await.unwrap()).routes();
    let unit = proto::CreateUnitRequest {
        parent: NAME.into(),
        unit: proto::CreateUnitResponse::decode(&first[..]).unwrap().unit,
        request_id: request_id(1),
        ..Default::default()
    };
    // Of another content, or carried out with nothing left to answer: refused either way.
    let status = UnitServiceClient::new(routes.clone()).create_unit(unit).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    let world =
        World { store: Arc::new(InMemoryStore::default()).into(), routes, tokens: Arc::default() };
    let status = world.send(create).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    assert_eq!(status.get_details_error_info().unwrap().reason, "REQUEST_ALREADY_DONE");
}
