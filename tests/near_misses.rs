//! Names that do not exist: the program says what was probably meant, or what there is.

use std::path::Path;

use crate::command_line::{code, run, run_with, stderr};
use crate::crash::Process;

const SMALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/small.tsv");

/// Every command that takes a memory which must exist; `NAME` is replaced.
const COMMANDS: [&[&str]; 17] = [
    &["lookup", "--memory", "NAME", "x"],
    &["search", "--memory", "NAME", "x"],
    &["analyze", "--memory", "NAME", "text.txt"],
    &["extract", "--memory", "NAME", "text.txt"],
    &["export", "--memory", "NAME"],
    &["align", "--memory", "NAME", "text.txt", "text.txt"],
    &["links", "--memory", "NAME"],
    &["train", "--memory", "NAME"],
    &["check", "--memory", "NAME"],
    &["units", "--memory", "NAME", "list"],
    &["units", "--memory", "NAME", "get", "1"],
    &["units", "--memory", "NAME", "delete", "1"],
    &["units", "--memory", "NAME", "add", "x", "y"],
    &["units", "--memory", "NAME", "edit", "1", "--target", "x"],
    &["memories", "show", "NAME"],
    &["memories", "update", "NAME", "--description", "x"],
    &["memories", "delete", "NAME"],
];

/// What a command says about a memory of that name.
fn complaint(directory: &Path, command: &[&str], name: &str, more: &[&str]) -> String {
    let named: Vec<&str> =
        command.iter().map(|&word| if word == "NAME" { name } else { word }).collect();
    let output = run_with(directory, &[&named[..], more].concat(), "x ||| y\n");
    assert_eq!(code(&output), 1, "{command:?}: {}", stderr(&output));
    stderr(&output)
}

#[test]
fn a_near_memory_is_suggested_by_every_command() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("text.txt"), "x y z\n").unwrap();
    for name in ["mine", "law"] {
        run(directory.path(), &["import", "--memory", name, SMALL]);
    }
    let near = "there is no memory 'mien'; did you mean 'mine'?\n";
    for command in COMMANDS {
        let said = complaint(directory.path(), command, "mien", &[]);
        assert!(said.ends_with(near), "{command:?}: {said}");
    }
    let process = Process::start(&directory.path().join("dhakira-data"));
    let with_server = ["--server", process.url.as_str()];
    let served: [&[&str]; 2] =
        [&["operations", "start-train", "--memory", "NAME"], &["watch", "--memory", "NAME"]];
    for command in COMMANDS.into_iter().chain(served) {
        let said = complaint(directory.path(), command, "mien", &with_server);
        assert!(said.ends_with(near), "{command:?} by a server: {said}");
    }
}

#[test]
fn few_memories_are_listed_and_many_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let show = |name: &str| complaint(directory.path(), &["memories", "show", "NAME"], name, &[]);
    let create = |name: &str| {
        assert_eq!(code(&run(directory.path(), &["memories", "create", name])), 0, "{name}");
    };
    create("first");
    assert!(show("zebra").ends_with("'zebra'; there is only 'first'\n"), "{}", show("zebra"));
    create("second");
    create("third");
    let said = show("zebra");
    assert!(said.ends_with("'zebra'; there are 'first', 'second' and 'third'\n"), "{said}");
    assert!(show("thrid").ends_with("did you mean 'third'?\n"), "{}", show("thrid"));
    for number in 4..10 {
        create(&format!("number-{number}"));
    }
    let said = show("zebra");
    assert!(said.ends_with("'zebra'; `dhakira memories` lists the 9 there are\n"), "{said}");
    for name in ["first", "second", "third"].map(str::to_owned) {
        run(directory.path(), &["memories", "delete", &name]);
    }
    for number in 4..10 {
        run(directory.path(), &["memories", "delete", &format!("number-{number}")]);
    }
    assert!(show("zebra").contains("there are none yet; `dhakira import"), "{}", show("zebra"));
}

#[test]
fn near_values_of_flags_and_settings_are_suggested() {
    let directory = tempfile::tempdir().unwrap();
    let format = run(directory.path(), &["export", "--memory", "m", "--format", "tmz"]);
    assert_eq!(code(&format), 2);
    assert!(stderr(&format).contains("similar value exists: 'tmx'"), "{}", stderr(&format));
    std::fs::write(directory.path().join("settings.toml"), "lisen = \"x\"\n").unwrap();
    let setting = run(directory.path(), &["config", "--config", "settings.toml"]);
    assert_eq!(code(&setting), 1);
    let said = stderr(&setting);
    assert!(said.contains("there is no setting 'lisen'; did you mean 'listen'?"), "{said}");
}
