//! Risk: with several engines on one log, an acknowledged write is lost, a request has two effects, or two engines answer
//! differently.
//!
//! Random writers on both engines, with requests repeated on the other one; afterwards a checker reads the log from its
//! beginning and compares it with what was acknowledged, and with what both engines answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dhakira::engine::{
    Cancel, DuplicatePolicy, Engine, EngineError, Explain, Import, LookupSettings, MemoryChoice,
    PreparedBatch, QuerySegment, UnitFilter, UnitPatch, UnitUse,
};
use dhakira::store::{
    Backend, ChangeKind, CommitLog, InMemoryStore, LocalCopy, LogPosition, MemoryKey, Realm,
    RealmOptions, RequestKey, Sequence, Store, StoreError,
};
use dhakira::unit::{MemoryName, Score, Segment, UnitId};

use crate::support::all_units;
use crate::support::postgres::Postgres;
use crate::support::proxy::{Cut, Proxy};

use crate::upkeep::{Dice, content, create_memory};

mod unreliable;

use unreliable::Unreliable;

/// A write that was acknowledged to a client.
#[derive(Debug, Clone)]
enum Acked {
    Created { memory: MemoryName, units: Vec<(UnitId, u64)> },
    Updated { memory: MemoryName, unit: UnitId, revision: u64 },
    Deleted { memory: MemoryName, unit: UnitId },
    Used { memory: MemoryName, unit: UnitId, uses: u64 },
    Imported { stored: u64 },
}

#[derive(Default)]
struct History {
    acked: Mutex<Vec<(RequestKey, Acked)>>,
    next_request: AtomicU64,
}

impl History {
    fn request(&self) -> RequestKey {
        let number = self.next_request.fetch_add(1, Ordering::Relaxed) + 1;
        RequestKey(u128::from(number).to_be_bytes())
    }
}

fn memories() -> [MemoryName; 2] {
    ["first", "second"].map(|it| it.parse().unwrap())
}

fn create_memories(engine: &Engine) {
    for name in memories() {
        create_memory(engine, &name);
    }
}

/// A source of three words out of few, so that lookups find many units. Arabic letters by number.
fn source(dice: &mut Dice) -> String {
    let word = |number: u64| {
        let letter = |it: u64| char::from_u32(0x628 + u32::try_from(it).unwrap()).unwrap();
        format!("\u{643}{}{}", letter(number % 7), letter(number / 7))
    };
    let words: Vec<_> = (0..3).map(|_| word(dice.below(20))).collect();
    words.join(" ")
}

/// Sends a request to a random engine until the answer is not "try again".
fn send<T>(
    engines: &[Arc<Engine>; 2],
    dice: &mut Dice,
    call: impl Fn(&Engine) -> Result<T, EngineError>,
) -> Result<T, EngineError> {
    loop {
        let engine = &engines[usize::try_from(dice.below(2)).unwrap()];
        match call(engine) {
            Err(EngineError::Store(StoreError::WritesPaused(_)) | EngineError::TooMuch(_)) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            answer => return answer,
        }
    }
}

