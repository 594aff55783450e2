//! Compaction, backup and verification during concurrent writes: nothing is lost, and verification reports every fault and nothing
//! else.
//!
//! The oracle is a model: the content of the memory after each commit, recorded when it was acknowledged.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dhakira::engine::backup::{self, BackupDirectory, Target};
use dhakira::engine::{Cancel, Engine, EngineError, Finding, Severity, UnitPatch, UnitUse};
use dhakira::grpc::Api;
use dhakira::store::{InMemoryStore, OpenOptions, Sequence, SledStore, Store};
use dhakira::unit::{Context, MemoryName, Segment, Unit, UnitContent, UnitId};
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::support::{TestServer, proto, read_units};

use super::support::new_memory;

/// Number → (revision, target).
pub(crate) type Model = BTreeMap<u64, (u64, String)>;

pub(crate) fn name() -> MemoryName {
    "m".parse().unwrap()
}

pub(crate) fn open_store(directory: &Path) -> SledStore {
    let options = OpenOptions { create: true, accept_data_loss: false, purpose: "test".into() };
    SledStore::open(directory, &options).unwrap()
}

pub(crate) fn open(directory: &Path) -> Engine {
    let store = Arc::new(open_store(directory));
    Engine::open(store, Some(directory.join("checkpoints")), &mut |_| ()).unwrap()
}

pub(crate) fn create_memory(engine: &Engine, name: &MemoryName) {
    engine.create_memory(new_memory(name.clone()), None).unwrap();
}

pub(crate) fn content(source: &str, target: &str) -> UnitContent {
    let (context, context_id) = place_of(source);
    UnitContent {
        source: Segment::plain(source),
        target: Segment::plain(target),
        context,
        context_id,
        ..UnitContent::default()
    }
}

/// The context of half of the units, which takes another layout of the records.
fn place_of(source: &str) -> (Context, String) {
    let last = u64::from(source.bytes().last().unwrap_or_default());
    if last % 2 == 0 {
        return (Context { previous: Some(last), ..Context::default() }, String::new());
    }
    let context = Context { previous_target: Some(last), next: Some(1), ..Context::default() };
    (context, format!("id of {source}"))
}

pub(crate) fn held(engine: &Engine) -> Model {
    let units = read_units(engine, &name()).unwrap_or_default();
    units.into_iter().map(|it| (it.id.0, state(it))).collect()
}

/// What the model knows of a unit: revision, target and uses.
fn state(unit: Unit) -> (u64, String) {
    let UnitContent { source, context, context_id, .. } = unit.content.clone();
    assert_eq!((context, context_id), place_of(&source.text));
    let uses = unit.usage.count;
    let target = unit.content.target.text;
    (unit.revision, if uses == 0 { target } else { format!("{target}, used {uses} times") })
}

/// Deterministic pseudo-random numbers.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// One random write, to the memory and the model.
pub(crate) fn write(engine: &Engine, model: &mut Model, dice: &mut Dice) {
    let ids: Vec<u64> = model.keys().copied().collect();
    let id = |dice: &mut Dice| ids.get(dice.below(ids.len().max(1) as u64) as usize).copied();
    let text = |dice: &mut Dice| {
        // One in ten is longer than a piece of a record.
        let length = if dice.below(10) == 0 { 110_000 } else { 10 };
        let word = format!("target {} ", dice.below(1_000_000));
        word.repeat(length / word.len() + 1)
    };
    match (dice.below(5), id(dice)) {
        (0, Some(id)) => {
            engine.delete_unit(&name(), UnitId(id), None, None).unwrap();
            model.remove(&id);
        }
        (1 | 2, Some(id)) => {
            let target = text(dice);
            let patch = UnitPatch {
                target: Some(Segment::plain(target.as_str()).into()),
                ..UnitPatch::default()
            };
            let unit = engine.update_unit(&name(), UnitId(id), patch, None, None).unwrap();
            model.insert(id, state(unit));
        }
        (3, Some(id)) => {
            let uses = vec![UnitUse { unit: UnitId(id), count: 2, time: None }];
            let unit = engine.record_uses(&name(), uses, None).unwrap().remove(0);
            model.insert(id, state(unit));
        }
        _ => {
            let count = 1 + dice.below(3);
            let contents: Vec<_> = (0..count)
                .map(|number| {
                    content(&format!("\u{645}\u{635}\u{62f}\u{631} {number}"), &text(dice))
                })
                .collect();
            let made = engine.create_units(&name(), contents, None, |_| String::new()).unwrap();
            model.extend(made.into_iter().map(|it| (it.id.0, state(it))));
        }
    }
}

pub(crate) fn add_part(engine: &Engine, directory: &Path, full: bool) -> Result<bool, EngineError> {
    let after = BackupDirectory::create(directory).unwrap().last();
    add_part_after(engine, directory, (full, after))
}

