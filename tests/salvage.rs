//! Salvage of damaged stores: every intact unit is recovered, and never a wrong one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dhakira::engine::{Cancel, Engine, NewMemory, UnitPatch};
use dhakira::store::{OpenOptions, Salvaged, SledStore, salvage};
use dhakira::unit::{MemoryName, Segment, Unit, UnitContent, UnitId};

use crate::support::all_units;

use crate::damage::copy;

use super::support::new_memory;

fn name() -> MemoryName {
    "m".parse().unwrap()
}

fn open(directory: &Path) -> Engine {
    let options = OpenOptions { create: true, accept_data_loss: false, purpose: "test".into() };
    let store = SledStore::open(directory, &options).unwrap();
    Engine::open(Arc::new(store), None, &mut |_| ()).unwrap()
}

fn content(number: usize, target_bytes: usize) -> UnitContent {
    UnitContent {
        source: Segment::plain(format!("\u{645}\u{635}\u{62f}\u{631} {number}")),
        target: Segment::plain(format!("target {number} ").repeat(target_bytes / 12 + 1)),
        ..UnitContent::default()
    }
}

fn create_memory(engine: &Engine) {
    let new = NewMemory {
        display_name: "Memory".into(),
        description: "what it is for".into(),
        ..new_memory(name())
    };
    engine.create_memory(new, None).unwrap();
}

/// Units that are new, changed, changed again, deleted, and too large for a page.
fn fill(engine: &Engine) {
    create_memory(engine);
    let no_field = |_| String::new();
    for batch in 0..6 {
        let some = (batch * 10..batch * 10 + 10).map(|number| content(number, 30)).collect();
        engine.create_units(&name(), some, None, no_field).unwrap();
    }
    engine.create_units(&name(), vec![content(60, 200_000)], None, no_field).unwrap();
    for id in (1..60).step_by(3) {
        let target = Some(Segment::plain(format!("changed {id}")).into());
        let patch = UnitPatch { target, ..UnitPatch::default() };
        engine.update_unit(&name(), UnitId(id), patch, None, None).unwrap();
    }
    for id in (2..60).step_by(7) {
        engine.delete_unit(&name(), UnitId(id), None, None).unwrap();
    }
}

fn all(engine: &Engine) -> BTreeMap<UnitId, Unit> {
    let units = all_units(engine, &name());
    units.into_iter().map(|unit| (unit.id, unit)).collect()
}

/// The salvaged units, each once.
pub(crate) fn saved(directory: &Path) -> (BTreeMap<UnitId, Unit>, Salvaged) {
    let mut units = BTreeMap::new();
    let salvaged = salvage(directory, &mut |memory, unit| {
        assert_eq!(memory, "m");
        assert!(units.insert(unit.id, unit).is_none());
        Ok(())
    });
    let salvaged = salvaged.unwrap();
    assert_eq!(salvaged.saved, units.len() as u64);
    (units, salvaged)
}

#[test]
fn an_intact_store_is_salvaged_completely() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path());
    fill(&engine);
    let expected = all(&engine);
    drop(engine);
    let (units, salvaged) = saved(directory.path());
    assert!(units == expected);
    assert_eq!((salvaged.lost, salvaged.notes), (vec![], vec![]));
}

#[test]
fn deleted_units_stay_deleted_after_their_commits_were_truncated() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path());
    fill(&engine);
    engine.compact(Duration::ZERO, &Cancel::default(), &|_| ()).unwrap();
    for id in (3..60).step_by(9) {
        if engine.unit(&name(), UnitId(id)).is_ok() {
            engine.delete_unit(&name(), UnitId(id), None, None).unwrap();
        }
    }
    engine.compact(Duration::ZERO, &Cancel::default(), &|_| ()).unwrap();
    engine.create_units(&name(), vec![content(99, 30)], None, |_| String::new()).unwrap();
    let expected = all(&engine);
    drop(engine);
    let (units, salvaged) = saved(directory.path());
    assert!(units == expected);
    assert_eq!((salvaged.lost, salvaged.notes), (vec![], vec![]));
}

#[test]
fn a_flipped_bit_costs_little_and_never_gives_a_wrong_unit() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let engine = open(&data);
    fill(&engine);
    let expected = all(&engine);
    drop(engine);
    let whole = fs::read(data.join("sled/db")).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    // A stride that is prime to everything: headers, keys, lengths, values, checksums are all met.
    let stride = (used / 400).max(1) | 1;
    let place = directory.path().join("copy");
    copy(&data, &place);
    let (mut flips, mut lost_units) = (0, 0);
    for at in (0..used).step_by(stride) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(place.join("sled/db"), &flipped).unwrap();
        let (units, salvaged) = saved(&place);
        for (id, unit) in &units {
            assert!(expected.get(id) == Some(unit), "byte {at}: unit {id}");
        }
        let lost: Vec<UnitId> = salvaged.lost.iter().map(|lost| lost.unit).collect();
        for id in expected.keys() {
            let known = units.contains_key(id) || lost.contains(id) || !salvaged.notes.is_empty();
            assert!(known, "byte {at}: nothing is said of unit {id}");
        }
        assert!(units.len() + 40 >= expected.len(), "byte {at}: {} units", units.len());
        flips += 1;
        lost_units += expected.len() - units.len();
    }
    let units = expected.len();
    eprintln!("{flips} flips in a store of {units} units: {lost_units} lost, 0 wrong");
    assert!(lost_units * 50 < flips * units, "{lost_units} lost in {flips} flips");
}

