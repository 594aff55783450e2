//! Changes of one unit by many at once, and what a commit writes of a memory.

use std::path::Path;
use std::sync::Arc;

use dhakira::engine::{
    Cancel, Engine, EngineError, Explain, LookupSettings, MemoryChoice, NewMemory,
};
use dhakira::engine::{Etag, QuerySegment, UnitFilter, UnitPatch, unit_etag};
use dhakira::store::{InMemoryStore, OpenOptions, SledStore};
use dhakira::unit::{MemoryName, Score, Segment, UnitContent, UnitId};

use super::support::new_memory;

fn name() -> MemoryName {
    "m".parse().unwrap()
}

fn create_memory(engine: &Engine, description: String) {
    let new = NewMemory { description, ..new_memory(name()) };
    engine.create_memory(new, None).unwrap();
}

fn content(source: &str) -> UnitContent {
    UnitContent {
        source: Segment::plain(source),
        target: Segment::plain("a target"),
        ..UnitContent::default()
    }
}

fn create(engine: &Engine, source: &str) -> UnitId {
    let units = engine.create_units(&name(), vec![content(source)], None, |_| String::new());
    units.unwrap()[0].id
}

fn attribute(key: String) -> UnitPatch {
    UnitPatch { attribute: [(key, Some("x".to_owned()))].into(), ..UnitPatch::default() }
}

#[test]
fn changes_of_one_unit_at_the_same_time_are_all_carried_out() {
    const THREADS: usize = 6;
    const CHANGES: usize = 15;
    let engine = Engine::open(Arc::new(InMemoryStore::default()), None, &mut |_| ()).unwrap();
    create_memory(&engine, String::new());
    // One that is analysed on threads of its own, and one that is not.
    for source in ["short".to_owned(), "long text ".repeat(3_000)] {
        let id = create(&engine, &source);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let engine = &engine;
                scope.spawn(move || {
                    for change in 0..CHANGES {
                        let patch = attribute(format!("{thread}-{change}"));
                        engine.update_unit(&name(), id, patch, None, None).unwrap();
                    }
                });
            }
        });
        let unit = engine.unit(&name(), id).unwrap();
        assert_eq!(unit.content.attributes.len(), THREADS * CHANGES);
        assert_eq!(unit.revision, 1 + (THREADS * CHANGES) as u64);
    }
}

#[test]
fn of_changes_made_for_one_state_one_is_carried_out() {
    let engine = Engine::open(Arc::new(InMemoryStore::default()), None, &mut |_| ()).unwrap();
    create_memory(&engine, String::new());
    let id = create(&engine, "a source");
    let etag = unit_etag(&engine.unit(&name(), id).unwrap());
    let done: usize = std::thread::scope(|scope| {
        let change = |thread: usize| {
            let (engine, etag) = (&engine, etag.clone());
            scope.spawn(move || {
                let patch = attribute(thread.to_string());
                match engine.update_unit(&name(), id, patch, Some(Etag(etag.clone())), None) {
                    Ok(unit) => usize::from(unit.revision == 2),
                    Err(EngineError::EtagMismatch { expected, current, .. })
                        if expected == etag && current != etag =>
                    {
                        0
                    }
                    Err(error) => panic!("{error}"),
                }
            })
        };
        let threads: Vec<_> = (0..8).map(change).collect();
        threads.into_iter().map(|it| it.join().unwrap()).sum()
    });
    assert_eq!(done, 1);
    assert_eq!(engine.unit(&name(), id).unwrap().content.attributes.len(), 1);
    let missing = engine.update_unit(&name(), UnitId(77), attribute("a".into()), None, None);
    assert!(matches!(missing, Err(EngineError::NoUnit(..))));
    let empty = UnitPatch { source: Some(Segment::plain("\u{0}").into()), ..UnitPatch::default() };
    let refused = engine.update_unit(&name(), id, empty, None, None);
    assert!(matches!(refused, Err(EngineError::InvalidArgument { .. })), "{refused:?}");
}

fn bytes_below(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let size = |entry: std::fs::DirEntry| match entry.metadata().unwrap() {
        it if it.is_dir() => bytes_below(&entry.path()),
        it => it.blocks() * 512,
    };
    std::fs::read_dir(directory).unwrap().flatten().map(size).sum()
}