pub(crate) fn add_part_after(
    engine: &Engine,
    directory: &Path,
    which: (bool, Option<backup::Mark>),
) -> Result<bool, EngineError> {
    let mut backup = BackupDirectory::create(directory).unwrap();
    let mut part = backup.begin().unwrap();
    match engine.backup(which, &mut part, &Cancel::default(), &|_| ()) {
        Ok(summary) if summary.full || summary.commits > 0 => {
            backup.add(part, summary).unwrap();
            Ok(true)
        }
        Ok(_) => Ok(false),
        Err(error) => {
            part.discard();
            Err(error)
        }
    }
}

pub(crate) fn assert_whole(engine: &Engine, what: &str) {
    assert_eq!(findings(engine), [], "{what}");
}

pub(crate) fn findings(engine: &Engine) -> Vec<Finding> {
    engine.verify(&Cancel::default(), &|_| ()).unwrap().findings
}

#[test]
fn compaction_and_backup_run_during_writes_and_reads() {
    /// Stops the other threads on a failure, so that it is reported.
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let (data, saved) = (directory.path().join("data"), directory.path().join("backup"));
    let engine = open(&data);
    create_memory(&engine, &name());
    let mut model = Model::new();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut dice = Dice(11);
            let mut model = Model::new();
            let mut states = BTreeMap::new();
            while !stop.load(Ordering::Relaxed) {
                // Enough writes to interfere with everything; bounded for busy machines.
                if states.len() < 200 {
                    write(&engine, &mut model, &mut dice);
                    states.insert(engine.watch_sequence().borrow().0, model.clone());
                }
                // A writer sees its own writes.
                assert_eq!(held(&engine), model);
            }
            (model, states)
        });
        let ended = Stop(&stop);
        for round in 0..4 {
            let added = match add_part(&engine, &saved, round == 2) {
                // There were writes between the last part and a compaction that keeps no log, so a full part is needed.
                Err(EngineError::LogTruncated { .. }) => {
                    add_part_after(&engine, &saved, (true, None))
                }
                added => added,
            };
            added.unwrap();
            let keep = Duration::from_secs(if round % 2 == 0 { 3_600 } else { 0 });
            let before = engine.log_start().unwrap().sequence;
            let done = engine.compact(keep, &Cancel::default(), &|_| ()).unwrap();
            assert!(done.log_start.sequence >= before);
            assert_whole(&engine, "while others write");
        }
        drop(ended);
        let (last, states): (Model, BTreeMap<u64, Model>) = writer.join().unwrap();
        model = last;
        let checked = backup::verify(&saved, &|_| ()).unwrap();
        let sequence = checked.reach.unwrap().1.sequence;
        let target = directory.path().join("restored");
        backup::restore(&saved, &target, Target::Latest, &|_| ()).unwrap();
        assert_eq!(Some(&held(&open(&target))), states.get(&sequence.0));
    });
    drop(engine);
    let engine = open(&data);
    assert_eq!(held(&engine), model);
    assert_whole(&engine, "after all");
    let left: Vec<_> = std::fs::read_dir(&data)
        .unwrap()
        .map(|it| it.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|it| it.starts_with("sled"))
        .collect();
    assert_eq!(left, ["sled-5"], "inactive databases are deleted");
}

#[test]
fn compaction_frees_disk_and_a_cancelled_one_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path());
    create_memory(&engine, &name());
    let made = engine
        .create_units(&name(), vec![content("\u{646}\u{635}", "text")], None, |_| String::new())
        .unwrap();
    for number in 0..40 {
        let target = format!("{number} ").repeat(60_000);
        let patch =
            UnitPatch { target: Some(Segment::plain(target).into()), ..UnitPatch::default() };
        engine.update_unit(&name(), made[0].id, patch, None, None).unwrap();
    }
    let expected = held(&engine);
    let cancel = Cancel::default();
    cancel.cancel();
    let cancelled = engine.compact(Duration::ZERO, &cancel, &|_| ());
    assert!(cancelled.is_err());
    assert_eq!(
        (held(&engine), engine.log_start().unwrap().sequence),
        (expected.clone(), Sequence(0))
    );
    let done = engine.compact(Duration::ZERO, &Cancel::default(), &|_| ()).unwrap();
    assert!(done.bytes.1 * 4 < done.bytes.0, "{done:?}");
    assert_eq!(done.log_start.sequence.0, 42);
    drop(engine);
    let engine = open(directory.path());
    assert_eq!((held(&engine), engine.log_start().unwrap()), (expected, done.log_start));
    assert_whole(&engine, "compacted");
}

