//! Risk: an append whose outcome is unclear is taken for lost, or one that a failover loses is acknowledged.
//!
//! The log of a cluster over real servers: cut connections, waits for standbys that end in a warning, a frozen primary, races.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dhakira::store::{
    Appended, Commit, CommitLog as _, LogPosition, LogStart, Maintenance as _, NodeState, Realm,
    RealmOptions, RequestKey, RequestRecord, Retention, Sequence, Store as _, StoreError,
    UnitWrite,
};
use dhakira::unit::{Timestamp, UnitId};
use uuid::Uuid;

use crate::store_conformance::{M, memory, unit};
use crate::support::log::LogExt as _;
use crate::support::postgres::Postgres;
use crate::support::proxy::{Cut, Proxy};

fn create(id: u64) -> Commit {
    let key = RequestKey(u128::from(id).to_be_bytes());
    let time = Timestamp { micros: i64::try_from(id).unwrap() };
    let record = RequestRecord { time, fingerprint: 7, outcome: vec![1] };
    Commit {
        time,
        units: vec![UnitWrite::Create(M, unit(id, 1, "a").into())],
        memories: vec![memory(1)],
        requests: vec![(key, record)],
        ..Commit::default()
    }
}

fn request_of(id: u64) -> RequestKey {
    RequestKey(u128::from(id).to_be_bytes())
}

/// Waits until the notification of a commit is through, which is a commit too.
fn settle() {
    std::thread::sleep(Duration::from_millis(300));
}

/// A realm behind a proxy, beside one that is not.
fn behind_proxy(postgres: &Postgres, unknown_after: Duration) -> (Proxy, Arc<Realm>, Arc<Realm>) {
    let database = postgres.database();
    let direct = postgres.options(&database);
    Realm::init(&direct, "test").unwrap();
    let proxy = Proxy::start(postgres.primary.port);
    let through = postgres.options_at([proxy.port], &database);
    let through = RealmOptions { unknown_after, ..through };
    (proxy, Realm::connect(through).unwrap(), Realm::connect(direct).unwrap())
}

