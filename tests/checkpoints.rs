//! Checkpoints: a loaded index answers like a rebuilt one, and an invalid checkpoint is never used.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use dhakira::engine::{
    Cancel, Engine, Explain, Loaded, LookupSettings, MemoryChoice, QuerySegment, UnitFilter,
    UnitPatch,
};
use dhakira::limits::BATCH_UNITS_MAX;
use dhakira::matching::SCORE_VERSION;
use dhakira::store::{Backend, InMemoryStore, Maintenance as _, Retention};
use dhakira::text::TEXT_VERSION;
use dhakira::unit::{MemoryName, Score, Segment, Timestamp, UnitContent, UnitId};

use super::support::new_memory;

const UNITS: u64 = 3_000;

fn name() -> MemoryName {
    "m".parse().unwrap()
}

fn text(number: u64) -> String {
    let word = |number: u64| {
        let letter = |it: u64| char::from_u32(0x628 + (it % 20) as u32).unwrap();
        (0..4).map(|place| letter(number / 20_u64.pow(place))).collect::<String>()
    };
    format!("{} {} {} {number}", word(number), word(number * 7), word(number % 50))
}

fn content(number: u64) -> UnitContent {
    UnitContent {
        source: Segment::plain(text(number)),
        target: Segment::plain(format!("target {number}")),
        ..UnitContent::default()
    }
}

fn open(store: &Arc<InMemoryStore>, checkpoints: Option<&Path>) -> Engine {
    let store: Backend = store.clone().into();
    Engine::open(store, checkpoints.map(PathBuf::from), &mut |_| ()).unwrap()
}

fn create(engine: &Engine, numbers: std::ops::Range<u64>) {
    let contents: Vec<UnitContent> = numbers.map(content).collect();
    for some in contents.chunks(BATCH_UNITS_MAX) {
        engine.create_units(&name(), some.to_vec(), None, |_| String::new()).unwrap();
    }
}

fn filled(directory: &Path) -> Arc<InMemoryStore> {
    let store = Arc::new(InMemoryStore::default());
    let engine = open(&store, Some(directory));
    engine.create_memory(new_memory(name()), None).unwrap();
    create(&engine, 0..UNITS);
    store
}

/// Everything that many lookups answer.
fn answers(engine: &Engine) -> Vec<String> {
    let settings = LookupSettings {
        memories: vec![MemoryChoice { memory: name(), penalty: None }],
        min_score: Score::from_points(50.0).unwrap(),
        max_matches: 20,
        exhaustive: false,
        filter: UnitFilter::default(),
        penalty_rules: Vec::new(),
        explain: Explain::default(),
    };
    let queries: Vec<QuerySegment> = (0..UNITS + 100)
        .step_by(37)
        .map(|number| QuerySegment::new(Segment::plain(text(number))))
        .collect();
    let found = engine.lookup(&settings, &queries, &Cancel::default()).unwrap();
    found.iter().map(|matches| format!("{matches:?}")).collect()
}

fn file(directory: &Path) -> PathBuf {
    let mut files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let file = files.next().expect("a checkpoint");
    assert!(files.next().is_none(), "one memory, one file");
    file
}

#[test]
fn a_loaded_index_includes_later_writes() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(directory.path());
    file(directory.path());
    let engine = open(&store, Some(directory.path()));
    let expected = Loaded { units: UNITS, from_checkpoints: UNITS, replayed: 0 };
    assert_eq!(engine.loaded(), expected);
    assert_eq!(answers(&engine), answers(&open(&store, None)));
    // Too few changes for another checkpoint: they are only in the log.
    create(&engine, UNITS..UNITS + 100);
    for id in 1..=50 {
        engine.delete_unit(&name(), UnitId(id), None, None).unwrap();
        let source = Some(Segment::plain(text(id + 1_000_000)).into());
        let patch = UnitPatch { source, ..UnitPatch::default() };
        engine.update_unit(&name(), UnitId(id + 50), patch, None, None).unwrap();
    }
    let before = answers(&engine);
    drop(engine);
    let engine = open(&store, Some(directory.path()));
    assert_eq!(engine.loaded().replayed, 200);
    assert_eq!(engine.loaded().units, UNITS + 50);
    assert_eq!(answers(&engine), before);
    assert_eq!(answers(&open(&store, None)), before);
    // Most units are new: the index is built from the store, and its checkpoint written again.
    create(&engine, UNITS + 100..4 * UNITS);
    drop(engine);
    assert_eq!(open(&store, Some(directory.path())).loaded().replayed, 0);
}

