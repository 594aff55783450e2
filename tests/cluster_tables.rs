//! Risk: a node joins a database that would lose its writes or that it does not understand, or two nodes think that they hold the
//! same lease.

use std::io::Read as _;
use std::time::Duration;

use dhakira::store::{
    ArtifactInfo, ArtifactKey, AuditLine, Durability, LogPosition, MemoryKey, NodeState, Realm,
    RealmOptions, Sequence, Store as _, StoreError,
};
use dhakira::unit::Timestamp;
use uuid::Uuid;

use crate::support::postgres::{Postgres, free_port};

fn refusal<T>(result: Result<T, StoreError>) -> String {
    match result.err().unwrap() {
        error @ StoreError::Refused { .. } => error.to_string(),
        other => panic!("{other}"),
    }
}

#[test]
fn a_database_that_cannot_be_used_says_why_and_what_to_do() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = postgres.database();
    let options = postgres.options(&database);
    let says = |message: &str, expected: &[&str]| {
        for part in expected {
            assert!(message.contains(part), "{message}: no '{part}'");
        }
    };
    says(
        &refusal(Realm::connect(options.clone())),
        &["no realm", "dhakira cluster init", database.as_str()],
    );
    let strict = RealmOptions { durability: Durability::Synchronous, ..options.clone() };
    for refused in [Realm::init(&strict, "a").err(), Realm::connect(strict).err()] {
        let message = refused.unwrap().to_string();
        says(&message, &["synchronous_standby_names", "--durability engine"]);
    }
    let made = Realm::init(&options, "ours").unwrap();
    assert_eq!((made.name.as_str(), made.format), ("ours", 1));
    says(&refusal(Realm::init(&options, "b")), &["a realm in this database already"]);
    let realm = Realm::connect(options.clone()).unwrap();
    assert_eq!(realm.identity(), made);
    assert_eq!(
        realm.secret(),
        Realm::connect(options.clone()).unwrap().secret(),
        "one for all nodes"
    );
    assert_eq!(Realm::migrate(&options).unwrap(), (1, 1));
    let sql = |sql: &str| postgres.primary.sql(&database, sql);
    // A newer program has migrated the tables: this one still works with them, until the version after that.
    sql("UPDATE dhakira.realm SET format = 99");
    assert_eq!(Realm::connect(options.clone()).unwrap().identity().format, 99);
    assert_eq!(Realm::migrate(&options).unwrap(), (99, 99));
    sql("UPDATE dhakira.realm SET compatible = 98");
    for refused in [Realm::connect(options.clone()).err(), Realm::migrate(&options).err()] {
        says(&refused.unwrap().to_string(), &["format 99", "newer version"]);
    }
    // A role that may not create anything.
    let empty = postgres.database();
    postgres.primary.sql(&empty, "CREATE ROLE guest LOGIN");
    let url =
        format!("postgres://guest@127.0.0.1:{}/{empty}?sslmode=disable", postgres.primary.port);
    let guest = RealmOptions { url: url.parse().unwrap(), ..options.clone() };
    says(&refusal(Realm::init(&guest, "c")), &["permission denied", "grant it CREATE"]);
    // No such database, no such server.
    let url = url.replace(&empty, "nowhere");
    let nowhere = RealmOptions { url: url.parse().unwrap(), ..options.clone() };
    says(&refusal(Realm::connect(nowhere)), &["nowhere", "does not exist"]);
    let url = format!("postgres://me@127.0.0.1:{}/tm", free_port());
    let nobody = RealmOptions { url: url.parse().unwrap(), ..options };
    let error = Realm::connect(nobody).err().unwrap();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    says(&error.to_string(), &["cannot be reached", "refused"]);
}

