//! Conformance suite for every implementation of the store, with a random model.

use std::collections::BTreeMap;
use std::path::Path;

use dhakira::limits::SEGMENT_BYTES_MAX;
use dhakira::store::{
    ChangeKind, Commit, CommitLog as _, InMemoryStore, MemoryKey, MemoryRecord, OpenOptions, Realm,
    RequestKey, RequestRecord, Sequence, SledStore, Store, StoreError, UnitWrite,
};
use dhakira::unit::{Scoring, Segment, Timestamp, Unit, UnitContent, UnitId};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::support::log::{Database, LogExt as _};
use crate::support::postgres::Postgres;

fn options(create: bool) -> OpenOptions {
    OpenOptions { create, accept_data_loss: false, purpose: "test".into() }
}

pub(crate) fn open(directory: &Path) -> SledStore {
    SledStore::open(directory, &options(true)).unwrap()
}

/// Runs a test against every implementation.
pub(crate) fn each_engine(test: impl Fn(&dyn Database)) {
    test(&InMemoryStore::default());
    let directory = tempfile::tempdir().unwrap();
    test(&open(directory.path()));
    if let Some(postgres) = Postgres::shared() {
        test(postgres.realm().as_ref());
    }
}

pub(crate) fn unit(id: u64, revision: u64, text: &str) -> Unit {
    let content = UnitContent {
        source: Segment::plain(text),
        target: Segment::plain(format!("{text} in English")),
        created: Some(Timestamp { micros: 1 }),
        changed: Some(Timestamp { micros: i64::try_from(revision).unwrap() }),
        ..UnitContent::default()
    };
    Unit::new(UnitId(id), revision, content)
}

pub(crate) fn memory(key: u32) -> MemoryRecord {
    MemoryRecord {
        key: MemoryKey(key),
        name: format!("m{key}").parse().unwrap(),
        display_name: String::new(),
        description: String::new(),
        source_lang: "ar".parse().unwrap(),
        target_lang: "en".parse().unwrap(),
        created: Timestamp { micros: 1 },
        changed: Timestamp { micros: 1 },
        revision: 1,
        unit_count: 0,
        next_unit: UnitId(1),
        deleted: false,
        unfinished_penalty: None,
        scoring: Scoring::default(),
    }
}

pub(crate) const M: MemoryKey = MemoryKey(1);
const OTHER: MemoryKey = MemoryKey(2);

#[test]
fn units_come_back_as_they_went_in() {
    each_engine(|store| {
        let commit = Commit {
            time: Timestamp { micros: 5 },
            memories: vec![memory(1), memory(2)],
            units: vec![
                UnitWrite::Create(M, unit(1, 1, "a").into()),
                UnitWrite::Create(M, unit(3, 1, "c").into()),
                UnitWrite::Create(OTHER, unit(1, 1, "o").into()),
                UnitWrite::Update(M, unit(3, 2, "c2").into()),
            ],
            ..Commit::default()
        };
        assert_eq!(store.commit(&[commit]), Sequence(1));
        let ids = [UnitId(3), UnitId(2), UnitId(1)];
        let found = store.units(M, &ids).unwrap();
        assert_eq!(found, [Some(unit(3, 2, "c2")), None, Some(unit(1, 1, "a"))]);
        assert_eq!(store.page(M, None, 10).unwrap(), [unit(1, 1, "a"), unit(3, 2, "c2")]);
        assert_eq!(store.page(M, Some(UnitId(1)), 1).unwrap(), [unit(3, 2, "c2")]);
        assert_eq!(store.page(M, Some(UnitId(u64::MAX)), 1).unwrap(), []);
        assert_eq!(store.memories().unwrap(), [memory(1), memory(2)]);
        let deletion = Commit {
            units: vec![UnitWrite::Delete(M, UnitId(1), 1), UnitWrite::Purge(OTHER, UnitId(1))],
            ..Commit::default()
        };
        store.commit(&[deletion]);
        assert_eq!(store.page(M, None, 10).unwrap(), [unit(3, 2, "c2")]);
        assert_eq!(store.page(OTHER, None, 10).unwrap(), []);
    });
}

