//! `dhakira align --store-in`: a memory that is not there is made when there is something to store, and holds what one that was there
//! before would hold.

use std::path::Path;

use serde_json::Value;

use crate::command_line::{code, run, stderr, stdout};

fn file(name: &str) -> String {
    format!("{}/tests/data/alignment/harbour.{name}", env!("CARGO_MANIFEST_DIR"))
}

fn align(directory: &Path, memory: &str, more: &[&str]) -> (Vec<String>, String) {
    let (ar, en) = (file("ar"), file("en"));
    let arguments = [&["align", "--presplit", "--store-in", memory], more, &[&*ar, &*en]].concat();
    let output = run(directory, &arguments);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    (stdout(&output).lines().map(str::to_owned).collect(), stderr(&output))
}

fn memories(directory: &Path) -> Vec<String> {
    let lines = stdout(&run(directory, &["memories", "--json"]));
    let name = |line: &str| {
        serde_json::from_str::<Value>(line).unwrap()["name"].as_str().unwrap().to_owned()
    };
    lines.lines().map(name).collect()
}

/// What the units of a memory say, but for the times at which they were stored.
fn units(directory: &Path, memory: &str) -> Vec<Value> {
    let output = run(directory, &["export", "--memory", memory, "--format", "jsonl"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let unit = |line: &str| {
        let mut unit: Value = serde_json::from_str(line).unwrap();
        let fields = unit.as_object_mut().unwrap();
        fields.retain(|name, _| !["created", "changed"].contains(&name.as_str()));
        unit
    };
    stdout(&output).lines().map(unit).collect()
}

#[test]
fn nothing_to_store_makes_no_memory() {
    let directory = tempfile::tempdir().unwrap();
    let (beads, said) = align(directory.path(), "port", &["--store-min-confidence=1"]);
    assert_eq!(beads.len(), 7);
    assert!(said.contains("memory 'port' was not created"), "{said}");
    assert!(
        said.contains("stored 0 units") && said.contains("skipped for low confidence"),
        "{said}"
    );
    assert_eq!(memories(directory.path()), [""; 0]);
}

#[test]
fn a_new_memory_holds_what_one_that_was_there_would() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &["memories", "create", "old"]);
    for (number, more) in [
        &["--store-min-confidence=0.2"][..],
        &["--store-min-confidence=0.9", "--store-unconfirmed"],
        &["--store-min-confidence=0.2", "--memory", "new-2"],
    ]
    .into_iter()
    .enumerate()
    {
        let (old, new) = (format!("old-{number}"), format!("new-{number}"));
        run(directory.path(), &["memories", "create", &old]);
        let of_old = [&more[..more.len().min(2)]].concat();
        let of_old: Vec<&str> = of_old.into_iter().filter(|it| *it != "--memory").collect();
        let (beads, said) = align(directory.path(), &old, &of_old);
        let (new_beads, new_said) = align(directory.path(), &new, more);
        assert_eq!(beads, new_beads);
        let stored = |said: &str| said.lines().find(|it| it.contains("stored ")).map(str::to_owned);
        assert!(stored(&said).is_some() && stored(&said) == stored(&new_said), "{new_said}");
        assert!(new_said.contains(&format!("created memory '{new}'")), "{new_said}");
        let in_new = units(directory.path(), &new);
        assert!(in_new.len() >= 5);
        assert_eq!(units(directory.path(), &old), in_new);
        // Once more, now that it is there.
        let (_, again) = align(directory.path(), &new, &of_old);
        assert!(again.contains("stored 0 units"), "{again}");
    }
}