fn write(engines: &[Arc<Engine>; 2], history: &History, dice: &mut Dice) {
    let memory = memories()[usize::try_from(dice.below(2)).unwrap()].clone();
    let request = history.request();
    let some = Some(request);
    let repeats = 1 + dice.below(3);
    let unit = UnitId(1 + dice.below(60));
    let target = format!("target {}", dice.below(1 << 30));
    let acked = match dice.below(9) {
        0 | 1 => {
            let patch = UnitPatch {
                target: Some(Segment::plain(target.as_str()).into()),
                ..UnitPatch::default()
            };
            let update = |engine: &Engine| {
                engine.update_unit(&memory, unit, patch.clone(), None, some).map(|it| it.revision)
            };
            repeated(engines, dice, repeats, update).map(|revision| Acked::Updated {
                memory: memory.clone(),
                unit,
                revision,
            })
        }
        2 => {
            let delete = |engine: &Engine| engine.delete_unit(&memory, unit, None, some);
            repeated(engines, dice, repeats, delete)
                .map(|()| Acked::Deleted { memory: memory.clone(), unit })
        }
        4 => {
            let count = u32::try_from(1 + dice.below(5)).unwrap();
            let uses = vec![UnitUse { unit, count, time: None }; 2];
            let record = |engine: &Engine| {
                let used = engine.record_uses(&memory, uses.clone(), some)?;
                Ok(used.iter().map(|it| (it.revision, it.usage)).collect::<Vec<_>>())
            };
            repeated(engines, dice, repeats, record).map(|used| {
                assert_eq!(used[0], used[1], "both uses are in one revision");
                Acked::Used { memory: memory.clone(), unit, uses: 2 * u64::from(count) }
            })
        }
        3 => {
            let source = source(dice);
            let import = |engine: &Engine| {
                let import = Import::new(request, memory.clone(), DuplicatePolicy::KeepAll);
                let units = engine.prepare(&memory, vec![content(&source, &target)])?;
                let units = units.into_iter().map(Result::unwrap).collect();
                let batch = PreparedBatch { number: 1, units, rejected: 0, last: true, digest: 7 };
                engine.import(&import, batch)?.wait().map(|it| it.counts.stored)
            };
            repeated(engines, dice, repeats, import).map(|stored| Acked::Imported { stored })
        }
        _ => {
            let units: Vec<_> =
                (0..=dice.below(3)).map(|_| content(&source(dice), &target)).collect();
            let create = |engine: &Engine| {
                let made = engine.create_units(&memory, units.clone(), some, |_| String::new())?;
                Ok(made.iter().map(|it| (it.id, it.revision)).collect::<Vec<_>>())
            };
            repeated(engines, dice, repeats, create)
                .map(|units| Acked::Created { memory: memory.clone(), units })
        }
    };
    if let Some(acked) = acked {
        history.acked.lock().unwrap().push((request, acked));
    }
}

/// Sends a request several times; each answer must equal the first one. `None` when the unit does not exist.
fn repeated<T: PartialEq + std::fmt::Debug>(
    engines: &[Arc<Engine>; 2],
    dice: &mut Dice,
    times: u64,
    call: impl Fn(&Engine) -> Result<T, EngineError>,
) -> Option<T> {
    let first = match send(engines, dice, &call) {
        Ok(first) => first,
        Err(EngineError::NoUnit(..)) => return None,
        Err(error) => panic!("{error}"),
    };
    for _ in 1..times {
        assert_eq!(send(engines, dice, &call).unwrap(), first, "a repeated request");
    }
    Some(first)
}

/// The state of a unit: its revision, or deleted.
type State = BTreeMap<(MemoryKey, UnitId), Option<u64>>;