#[test]
fn a_cut_before_commit_writes_nothing_and_one_after_it_writes_once() {
    let Some(postgres) = Postgres::shared() else { return };
    let (proxy, through, direct) = behind_proxy(&postgres, Duration::from_secs(2));
    through.commit(&[create(1)]);
    settle();
    // The server rolls back: another plan for the same number succeeds.
    proxy.arm(Cut::BeforeCommit);
    let end = through.end().unwrap();
    let appended = through.append(end, &[create(2)]);
    assert!(proxy.has_cut());
    assert!(matches!(appended, Appended::Conflict), "{appended:?}");
    assert_eq!(direct.end().unwrap(), end);
    assert_eq!(through.request(request_of(2)).unwrap(), None);
    through.commit(&[create(2)]);
    // The server commits: the log says whose it is.
    for cut in [Cut::BeforeAnswer, Cut::SilenceForAnswer] {
        settle();
        proxy.arm(cut);
        let end = through.end().unwrap();
        let next = end.sequence.next();
        let Appended::Done(records) = through.append(end, &[create(next.0)]) else {
            panic!("{cut:?}")
        };
        assert!(proxy.has_cut());
        assert_eq!(direct.read(end.sequence, 9).unwrap(), records);
        assert!(through.request(request_of(next.0)).unwrap().is_some());
    }
    assert_eq!(direct.units(M, &[UnitId(1), UnitId(2), UnitId(3), UnitId(4)]).unwrap().len(), 4);
    let units = direct.page(M, None, 9).unwrap();
    assert_eq!(units.iter().map(|unit| unit.id.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn two_nodes_that_race_leave_one_log_with_each_append_once() {
    const APPENDS: u64 = 40;
    let Some(postgres) = Postgres::shared() else { return };
    let database = postgres.database();
    Realm::init(&postgres.options(&database), "test").unwrap();
    let nodes = [0, 1].map(|_| Realm::connect(postgres.options(&database)).unwrap());
    let conflicts = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for (number, node) in nodes.iter().enumerate() {
            let conflicts = &conflicts;
            scope.spawn(move || {
                for append in 0..APPENDS {
                    let commit = [create(1 + append + APPENDS * number as u64)];
                    loop {
                        match node.append(node.end().unwrap(), &commit) {
                            Appended::Done(_) => break,
                            Appended::Conflict => conflicts.fetch_add(1, Ordering::Relaxed),
                            Appended::Unknown(error) => panic!("{error}"),
                        };
                    }
                }
            });
        }
    });
    let records = nodes[0].read(Sequence(0), 1_000).unwrap();
    let mut end = LogPosition::default();
    let mut effects: BTreeMap<RequestKey, u32> = BTreeMap::new();
    for record in &records {
        assert!(record.sequence == end.sequence.next() && record.follows(end.checksum));
        end = record.into();
        for (key, _) in &record.effects.as_ref().unwrap().requests {
            *effects.entry(*key).or_default() += 1;
        }
    }
    assert_eq!(records, nodes[1].read(Sequence(0), 1_000).unwrap());
    assert_eq!(effects.len() as u64, 2 * APPENDS);
    assert!(effects.values().all(|count| *count == 1));
    assert!(conflicts.load(Ordering::Relaxed) > 0, "the race was one");
}

#[test]
fn a_writer_that_was_not_first_appends_at_the_next_attempt() {
    let Some(postgres) = Postgres::shared() else { return };
    let (_proxy, through, direct) = behind_proxy(&postgres, Duration::from_secs(1));
    direct.commit(&[create(1)]);
    for round in 1..=10 {
        let stale = through.end().unwrap();
        direct.commit(&[create(3 * round)]);
        let late = [create(3 * round + 1)];
        assert!(matches!(through.append(stale, &late), Appended::Conflict), "round {round}");
        let again = through.append(through.end().unwrap(), &late);
        assert!(matches!(again, Appended::Done(_)), "round {round}: {again:?}");
        direct.commit(&[create(3 * round + 2)]);
    }
    assert_eq!(direct.end().unwrap().sequence, Sequence(31));
    assert_eq!(direct.page(M, None, 100).unwrap().len(), 31);
}

#[test]
fn a_commit_of_another_node_is_seen_soon() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = postgres.database();
    Realm::init(&postgres.options(&database), "test").unwrap();
    let [one, other] = [0, 1].map(|_| Realm::connect(postgres.options(&database)).unwrap());
    let mut longest = Duration::ZERO;
    for id in 1..=5 {
        let waiting = std::thread::spawn({
            let other = Arc::clone(&other);
            move || {
                assert!(other.wait(Sequence(id - 1), Duration::from_secs(20)).unwrap());
                Instant::now()
            }
        });
        std::thread::sleep(Duration::from_millis(100));
        one.commit(&[create(id)]);
        let committed = Instant::now();
        longest = longest.max(waiting.join().unwrap().saturating_duration_since(committed));
    }
    eprintln!("seen by another node within {longest:?}");
    assert!(longest < Duration::from_secs(2), "{longest:?}");
}

#[test]
fn what_a_writer_finds_at_its_place_decides() {
    let Some(postgres) = Postgres::shared() else { return };
    let realm = postgres.realm();
    realm.commit(&[create(1), create(2)]);
    let end = realm.end().unwrap();
    let huge = Sequence(u64::MAX - 1);
    // After the end with a gap, on another past, beyond the columns.
    for wrong in [
        LogPosition { sequence: Sequence(9), ..end },
        LogPosition { checksum: !end.checksum, ..end },
        LogPosition { sequence: huge, ..end },
    ] {
        let appended = realm.append(wrong, &[create(3)]);
        assert!(matches!(appended, Appended::Conflict) || wrong.sequence == huge, "{appended:?}");
        if wrong.sequence == huge {
            assert!(matches!(appended, Appended::Unknown(_)), "{appended:?}");
            realm.recover().unwrap();
        }
    }
    assert_eq!(realm.end().unwrap(), end);
    assert!(matches!(realm.append(end, &[]), Appended::Done(records) if records.is_empty()));
    assert!(matches!(realm.append(LogPosition::default(), &[]), Appended::Conflict));
    // A number that the columns cannot hold is refused, and nothing is written.
    let large = Commit {
        units: vec![UnitWrite::Create(M, unit(u64::MAX, 1, "a").into())],
        ..Commit::default()
    };
    let Appended::Unknown(error) = realm.append(end, &[large]) else { panic!("too large") };
    assert!(error.to_string().contains("too large"), "{error}");
    realm.commit(&[create(3)]);
    assert_eq!(realm.units(M, &[UnitId(u64::MAX), UnitId(3)]).unwrap()[0], None);
}