#[test]
fn a_store_with_a_damaged_snapshot_opens() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let engine = open(&data);
    fill(&engine);
    let expected = all(&engine);
    drop(engine);
    // Opened once more, so that there is a snapshot of all of it.
    drop(open(&data));
    let snapshot = fs::read_dir(data.join("sled")).unwrap().flatten();
    let snapshot = snapshot
        .map(|it| it.path())
        .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("snap."));
    let snapshot = snapshot.expect("sled keeps a snapshot");
    let whole = fs::read(&snapshot).unwrap();
    for damage in [0, whole.len() / 2, whole.len() - 1, whole.len()] {
        let place = directory.path().join(format!("damage-{damage}"));
        copy(&data, &place);
        let mut content = whole.clone();
        match content.get_mut(damage) {
            Some(byte) => *byte ^= 4,
            None => content.clear(),
        }
        fs::write(place.join(snapshot.strip_prefix(&data).unwrap()), content).unwrap();
        let engine = open(&place);
        assert!(all(&engine) == expected, "byte {damage}");
        assert_eq!(engine.verify(&Cancel::default(), &|_| ()).unwrap().findings, []);
        engine.create_units(&name(), vec![content_of_one()], None, |_| String::new()).unwrap();
        drop(engine);
        assert_eq!(all(&open(&place)).len(), expected.len() + 1);
        // If the log is damaged too, opening fails.
        let place = directory.path().join(format!("both-{damage}"));
        copy(&data, &place);
        fs::write(place.join(snapshot.strip_prefix(&data).unwrap()), b"x").unwrap();
        let mut log = fs::read(place.join("sled/db")).unwrap();
        let used = log.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        log[used / 3..used / 3 + 64].fill(0xff);
        fs::write(place.join("sled/db"), log).unwrap();
        let options = OpenOptions { create: false, accept_data_loss: false, purpose: "t".into() };
        if let Ok(store) = SledStore::open(&place, &options) {
            let engine = Engine::open(Arc::new(store), None, &mut |_| ()).unwrap();
            assert!(all(&engine) == expected, "opened with less");
        } else {
            assert!(!place.join("sled-2").exists(), "the copy is left over");
        }
    }
}

fn content_of_one() -> UnitContent {
    content(1_000, 30)
}

#[test]
fn the_command_saves_lists_and_says_by_its_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let engine = open(&data);
    fill(&engine);
    let expected = all(&engine).len();
    drop(engine);
    let dhakira = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dhakira"));
        command.current_dir(directory.path()).args(arguments).output().unwrap()
    };
    let whole = dhakira(&["salvage", "data", "--output", "whole.jsonl", "--memory", "m"]);
    assert_eq!(whole.status.code(), Some(0), "{whole:?}");
    let lines = fs::read_to_string(directory.path().join("whole.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), expected);
    let again = dhakira(&["salvage", "data", "--output", "whole.jsonl"]);
    assert_eq!(again.status.code(), Some(1), "an existing file is not overwritten");
    let imported = dhakira(&[
        "import",
        "--data",
        "new",
        "--memory",
        "m",
        "--source-lang",
        "ar",
        "--target-lang",
        "en",
        "--json",
        "whole.jsonl",
    ]);
    let said = String::from_utf8_lossy(&imported.stdout).into_owned();
    assert!(said.contains(&format!("\"stored\":{expected}")), "{said}");

    let mut log = fs::read(data.join("sled/db")).unwrap();
    let used = log.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    log[used / 2..used / 2 + 512].fill(0);
    fs::write(data.join("sled/db"), log).unwrap();
    let damaged = dhakira(&["salvage", "data", "--output", "rest.jsonl", "--json"]);
    let said = String::from_utf8_lossy(&damaged.stdout).into_owned();
    let end: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let saved = fs::read_to_string(directory.path().join("rest.jsonl")).unwrap().lines().count();
    assert_eq!(end["saved"], saved);
    let is_whole = end["lost"] == 0 && end["notes"].as_array().unwrap().is_empty();
    assert_eq!(damaged.status.code(), Some(if is_whole { 0 } else { 3 }), "{said}");
    assert!(saved <= expected);
    let nothing = dhakira(&["salvage", "nowhere", "--output", "nothing.jsonl"]);
    assert_eq!(nothing.status.code(), Some(1));
}
