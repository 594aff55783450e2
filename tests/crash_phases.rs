//! kill -9, lost writes and failing writes in every phase of a server's life: writing, checkpoint, compaction, backup, restore.
//!
//! The oracle is a model of acknowledged writes: after the crash exactly these are stored, with or without the one pending write. A few rounds in every test run; `DHAKIRA_CRASH_ROUNDS=100` for so many of each case, `DHAKIRA_CRASH_CASE=power`
//! for those with a word in their name. Prints a table at the end.

mod rounds;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dhakira::client::Client;
use dhakira::engine::Cancel;
use dhakira::engine::backup::{self, BackupDirectory, BackupError, Target};

use crate::crash::Process;
use crate::crash_model::{Model, Write};
use crate::disk::{self, Change, Disk};
use crate::support::{Clients, proto, segment, unit};
use crate::upkeep::Dice;

use rounds::{Place, Row, fuse, open, rounds};

/// Sends a write; `false` when it was not acknowledged.
async fn send(clients: &mut Clients, model: &mut Model, write: Write) -> bool {
    model.pending = Some(write.clone());
    let name = |id: u64| format!("memories/m/units/{id}");
    let done = match write.clone() {
        Write::Create(targets) => {
            let source = |number: usize| format!("\u{645}\u{635}\u{62f}\u{631} {number}");
            let units =
                targets.iter().enumerate().map(|(number, target)| unit(&source(number), target));
            let request = proto::BatchCreateUnitsRequest {
                parent: "memories/m".into(),
                units: units.collect(),
                duplicate_policy: proto::DuplicatePolicy::KeepAll.into(),
                request_id: uuid::Uuid::new_v4().to_string(),
                ..Default::default()
            };
            clients.units.batch_create_units(request).await.map(drop)
        }
        Write::Update(id, target) => {
            let unit =
                proto::Unit { name: name(id), target: segment(&target), ..Default::default() };
            let request = proto::UpdateUnitRequest { unit: Some(unit), ..Default::default() };
            clients.units.update_unit(request).await.map(drop)
        }
        Write::Delete(id) => {
            let request = proto::DeleteUnitRequest { name: name(id), ..Default::default() };
            clients.units.delete_unit(request).await.map(drop)
        }
    };
    if done.is_ok() {
        model.pending = None;
        model.apply(write);
    }
    done.is_ok()
}

async fn connect(url: &str, model: &mut Model) -> Clients {
    let mut clients = Clients::connect(url).await;
    if !model.there {
        clients.create_memory("m").await;
        model.there = true;
    }
    clients
}

/// Writes until it is time, or until a write is not acknowledged.
async fn write_for(clients: &mut Clients, model: &mut Model, dice: &mut Dice, time: Duration) {
    let until = tokio::time::Instant::now() + time;
    while tokio::time::Instant::now() < until {
        let write = dice.write(model);
        if !send(clients, model, write).await {
            return;
        }
    }
}

/// Writes until the server is killed, after some time.
async fn write_until_killed(process: &Process, model: &mut Model, dice: &mut Dice, fuse: Duration) {
    let mut clients = connect(&process.url, model).await;
    let killing = async {
        tokio::time::sleep(fuse).await;
        process.signal("-KILL");
    };
    tokio::join!(write_for(&mut clients, model, dice, Duration::from_secs(60)), killing);
}

async fn killed_writing() -> Row {
    let (mut row, mut place) = (Row::default(), Place::new());
    for round in 0..rounds() {
        place.renew(round);
        let process = Process::start(&place.data());
        let mut dice = Dice(round as u64);
        write_until_killed(&process, &mut place.model, &mut dice, fuse(round, 700)).await;
        drop(process);
        row.check(&place.data(), &mut place.model, "killed writing");
    }
    row
}