#[test]
fn the_log_is_truncated_no_further_than_the_slowest_node() {
    let Some(postgres) = Postgres::shared() else { return };
    let realm = postgres.realm();
    realm.commit(&(1..=6).map(create).collect::<Vec<_>>());
    let update = |id: u64, revision, time| Commit {
        time: Timestamp { micros: time },
        units: vec![UnitWrite::Update(M, unit(id, revision, "b").into())],
        ..Commit::default()
    };
    realm.commit(&[update(1, 2, 7)]);
    realm.commit(&[update(1, 3, 8)]);
    let end = realm.end().unwrap();
    let state = NodeState { address: "a:1".into(), version: "1".into(), applied: Sequence(7) };
    realm.heartbeat(&state).unwrap();
    let all = Retention { keep_from: Timestamp { micros: 100 } };
    assert!(!realm.truncate_log(Retention { keep_from: Timestamp { micros: 4 } }).unwrap());
    assert_eq!(realm.log_start().sequence, Sequence(3));
    assert!(realm.version(M, UnitId(1), 1).unwrap().is_some());
    assert!(!realm.truncate_log(all).unwrap());
    assert_eq!(realm.log_start().sequence, Sequence(7), "the node has not applied the last one");
    assert_eq!(realm.version(M, UnitId(1), 1).unwrap(), None);
    assert!(realm.version(M, UnitId(1), 2).unwrap().is_some());
    realm.heartbeat(&NodeState { applied: Sequence(8), ..state }).unwrap();
    assert!(!realm.truncate_log(all).unwrap());
    assert_eq!(LogPosition::from(realm.log_start()), end, "the whole log");
    assert_eq!(realm.end().unwrap(), end);
    assert_eq!(realm.read(Sequence(0), 9).unwrap(), []);
    let start = LogPosition::default();
    assert!(matches!(realm.append(start, &[create(9)]), Appended::Conflict));
    assert!(matches!(realm.append(end, &[create(9)]), Appended::Done(_)));
    assert_eq!(realm.read(Sequence(8), 9).unwrap()[0].sequence, Sequence(9));
}

#[test]
fn a_restored_realm_begins_its_log_where_it_is_told() {
    let Some(postgres) = Postgres::shared() else { return };
    let realm = postgres.realm();
    realm.commit(&[create(1), create(2)]);
    let lineage = realm.identity().lineage;
    let time = Timestamp { micros: 5 };
    let start = LogStart { sequence: Sequence(70), checksum: u32::MAX - 3, time };
    realm.begin_log_at(start).unwrap();
    assert_eq!((realm.log_start(), realm.end().unwrap()), (start, LogPosition::from(start)));
    assert_ne!(realm.identity().lineage, lineage);
    assert_eq!(realm.page(M, None, 9).unwrap().len(), 2, "the content stays");
    let Appended::Done(records) = realm.append(start.into(), &[create(3)]) else { panic!("end") };
    assert!(records[0].sequence == Sequence(71) && records[0].follows(start.checksum));
}

/// A cluster with standbys, and a realm in it whose outcomes are soon unknown.
fn replicated(standbys: usize) -> Option<(Postgres, Arc<Realm>, String)> {
    let postgres = Postgres::start(standbys)?;
    let database = postgres.database();
    let options = postgres.options(&database);
    Realm::init(&options, "test").unwrap();
    let realm = Realm::connect(RealmOptions { unknown_after: Duration::from_secs(3), ..options });
    Some((postgres, realm.unwrap(), database))
}

/// Waits until writes go on.
fn recovered(realm: &Realm) {
    let since = Instant::now();
    while let Err(error) = realm.recover() {
        assert!(since.elapsed() < Duration::from_secs(30), "{error}");
    }
}

#[test]
fn a_wait_for_standbys_that_ends_early_is_no_acknowledgement() {
    let Some((postgres, realm, _)) = replicated(1) else { return };
    realm.commit(&[create(1)]);
    let standby = &postgres.standbys[0];
    for (id, function) in [(2, "pg_cancel_backend"), (3, "pg_terminate_backend")] {
        let end = realm.end().unwrap();
        standby.signal("STOP");
        std::thread::scope(|scope| {
            let appending = scope.spawn(|| realm.append(end, &[create(id)]));
            postgres.end_wait(function);
            // The commit can be read, but it is on one server only.
            let visible = "SELECT count(*) FROM dhakira.log WHERE seq = ";
            let database = realm.place().rsplit('/').next().unwrap();
            postgres.primary.wait_for(database, &format!("{visible}{id}"), "1");
            let appended = appending.join().unwrap();
            assert!(matches!(appended, Appended::Unknown(_)), "{function}: {appended:?}");
        });
        let again = realm.append(end, &[create(id)]);
        assert!(matches!(again, Appended::Unknown(StoreError::WritesPaused(_))), "{again:?}");
        assert!(realm.recover().is_err(), "nothing is durable while no standby answers");
        standby.signal("CONT");
        recovered(&realm);
        let found = realm.end().unwrap();
        assert_eq!(found.sequence, Sequence(id), "it was there all the time");
        assert!(realm.request(request_of(id)).unwrap().is_some());
        // With a standby that answers, the same is a delay and nothing else.
        assert!(matches!(realm.append(end, &[create(id)]), Appended::Conflict));
    }
    realm.commit(&[create(4)]);
}

