//! Conformance suite for every commit log: conflicts, waiting, concurrent appends, failed appends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dhakira::store::{
    Appended, Commit, CommitLog as _, InMemoryStore, LogPosition, Maintenance as _, MemoryRecord,
    Retention, Sequence, Store as _, StoreError, UnitWrite,
};
use dhakira::unit::{Timestamp, UnitId};

use crate::store_conformance::{M, each_engine, memory, open, unit};
use crate::support::log::LogExt as _;

#[test]
fn an_append_elsewhere_than_at_the_end_is_a_conflict_and_writes_nothing() {
    each_engine(|store| {
        let create = |id| Commit {
            units: vec![UnitWrite::Create(M, unit(id, 1, "a").into())],
            ..Commit::default()
        };
        let empty = store.end().unwrap();
        assert_eq!(empty, LogPosition::default());
        let Appended::Done(records) = store.append(empty, &[create(1), create(2)]) else {
            panic!("an append at the end")
        };
        assert_eq!(records, store.read(Sequence(0), 9).unwrap(), "the records as they are stored");
        let end = LogPosition::from(&records[1]);
        assert_eq!(store.end().unwrap(), end);
        let other = LogPosition { checksum: !end.checksum, ..end };
        for wrong in [empty, LogPosition::from(&records[0]), other] {
            assert!(matches!(store.append(wrong, &[create(3)]), Appended::Conflict), "{wrong:?}");
        }
        assert_eq!(store.end().unwrap(), end);
        assert_eq!(store.units(M, &[UnitId(3)]).unwrap(), [None]);
        assert!(matches!(store.append(end, &[create(3)]), Appended::Done(_)));
        // The same commits on another log give the same checksums, by which positions are compared.
        let copy = InMemoryStore::default();
        let records = store.read(Sequence(0), 9).unwrap();
        for record in &records {
            let units = store.stored_units(record).unwrap();
            copy.commit(&[Commit::from_record(record, units).unwrap()]);
        }
        assert_eq!(copy.read(Sequence(0), 9).unwrap(), records);
    });
}

#[test]
fn a_waiter_is_woken_by_an_append() {
    each_engine(|store| {
        let (none, long) = (Duration::from_millis(1), Duration::from_secs(60));
        assert!(!store.wait(Sequence(0), none).unwrap(), "nothing was appended");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| store.wait(Sequence(1), long).unwrap());
            store.commit(&[Commit::default()]);
            store.commit(&[Commit::default()]);
            assert!(waiting.join().unwrap());
        });
        assert!(store.wait(Sequence(1), none).unwrap());
        assert!(!store.wait(Sequence(2), none).unwrap());
    });
}

#[test]
fn appends_of_several_threads_leave_one_log_with_each_of_them_once() {
    each_engine(|store| {
        const THREADS: u64 = 3;
        const APPENDS: u64 = 20;
        let conflicts = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let conflicts = &conflicts;
                scope.spawn(move || {
                    for number in 0..APPENDS {
                        let id = 1 + thread * APPENDS + number;
                        let units = vec![UnitWrite::Create(M, unit(id, 1, "a").into())];
                        let commit = Commit { units, ..Commit::default() };
                        loop {
                            match store.append(store.end().unwrap(), std::slice::from_ref(&commit))
                            {
                                Appended::Done(_) => break,
                                Appended::Conflict => conflicts.fetch_add(1, Ordering::Relaxed),
                                Appended::Unknown(error) => panic!("{error}"),
                            };
                        }
                    }
                });
            }
        });
        let records = store.read(Sequence(0), 1_000).unwrap();
        let mut end = LogPosition::default();
        for record in &records {
            assert!(record.sequence == end.sequence.next() && record.follows(end.checksum));
            end = record.into();
        }
        let mut units: Vec<u64> =
            records.iter().flat_map(|it| &it.changes).map(|it| it.unit.0).collect();
        units.sort_unstable();
        assert_eq!(units, (1..=THREADS * APPENDS).collect::<Vec<_>>());
        eprintln!("{} conflicts", conflicts.load(Ordering::Relaxed));
    });
}

#[test]
fn a_database_whose_append_failed_recovers_by_a_copy() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let create = |id| Commit {
        // Some records are kept in files of their own.
        units: vec![UnitWrite::Create(M, unit(id, 1, &"a".repeat(40_000)).into())],
        memories: vec![MemoryRecord { unit_count: id, ..memory(1) }],
        ..Commit::default()
    };
    store.commit(&[create(1)]);
    let end = store.end().unwrap();
    // What was appended cannot be acknowledged.
    let obstacle = directory.path().join("acknowledged.new");
    std::fs::create_dir(&obstacle).unwrap();
    assert!(matches!(store.append(end, &[create(2)]), Appended::Unknown(StoreError::Io { .. })));
    assert!(matches!(
        store.append(end, &[create(2)]),
        Appended::Unknown(StoreError::WritesPaused(_))
    ));
    let compacted = store.compact(Retention { keep_from: Timestamp::default() }, &mut |_, _| true);
    assert!(matches!(compacted, Err(StoreError::WritesPaused(_))));
    assert!(store.recover().is_err(), "the cause persists");
    assert_eq!(store.units(M, &[UnitId(1)]).unwrap().len(), 1, "reads continue");
    std::fs::remove_dir(&obstacle).unwrap();
    store.recover().unwrap();
    let recovered = store.end().unwrap();
    assert!(recovered == end || recovered.sequence == end.sequence.next(), "{recovered:?}");
    store.recover().unwrap();
    for id in recovered.sequence.0 + 1..=3 {
        store.commit(&[create(id)]);
    }
    let units = store.page(M, None, 9).unwrap();
    drop(store);
    let store = open(directory.path());
    assert_eq!(units.len(), 3);
    assert_eq!(store.page(M, None, 9).unwrap(), units);
    assert_eq!(store.last_sequence(), Sequence(3));
}