#[test]
fn an_invalid_checkpoint_is_not_used() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(directory.path());
    let path = file(directory.path());
    let good = std::fs::read(&path).unwrap();
    let truth = answers(&open(&store, None));
    let check = |what: &str| {
        let engine = open(&store, Some(directory.path()));
        let rebuilt = Loaded { units: UNITS, ..Loaded::default() };
        assert_eq!(engine.loaded(), rebuilt, "{what}");
        assert_eq!(answers(&engine), truth, "{what}");
    };
    for place in [0, 12, 30, 60, good.len() / 3, good.len() / 2, good.len() - 1] {
        let mut damaged = good.clone();
        damaged[place] ^= 4;
        std::fs::write(&path, &damaged).unwrap();
        check(&format!("byte {place} of {}", good.len()));
        std::fs::write(&path, &good[..place]).unwrap();
        check(&format!("cut at {place}"));
    }
    std::fs::remove_file(&path).unwrap();
    check("gone");
    // The rebuilt index was written again.
    assert_eq!(open(&store, Some(directory.path())).loaded().from_checkpoints, UNITS);
    // The same key, the same number of units, the same commit: but another store.
    let elsewhere = tempfile::tempdir().unwrap();
    drop(filled(elsewhere.path()));
    std::fs::copy(file(elsewhere.path()), &path).unwrap();
    check("of another store");
}

#[test]
fn checkpoints_of_deleted_memories_are_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let store = filled(directory.path());
    open(&store, Some(directory.path())).delete_memory(&name(), true, None, None).unwrap();
    drop(open(&store, Some(directory.path())));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn an_unwritable_directory_costs_only_time() {
    let directory = tempfile::tempdir().unwrap();
    let taken = directory.path().join("file");
    std::fs::write(&taken, "not a directory").unwrap();
    let store = filled(&taken);
    assert_eq!(open(&store, Some(&taken)).loaded().units, UNITS);
}

/// Log lines, in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Lives as long as the tests do. Beside a single subscriber, a thread that has none decides for all of them that an event which
/// it comes upon first is of no interest.
static ANOTHER_SUBSCRIBER: LazyLock<tracing::Dispatch> =
    LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::registry()));

/// What a start logs, down to a level.
fn logged(store: &Arc<InMemoryStore>, directory: &Path, level: tracing::Level) -> String {
    LazyLock::force(&ANOTHER_SUBSCRIBER);
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    drop(tracing::subscriber::with_default(subscriber, || open(store, Some(directory))));
    String::from_utf8(std::mem::take(&mut *lines.0.lock().unwrap())).unwrap()
}

/// The number of the layout, at the end of the magic, which has its length before it.
const LAYOUT_AT: usize = 8 + 14;
/// Where the header begins, with the versions of text and score.
const HEADER_AT: usize = LAYOUT_AT + 1 + 8;

#[test]
fn the_log_says_why_an_index_was_built_and_how_long_it_took() {
    use tracing::Level;
    let directory = tempfile::tempdir().unwrap();
    let store = filled(directory.path());
    let path = file(directory.path());
    let good = std::fs::read(&path).unwrap();
    assert_eq!(logged(&store, directory.path(), Level::INFO), "", "the checkpoint is used");
    let check = |level, units: u64, why: &str| {
        let said = logged(&store, directory.path(), level);
        let built = format!("built the index of {units} units from the store in ");
        let (_, rest) = said.split_once(&built).unwrap_or_else(|| panic!("{why}: {said:?}"));
        let (seconds, rest) = rest.split_once(" s: ").unwrap();
        assert!(seconds.parse::<f64>().is_ok(), "{said:?}");
        assert!(rest.contains(why) && rest.contains("memory=m"), "{why}: {said:?}");
        assert_eq!(said.lines().count(), 1, "{said:?}");
    };
    let other_version = |rules: &str, current: u32| {
        format!("version {} of the {rules} rules; the current version is {current}", current ^ 1)
    };
    for (place, why) in [
        (7, "longer than the file"),
        (8, "it is damaged: its magic number is wrong"),
        (LAYOUT_AT, "it has the layout of another version"),
        (HEADER_AT, other_version("text", TEXT_VERSION).as_str()),
        (HEADER_AT + 1, other_version("score", SCORE_VERSION).as_str()),
        (good.len() - 1, "checksum"),
    ] {
        let mut other = good.clone();
        other[place] ^= 1;
        std::fs::write(&path, &other).unwrap();
        check(Level::WARN, UNITS, why);
    }
    std::fs::remove_file(&path).unwrap();
    check(Level::INFO, UNITS, "there is no checkpoint");
    // More is new than old.
    create(&open(&store, None), UNITS..3 * UNITS);
    std::fs::write(&path, &good).unwrap();
    check(Level::INFO, 3 * UNITS, "6000 units have changed since its commit");
    // Older than the log.
    std::fs::write(&path, &good).unwrap();
    while store.truncate_log(Retention { keep_from: Timestamp { micros: i64::MAX } }).unwrap() {}
    check(Level::WARN, 3 * UNITS, "but the log begins after commit");
    // Of a store with more commits, and of another one at the same commit.
    let later = std::fs::read(&path).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let shorter = filled(elsewhere.path());
    std::fs::write(file(elsewhere.path()), &later).unwrap();
    let said = logged(&shorter, elsewhere.path(), Level::WARN);
    assert!(said.contains("but the store ends at commit"), "{said:?}");
    let other = tempfile::tempdir().unwrap();
    let twin = filled(other.path());
    std::fs::write(file(other.path()), &good).unwrap();
    let said = logged(&twin, other.path(), Level::WARN);
    assert!(said.contains("it was made from another memory or another store"), "{said:?}");
}