/// Enough units for index sets to be sealed and merged, then the idle moment in which the checkpoint is written.
async fn killed_writing_a_checkpoint() -> Row {
    let (mut row, mut place) = (Row::default(), Place::new());
    for round in 0..rounds() {
        place.renew(round);
        let process = Process::start(&place.data());
        let mut clients = connect(&process.url, &mut place.model).await;
        for batch in 0..11 {
            let targets = (0..200).map(|it| format!("{round} {batch} {it}")).collect();
            assert!(send(&mut clients, &mut place.model, Write::Create(targets)).await);
        }
        tokio::time::sleep(Duration::from_millis(980) + fuse(round, 120)).await;
        process.signal("-KILL");
        drop(process);
        row.check(&place.data(), &mut place.model, "killed writing a checkpoint");
    }
    row
}

async fn killed_compacting() -> Row {
    let (mut row, mut place) = (Row::default(), Place::new());
    for round in 0..rounds() {
        place.renew(round);
        let process = Process::start(&place.data());
        let mut clients = connect(&process.url, &mut place.model).await;
        let mut dice = Dice(100 + round as u64);
        write_for(&mut clients, &mut place.model, &mut dice, Duration::from_millis(200)).await;
        let mut admin = Client::connect(&process.url).await.unwrap();
        let compacting = async {
            // Again and again, so that every step of it is hit.
            while admin.compact((round % 2) as u32, &mut |_| ()).await.is_ok() {}
        };
        let writing = write_until_killed(&process, &mut place.model, &mut dice, fuse(round, 900));
        tokio::join!(compacting, writing);
        drop(process);
        row.check(&place.data(), &mut place.model, "killed compacting");
    }
    row
}

/// The log of earlier rounds is truncated during writes.
async fn killed_truncating_the_log() -> Row {
    let (mut row, mut place) = (Row::default(), Place::new());
    row.outdated_checkpoints = true;
    for round in 0..rounds() {
        place.renew(round);
        let mut dice = Dice(600 + round as u64);
        let process = Process::start(&place.data());
        let mut clients = connect(&process.url, &mut place.model).await;
        for _ in 0..10 {
            let targets = (0..200).map(|it| format!("{round} {it}")).collect();
            assert!(send(&mut clients, &mut place.model, Write::Create(targets)).await);
        }
        write_for(&mut clients, &mut place.model, &mut dice, Duration::from_millis(100)).await;
        drop(process);
        let process = Process::start_with(&place.data(), &CUT_LOG.map(owned));
        write_until_killed(&process, &mut place.model, &mut dice, fuse(round, 150)).await;
        drop(process);
        row.check(&place.data(), &mut place.model, "killed cutting the log");
    }
    row
}

/// Nothing of the log is kept.
const CUT_LOG: [(&str, &str); 1] = [("DHAKIRA_KEEP_LOG_DAYS", "0")];

