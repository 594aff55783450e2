//! What a memory deducts from unfinished translations: kept wherever its record goes, used by every lookup, changed over the API and
//! by the command line.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dhakira::engine::backup::{self, Target};
use dhakira::engine::{
    Cancel, Engine, Explain, LookupSettings, MemoryChoice, MemoryPatch, NewMemory, QuerySegment,
    UnitFilter,
};
use dhakira::matching::MatchKind;
use dhakira::store::{CommitLog as _, InMemoryStore, Sequence, Store, salvage};
use dhakira::unit::{MemoryName, Score, Segment, UNFINISHED_ATTRIBUTE};
use prost_types::FieldMask;
use tonic::Code;

use crate::command_line::{code, run, stderr, stdout};
use crate::support::{TestServer, proto};
use crate::upkeep::{add_part, content, open_store};

use super::support::new_memory;

const SOURCE: &str = "\u{648}\u{635}\u{644} \u{627}\u{644}\u{642}\u{637}\u{627}\u{631}";

fn name(text: &str) -> MemoryName {
    text.parse().unwrap()
}

fn points(points: f64) -> Score {
    Score::from_points(points).unwrap()
}

fn open(directory: &Path) -> Engine {
    Engine::open(Arc::new(open_store(directory)), None, &mut |_| ()).unwrap()
}

fn penalized_memory(memory: &str, unfinished_penalty: Option<Score>) -> NewMemory {
    NewMemory { display_name: "Memory".into(), unfinished_penalty, ..new_memory(name(memory)) }
}

/// A memory with one unit, which is unfinished.
fn create(engine: &Engine, memory: &str, penalty: Option<Score>) {
    engine.create_memory(penalized_memory(memory, penalty), None).unwrap();
    let mut unit = content(SOURCE, "The train arrived");
    unit.attributes.insert(UNFINISHED_ATTRIBUTE.into(), "fuzzy".into());
    engine.create_units(&name(memory), vec![unit], None, |_| String::new()).unwrap();
}

fn update(engine: &Engine, memory: &str, penalty: Option<Score>) {
    let patch = MemoryPatch { unfinished_penalty: Some(penalty), ..MemoryPatch::default() };
    engine.update_memory(&name(memory), patch, None, None).unwrap();
}

/// Scores of the same text in memories that are looked up together, by memory.
fn scores(engine: &Engine, memories: &[&str]) -> Vec<f64> {
    let choice = |it: &&str| MemoryChoice { memory: name(it), penalty: None };
    let settings = |exhaustive| LookupSettings {
        memories: memories.iter().map(choice).collect(),
        min_score: Score::ZERO,
        max_matches: 10,
        exhaustive,
        filter: UnitFilter::default(),
        penalty_rules: Vec::new(),
        explain: Explain::default(),
    };
    let query = || QuerySegment::new(Segment::plain(SOURCE));
    let [indexed, scanned] = [false, true].map(|exhaustive| {
        let found = engine.lookup(&settings(exhaustive), &[query()], &Cancel::default()).unwrap();
        let of = |memory: &&str| {
            let of_memory = found[0].iter().find(|it| it.memory.as_str() == *memory).unwrap();
            assert_eq!(of_memory.kind, MatchKind::Exact);
            of_memory.score.points()
        };
        memories.iter().map(of).collect::<Vec<_>>()
    });
    assert_eq!(indexed, scanned);
    indexed
}

#[test]
fn each_memory_deducts_what_it_says() {
    let engine = Engine::open(Arc::new(InMemoryStore::default()), None, &mut |_| ()).unwrap();
    let penalties = [("a", None), ("b", Some(2.5)), ("c", Some(0.0)), ("d", Some(100.0))];
    for (memory, penalty) in penalties {
        create(&engine, memory, penalty.map(points));
    }
    assert_eq!(scores(&engine, &["a", "b", "c", "d"]), [90.0, 97.5, 100.0, 0.0]);
    update(&engine, "a", Some(points(40.0)));
    update(&engine, "b", None);
    assert_eq!(scores(&engine, &["d", "c", "b", "a"]), [0.0, 100.0, 90.0, 60.0]);
    // What else changes leaves it alone.
    let patch = MemoryPatch { description: Some("for trains".into()), ..MemoryPatch::default() };
    engine.update_memory(&name("a"), patch, None, None).unwrap();
    assert_eq!(scores(&engine, &["a"]), [60.0]);
    // A finished unit loses nothing.
    engine
        .create_units(&name("a"), vec![content(SOURCE, "A train came")], None, |_| String::new())
        .unwrap();
    assert_eq!(scores(&engine, &["a"]), [100.0]);
}