/// Reads the log from its beginning and checks it.
fn check(log: &dyn CommitLog, engines: &[Arc<Engine>; 2], history: &History) -> usize {
    let records = log.read(Sequence(0), usize::MAX).unwrap();
    let mut end = LogPosition::default();
    let mut state = State::new();
    let mut changes: BTreeMap<(MemoryKey, UnitId, u64), ChangeKind> = BTreeMap::new();
    let mut effects: BTreeMap<RequestKey, usize> = BTreeMap::new();
    for record in &records {
        assert_eq!(record.sequence, end.sequence.next(), "no gap in the log");
        assert!(record.follows(end.checksum), "the checksum of commit {}", record.sequence.0);
        end = record.into();
        for change in &record.changes {
            let key = (change.memory, change.unit);
            let now = (change.kind != ChangeKind::Deleted).then_some(change.revision);
            let before = state.insert(key, now);
            match change.kind {
                ChangeKind::Created => assert_eq!(before, None, "a number is given once"),
                ChangeKind::Updated | ChangeKind::Used => {
                    assert_eq!(before, Some(Some(change.revision - 1)));
                }
                ChangeKind::Deleted => assert_eq!(before, Some(Some(change.revision))),
            }
            if change.kind != ChangeKind::Deleted {
                changes.insert((change.memory, change.unit, change.revision), change.kind);
            }
        }
        for (request, _) in &record.effects.as_ref().unwrap().requests {
            *effects.entry(*request).or_default() += 1;
        }
    }
    assert_eq!(end, log.end().unwrap());
    let key = |name: &MemoryName| engines[0].memory_key(name).unwrap();
    let acked = history.acked.lock().unwrap();
    let mut created = 0;
    let mut uses: BTreeMap<(MemoryKey, UnitId), u64> = BTreeMap::new();
    for (request, acked) in acked.iter() {
        assert_eq!(effects.get(request), Some(&1), "one effect of {acked:?}");
        match acked {
            Acked::Created { memory, units } => {
                created += units.len();
                for (unit, revision) in units {
                    let kind = changes.get(&(key(memory), *unit, *revision));
                    assert_eq!(kind, Some(&ChangeKind::Created), "{acked:?}");
                }
            }
            Acked::Updated { memory, unit, revision } => {
                let kind = changes.get(&(key(memory), *unit, *revision));
                assert_eq!(kind, Some(&ChangeKind::Updated), "{acked:?}");
            }
            Acked::Deleted { memory, unit } => assert_eq!(state[&(key(memory), *unit)], None),
            Acked::Used { memory, unit, uses: count } => {
                *uses.entry((key(memory), *unit)).or_default() += *count;
            }
            Acked::Imported { stored } => created += usize::try_from(*stored).unwrap(),
        }
    }
    let in_log = changes.values().filter(|it| **it == ChangeKind::Created).count();
    assert_eq!(created, in_log, "nothing was created but what was acknowledged");
    for engine in engines {
        let since = Instant::now();
        while *engine.watch_sequence().borrow() < end.sequence {
            assert!(since.elapsed() < Duration::from_secs(20), "an engine does not follow");
            std::thread::sleep(Duration::from_millis(2));
        }
        for name in memories() {
            let units = all_units(engine, &name);
            let found: BTreeSet<_> = units.iter().map(|it| (it.id, it.revision)).collect();
            let expected = state.iter().filter(|((memory, _), _)| *memory == key(&name));
            let expected: BTreeSet<_> =
                expected.filter_map(|((_, id), it)| it.map(|revision| (*id, revision))).collect();
            assert_eq!(found, expected, "the last write of each unit");
            for unit in &units {
                let used = uses.get(&(key(&name), unit.id)).copied().unwrap_or_default();
                assert_eq!(unit.usage.count, used, "every use counts once");
                assert_eq!(unit.usage.last.is_some(), used > 0);
            }
            assert_eq!(engine.memory(&name).unwrap().unit_count, expected.len() as u64);
        }
        assert!(engine.verify(&Cancel::default(), &|_| ()).unwrap().findings.is_empty());
    }
    acked.len()
}

/// Answers of an engine to the same lookups.
fn answers(engine: &Engine) -> Vec<String> {
    let settings = LookupSettings {
        memories: memories().map(|memory| MemoryChoice { memory, penalty: None }).to_vec(),
        min_score: Score::from_hundredths(3_000).unwrap(),
        max_matches: 10,
        exhaustive: false,
        filter: UnitFilter::default(),
        penalty_rules: Vec::new(),
        explain: Explain::default(),
    };
    let mut dice = Dice(99);
    let segment = |text: String| QuerySegment::new(Segment::plain(text));
    let segments: Vec<_> = (0..40).map(|_| segment(source(&mut dice))).collect();
    let found = engine.lookup(&settings, &segments, &Cancel::default()).unwrap();
    found.iter().map(|hits| format!("{hits:?}")).collect()
}

/// Which store an engine reads.
#[derive(Clone, Copy)]
enum Reads {
    /// The store of the shared log, which may be ahead of the engine.
    Shared,
    /// A local copy, maintained by its follower.
    Copy,
}

fn open<T: Store + CommitLog>(log: Arc<dyn CommitLog>, store: &Arc<T>, reads: Reads) -> Engine {
    let shared = || Arc::clone(store) as Arc<dyn Store>;
    let copy = Arc::new(InMemoryStore::default());
    let (store, local_copy): (Arc<dyn Store>, _) = match reads {
        Reads::Shared => (shared(), None),
        Reads::Copy => (copy.clone(), Some(LocalCopy { log: copy, origin: shared() })),
    };
    let backend = Backend { log, store, local_copy, maintenance: None, backup_source: None };
    Engine::open(backend, None, &mut |_| ()).unwrap()
}