#[test]
fn a_wait_that_is_cancelled_while_the_standby_answers_again_is_a_delay() {
    let Some((postgres, realm, _)) = replicated(1) else { return };
    let end = realm.end().unwrap();
    let standby = &postgres.standbys[0];
    standby.signal("STOP");
    std::thread::scope(|scope| {
        let appending = scope.spawn(|| realm.append(end, &[create(1)]));
        postgres.end_wait("pg_cancel_backend");
        standby.signal("CONT");
        let Appended::Done(records) = appending.join().unwrap() else { panic!("not resolved") };
        assert_eq!(records[0].sequence, Sequence(1));
    });
}

#[test]
fn a_frozen_primary_pauses_writes_and_takes_the_append_up_when_it_wakes() {
    let Some((postgres, realm, _)) = replicated(1) else { return };
    realm.commit(&[create(1)]);
    let end = realm.end().unwrap();
    postgres.primary.signal("STOP");
    let since = Instant::now();
    let appended = realm.append(end, &[create(2)]);
    assert!(matches!(appended, Appended::Unknown(_)), "{appended:?}");
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    assert!(realm.end().is_err(), "no answer is made up");
    assert!(realm.recover().is_err());
    postgres.primary.signal("CONT");
    recovered(&realm);
    // It may have arrived, but then as itself.
    let found = realm.end().unwrap();
    if found == end {
        realm.commit(&[create(2)]);
    } else {
        assert_eq!(found.sequence, Sequence(2));
        assert!(realm.request(request_of(2)).unwrap().is_some());
    }
    assert_eq!(realm.page(M, None, 9).unwrap().len(), 2);
}

#[test]
fn a_promoted_standby_holds_every_acknowledged_commit() {
    let Some((postgres, realm, database)) = replicated(2) else { return };
    for id in 1..=20 {
        realm.commit(&[create(id)]);
    }
    let end = realm.end().unwrap();
    postgres.primary.kill();
    let appended = realm.append(end, &[create(21)]);
    assert!(matches!(appended, Appended::Unknown(_)), "{appended:?}");
    let promoted = &postgres.standbys[postgres.promote()];
    // It accepts writes that only it would have.
    let error = realm.recover().unwrap_err().to_string();
    assert!(error.contains("synchronous_standby_names"), "{error}");
    promoted.set_synchronous("ANY 1 (*)");
    recovered(&realm);
    assert_eq!(realm.end().unwrap(), end, "nothing lost, nothing invented");
    assert_eq!(realm.read(Sequence(0), 100).unwrap().len(), 20);
    assert!(matches!(realm.append(end, &[create(21)]), Appended::Done(_)));
    assert_eq!(promoted.sql(&database, "SELECT count(*) FROM dhakira.unit"), "21");
}

#[test]
fn a_restarted_server_is_found_again_without_an_error() {
    let Some(postgres) = Postgres::start(0) else { return };
    let realm = postgres.realm();
    for id in 1..=3 {
        realm.commit(&[create(id)]);
        let end = realm.end().unwrap();
        postgres.primary.kill();
        postgres.primary.start();
        // Every pooled connection is dead, and says so only when it is used.
        assert_eq!(realm.end().unwrap(), end);
        assert!(realm.request(request_of(id)).unwrap().is_some());
    }
    assert_eq!(realm.page(M, None, 9).unwrap().len(), 3);
}

/// A node id is part of every commit, so that nobody takes another one's for its own.
#[test]
fn commits_name_their_node() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = postgres.database();
    let options = postgres.options(&database);
    Realm::init(&options, "test").unwrap();
    let node = options.node;
    Realm::connect(options).unwrap().commit(&[create(1)]);
    let stored = postgres.primary.sql(&database, "SELECT node FROM dhakira.log");
    assert_eq!(stored.parse::<Uuid>().unwrap(), node);
}