#[test]
fn a_lease_has_one_holder_by_the_clock_of_the_database() {
    let Some(postgres) = Postgres::shared() else { return };
    let database = postgres.database();
    Realm::init(&postgres.options(&database), "test").unwrap();
    let [one, other] = [0, 1].map(|_| Realm::connect(postgres.options(&database)).unwrap());
    let long = Duration::from_secs(60);
    let held = one.acquire_or_renew("writer", "one:1", long).unwrap();
    assert!(held.held_by_us && held.epoch == 1 && held.holder == Some(one.node()));
    assert!(held.remaining > Duration::from_secs(50) && held.remaining <= long, "{held:?}");
    let refused = other.acquire_or_renew("writer", "other:1", long).unwrap();
    assert!(!refused.held_by_us && refused.holder == Some(one.node()), "{refused:?}");
    assert_eq!((refused.address.as_str(), refused.epoch), ("one:1", 1));
    assert!(one.acquire_or_renew("writer", "one:1", long).unwrap().epoch == 1, "renewed");
    assert!(other.acquire_or_renew("cutter", "other:1", long).unwrap().held_by_us, "another role");
    one.release("writer").unwrap();
    assert_eq!(other.lease("writer").unwrap().holder, None);
    let taken = other.acquire_or_renew("writer", "other:1", Duration::from_millis(200)).unwrap();
    assert!(taken.held_by_us && taken.epoch == 2);
    one.release("writer").unwrap();
    assert!(!one.lease("writer").unwrap().held_by_us, "nobody releases another one's lease");
    std::thread::sleep(Duration::from_millis(300));
    let again = other.acquire_or_renew("writer", "other:1", long).unwrap();
    assert!(again.held_by_us && again.epoch == 3, "it had run out: another epoch");
    // Many at once: one wins.
    let nodes: Vec<_> =
        (0..4).map(|_| Realm::connect(postgres.options(&database)).unwrap()).collect();
    let winners = std::thread::scope(|scope| {
        let tries: Vec<_> = nodes
            .iter()
            .map(|node| scope.spawn(move || node.acquire_or_renew("lexicon", "x", long).unwrap()))
            .collect();
        tries.into_iter().map(|it| it.join().unwrap()).filter(|it| it.held_by_us).count()
    });
    assert_eq!(winners, 1);
}

#[test]
fn nodes_know_of_each_other() {
    let Some(postgres) = Postgres::shared() else { return };
    let realm = postgres.realm();
    assert_eq!(realm.nodes().unwrap(), []);
    let state = NodeState { address: "a:1".into(), version: "1.2".into(), applied: Sequence(7) };
    realm.heartbeat(&state).unwrap();
    let newer = NodeState { applied: Sequence(8), ..state };
    realm.heartbeat(&newer).unwrap();
    let nodes = realm.nodes().unwrap();
    assert_eq!((nodes.len(), nodes[0].id, &nodes[0].state), (1, realm.node(), &newer));
    assert!(nodes[0].seen < Duration::from_secs(10));
    realm.forget_node(Uuid::new_v4()).unwrap();
    assert_eq!(realm.nodes().unwrap().len(), 1);
    realm.forget_node(realm.node()).unwrap();
    assert_eq!(realm.nodes().unwrap(), []);
}

#[test]
fn tokens_settings_and_audit_lines_are_shared() {
    let Some(postgres) = Postgres::shared() else { return };
    let realm = postgres.realm();
    realm.put_token("1", "{\"name\":\"a\"}").unwrap();
    realm.put_token("2", "b").unwrap();
    realm.put_token("1", "c").unwrap();
    realm.remove_token("2").unwrap();
    realm.put_setting("key", "value").unwrap();
    assert_eq!(
        realm.tokens().unwrap().into_iter().collect::<Vec<_>>(),
        [("1".to_owned(), "c".to_owned())]
    );
    assert_eq!(realm.settings().unwrap()["key"], "value");
    realm.remove_setting("key").unwrap();
    assert!(realm.settings().unwrap().is_empty());
    let line = |micros| AuditLine {
        at: Timestamp { micros },
        id: Uuid::new_v4(),
        line: format!("{{\"call\": {micros}}}"),
    };
    let now = 1_790_000_000_123_456;
    let lines: Vec<_> = (0..3).map(|it| line(now + it)).collect();
    realm.ship_audit(&lines).unwrap();
    realm.ship_audit(&lines[1..]).unwrap();
    let stored = realm.audit(Timestamp { micros: now }, 9).unwrap();
    let expected: Vec<_> = lines.iter().map(|line| (realm.node(), line.clone())).collect();
    assert_eq!(stored, expected, "sent twice, stored once, to the microsecond");
    assert_eq!(realm.forget_audit(lines[2].at).unwrap(), 2);
    assert_eq!(realm.audit(Timestamp { micros: 0 }, 9).unwrap(), expected[2..]);
    let wrong = AuditLine { line: "no JSON".into(), ..line(now) };
    assert!(realm.ship_audit(&[wrong]).is_err());
}