#[test]
fn it_survives_restart_compaction_backup_and_salvage() {
    let directory = tempfile::tempdir().unwrap();
    let (data, saved) = (directory.path().join("data"), directory.path().join("backup"));
    let engine = open(&data);
    create(&engine, "plain", None);
    create(&engine, "m", Some(points(2.5)));
    let both = ["plain", "m"];
    assert_eq!(scores(&engine, &both), [90.0, 97.5]);
    add_part(&engine, &saved, false).unwrap();
    let sequence = |engine: &Engine| *engine.watch_sequence().borrow();
    let mut expected = vec![(sequence(&engine), [90.0, 97.5])];
    for (memory, penalty, scores_then) in [
        ("m", Some(0.0), [90.0, 100.0]),
        ("plain", Some(33.33), [66.67, 100.0]),
        ("m", None, [66.67, 90.0]),
        ("m", Some(7.0), [66.67, 93.0]),
    ] {
        update(&engine, memory, penalty.map(points));
        assert_eq!(scores(&engine, &both), scores_then);
        expected.push((sequence(&engine), scores_then));
        // The last two share a part.
        if penalty.is_some() {
            add_part(&engine, &saved, false).unwrap();
        }
    }
    let last = [66.67, 93.0];
    drop(engine);
    let engine = open(&data);
    assert_eq!(scores(&engine, &both), last);
    engine.compact(Duration::ZERO, &Cancel::default(), &|_| ()).unwrap();
    assert_eq!(scores(&engine, &both), last);
    drop(engine);
    let engine = open(&data);
    assert_eq!(scores(&engine, &both), last, "from what compaction wrote");
    assert!(engine.verify(&Cancel::default(), &|_| ()).unwrap().findings.is_empty());
    // A backup with everything, from records that compaction wrote.
    let whole = directory.path().join("whole");
    add_part(&engine, &whole, true).unwrap();
    expected.push((sequence(&engine), last));
    drop(engine);

    for (number, (sequence, scores_then)) in expected.iter().enumerate() {
        let from = if number + 1 == expected.len() { &whole } else { &saved };
        let target = directory.path().join(format!("restored-{number}"));
        let upto = Target::Sequence(Sequence(sequence.0));
        backup::restore(from, &target, upto, &|_| ()).unwrap();
        assert_eq!(scores(&open(&target), &both), scores_then[..], "as of {sequence:?}");
    }

    let mut of_memories = Vec::new();
    let salvaged = salvage(&data, &mut |memory, _| {
        of_memories.push(memory.to_owned());
        Ok(())
    });
    assert_eq!((salvaged.unwrap().notes, of_memories), (vec![], both.map(str::to_owned).to_vec()));
}

#[test]
fn a_memory_that_was_never_given_one_is_stored_as_before() {
    let store = InMemoryStore::default();
    let store = Arc::new(store);
    let engine = Engine::open(Arc::clone(&store), None, &mut |_| ()).unwrap();
    create(&engine, "m", None);
    update(&engine, "m", Some(points(1.0)));
    update(&engine, "m", None);
    drop(engine);
    assert!(store.memories().unwrap().iter().all(|it| it.unfinished_penalty.is_none()));
    for record in store.read(Sequence(0), 100).unwrap() {
        let of_memories = record.effects.iter().flat_map(|it| &it.memories);
        let changed = of_memories.filter(|it| it.unfinished_penalty.is_some()).count();
        assert_eq!(changed, usize::from(record.sequence == Sequence(3)), "{record:?}");
    }
}

