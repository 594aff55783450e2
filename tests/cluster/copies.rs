//! Local copies: made, continued, and thrown away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dhakira::cluster::{NodeDirectory, NodeError};
use dhakira::engine::backup::{Target, restore, restore_shared};
use dhakira::engine::{Cancel, Engine, LookupSettings, MemoryChoice, QuerySegment};
use dhakira::store::{
    ChangeKind, Cluster as _, CommitLog, InMemoryStore, Maintenance, Retention, Sequence,
    SharedStore, SledStore, Store,
};
use dhakira::unit::{MemoryName, Score, Segment, Timestamp};

use super::link::Link;
use super::world::open;
use crate::support::all_units;
use crate::upkeep::{self, Dice, Model, create_memory, held, name, open_store};

/// An engine directly on the shared store.
fn direct(store: &Arc<InMemoryStore>) -> Engine {
    Engine::open(Arc::clone(store), None, &mut |_| ()).unwrap()
}

/// Random writes, a deleted memory among them.
fn fill(engine: &Engine, dice: &mut Dice, writes: u64) -> Model {
    let mut model: Model = held(engine);
    if engine.memory(&name()).is_err() {
        let gone: MemoryName = "gone".parse().unwrap();
        for memory in [&gone, &name()] {
            create_memory(engine, memory);
        }
        engine.delete_memory(&gone, true, None, None).unwrap();
    }
    (0..writes).for_each(|_| upkeep::write(engine, &mut model, dice));
    model
}

/// What an engine finds.
fn answers(engine: &Engine) -> String {
    let settings = LookupSettings {
        memories: vec![MemoryChoice { memory: name(), penalty: None }],
        min_score: Score::from_points(30.0).unwrap(),
        max_matches: 20,
        exhaustive: false,
        filter: Default::default(),
        penalty_rules: Vec::new(),
        explain: Default::default(),
    };
    let text = |number: u64| format!("\u{645}\u{635}\u{62f}\u{631} {number}");
    let segments: Vec<_> = (0..3).map(|it| QuerySegment::new(Segment::plain(text(it)))).collect();
    let found = engine.lookup(&settings, &segments, &Cancel::default()).unwrap();
    assert!(!found[0].is_empty(), "lookups find something");
    format!("{found:?}")
}