fn run<T: Store + CommitLog>(
    logs: [Arc<dyn CommitLog>; 2],
    store: &Arc<T>,
    (reads, writes): (Reads, u64),
) -> usize {
    let engines = logs.clone().map(|log| Arc::new(open(log, store, reads)));
    create_memories(&engines[0]);
    let history = History::default();
    // The second engine learns of the memories by following.
    while engines[1].memory(&memories()[1]).is_err() {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let (engines, history) = (&engines, &history);
            scope.spawn(move || {
                let mut dice = Dice(seed);
                (0..writes).for_each(|_| write(engines, history, &mut dice));
            });
        }
    });
    let acked = check(store.as_ref(), &engines, &history);
    let [one, other] = [0, 1].map(|it| answers(&engines[it]));
    assert!(one.iter().any(|it| it != "[]"), "lookups find something");
    assert_eq!(one, other, "the same answers");
    let [log, _] = logs;
    assert_eq!(answers(&open(log, store, reads)), one, "a third engine that starts now");
    acked
}

#[test]
fn two_engines_on_one_log_lose_and_double_nothing() {
    let store = Arc::new(InMemoryStore::shared());
    let acked = run([0, 1].map(|_| Arc::clone(&store) as _), &store, (Reads::Shared, 150));
    eprintln!("two engines: {acked} acknowledged writes, 0 lost, 0 doubled, the same answers");
}

#[test]
fn two_engines_with_local_copies_lose_and_double_nothing() {
    let store = Arc::new(InMemoryStore::shared());
    let acked = run([0, 1].map(|_| Arc::clone(&store) as _), &store, (Reads::Copy, 150));
    eprintln!("two copies: {acked} acknowledged writes, 0 lost, 0 doubled, the same answers");
}

/// Two nodes of a cluster, one of which loses its connection around commits, before and after they are carried out.
#[test]
fn two_engines_on_one_database_lose_and_double_nothing() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = postgres.database();
    Realm::init(&postgres.options(&database), "test").unwrap();
    let proxy = Proxy::start(postgres.primary.port);
    let cut = postgres.options_at([proxy.port], &database);
    let cut = RealmOptions { unknown_after: Duration::from_secs(2), ..cut };
    let nodes = [cut, postgres.options(&database)].map(|options| Realm::connect(options).unwrap());
    let cuts = AtomicU64::new(0);
    let is_over = AtomicBool::new(false);
    let acked = std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut dice, since) = (Dice(5), Instant::now());
            // Also where the other thread has failed.
            while !is_over.load(Ordering::Relaxed) && since.elapsed() < Duration::from_secs(120) {
                std::thread::sleep(Duration::from_millis(100 + dice.below(100)));
                let kinds = [Cut::BeforeCommit, Cut::BeforeAnswer];
                proxy.arm(kinds[usize::try_from(dice.below(2)).unwrap()]);
                std::thread::sleep(Duration::from_millis(100));
                cuts.fetch_add(u64::from(proxy.has_cut()), Ordering::Relaxed);
            }
        });
        let logs = [0, 1].map(|it| Arc::clone(&nodes[it]) as Arc<dyn CommitLog>);
        let acked = run(logs, &nodes[1], (Reads::Copy, 60));
        is_over.store(true, Ordering::Relaxed);
        acked
    });
    let cuts = cuts.load(Ordering::Relaxed);
    assert!(cuts > 0, "no connection was cut");
    eprintln!("{cuts} connections cut: {acked} acknowledged writes, 0 lost, 0 doubled");
}

#[test]
fn appends_of_unknown_outcome_pause_writes_and_double_nothing() {
    let store = Arc::new(InMemoryStore::shared());
    let logs = [0, 1].map(|_| Unreliable::new(&store));
    let acked = run([0, 1].map(|it| Arc::clone(&logs[it]) as _), &store, (Reads::Copy, 40));
    let unknown: u64 = logs.iter().map(|log| log.unknown.load(Ordering::Relaxed)).sum();
    assert!(unknown > 4, "{unknown}");
    eprintln!(
        "{unknown} appends of unknown outcome: {acked} acknowledged writes, 0 lost, 0 doubled"
    );
}