#[test]
fn the_log_records_every_change() {
    each_engine(|store| {
        let commits = [
            Commit {
                units: vec![UnitWrite::Create(M, unit(1, 1, "a").into())],
                ..Commit::default()
            },
            Commit {
                units: vec![UnitWrite::Update(M, unit(1, 2, "b").into())],
                ..Commit::default()
            },
            Commit { units: vec![UnitWrite::Delete(M, UnitId(1), 2)], ..Commit::default() },
            Commit { units: vec![UnitWrite::Purge(M, UnitId(9))], ..Commit::default() },
        ];
        assert_eq!(store.commit(&commits), Sequence(4));
        let log = store.read(Sequence(1), 10).unwrap();
        let seen: Vec<_> = log
            .iter()
            .map(|record| {
                let kinds = record.changes.iter().map(|change| (change.kind, change.revision));
                (record.sequence.0, kinds.collect::<Vec<_>>())
            })
            .collect();
        let expected =
            [(2, vec![(ChangeKind::Updated, 2)]), (3, vec![(ChangeKind::Deleted, 2)]), (4, vec![])];
        assert_eq!(seen, expected);
        assert_eq!(store.read(Sequence(0), 2).unwrap().len(), 2);
        assert_eq!(store.last_sequence(), Sequence(4));
    });
}

#[test]
fn requests_are_remembered_and_forgotten() {
    each_engine(|store| {
        let key = |byte| RequestKey([byte; 16]);
        let record = |micros| RequestRecord {
            time: Timestamp { micros },
            fingerprint: u128::MAX - 7,
            outcome: vec![1, 2, 3],
        };
        let commit = Commit {
            requests: vec![(key(1), record(10)), (key(2), record(20))],
            ..Commit::default()
        };
        store.commit(&[commit]);
        assert_eq!(store.request(key(1)).unwrap(), Some(record(10)));
        assert_eq!(store.request(key(3)).unwrap(), None);
        assert_eq!(store.requests_before(Timestamp { micros: 20 }, 9).unwrap(), [key(1)]);
        store.commit(&[Commit { forgotten: vec![key(1)], ..Commit::default() }]);
        assert_eq!(store.request(key(1)).unwrap(), None);
    });
}

#[test]
fn the_longest_units_fit_and_shrink_again() {
    each_engine(|store| {
        // Lengths around the size of a piece, and the longest that the checks let through.
        for (number, length) in
            [1, 98_000, 98_250, 98_304, 98_400, 196_608, SEGMENT_BYTES_MAX].into_iter().enumerate()
        {
            let mut long = unit(1, 1, "");
            long.content.source = Segment::plain("x".repeat(length));
            long.content.target = Segment::plain("y".repeat(length));
            let write = if number == 0 { UnitWrite::Create } else { UnitWrite::Update };
            let neighbour = unit(2, 1, "neighbour");
            let commit = Commit {
                units: vec![write(M, long.clone().into()), write(M, neighbour.clone().into())],
                ..Commit::default()
            };
            store.commit(&[commit]);
            assert_eq!(store.units(M, &[UnitId(1)]).unwrap(), [Some(long.clone())]);
            assert_eq!(store.page(M, None, 10).unwrap(), [long, neighbour]);
        }
        let short = unit(1, 2, "short");
        let commit =
            Commit { units: vec![UnitWrite::Update(M, short.clone().into())], ..Commit::default() };
        store.commit(&[commit]);
        assert_eq!(store.page(M, None, 1).unwrap(), [short]);
        let commit =
            Commit { units: vec![UnitWrite::Delete(M, UnitId(1), 2)], ..Commit::default() };
        store.commit(&[commit]);
        assert_eq!(store.page(M, None, 10).unwrap(), [unit(2, 1, "neighbour")]);
    });
}

