//! Truncation of the commit log: it keeps the log short and loses nothing else. The oracle is a compaction with the same retention.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dhakira::engine::{Cancel, Engine, EngineError, UnitPatch};
use dhakira::store::{
    ChangeKind, LogRecord, Maintenance as _, Retention, Sequence, SledStore, Store,
};
use dhakira::unit::{MemoryName, Segment, Timestamp, Unit, UnitId};

use crate::support::log::{Database, LogExt as _};
use crate::upkeep::{
    Dice, Model, add_part, add_part_after, assert_whole, content, create_memory, findings, held,
    name, open_store, write,
};

fn open(store: &Arc<SledStore>, directory: &Path, keep_log: Option<Duration>) -> Engine {
    let checkpoints = Some(directory.join("checkpoints"));
    Engine::open_keeping(Arc::clone(store), checkpoints, keep_log, &mut |_| ()).unwrap()
}

/// The commits of a log, and each version of a unit that they stored.
fn log(store: &dyn Database) -> (Vec<LogRecord>, Vec<Option<Unit>>) {
    let records = store.read(store.log_start().sequence, usize::MAX).unwrap();
    let stored = records.iter().flat_map(|it| &it.changes);
    let stored = stored.filter(|it| it.kind != ChangeKind::Deleted);
    let version = |it: &dhakira::store::Change| store.version(it.memory, it.unit, it.revision);
    let versions = stored.map(|it| version(it).unwrap()).collect();
    (records, versions)
}

#[test]
fn truncation_leaves_the_log_that_a_compaction_leaves() {
    let mut dice = Dice(7);
    for round in 0..6 {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(open_store(directory.path()));
        let engine = open(&store, directory.path(), None);
        create_memory(&engine, &name());
        let mut model = Model::new();
        for _ in 0..60 {
            write(&engine, &mut model, &mut dice);
        }
        let (before, versions_before) = log(store.as_ref());
        assert!(versions_before.iter().all(Option::is_some));
        let at = dice.below(before.len() as u64 + 1) as usize;
        let keep_from = before.get(at).map_or(Timestamp { micros: i64::MAX }, |it| it.time);
        while store.truncate_log(Retention { keep_from }).unwrap() {}
        assert_eq!(store.log_start().sequence, Sequence(at as u64), "round {round}");
        let truncated = log(store.as_ref());
        assert_eq!(truncated.0, before[at..]);
        assert!(truncated.1.iter().all(Option::is_some));
        // Versions that a truncated commit replaced are gone as well.
        let gone: Vec<_> = before[..at].iter().flat_map(|it| &it.changes).collect();
        for change in &gone {
            let replaced = gone.iter().any(|it| {
                let later = it.revision > change.revision || it.kind == ChangeKind::Deleted;
                it.unit == change.unit && later
            });
            let version = store.version(change.memory, change.unit, change.revision).unwrap();
            assert_eq!(version.is_none(), replaced, "round {round}: {change:?}");
        }
        assert_whole(&engine, "after the truncation");
        assert_eq!(held(&engine), model);
        // Writes continue, also after a restart, and a compaction has nothing more to truncate.
        write(&engine, &mut model, &mut dice);
        drop((engine, store));
        let store = Arc::new(open_store(directory.path()));
        assert_eq!(store.log_start().sequence, Sequence(at as u64));
        let (truncated, engine) = (log(store.as_ref()), open(&store, directory.path(), None));
        store.compact(Retention { keep_from }, &mut |_, _| true).unwrap();
        if at < before.len() {
            assert_eq!(log(store.as_ref()), truncated);
        }
        assert_whole(&engine, "compacted after the truncation");
        assert_eq!(held(&engine), model);
    }
}

#[test]
fn a_purged_memory_leaves_no_versions_behind() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(open_store(directory.path()));
    let engine = open(&store, directory.path(), None);
    create_memory(&engine, &name());
    let key = engine.memory_key(&name()).unwrap();
    let contents = (0..50).map(|it| content(&format!("{it}"), "t")).collect();
    engine.create_units(&name(), contents, None, |_| String::new()).unwrap();
    engine.delete_memory(&name(), true, None, None).unwrap();
    // The engine closes when the queue is empty; the next start continues the purge.
    drop(engine);
    let engine = open(&store, directory.path(), Some(Duration::ZERO));
    let since = std::time::Instant::now();
    let gone = || store.version(key, UnitId(1), 1).unwrap().is_none();
    while !gone() && since.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!((1..=50).all(|id| store.version(key, UnitId(id), 1).unwrap().is_none()));
    assert_whole(&engine, "after the purge");
}

