//! Collection of deleted memories: their records are removed once no request can refer to them, no number is reused, and every reader
//! of the store works without them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dhakira::engine::backup::{self, Target};
use dhakira::engine::{Cancel, Engine, EngineError, NewMemory};
use dhakira::store::{
    Backend, Commit, CommitLog as _, LogRecord, MemoryKey, MemoryRecord, RequestKey, Sequence,
    SledStore, Store,
};
use dhakira::unit::{MemoryName, Timestamp};

use crate::support::log::LogExt as _;
use crate::upkeep::{Dice, add_part, assert_whole, content, open_store};

use super::support::new_memory;

/// Live memories by name: number, units, next unit.
type Live = BTreeMap<String, (MemoryKey, u64, u64)>;

struct World {
    store: Arc<SledStore>,
    engine: Option<Engine>,
}

impl World {
    fn open(directory: &Path) -> Self {
        let mut world = Self { store: Arc::new(open_store(directory)), engine: None };
        world.start();
        world
    }

    fn start(&mut self) {
        let store: Backend = self.store.clone().into();
        self.engine = Some(Engine::open(store, None, &mut |_| ()).unwrap());
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    /// As if all deleted memories had been deleted long ago, until they are collected.
    fn collect(&mut self) {
        drop(self.engine.take());
        let aged = |it: MemoryRecord| MemoryRecord { changed: Timestamp { micros: 1 }, ..it };
        let deleted = self.records().into_values().filter(|it| it.deleted);
        let memories: Vec<_> = deleted.map(aged).collect();
        if !memories.is_empty() {
            let time = self.log().last().map_or(self.store.log_start().time, |it| it.time);
            self.store.commit(&[Commit { time, memories, ..Commit::default() }]);
        }
        self.start();
        let since = Instant::now();
        while !self.is_collected() {
            assert!(since.elapsed() < Duration::from_secs(60), "{:?}", self.records());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn records(&self) -> BTreeMap<MemoryKey, MemoryRecord> {
        self.store.memories().unwrap().into_iter().map(|it| (it.key, it)).collect()
    }

    /// Whether every deleted memory is gone but the newest, of which nothing is left but its record.
    fn is_collected(&self) -> bool {
        let records = self.records();
        let newest = records.last_key_value().map(|(key, _)| *key);
        records.values().all(|it| !it.deleted || (Some(it.key) == newest && it.unit_count == 0))
    }

    fn live(&self) -> Live {
        let memories = self.engine().memories(None, usize::MAX).into_iter();
        let counts =
            |it: MemoryRecord| (it.name.to_string(), (it.key, it.unit_count, it.next_unit.0));
        memories.map(counts).collect()
    }

    fn create(&self, name: &str, request: Option<RequestKey>) -> Result<MemoryKey, EngineError> {
        let new =
            NewMemory { display_name: "named".repeat(10), ..new_memory(name.parse().unwrap()) };
        self.engine().create_memory(new, request).map(|it| it.key)
    }

    fn add(&self, name: &str, units: u64, request: Option<RequestKey>) -> Result<(), EngineError> {
        let contents = (0..units).map(|it| content(&format!("{it}"), "text")).collect();
        let name: MemoryName = name.parse().unwrap();
        self.engine().create_units(&name, contents, request, |_| String::new()).map(drop)
    }

    fn delete(&self, name: &str) {
        self.engine().delete_memory(&name.parse().unwrap(), true, None, None).unwrap();
    }

    /// Everything that the log tells, from its beginning.
    fn log(&self) -> Vec<LogRecord> {
        self.store.read(self.store.log_start().sequence, usize::MAX).unwrap()
    }
}

#[test]
fn numbers_of_collected_memories_are_not_reused() {
    let directory = tempfile::tempdir().unwrap();
    let mut world = World::open(directory.path());
    let (mut model, mut dice) = (Live::new(), Dice(5));
    let mut highest = 0;
    for step in 0..60 {
        let name = format!("m{}", dice.below(4));
        match (dice.below(5), model.get_mut(&name)) {
            (0 | 1, Some(_)) => {
                world.delete(&name);
                model.remove(&name);
            }
            (2, _) => world.collect(),
            (_, Some((_, count, next))) => {
                let units = 1 + dice.below(5);
                world.add(&name, units, None).unwrap();
                (*count, *next) = (*count + units, *next + units);
            }
            (_, None) => {
                let key = world.create(&name, None).unwrap();
                assert!(key.0 > highest, "{key:?} was used before");
                highest = key.0;
                model.insert(name, (key, 0, 1));
            }
        }
        assert_eq!(world.live(), model, "step {step}");
        if step % 20 == 19 {
            world.engine().compact(Duration::ZERO, &Cancel::default(), &|_| ()).unwrap();
        }
    }
    // The newest is deleted, collected as far as that goes, and all is opened anew.
    world.create("last", None).unwrap();
    world.delete("last");
    world.collect();
    drop(world);
    let world = World::open(directory.path());
    assert_eq!(world.live(), model);
    assert_eq!(world.create("last", None).unwrap().0, highest + 2);
    assert_whole(world.engine(), "after collections");
}

#[test]
fn a_request_to_a_collected_memory_is_not_answered_for_its_successor() {
    let directory = tempfile::tempdir().unwrap();
    let mut world = World::open(directory.path());
    let request = |number| Some(RequestKey([number; 16]));
    let first = world.create("m", request(1)).unwrap();
    world.add("m", 3, request(2)).unwrap();
    world.delete("m");
    world.create("other", None).unwrap();
    world.collect();
    assert!(!world.records().contains_key(&first));
    let second = world.create("m", None).unwrap();
    assert!(second > first);
    assert!(matches!(world.create("m", request(1)), Err(EngineError::RequestReused(_))));
    assert!(matches!(world.add("m", 3, request(2)), Err(EngineError::RequestReused(_))));
    assert_eq!(world.live()["m"], (second, 0, 1));
}

#[test]
fn a_store_with_collected_memories_is_backed_up_restored_compacted_and_watched() {
    let directory = tempfile::tempdir().unwrap();
    let (data, saved) = (directory.path().join("data"), directory.path().join("backup"));
    let mut world = World::open(&data);
    world.create("kept", None).unwrap();
    world.create("gone", None).unwrap();
    world.add("gone", 7, None).unwrap();
    add_part(world.engine(), &saved, false).unwrap();
    let with_both = (world.engine().watch_sequence().borrow().0, world.live());
    world.delete("gone");
    world.create("new", None).unwrap();
    world.collect();
    // These change nothing of the memory but its counters.
    world.add("kept", 5, None).unwrap();
    let collected = world.log().into_iter().flat_map(|it| it.effects.unwrap().collected);
    assert_eq!(collected.collect::<Vec<_>>(), [MemoryKey(2)]);
    add_part(world.engine(), &saved, false).unwrap();
    assert_eq!(backup::verify(&saved, &|_| ()).unwrap().units_missing, 0);
    world.engine().compact(Duration::ZERO, &Cancel::default(), &|_| ()).unwrap();
    world.add("kept", 2, None).unwrap();
    add_part(world.engine(), &saved, false).unwrap();
    assert_whole(world.engine(), "after collection and compaction");
    let expected = world.live();
    assert_eq!(expected["kept"], (MemoryKey(1), 7, 8));

    let (sequence, live) = with_both;
    let targets = [
        ("latest", Target::Latest, expected.clone()),
        ("before", Target::Sequence(Sequence(sequence)), live),
    ];
    for (place, target, live) in targets {
        let place = directory.path().join(place);
        backup::restore(&saved, &place, target, &|_| ()).unwrap();
        let restored = World::open(&place);
        assert_eq!(restored.live(), live);
        assert_whole(restored.engine(), "a restored store");
        restored.add("kept", 1, None).unwrap();
        assert_eq!(
            restored.create("again", None).unwrap().0,
            live.len() as u32 + 1 + u32::from(!live.contains_key("gone"))
        );
    }
    drop(world);
    assert_eq!(World::open(&data).live(), expected);
}