/// One step of the random test.
#[derive(Debug, Clone)]
enum Step {
    Commits(Vec<Vec<(bool, u64, u16)>>),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let write = (any::<bool>(), 0..20_u64, 0..2_000_u16);
    let commits = prop::collection::vec(prop::collection::vec(write, 0..8), 0..4);
    let step = prop_oneof![6 => commits.prop_map(Step::Commits), 1 => Just(Step::Reopen)];
    prop::collection::vec(step, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// After any sequence of writes, every implementation holds what an ordered map holds.
    #[test]
    fn an_engine_behaves_like_a_map(steps in steps()) {
        let directory = tempfile::tempdir().unwrap();
        let mut sled = Some(open(directory.path()));
        let in_memory = InMemoryStore::default();
        let mut model: BTreeMap<UnitId, Unit> = BTreeMap::new();
        let mut sequence = 0;
        for step in steps {
            match step {
                Step::Reopen => {
                    drop(sled.take());
                    sled = Some(open(directory.path()));
                }
                Step::Commits(commits) => {
                    sequence += commits.len() as u64;
                    let commits: Vec<Commit> =
                        commits.into_iter().map(|writes| plan(&mut model, writes)).collect();
                    let stored = sled.as_ref().unwrap().commit(&commits);
                    prop_assert_eq!(stored, Sequence(sequence));
                    prop_assert_eq!(in_memory.commit(&commits), Sequence(sequence));
                }
            }
            let expected: Vec<Unit> = model.values().cloned().collect();
            let sled = sled.as_ref().unwrap();
            prop_assert_eq!(&sled.page(M, None, 1_000).unwrap(), &expected);
            prop_assert_eq!(&in_memory.page(M, None, 1_000).unwrap(), &expected);
            prop_assert_eq!(sled.last_sequence(), Sequence(sequence));
            let changes = |store: &dyn Database| {
                let log = store.read(Sequence(0), 1_000).unwrap();
                log.into_iter().map(|record| record.changes).collect::<Vec<_>>()
            };
            prop_assert_eq!(changes(sled), changes(&in_memory));
        }
    }
}

/// The same for a database that nodes share, each case in one of its own.
#[test]
fn a_realm_behaves_like_a_map() {
    let Some(postgres) = Postgres::shared() else { return };
    let mut runner = TestRunner::new(ProptestConfig::with_cases(12));
    let behaves = |steps: Vec<Step>| {
        let options = postgres.options(&postgres.database());
        Realm::init(&options, "test").unwrap();
        let connect = || Realm::connect(options.clone()).unwrap();
        let (mut realm, in_memory) = (connect(), InMemoryStore::default());
        let mut model: BTreeMap<UnitId, Unit> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Reopen => realm = connect(),
                Step::Commits(commits) => {
                    let commits: Vec<Commit> =
                        commits.into_iter().map(|writes| plan(&mut model, writes)).collect();
                    realm.commit(&commits);
                    in_memory.commit(&commits);
                }
            }
            let expected: Vec<Unit> = model.values().cloned().collect();
            prop_assert_eq!(&realm.page(M, None, 1_000).unwrap(), &expected);
        }
        let records = in_memory.read(Sequence(0), 1_000).unwrap();
        prop_assert_eq!(&realm.read(Sequence(0), 1_000).unwrap(), &records);
        for record in &records {
            let stored = in_memory.stored_units(record).unwrap();
            prop_assert_eq!(&realm.stored_units(record).unwrap(), &stored);
        }
        let at_once = realm.stored_units_of(&records).unwrap();
        prop_assert_eq!(at_once, in_memory.stored_units_of(&records).unwrap());
        Ok(())
    };
    runner.run(&steps(), behaves).unwrap();
}

/// Converts (delete?, unit, length) to writes that are valid for the model, and applies them to it.
fn plan(model: &mut BTreeMap<UnitId, Unit>, writes: Vec<(bool, u64, u16)>) -> Commit {
    let mut commit = Commit::default();
    for (delete, id, length) in writes {
        let old = model.get(&UnitId(id)).map(|unit| unit.revision);
        match (delete, old) {
            (true, Some(revision)) => {
                model.remove(&UnitId(id));
                commit.units.push(UnitWrite::Delete(M, UnitId(id), revision));
            }
            (true, None) => {}
            (false, old) => {
                // A few are far longer than a piece of a record.
                let length = usize::from(length) * if length % 97 == 0 { 150 } else { 1 };
                let new = unit(id, old.unwrap_or(0) + 1, &"\u{645}".repeat(length));
                model.insert(UnitId(id), new.clone());
                let write = if old.is_some() { UnitWrite::Update } else { UnitWrite::Create };
                commit.units.push(write(M, new.into()));
            }
        }
    }
    commit
}

