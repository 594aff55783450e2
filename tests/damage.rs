//! Truncated, zeroed, flipped and deleted files, a full disk, a read-only disk: either everything works, or an error names the fault
//! and the remedy; never a wrong answer, never an empty memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dhakira::engine::{Cancel, Engine, Severity};
use dhakira::limits::BATCH_UNITS_MAX;
use dhakira::store::{OpenOptions, SledStore};
use dhakira::unit::{MemoryName, Segment, Unit, UnitContent};

use crate::support::read_units;

use crate::disk::SmallDisk;

use super::support::new_memory;

fn name() -> MemoryName {
    "m".parse().unwrap()
}

fn try_open(directory: &Path, create: bool) -> Result<Engine, String> {
    let options = OpenOptions { create, accept_data_loss: false, purpose: "test".into() };
    let store = SledStore::open(directory, &options).map_err(|error| error.to_string())?;
    let checkpoints = Some(directory.join("checkpoints"));
    Engine::open(Arc::new(store), checkpoints, &mut |_| ()).map_err(|error| error.to_string())
}

fn create_memory(engine: &Engine) {
    engine.create_memory(new_memory(name()), None).unwrap();
}

fn contents(numbers: std::ops::Range<usize>, target_bytes: usize) -> Vec<UnitContent> {
    let content = |number: usize| UnitContent {
        source: Segment::plain(format!("\u{645}\u{635}\u{62f}\u{631} {number}")),
        target: Segment::plain(format!("target {number} ").repeat(target_bytes / 12 + 1)),
        ..UnitContent::default()
    };
    numbers.map(content).collect()
}

fn all(engine: &Engine) -> Result<Vec<Unit>, String> {
    read_units(engine, &name()).map_err(|error| error.to_string())
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn files(directory: &Path, below: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory.join(below)).unwrap().map(Result::unwrap) {
        let path = below.join(entry.file_name());
        if entry.path().is_dir() {
            files(directory, &path, found);
        } else if path != Path::new("lock") {
            found.push(path);
        }
    }
}

/// Damaged contents of a file; `None` for a deleted one.
fn damages(whole: &[u8]) -> Vec<(String, Option<Vec<u8>>)> {
    let used = whole.iter().rposition(|&byte| byte != 0).unwrap_or(0) + 1;
    let mut damages = vec![
        ("gone".to_owned(), None),
        ("empty".to_owned(), Some(Vec::new())),
        ("all zero".to_owned(), Some(vec![0; whole.len()])),
    ];
    for part in 1..4 {
        damages.push((format!("cut at {part}/4"), Some(whole[..used * part / 4].to_vec())));
        let mut zeroed = whole.to_vec();
        let start = used * part / 5;
        let end = zeroed.len().min(start + 4_096);
        zeroed[start..end].fill(0);
        damages.push((format!("a page zeroed at {part}/5"), Some(zeroed)));
    }
    for part in 0..8 {
        let mut flipped = whole.to_vec();
        if let Some(byte) = flipped.get_mut((used - 1) * part / 7) {
            *byte ^= 1 << part;
        }
        damages.push((format!("a bit flipped at {part}/7"), Some(flipped)));
    }
    damages
}

#[test]
fn damaged_files_are_refused_or_do_not_matter() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let engine = try_open(&data, true).unwrap();
    create_memory(&engine);
    // Enough for a checkpoint at the end, and a record in a file of its own.
    for batch in 0..11 {
        let range = batch * BATCH_UNITS_MAX..(batch + 1) * BATCH_UNITS_MAX;
        engine.create_units(&name(), contents(range, 20), None, |_| String::new()).unwrap();
    }
    engine.create_units(&name(), contents(0..1, 200_000), None, |_| String::new()).unwrap();
    engine.compact(Duration::from_secs(60), &Cancel::default(), &|_| ()).unwrap();
    let expected = all(&engine).unwrap();
    drop(engine);
    let mut found = Vec::new();
    files(&data, Path::new(""), &mut found);
    let names: Vec<_> = found.iter().map(|it| it.to_str().unwrap()).collect();
    for wanted in ["acknowledged", "database", "sled-2/db", "checkpoints/1.index"] {
        assert!(names.contains(&wanted), "{wanted} in {names:?}");
    }
    let (mut cases, mut refusals) = (0, 0);
    for file in &found {
        let whole = fs::read(data.join(file)).unwrap();
        for (damage, content) in damages(&whole) {
            let what = format!("{}: {damage}", file.display());
            let place = tempfile::tempdir().unwrap();
            copy(&data, place.path());
            match content {
                Some(content) => fs::write(place.path().join(file), content).unwrap(),
                None => fs::remove_file(place.path().join(file)).unwrap(),
            }
            cases += 1;
            let refusal = match try_open(place.path(), true) {
                Err(refusal) => Some(refusal),
                Ok(engine) => match all(&engine) {
                    Err(refusal) => Some(refusal),
                    Ok(units) => {
                        assert!(units == expected, "{what}: {} units", units.len());
                        let verified = engine.verify(&Cancel::default(), &|_| ()).unwrap();
                        let damage = verified.findings.iter();
                        let damage = damage.filter(|it| it.severity == Severity::Damage);
                        assert_eq!(damage.count(), 0, "{what}: {:?}", verified.findings);
                        None
                    }
                },
            };
            if let Some(refusal) = refusal {
                refusals += 1;
                assert!(refusal.contains("dhakira restore"), "{what}: {refusal}");
                assert!(!file.starts_with("checkpoints"), "{what}: {refusal}");
            }
        }
    }
    // The database and its pointers deleted, but not the derived files.
    for gone in ["sled-2", "acknowledged", "database"] {
        let path = data.join(gone);
        let _ = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        assert!(try_open(&data, true).is_err(), "{gone} is gone");
        refusals += 1;
    }
    eprintln!("{} files, {} damages: {refusals} refusals, 0 wrong answers", found.len(), cases + 3);
}