/// A server with a retention of zero truncates the existing log at its start.
#[test]
fn watchers_and_backups_of_a_truncated_log_get_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let saved = tempfile::tempdir().unwrap();
    let store = Arc::new(open_store(directory.path()));
    let engine = open(&store, directory.path(), None);
    let (mut model, mut dice) = (Model::new(), Dice(8));
    create_memory(&engine, &name());
    (0..30).for_each(|_| write(&engine, &mut model, &mut dice));
    assert!(add_part(&engine, saved.path(), false).unwrap());
    (0..30).for_each(|_| write(&engine, &mut model, &mut dice));
    let last = store.last_sequence();
    drop(engine);
    let engine = open(&store, directory.path(), Some(Duration::ZERO));
    let since = std::time::Instant::now();
    while store.log_start().sequence < last && since.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let changes = engine.changes_since(Sequence(last.0 - 1), 10);
    let is_truncated = matches!(changes, Err(EngineError::LogTruncated { asked, oldest }) if (asked, oldest) == (last.0, last));
    assert!(is_truncated, "{changes:?}");
    assert_eq!(engine.changes_since(last, 10).unwrap(), []);
    let increment = add_part(&engine, saved.path(), false);
    assert!(matches!(increment, Err(EngineError::LogTruncated { .. })), "{increment:?}");
    // A full part without an earlier one, then increments of it.
    assert!(add_part_after(&engine, saved.path(), (true, None)).unwrap());
    write(&engine, &mut model, &mut dice);
    add_part(&engine, saved.path(), false).unwrap();
    let target = directory.path().join("restored");
    use dhakira::engine::backup::{Target, restore};
    restore(saved.path(), &target, Target::Latest, &|_| ()).unwrap();
    let restored = Arc::new(open_store(&target));
    assert_eq!(held(&open(&restored, &target, None)), model);
}

/// Creates 2,200 units, which are enough for a checkpoint.
fn fill(engine: &Engine, memory: &MemoryName) {
    for part in 0..11 {
        let contents = (0..200).map(|it| content(&format!("{part} {it}"), "t")).collect();
        engine.create_units(memory, contents, None, |_| String::new()).unwrap();
    }
}

/// The checkpoint of a memory without writes does not fall behind the start of the log, which other writes and truncation advance.
#[test]
fn checkpoints_of_idle_memories_keep_up_with_truncation() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let store = Arc::new(open_store(at));
    let engine = open(&store, at, None);
    let (idle, mut dice, mut model) = ("idle".parse().unwrap(), Dice(9), Model::new());
    create_memory(&engine, &idle);
    fill(&engine, &idle);
    create_memory(&engine, &name());
    drop(engine);
    for _ in 0..3 {
        let engine = open(&store, at, Some(Duration::ZERO));
        assert_eq!(engine.loaded().from_checkpoints, 2_200);
        let (last, since) = (store.last_sequence(), std::time::Instant::now());
        while store.log_start().sequence < last {
            assert!(since.elapsed() < Duration::from_secs(60), "the log is not truncated");
            std::thread::sleep(Duration::from_millis(5));
        }
        (0..5).for_each(|_| write(&engine, &mut model, &mut dice));
    }
}

/// Nor behind a log that a compaction truncates, whether or not the engine is closed before the checkpoints are written.
#[test]
fn checkpoints_of_all_memories_survive_a_compaction() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let store = Arc::new(open_store(at));
    let engine = open(&store, at, None);
    let (mut dice, mut model) = (Dice(10), Model::new());
    create_memory(&engine, &name());
    for memory in ["large", "larger"] {
        let memory = memory.parse().unwrap();
        create_memory(&engine, &memory);
        fill(&engine, &memory);
    }
    drop(engine);
    for round in 0..4 {
        let engine = open(&store, at, None);
        assert_eq!(engine.loaded().from_checkpoints, 4_400, "round {round}");
        (0..5).for_each(|_| write(&engine, &mut model, &mut dice));
        engine.compact(Duration::ZERO, &Cancel::default(), &|_| ()).unwrap();
        assert!(store.log_start().sequence > Sequence(0));
        let since = std::time::Instant::now();
        while round % 2 == 1 && !findings(&engine).is_empty() {
            assert!(since.elapsed() < Duration::from_secs(60), "{:?}", findings(&engine));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Repeated changes of the same units do not make the database grow.
#[test]
fn endless_changes_take_bounded_disk() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(open_store(directory.path()));
    let engine = open(&store, directory.path(), None);
    create_memory(&engine, &name());
    let contents = (0..100).map(|it| content(&format!("{it}"), "t")).collect();
    let units = engine.create_units(&name(), contents, None, |_| String::new()).unwrap();
    let mut bytes = Vec::new();
    for round in 0..60 {
        for unit in &units {
            let target = format!("{round} ").repeat(300);
            let patch =
                UnitPatch { target: Some(Segment::plain(&target).into()), ..Default::default() };
            engine.update_unit(&name(), unit.id, patch, None, None).unwrap();
        }
        while store.truncate_log(Retention { keep_from: Timestamp { micros: i64::MAX } }).unwrap() {
        }
        bytes.push(disk_bytes(directory.path()));
    }
    eprintln!("database after each round of 100 changes, bytes: {bytes:?}");
    let (early, late) = (bytes[..20].iter().max().unwrap(), bytes[40..].iter().max().unwrap());
    assert!(*late < early + early / 2, "it grows: {bytes:?}");
}

fn disk_bytes(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    let size = |entry: std::fs::DirEntry| {
        let about = entry.metadata().unwrap();
        if about.is_dir() { disk_bytes(&entry.path()) } else { about.len() }
    };
    entries.map(size).sum()
}