fn owned((name, value): (&'static str, &str)) -> (&'static str, String) {
    (name, value.to_owned())
}

fn command(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_dhakira"))
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Server or client is killed during a backup; the backup stays intact, and the next part continues it.
async fn killed_backing_up() -> Row {
    let (mut row, mut place) = (Row::default(), Place::new());
    let mut saved = tempfile::tempdir().unwrap();
    for round in 0..rounds() {
        if round % 7 == 6 {
            saved = tempfile::tempdir().unwrap();
        }
        place.renew(round);
        let process = Process::start(&place.data());
        let mut clients = connect(&process.url, &mut place.model).await;
        let mut dice = Dice(200 + round as u64);
        write_for(&mut clients, &mut place.model, &mut dice, Duration::from_millis(150)).await;
        let path = saved.path().to_str().unwrap();
        let mut client = command(&["backup", "--server", &process.url, path]);
        if round % 2 == 0 {
            let fuse = Duration::from_millis(10) + fuse(round, 150);
            write_until_killed(&process, &mut place.model, &mut dice, fuse).await;
        } else {
            let time = Duration::from_millis(10) + fuse(round, 150);
            write_for(&mut clients, &mut place.model, &mut dice, time).await;
            let _ = client.kill();
            process.signal("-KILL");
        }
        let _ = client.wait();
        drop(process);
        match backup::verify(saved.path(), &|_| ()) {
            Ok(_) | Err(BackupError::NoBackup(_)) => {}
            Err(error) => panic!("killed backing up: {error}"),
        }
        row.check(&place.data(), &mut place.model, "killed backing up");
        // The next part continues it, and restores the present content.
        let engine = open(&place.data()).unwrap();
        let mut backup = BackupDirectory::create(saved.path()).unwrap();
        let mut part = backup.begin().unwrap();
        let summary =
            engine.backup((false, backup.last()), &mut part, &Cancel::default(), &|_| ()).unwrap();
        backup.add(part, summary).unwrap();
        drop(engine);
        let target = place.directory.path().join(format!("restored-{round}"));
        backup::restore(saved.path(), &target, Target::Latest, &|_| ()).unwrap();
        row.check(&target, &mut place.model, "restored after a killed backup");
        row.rounds -= 1;
    }
    row
}

/// A restore is killed: the data directory is missing or complete; the next restore completes it.
async fn killed_restoring() -> Row {
    let (mut row, mut place) = (Row::default(), Place::new());
    let process = Process::start(&place.data());
    let mut clients = connect(&process.url, &mut place.model).await;
    let mut dice = Dice(300);
    let saved = tempfile::tempdir().unwrap();
    let path = saved.path().to_str().unwrap().to_owned();
    for _ in 0..2 {
        write_for(&mut clients, &mut place.model, &mut dice, Duration::from_millis(400)).await;
        let saving = command(&["backup", "--server", &process.url, &path]).wait().unwrap();
        assert!(saving.success());
    }
    drop(process);
    for round in 0..rounds() {
        let target = place.directory.path().join(format!("restored-{round}"));
        let arguments = ["restore", &path, "--data", target.to_str().unwrap()];
        let mut restoring = command(&arguments);
        tokio::time::sleep(fuse(round, 400)).await;
        let _ = restoring.kill();
        let _ = restoring.wait();
        if !target.exists() {
            assert!(command(&arguments).wait().unwrap().success(), "restored again");
        }
        row.check(&target, &mut place.model, "killed restoring");
        std::fs::remove_dir_all(target).unwrap();
    }
    row
}

/// The power goes: of what was not synced anything may be missing. Fresh stores and grown ones, while they are
/// compacted and not, or, for itself, while their log is cut.
async fn lost_unsynced_writes(truncates_log: bool) -> Option<Row> {
    let library = disk::library()?;
    let (mut row, mut place) = (Row::default(), Place::new());
    row.outdated_checkpoints = truncates_log;
    std::fs::create_dir_all(place.data()).unwrap();
    for round in 0..rounds() {
        if round % 7 == 6 {
            place = Place::new();
            std::fs::create_dir_all(place.data()).unwrap();
        }
        let disk = Disk::new(place.directory.path());
        let mut variables = disk.variables(library);
        if truncates_log {
            variables.extend(CUT_LOG.map(owned));
        }
        let process = Process::start_with(&place.data(), &variables);
        let mut dice = Dice(400 + round as u64);
        let mut admin = Client::connect(&process.url).await.unwrap();
        let compacting = async {
            while !truncates_log && round % 3 == 1 && admin.compact(0, &mut |_| ()).await.is_ok() {}
        };
        let fuse = Duration::from_millis(30) + fuse(round, 600);
        let writing = write_until_killed(&process, &mut place.model, &mut dice, fuse);
        tokio::join!(compacting, writing);
        drop(process);
        // Nothing of it, about half of it, nearly all of it, the content of files without new files.
        let mut last = None;
        for (names, content) in [(0, 0), (128, 128), (240, 240), (0, 256), (128, 128)] {
            let image = tempfile::tempdir().unwrap();
            let data = image.path().join("image");
            disk.image(&data, &mut |change| {
                dice.below(256) < if change == Change::Names { names } else { content }
            });
            let mut model = place.model.clone();
            let what = format!(
                "unsynced writes lost (log cut: {truncates_log}), round {round}, chances {names} and {content}"
            );
            row.check(&data.join("data"), &mut model, &what);
            last = Some((image, model));
        }
        // Goes on with one of them.
        let (image, model) = last.unwrap();
        let next = Place { directory: tempfile::tempdir().unwrap(), model };
        copy(&image.path().join("image"), next.directory.path());
        place = next;
    }
    Some(row)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// From some write or sync on, all of them fail: nothing more is acknowledged, and what was is there.
async fn failing_writes() -> Option<Row> {
    const EIO: i32 = 5;
    let library = disk::library()?;
    let (mut row, mut place) = (Row::default(), Place::new());
    for round in 0..rounds() {
        place.renew(round);
        let (kind, most) = if round % 2 == 0 { ("fsync", 60) } else { ("write", 40) };
        let mut dice = Dice(500 + round as u64);
        // A store that is there, so that the start itself does not fail.
        let process = Process::start(&place.data());
        let mut clients = connect(&process.url, &mut place.model).await;
        write_for(&mut clients, &mut place.model, &mut dice, Duration::from_millis(50)).await;
        drop(process);
        row.check(&place.data(), &mut place.model, "before writes fail");
        let root = place.directory.path().canonicalize().unwrap();
        let variables = [
            ("LD_PRELOAD", library.to_str().unwrap().to_owned()),
            ("DHAKIRA_DISK_ROOT", root.to_str().unwrap().to_owned()),
            ("DHAKIRA_DISK_FAIL", format!("{kind} {} {EIO}", 40 + dice.below(most))),
        ];
        let what = format!("{kind} failing");
        let process = match Process::try_start_with(&place.data(), &variables) {
            Ok(process) => process,
            Err(said) => {
                row.refused(&said, &what);
                row.check(&place.data(), &mut place.model, &what);
                row.rounds -= 1;
                continue;
            }
        };
        let mut clients = connect(&process.url, &mut place.model).await;
        write_for(&mut clients, &mut place.model, &mut dice, Duration::from_secs(20)).await;
        assert!(place.model.pending.is_some(), "a write failed");
        // It reads on, and takes nothing more.
        let other_is_empty = place.model.units.is_empty();
        let request = proto::ListUnitsRequest {
            parent: "memories/m".into(),
            page_size: 1_000,
            ..Default::default()
        };
        let listed = clients.units.list_units(request).await;
        // As far as the database still reads; otherwise it says so.
        match listed {
            Ok(listed) => assert!(!listed.into_inner().units.is_empty() || other_is_empty),
            Err(status) => assert!(!status.message().is_empty()),
        }
        let (mut other, write) = (place.model.clone(), Write::Create(vec!["more".into()]));
        assert!(!send(&mut clients, &mut other, write).await);
        process.signal("-KILL");
        drop(process);
        row.check(&place.data(), &mut place.model, &what);
        row.rounds -= 1;
    }
    Some(row)
}

const CASES: &[&str] = &[
    "kill -9 while writing",
    "kill -9 at a checkpoint",
    "kill -9 while compacting",
    "kill -9 while the log is cut",
    "kill -9 while backing up",
    "kill -9 while restoring",
    "power lost, unsynced writes gone",
    "power lost while the log is cut",
    "writes and syncs failing",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_phase_loses_what_was_acknowledged() {
    eprintln!(
        "case                               rounds  units acknowledged  lost  wrong  refusals"
    );
    // Each as soon as it is over: a long run tells how far it is.
    let mut faults = Vec::new();
    let mut show = |case: &str, row: Option<Row>| match row {
        Some(row) => {
            row.show(case);
            faults.extend(row.faults);
        }
        None => eprintln!("{case:<34} SKIPPED"),
    };
    let wanted = std::env::var("DHAKIRA_CRASH_CASE").unwrap_or_default();
    for case in CASES {
        if !case.contains(&wanted) {
            continue;
        }
        let row = match *case {
            "kill -9 while writing" => Some(killed_writing().await),
            "kill -9 at a checkpoint" => Some(killed_writing_a_checkpoint().await),
            "kill -9 while compacting" => Some(killed_compacting().await),
            "kill -9 while the log is cut" => Some(killed_truncating_the_log().await),
            "kill -9 while backing up" => Some(killed_backing_up().await),
            "kill -9 while restoring" => Some(killed_restoring().await),
            "power lost, unsynced writes gone" => lost_unsynced_writes(false).await,
            "power lost while the log is cut" => lost_unsynced_writes(true).await,
            "writes and syncs failing" => failing_writes().await,
            other => panic!("there is no case '{other}'"),
        };
        show(case, row);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