#[test]
fn a_full_disk_loses_nothing_and_says_so() {
    // In the second round, space is freed while the engine runs.
    (0..2).for_each(full_disk);
}

fn full_disk(round: usize) {
    let Some(disk) = SmallDisk::new(6) else { return };
    let data = disk.path.path().join("data");
    let engine = try_open(&data, true).unwrap();
    create_memory(&engine);
    let mut acknowledged = 0;
    let error = loop {
        let some = contents(acknowledged..acknowledged + 20, 2_000);
        match engine.create_units(&name(), some, None, |_| String::new()) {
            Ok(_) => acknowledged += 20,
            Err(error) => break error.to_string(),
        }
    };
    assert!(acknowledged > 0);
    assert!(engine.writes_paused().is_some(), "{error}");
    // Reads work or fail, but never return a wrong answer.
    match all(&engine) {
        Ok(seen) => assert!(seen.len() >= acknowledged),
        Err(error) => assert!(error.contains("No space left"), "{error}"),
    }
    if round == 1 {
        disk.remount("size=64m");
        let since = Instant::now();
        while engine.writes_paused().is_some() {
            assert!(since.elapsed() < Duration::from_secs(60), "writes do not come back");
            std::thread::sleep(Duration::from_millis(10));
        }
        eprintln!("writes came back {:?} after the disk had room", since.elapsed());
        engine.create_units(&name(), contents(0..1, 20), None, |_| String::new()).unwrap();
        let last = all(&engine).unwrap().pop().unwrap().id;
        engine.delete_unit(&name(), last, None, None).unwrap();
    }
    drop(engine);
    // With a disk still full it opens or says why; with room it holds everything.
    if let Err(error) = try_open(&data, false) {
        eprintln!("on the full disk: {error}");
    }
    disk.remount("size=64m");
    let engine = try_open(&data, false).unwrap();
    let units = all(&engine).unwrap();
    assert!(units.len() == acknowledged || units.len() == acknowledged + 20, "{}", units.len());
    let expected = contents(0..acknowledged, 2_000);
    for (unit, content) in units.iter().zip(expected) {
        assert_eq!(unit.content.target, content.target);
    }
    assert_eq!(engine.verify(&Cancel::default(), &|_| ()).unwrap().findings, []);
    engine.create_units(&name(), contents(0..1, 20), None, |_| String::new()).unwrap();
    eprintln!("disk full: {acknowledged} acknowledged units, 0 lost");
}

#[test]
fn a_disk_too_full_to_compact_leaves_the_store_unchanged() {
    let Some(disk) = SmallDisk::new(16) else { return };
    let data = disk.path.path().join("data");
    let engine = try_open(&data, true).unwrap();
    create_memory(&engine);
    for batch in 0..20 {
        let some = contents(batch * 100..(batch + 1) * 100, 2_000);
        engine.create_units(&name(), some, None, |_| String::new()).unwrap();
    }
    let expected = all(&engine).unwrap();
    fs::write(disk.path.path().join("other"), vec![1; 1 << 20]).unwrap();
    let error = engine.compact(Duration::ZERO, &Cancel::default(), &|_| ());
    let Err(error) = error else { panic!("there was room: make the disk smaller") };
    eprintln!("disk full while compacting: {error}");
    assert!(engine.writes_paused().is_none(), "only the copy failed");
    assert!(all(&engine).unwrap() == expected);
    fs::remove_file(disk.path.path().join("other")).unwrap();
    engine.create_units(&name(), contents(0..1, 20), None, |_| String::new()).unwrap();
    drop(engine);
    let engine = try_open(&data, false).unwrap();
    assert_eq!(all(&engine).unwrap().len(), expected.len() + 1);
    assert_eq!(engine.verify(&Cancel::default(), &|_| ()).unwrap().findings, []);
    disk.remount("size=64m");
    engine.compact(Duration::ZERO, &Cancel::default(), &|_| ()).unwrap();
    assert_eq!(all(&engine).unwrap().len(), expected.len() + 1);
}

#[test]
fn a_read_only_disk_is_refused_by_name() {
    let Some(disk) = SmallDisk::new(16) else { return };
    let data = disk.path.path().join("data");
    let engine = try_open(&data, true).unwrap();
    create_memory(&engine);
    engine.create_units(&name(), contents(0..3, 20), None, |_| String::new()).unwrap();
    drop(engine);
    disk.remount("ro");
    let Err(refusal) = try_open(&data, true) else { panic!("opened without being able to write") };
    assert!(refusal.contains(data.to_str().unwrap()), "{refusal}");
    assert!(refusal.to_lowercase().contains("read-only"), "{refusal}");
    let Err(refusal) = try_open(&disk.path.path().join("new"), true) else { panic!("made") };
    assert!(refusal.to_lowercase().contains("read-only"), "{refusal}");
    disk.remount("rw");
    assert_eq!(all(&try_open(&data, true).unwrap()).unwrap().len(), 3);
}