fn write_units(directory: &Path, count: u64) {
    let store = open(directory);
    for id in 1..=count {
        let commit = Commit {
            units: vec![UnitWrite::Create(M, unit(id, 1, "text").into())],
            ..Commit::default()
        };
        store.commit(&[commit]);
    }
}

#[test]
fn a_directory_in_use_names_its_holder() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path());
    first.announce("127.0.0.1:7").unwrap();
    match SledStore::open(directory.path(), &options(true)).err().unwrap() {
        StoreError::InUse { holder, .. } => {
            assert_eq!(holder.address(), Some("127.0.0.1:7"));
            assert!(holder.to_string().contains(&format!("process {}", std::process::id())));
        }
        other => panic!("{other}"),
    }
    drop(first);
    open(directory.path());
}

#[test]
fn a_store_behind_its_watermark_is_refused_with_a_remedy() {
    let directory = tempfile::tempdir().unwrap();
    write_units(directory.path(), 3);
    let database = directory.path().join("sled");
    let kept = directory.path().join("older");
    std::fs::rename(&database, &kept).unwrap();
    let error = SledStore::open(directory.path(), &options(true)).err().unwrap();
    let StoreError::Behind { found, acknowledged, .. } = &error else { panic!("{error}") };
    assert_eq!((found.0, acknowledged.0), (0, 3));
    assert!(error.to_string().contains("--accept-data-loss"), "{error}");
    assert!(!database.exists(), "a refusal changes nothing");
    std::fs::rename(&kept, &database).unwrap();
    assert_eq!(open(directory.path()).last_sequence(), Sequence(3));
}

#[test]
fn a_truncated_database_file_is_detected() {
    let directory = tempfile::tempdir().unwrap();
    write_units(directory.path(), 50);
    let log = directory.path().join("sled/db");
    let whole = std::fs::read(&log).unwrap();
    let snapshots: Vec<_> = std::fs::read_dir(directory.path().join("sled"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("snap"))
        .collect();
    for snapshot in snapshots {
        std::fs::remove_file(snapshot).unwrap();
    }
    let mut refused = 0;
    for tenths in 0..10 {
        std::fs::write(&log, &whole[..whole.len() * tenths / 10]).unwrap();
        match SledStore::open(directory.path(), &options(false)) {
            // The removed bytes were empty.
            Ok(store) => assert_eq!(store.last_sequence(), Sequence(50)),
            Err(StoreError::Behind { .. } | StoreError::Damaged { .. } | StoreError::Io { .. }) => {
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused > 0);
}

#[test]
fn a_missing_or_damaged_acknowledgement_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    write_units(directory.path(), 2);
    let file = directory.path().join("acknowledged");
    for content in [Some("17"), Some("3 00000000\n"), Some(""), None] {
        match content {
            Some(content) => std::fs::write(&file, content).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let error = SledStore::open(directory.path(), &options(false)).err().unwrap();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    }
    let accept = OpenOptions { accept_data_loss: true, ..options(false) };
    assert_eq!(SledStore::open(directory.path(), &accept).unwrap().last_sequence(), Sequence(2));
    assert_eq!(open(directory.path()).last_sequence(), Sequence(2));
}

#[test]
fn a_flipped_byte_is_an_error_and_never_another_answer() {
    let directory = tempfile::tempdir().unwrap();
    write_units(directory.path(), 20);
    let log = directory.path().join("sled/db");
    let whole = std::fs::read(&log).unwrap();
    let used = whole.iter().rposition(|&byte| byte != 0).unwrap();
    let expected: Vec<Unit> = (1..=20).map(|id| unit(id, 1, "text")).collect();
    for step in 0..40 {
        let mut damaged = whole.clone();
        damaged[used * step / 40] ^= 0x10;
        std::fs::write(&log, damaged).unwrap();
        if let Ok(store) = SledStore::open(directory.path(), &options(false))
            && let Ok(page) = store.page(M, None, 100)
        {
            assert_eq!(page, expected, "byte {}", used * step / 40);
        }
    }
}
