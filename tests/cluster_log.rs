//! Risk: an append whose outcome is unclear is taken for lost, or one that a failover loses is acknowledged.
//!
//! The log of a cluster over real servers: cut connections, waits for standbys that end in a warning, a frozen primary, races.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dhakira::store::{
    Appended, Commit, CommitLog as _, LogPosition, Maintenance as _, NodeState, Realm,
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

/// A realm behind a proxy, beside one that is not.
fn behind_proxy(postgres: &Postgres, unknown_after: Duration) -> (Proxy, Arc<Realm>, Arc<Realm>) {
    let database = postgres.database();
    let direct = postgres.options(&database);
    Realm::init(&direct, "test").unwrap();
    let proxy = Proxy::start(postgres.primary.port);
    let through = postgres.options_at(&format!("127.0.0.1:{}", proxy.port), &database);
    let through = RealmOptions { unknown_after, ..through };
    (proxy, Realm::connect(through).unwrap(), Realm::connect(direct).unwrap())
}

#[test]
fn a_cut_before_commit_writes_nothing_and_one_after_it_writes_once() {
    let Some(postgres) = Postgres::shared() else { return };
    let (proxy, through, direct) = behind_proxy(&postgres, Duration::from_secs(2));
    through.commit(&[create(1)]);
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
    let Some(postgres) = Postgres::shared() else { return };
    let database = postgres.database();
    Realm::init(&postgres.options(&database), "test").unwrap();
    let nodes = [0, 1].map(|_| Realm::connect(postgres.options(&database)).unwrap());
    let conflicts = AtomicU64::new(0);
    const APPENDS: u64 = 40;
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
    // After the end, with a gap, on another past.
    for wrong in [
        LogPosition { sequence: Sequence(9), ..end },
        LogPosition { checksum: !end.checksum, ..end },
        LogPosition { sequence: Sequence(u64::MAX), ..end },
    ] {
        let appended = realm.append(wrong, &[create(3)]);
        assert!(
            matches!(appended, Appended::Conflict) || wrong.sequence.0 == u64::MAX,
            "{appended:?}"
        );
        if wrong.sequence.0 == u64::MAX {
            assert!(matches!(appended, Appended::Unknown(_)), "{appended:?}");
            realm.recover().unwrap();
        }
    }
    assert_eq!(realm.end().unwrap(), end);
    assert!(matches!(realm.append(end, &[]), Appended::Done(records) if records.is_empty()));
    assert!(matches!(realm.append(LogPosition::default(), &[]), Appended::Conflict));
    // A number that the columns cannot hold is refused, and nothing is written.
    let huge = Commit {
        units: vec![UnitWrite::Create(M, unit(u64::MAX, 1, "a").into())],
        ..Commit::default()
    };
    let Appended::Unknown(error) = realm.append(end, &[huge]) else { panic!("too large") };
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

/// A cluster with a standby, and a realm in it whose outcomes are soon unknown.
fn replicated() -> Option<(Postgres, Arc<Realm>, String)> {
    let postgres = Postgres::start(1)?;
    let database = postgres.database();
    let options = postgres.options(&database);
    Realm::init(&options, "test").unwrap();
    let realm =
        Realm::connect(RealmOptions { unknown_after: Duration::from_millis(1_500), ..options });
    Some((postgres, realm.unwrap(), database))
}

/// Waits until a session waits for the standbys, then ends that by a function of the server.
fn end_wait(postgres: &Postgres, function: &str) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    postgres.primary.wait_for("postgres", waiting, "1");
    let end = format!("SELECT {function}(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    postgres.primary.sql("postgres", &end);
}

#[test]
fn a_wait_for_standbys_that_ends_early_is_no_acknowledgement() {
    let Some((postgres, realm, _)) = replicated() else { return };
    realm.commit(&[create(1)]);
    let standby = &postgres.standbys[0];
    for (id, function) in [(2, "pg_cancel_backend"), (3, "pg_terminate_backend")] {
        let end = realm.end().unwrap();
        standby.signal("STOP");
        std::thread::scope(|scope| {
            let appending = scope.spawn(|| realm.append(end, &[create(id)]));
            end_wait(&postgres, function);
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
        let since = Instant::now();
        while let Err(error) = realm.recover() {
            assert!(since.elapsed() < Duration::from_secs(30), "{error}");
        }
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
    let Some((postgres, realm, _)) = replicated() else { return };
    let end = realm.end().unwrap();
    let standby = &postgres.standbys[0];
    standby.signal("STOP");
    std::thread::scope(|scope| {
        let appending = scope.spawn(|| realm.append(end, &[create(1)]));
        end_wait(&postgres, "pg_cancel_backend");
        standby.signal("CONT");
        let Appended::Done(records) = appending.join().unwrap() else { panic!("not resolved") };
        assert_eq!(records[0].sequence, Sequence(1));
    });
    assert_eq!(postgres.standbys[0].sql("postgres", "SELECT pg_is_in_recovery()"), "t");
}

#[test]
fn a_frozen_primary_pauses_writes_and_takes_the_append_up_when_it_wakes() {
    let Some((postgres, realm, _)) = replicated() else { return };
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
    let since = Instant::now();
    while let Err(error) = realm.recover() {
        assert!(since.elapsed() < Duration::from_secs(30), "{error}");
    }
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
    let Some((postgres, realm, database)) = replicated() else { return };
    let mut acked = 0;
    for id in 1..=20 {
        realm.commit(&[create(id)]);
        acked = id;
    }
    postgres.primary.kill();
    let end = LogPosition::from(realm_end(&realm, acked));
    // Nobody accepts writes now.
    let appended = realm.append(end, &[create(21)]);
    assert!(matches!(appended, Appended::Unknown(_)), "{appended:?}");
    postgres.standbys[0].sql("postgres", "SELECT pg_promote()");
    let since = Instant::now();
    while let Err(error) = realm.recover() {
        assert!(since.elapsed() < Duration::from_secs(30), "{error}");
    }
    let records = realm.read(Sequence(0), 100).unwrap();
    assert_eq!(records.len() as u64, acked, "nothing lost, nothing invented");
    realm.commit(&[create(21)]);
    assert_eq!(postgres.standbys[0].sql(&database, "SELECT count(*) FROM dhakira.unit"), "21");
}

/// The position of a commit, computed without the server.
fn realm_end(realm: &Realm, count: u64) -> LogPosition {
    let copy = dhakira::store::InMemoryStore::default();
    copy.commit(&(1..=count).map(create).collect::<Vec<_>>());
    let _ = realm.place();
    copy.end().unwrap()
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