#[test]
fn verification_finds_missing_changed_and_uncounted_units() {
    let store = Arc::new(InMemoryStore::default());
    let engine = Engine::open(store.clone(), None, &mut |_| ()).unwrap();
    create_memory(&engine, &name());
    let contents = (0..5).map(|it| content(&format!("\u{646} {it}"), "n")).collect();
    engine.create_units(&name(), contents, None, |_| String::new()).unwrap();
    assert_whole(&engine, "before");
    // Changes that bypass the log and the index.
    let memory = store.memories().unwrap()[0].clone();
    store.tamper(|units| {
        units.remove(&(memory.key, UnitId(2)));
        units.get_mut(&(memory.key, UnitId(3))).unwrap().revision = 9;
        units.get_mut(&(memory.key, UnitId(4))).unwrap().content.target.text = "x".into();
    });
    let verified = engine.verify(&Cancel::default(), &|_| ()).unwrap();
    let findings: Vec<_> =
        verified.findings.iter().map(|it| (it.severity, it.what.as_str())).collect();
    let expected = [
        (Severity::Damage, "unit 2 is missing"),
        (Severity::Damage, "unit 3 is stored in revision 9; the log has revision 1"),
        (Severity::Derived, "the index entry of unit 4 differs from the store"),
        (Severity::Damage, "holds 4 units, but its record counts 5"),
    ];
    assert_eq!(findings.len(), expected.len(), "{findings:?}");
    for ((severity, what), (found, text)) in expected.iter().zip(&findings) {
        assert!(severity == found && text.contains(what), "{what}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_truncated_commits_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let server = TestServer::with(Api::ready(open(directory.path()))).await;
    let mut clients = server.clients().await;
    clients.create_memory("m").await;
    for number in 0..3 {
        clients.create_unit("m", &format!("\u{646} {number}"), "n").await;
    }
    let mut client = dhakira::client::Client::connect(&server.url).await.unwrap();
    let request = |after_sequence| proto::WatchUnitsRequest {
        parent: "memories/-".into(),
        start: Some(proto::watch_units_request::Start::AfterSequence(after_sequence)),
        ..Default::default()
    };
    let mut watching = clients.units.watch_units(request(2)).await.unwrap().into_inner();
    assert_eq!(watching.next().await.unwrap().unwrap().sequence, 3);
    assert_eq!(watching.next().await.unwrap().unwrap().sequence, 4);
    let info = client.compact(0, &mut |_| ()).await.unwrap();
    assert_eq!(info.oldest_sequence, 4);
    clients.create_unit("m", "\u{646}\u{646}", "new").await;
    // An existing watcher continues; a new one must begin at the start of the log.
    assert_eq!(watching.next().await.unwrap().unwrap().sequence, 5);
    let refused = clients.units.watch_units(request(3)).await.err().unwrap();
    assert_eq!(refused.code(), Code::OutOfRange);
    let info = refused.get_details_error_info().unwrap();
    assert_eq!(info.reason, "LOG_TRUNCATED");
    assert_eq!(info.metadata["oldest_sequence"], "4");
    let mut resumed = clients.units.watch_units(request(4)).await.unwrap().into_inner();
    assert_eq!(resumed.next().await.unwrap().unwrap().sequence, 5);
    assert!(client.verify(&mut |_| ()).await.unwrap().findings.is_empty());
}

/// Runs the program: exit code, standard output, standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_dhakira"))
        .args(arguments)
        .env_remove("DHAKIRA_DATA")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_commands_save_restore_compare_and_compact() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (data, saved, restored) = (path("data"), path("saved"), path("restored"));
    let small = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/small.tsv");
    let json = |text: &str| -> serde_json::Value {
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    };
    run(&["import", "--data", &data, "--memory", "m", small]);
    let (code, out, _) = run(&["backup", "--data", &data, "--json", &saved]);
    assert_eq!((code, json(&out)["full"].clone()), (0, true.into()));
    let first = json(&out)["last_commit"].as_u64().unwrap().to_string();
    run(&["memories", "--data", &data, "create", "later"]);
    let (code, out, _) = run(&["backup", "--data", &data, "--json", &saved]);
    assert_eq!((code, json(&out)["full"].clone()), (0, false.into()));
    let (code, out, error) = run(&["backup", "--data", &data, &saved]);
    assert!(code == 0 && out.is_empty() && error.contains("nothing new"), "{error}");
    let (code, out, _) = run(&["verify", "--backup", &saved, "--json"]);
    assert_eq!((code, json(&out)["parts"].as_u64()), (0, Some(2)));
    let (code, _, error) = run(&["restore", &saved, "--data", &restored, "--to-sequence", &first]);
    assert_eq!(code, 0, "{error}");
    let (_, out, _) = run(&["memories", "--data", &restored]);
    assert!(out.contains('m') && !out.contains("later"), "{out}");
    let (code, _, error) = run(&["restore", &saved, "--data", &restored]);
    assert!(code == 1 && error.contains("only restored into a new or empty directory"), "{error}");
    let (code, _, error) = run(&["restore", &saved, "--data", &path("x"), "--to-time", "noon"]);
    assert!(code == 1 && error.contains("2025-03-01T12:00:00Z"), "{error}");
    let (code, out, error) =
        run(&["compact", "--data", &restored, "--keep-log-days", "0", "--json"]);
    assert_eq!((code, json(&out)["oldest_sequence"].to_string()), (0, first), "{error}");
    let (code, out, error) = run(&["verify", "--data", &restored, "--json"]);
    assert_eq!((code, json(&out)["findings"].as_u64()), (0, Some(0)), "{error}");
    // A missing database is not taken for an empty store.
    std::fs::remove_dir_all(directory.path().join("restored/sled-2")).unwrap();
    let (code, _, error) = run(&["memories", "--data", &restored]);
    assert!(code == 1 && error.contains("dhakira restore"), "{error}");
}