#[test]
fn artifacts_come_back_whole_or_not_at_all() {
    let Some(postgres) = Postgres::shared() else { return };
    let realm = postgres.realm();
    let key = |sequence| ArtifactKey {
        kind: "checkpoint".into(),
        memory: MemoryKey(3),
        position: LogPosition { sequence: Sequence(sequence), checksum: u32::MAX },
    };
    let info = |sequence, bytes| ArtifactInfo {
        key: key(sequence),
        text_version: 4,
        score_version: u32::MAX,
        bytes,
    };
    // More than two parts, and none at all.
    let large: Vec<u8> = (0..9_000_000_u32).map(|it| it.to_le_bytes()[it as usize % 3]).collect();
    realm.put_artifact(&info(5, 0), &mut large.as_slice()).unwrap();
    realm.put_artifact(&info(6, 0), &mut std::io::empty()).unwrap();
    let listed = realm.artifacts("checkpoint").unwrap();
    assert_eq!(listed, [info(6, 0), info(5, 9_000_000)], "the newest first");
    assert_eq!(realm.artifacts("lexicon").unwrap(), []);
    let mut found = Vec::new();
    assert_eq!(realm.get_artifact(&key(5), &mut found).unwrap(), Some(9_000_000));
    assert!(found == large);
    assert_eq!(realm.get_artifact(&key(7), &mut found).unwrap(), None);
    // Replaced, and removed with all of its parts.
    realm.put_artifact(&info(5, 0), &mut &b"small"[..]).unwrap();
    let mut found = Vec::new();
    realm.get_artifact(&key(5), &mut found).unwrap();
    assert_eq!(found, b"small");
    let mut broken = std::io::repeat(1).take(9_000_000).chain(Broken);
    assert!(realm.put_artifact(&info(8, 0), &mut broken).is_err());
    assert_eq!(realm.artifacts("checkpoint").unwrap().len(), 2);
    realm.remove_artifact(&key(5)).unwrap();
    realm.remove_artifact(&key(5)).unwrap();
    assert_eq!(realm.artifacts("checkpoint").unwrap(), [info(6, 0)]);
    let database = realm.place().rsplit('/').next().unwrap();
    let parts = "SELECT count(*), count(DISTINCT upload) FROM dhakira.artifact_part";
    assert_eq!(postgres.primary.sql(database, parts), "2|1", "those of the interrupted upload");
    postgres
        .primary
        .sql(database, "UPDATE dhakira.artifact_part SET started = now() - interval '2 h'");
    realm.put_artifact(&info(9, 0), &mut &b"x"[..]).unwrap();
    assert_eq!(postgres.primary.sql(database, parts), "1|1");
}

/// Content that cannot be read.
struct Broken;

impl std::io::Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("broken"))
    }
}

#[test]
fn the_status_tells_what_the_database_does() {
    let Some(postgres) = Postgres::start(1) else { return };
    let realm = postgres.realm();
    let status = realm.status().unwrap();
    assert_eq!(status.identity, realm.identity());
    assert_eq!(status.mode.primary, format!("127.0.0.1:{}", postgres.primary.port));
    assert_eq!(status.mode.synchronous_standby_names, "ANY 1 (*)");
    assert!(!status.mode.encrypted && !status.mode.fsync && status.mode.full_page_writes);
    let [standby] = &status.mode.standbys[..] else { panic!("{:?}", status.mode.standbys) };
    assert_eq!((standby.name.as_str(), standby.state.as_str()), ("standby1", "streaming"));
    assert_eq!(standby.sync_state, "quorum");
    assert_eq!(status.end, LogPosition::default());
    let names: Vec<&str> = status.tables.iter().map(|table| table.name.as_str()).collect();
    for name in ["unit", "log", "history", "lease"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert_eq!(status.mode.concerns().len(), 1, "fsync only: {:?}", status.mode.concerns());
    postgres.standbys[0].kill();
    postgres.primary.wait_for("postgres", "SELECT count(*) FROM pg_stat_replication", "0");
    let concerns = realm.mode().unwrap().concerns().join("\n");
    assert!(concerns.contains("writes wait"), "{concerns}");
    // A standby alone is no place for writes.
    let lone = postgres.options_at([postgres.standbys[0].port], "postgres");
    postgres.standbys[0].start();
    let error = Realm::connect(lone).err().unwrap().to_string();
    assert!(error.contains("is a standby"), "{error}");
}