#[test]
fn a_commit_writes_what_changed_and_not_what_a_memory_is_called() {
    let size = |description: String| {
        let directory = tempfile::tempdir().unwrap();
        let options = OpenOptions { create: true, accept_data_loss: false, purpose: "t".into() };
        let store = SledStore::open(directory.path(), &options).unwrap();
        let engine = Engine::open(Arc::new(store), None, &mut |_| ()).unwrap();
        create_memory(&engine, description.clone());
        for number in 0..200 {
            create(&engine, &format!("source {number}"));
        }
        drop(engine);
        let store = SledStore::open(directory.path(), &options).unwrap();
        let engine = Engine::open(Arc::new(store), None, &mut |_| ()).unwrap();
        let memory = engine.memory(&name()).unwrap();
        assert_eq!((memory.unit_count, memory.next_unit), (200, UnitId(201)));
        assert_eq!(memory.description, description);
        drop(engine);
        bytes_below(directory.path())
    };
    let (short, long) = (size(String::new()), size("d".repeat(60_000)));
    eprintln!("200 units: {short} bytes, {long} bytes with a description of 60,000");
    assert!(long < short + 4 * 1024 * 1024, "{short} and {long} bytes");
}

fn settings(min_score: f64) -> LookupSettings {
    LookupSettings {
        memories: vec![MemoryChoice { memory: name(), penalty: None }],
        min_score: Score::from_points(min_score).unwrap(),
        max_matches: 5,
        exhaustive: false,
        filter: UnitFilter::default(),
        penalty_rules: Vec::new(),
        explain: Explain::default(),
    }
}

fn query(text: String) -> QuerySegment {
    QuerySegment::new(Segment::plain(text))
}

/// Words that are all different, those from `other` on in another way.
fn words(count: usize, other: usize) -> String {
    let word = |number: usize| {
        let letters = |mut number: usize| {
            let mut word = String::new();
            for _ in 0..3 {
                word.push(char::from(b'a' + u8::try_from(number % 26).unwrap()));
                number /= 26;
            }
            word
        };
        let kind = if number < other { "q" } else { "zz" };
        format!("{kind}{}", letters(number))
    };
    (0..count).map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn long_segments_match_as_long_as_few_words_differ() {
    let engine = Engine::open(Arc::new(InMemoryStore::default()), None, &mut |_| ()).unwrap();
    create_memory(&engine, String::new());
    create(&engine, &words(2_000, 2_000));
    for (same, found) in [(1_500, Some(75.0)), (1_488, Some(74.4)), (1_487, None), (1_400, None)] {
        for exhaustive in [false, true] {
            let settings = LookupSettings { exhaustive, ..settings(60.0) };
            let query = query(words(2_000, same));
            let matches = engine.lookup(&settings, &[query], &Cancel::default()).unwrap();
            let score = matches[0].first().map(|it| it.score.points());
            assert_eq!(score, found, "{same} words of 2,000 are the same");
        }
    }
}

#[test]
fn a_lookup_of_tiny_placeables_takes_time_in_proportion() {
    let engine = Engine::open(Arc::new(InMemoryStore::default()), None, &mut |_| ()).unwrap();
    create_memory(&engine, String::new());
    for stored in ["{0{0{0", "a b c", "1 2 3"] {
        create(&engine, &stored.repeat(40_000 / stored.len()));
    }
    for piece in ["{0", "1 ", "a1 ", "%1 ", "a. "] {
        let time = |bytes: usize| {
            let one = || {
                let begun = std::time::Instant::now();
                let query = query(piece.repeat(bytes / piece.len()));
                engine.lookup(&settings(70.0), &[query], &Cancel::default()).unwrap();
                begun.elapsed()
            };
            (0..3).map(|_| one()).min().unwrap()
        };
        let (short, long) = (time(50_000), time(200_000));
        let most = (12 * short).max(std::time::Duration::from_millis(200));
        assert!(long < most, "{piece}: {short:?}, {long:?} for four times as much");
    }
}

#[test]
fn a_lookup_that_nobody_waits_for_ends() {
    let engine = Engine::open(Arc::new(InMemoryStore::default()), None, &mut |_| ()).unwrap();
    create_memory(&engine, String::new());
    for number in 0..12 {
        create(&engine, &format!("{} {number}", words(9_000, 9_000 - 40 * number)));
    }
    let cancel = Cancel::default();
    cancel.cancel();
    let query = query(words(9_000, 8_700));
    let found = engine.lookup(&settings(60.0), &[query], &cancel);
    assert!(matches!(found, Err(EngineError::Cancelled)));
}