/// Waits until an engine has applied the whole log.
fn caught_up(engine: &Engine, log: &dyn CommitLog) {
    let (applied, since) = (engine.watch_sequence(), Instant::now());
    let end = log.end().unwrap().sequence;
    while *applied.borrow() < end {
        assert!(since.elapsed() < Duration::from_secs(20), "the node does not follow");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_copy_holds_what_the_cluster_holds_and_goes_on_from_there() {
    let (store, mut dice) = (Arc::new(InMemoryStore::shared()), Dice(1));
    let writer = direct(&store);
    fill(&writer, &mut dice, 300);
    let directory = tempfile::tempdir().unwrap();
    let link = Link::new(&store);
    let (node, copied, locked) = open(&link, directory.path());
    assert!(copied.unwrap().contains("there is none yet"));
    assert_eq!(all_units(&node, &name()), all_units(&writer, &name()));
    assert_eq!(answers(&node), answers(&writer));
    assert!(node.memories(None, 10).iter().all(|it| it.name == name()));
    assert!(node.verify(&Cancel::default(), &|_| ()).unwrap().findings.is_empty());
    assert_eq!(node.secret(), writer.secret(), "tokens of pages go from node to node");

    // It follows, and it writes.
    let model = fill(&writer, &mut dice, 50);
    caught_up(&node, store.as_ref());
    assert_eq!(held(&node), model);
    let model = fill(&node, &mut dice, 50);
    caught_up(&writer, store.as_ref());
    assert_eq!(held(&writer), model);

    // Versions from before the copy are read from the cluster.
    let cancel = Cancel::default();
    let mut revisions = 0;
    for unit in all_units(&writer, &name()) {
        let of =
            |engine: &Engine| engine.unit_revisions(&name(), unit.id, None, 100, &cancel).unwrap();
        assert_eq!(of(&node), of(&writer));
        revisions += of(&node).units.len() - 1;
    }
    assert!(revisions > 20, "{revisions} earlier contents");

    // The next start goes on from the copy.
    drop((node, locked));
    let model = fill(&writer, &mut dice, 50);
    let (node, copied, _locked) = open(&link, directory.path());
    assert_eq!(copied, None);
    assert_eq!(held(&node), model);
    assert_eq!(answers(&node), answers(&writer));
    assert!(node.verify(&Cancel::default(), &|_| ()).unwrap().findings.is_empty());
}

#[test]
fn a_copy_that_is_made_during_writes_is_whole() {
    /// Stops the writer also when the test fails.
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let store = Arc::new(InMemoryStore::shared());
    let writer = direct(&store);
    fill(&writer, &mut Dice(2), 100);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stopping = Stop(&stop);
        scope.spawn(|| {
            let mut units = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let target = format!("target {}", units.len());
                let content = vec![upkeep::content("\u{645}\u{635}\u{62f}\u{631} 1", &target)];
                let made = writer.create_units(&name(), content, None, |_| String::new()).unwrap();
                units.push(made[0].id);
                if let [.., older, _, _] = units[..] {
                    writer.delete_unit(&name(), older, None, None).unwrap();
                }
                // Slower than any node follows.
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        for _ in 0..3 {
            let directory = tempfile::tempdir().unwrap();
            let before = store.end().unwrap().sequence;
            let (node, ..) = open(&Link::new(&store), directory.path());
            assert!(*node.watch_sequence().borrow() > before, "there were writes meanwhile");
        }
        drop(stopping);
    });
    let directory = tempfile::tempdir().unwrap();
    let (node, ..) = open(&Link::new(&store), directory.path());
    assert_eq!(all_units(&node, &name()), all_units(&writer, &name()));
    assert_eq!(answers(&node), answers(&writer));
}

#[test]
fn requests_from_before_a_copy_are_known_to_it() {
    let store = Arc::new(InMemoryStore::shared());
    let writer = direct(&store);
    create_memory(&writer, &name());
    let request = Some(dhakira::store::RequestKey([7; 16]));
    let content = || vec![upkeep::content("source 1", "target")];
    let made = writer.create_units(&name(), content(), request, |_| String::new()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (node, ..) = open(&Link::new(&store), directory.path());
    let again = node.create_units(&name(), content(), request, |_| String::new()).unwrap();
    assert_eq!(again, made);
    assert_eq!(all_units(&node, &name()).len(), 1);
}

#[test]
fn a_copy_that_is_not_of_the_log_is_made_anew() {
    let first = Arc::new(InMemoryStore::shared());
    fill(&direct(&first), &mut Dice(4), 20);
    let directory = tempfile::tempdir().unwrap();
    drop(open(&Link::new(&first), directory.path()));

    // Another cluster.
    let second = Arc::new(InMemoryStore::shared());
    let writer = direct(&second);
    let model = fill(&writer, &mut Dice(5), 20);
    let (node, copied, locked) = open(&Link::new(&second), directory.path());
    assert!(copied.unwrap().contains("another cluster"));
    assert_eq!(held(&node), model);
    drop((node, locked));

    // The same cluster, whose log has been cut after the end of the copy.
    let model = fill(&writer, &mut Dice(6), 20);
    let retention = Retention { keep_from: Timestamp { micros: i64::MAX } };
    second.truncate_log(retention).unwrap();
    let (node, copied, locked) = open(&Link::new(&second), directory.path());
    assert!(copied.unwrap().contains("begins after that"));
    assert_eq!(held(&node), model);
    drop((node, locked));

    // Files of the copy are lost.
    let copy = directory.path().join("copy");
    for entry in std::fs::read_dir(&copy).unwrap().flatten().map(|it| it.path()) {
        if entry.is_dir() {
            std::fs::remove_dir_all(entry).unwrap();
        }
    }
    let (node, copied, _locked) = open(&Link::new(&second), directory.path());
    assert!(copied.unwrap().contains("damaged"));
    assert_eq!(held(&node), model);
    assert_eq!(answers(&node), answers(&writer));
}

#[test]
fn a_copy_with_commits_that_the_log_does_not_hold_is_made_anew() {
    let store = Arc::new(InMemoryStore::shared());
    fill(&direct(&store), &mut Dice(7), 20);
    let directory = tempfile::tempdir().unwrap();
    drop(open(&Link::new(&store), directory.path()));
    // A commit that the database has lost.
    {
        let engine = upkeep::open(&directory.path().join("copy"));
        fill(&engine, &mut Dice(8), 1);
    }
    let (node, copied, _locked) = open(&Link::new(&store), directory.path());
    assert!(copied.unwrap().contains("lost commits"));
    assert_eq!(held(&node), held(&direct(&store)));
}

#[test]
fn a_directory_serves_one_node_and_no_store_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let first = NodeDirectory::open(directory.path()).unwrap();
    let error = NodeDirectory::open(directory.path()).unwrap_err();
    assert!(matches!(error, NodeError::InUse(_)), "{error}");
    let id = first.id();
    drop(first);
    assert_eq!(NodeDirectory::open(directory.path()).unwrap().id(), id, "the id lasts");
    assert!(NodeDirectory::is_node(directory.path()));

    let own = tempfile::tempdir().unwrap();
    drop(open_store(own.path()));
    let error = NodeDirectory::open(own.path()).unwrap_err().to_string();
    for part in ["memories of its own", "dhakira backup", "--into postgres://"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    assert!(SledStore::exists(own.path()), "nothing was changed");
}

#[test]
fn a_backup_of_any_node_holds_everything() {
    let store = Arc::new(InMemoryStore::shared());
    let writer = direct(&store);
    fill(&writer, &mut Dice(9), 100);
    let directory = tempfile::tempdir().unwrap();
    let (node, ..) = open(&Link::new(&store), &directory.path().join("node"));
    let backup = directory.path().join("backup");
    assert!(upkeep::add_part(&node, &backup, true).unwrap());
    // The next part is made by another node.
    let model = fill(&writer, &mut Dice(10), 30);
    assert!(upkeep::add_part(&writer, &backup, false).unwrap());
    let restored = directory.path().join("restored");
    restore(&backup, &restored, Target::Latest, &|_| ()).unwrap();
    assert_eq!(held(&upkeep::open(&restored)), model);
}

#[test]
fn a_backup_is_restored_into_a_cluster_with_its_units_numbers_and_history() {
    let directory = tempfile::tempdir().unwrap();
    let own = upkeep::open(&directory.path().join("own"));
    fill(&own, &mut Dice(11), 150);
    let backup = directory.path().join("backup");
    assert!(upkeep::add_part(&own, &backup, true).unwrap());
    let since = own.watch_sequence().borrow().0;
    let model = fill(&own, &mut Dice(12), 60);
    assert!(upkeep::add_part(&own, &backup, false).unwrap());

    let store = Arc::new(InMemoryStore::shared());
    let lineage = store.lineage();
    let shared = || SharedStore::from(Arc::clone(&store));
    let restored = restore_shared(&backup, shared(), Target::Latest, &|_| ()).unwrap();
    assert_eq!(restored.units, model.len() as u64);
    assert_eq!(restored.mark.sequence, *own.watch_sequence().borrow());
    assert_ne!(store.lineage(), lineage, "copies of what was there before are of no use");
    assert_eq!(store.start().unwrap().sequence.0, since);

    let (node, ..) = open(&Link::new(&store), &directory.path().join("node"));
    assert_eq!(all_units(&node, &name()), all_units(&own, &name()));
    assert_eq!(answers(&node), answers(&own));
    assert!(node.verify(&Cancel::default(), &|_| ()).unwrap().findings.is_empty());
    for record in own.changes_since(Sequence(since), 1_000).unwrap() {
        for change in record.changes.iter().filter(|it| it.kind != ChangeKind::Deleted) {
            let version = |store: &dyn Store| {
                store.version(change.memory, change.unit, change.revision).unwrap()
            };
            assert!(version(store.as_ref()).is_some(), "{change:?}");
        }
    }
    // The backup goes on, from a node.
    fill(&node, &mut Dice(13), 10);
    assert!(upkeep::add_part(&node, &backup, false).unwrap());

    let error = restore_shared(&backup, shared(), Target::Latest, &|_| ()).unwrap_err().to_string();
    assert!(error.contains("holds memories already"), "{error}");
}