#[tokio::test]
async fn it_is_a_field_like_others() {
    let server = TestServer::start().await;
    let mut memories = server.clients().await.memories;
    let memory = |penalty| proto::Memory {
        name: "memories/m".into(),
        source_language_code: "ar".into(),
        target_language_code: "en".into(),
        display_name: "Memory".into(),
        unfinished_penalty_points: penalty,
        ..Default::default()
    };
    let create = |penalty| proto::CreateMemoryRequest {
        memory_id: "m".into(),
        memory: Some(memory(penalty)),
        request_id: "7c2d5f58-8a6f-4c1a-9df1-3f1b2a7f8c11".into(),
    };
    for bad in [-0.01, 100.01, f64::NAN, f64::INFINITY] {
        let error = memories.create_memory(create(Some(bad))).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.message().contains("unfinished_penalty"), "{error}");
    }
    let made = memories.create_memory(create(Some(2.5))).await.unwrap().into_inner().memory;
    assert_eq!(made.as_ref().unwrap().unfinished_penalty_points, Some(2.5));
    let mut update = async |penalty, paths: Option<&[&str]>| {
        let update_mask =
            paths.map(|it| FieldMask { paths: it.iter().map(|&it| it.to_owned()).collect() });
        let memory = Some(memory(penalty));
        let request_id = String::new();
        let request = proto::UpdateMemoryRequest { memory, update_mask, request_id };
        let updated = memories.update_memory(request).await?.into_inner();
        Ok::<_, tonic::Status>(updated.memory.unwrap().unfinished_penalty_points)
    };
    // Without a mask: when it is there. With one: when it is named, also to take it away.
    assert_eq!(update(Some(3.0), None).await.unwrap(), Some(3.0));
    assert_eq!(update(None, None).await.unwrap(), Some(3.0));
    assert_eq!(update(Some(9.0), Some(&["display_name"])).await.unwrap(), Some(3.0));
    assert_eq!(update(Some(0.0), Some(&["unfinished_penalty_points"])).await.unwrap(), Some(0.0));
    assert_eq!(update(None, Some(&["unfinished_penalty_points"])).await.unwrap(), None);
    assert_eq!(update(Some(4.0), Some(&["*"])).await.unwrap(), Some(4.0));
    assert_eq!(update(None, Some(&["*"])).await.unwrap(), None);
    let error = update(Some(101.0), Some(&["*"])).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    // What was not meant is not looked at.
    assert_eq!(update(Some(101.0), Some(&["display_name"])).await.unwrap(), None);
    // The first request again is answered as it was, whatever has become of the memory.
    let again = memories.create_memory(create(Some(2.5))).await.unwrap().into_inner().memory;
    assert_eq!(again, made);
    let error = memories.create_memory(create(Some(2.6))).await.unwrap_err();
    assert_eq!(error.code(), Code::AlreadyExists, "another request under its id");
}

#[test]
fn the_command_line_sets_and_shows_it() {
    let directory = tempfile::tempdir().unwrap();
    let memories = |arguments: &[&str]| {
        let output = run(directory.path(), &[&["memories", "--json"], arguments].concat());
        let shown = stdout(&output).lines().last().map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["unfinished_penalty"].clone()
        });
        (code(&output), shown.and_then(|it| it.as_f64()), stderr(&output))
    };
    let shown = |arguments: &[&str]| {
        let (code, shown, errors) = memories(arguments);
        assert_eq!(code, 0, "{errors}");
        shown.unwrap()
    };
    assert_eq!(shown(&["create", "plain"]), 10.0);
    assert_eq!(shown(&["create", "m", "--unfinished-penalty", "2.5"]), 2.5);
    assert_eq!(shown(&["show", "m"]), 2.5);
    assert_eq!(shown(&["update", "m", "--description", "new"]), 2.5);
    assert_eq!(shown(&["update", "m", "--unfinished-penalty", "0"]), 0.0);
    assert_eq!(shown(&["update", "m", "--unfinished-penalty", "default"]), 10.0);
    assert_eq!(shown(&["update", "plain", "--unfinished-penalty", "25"]), 25.0);
    assert_eq!(shown(&["list"]), 25.0);
    for bad in ["101", "-1", "much"] {
        let bad = format!("--unfinished-penalty={bad}");
        let (code, _, errors) = memories(&["update", "m", &bad]);
        assert_eq!(code, 2);
        assert!(errors.contains("from 0 to 100"), "{errors}");
    }
}
