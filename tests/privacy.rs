//! Who may read the files? Their owner, however they came to be: made, left by an older version, compacted, backed up, restored.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use crate::crash::Process;

/// Runs a command in a directory, with the umask that lets others read most.
fn run(directory: &Path, arguments: &str) -> Output {
    let program = env!("CARGO_BIN_EXE_dhakira");
    let script = format!("umask 000; exec {program} {arguments}");
    let output = Command::new("sh").args(["-c", &script]).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "{arguments}: {output:?}");
    output
}

/// Everything below a path that others may do something with.
fn open_to_others(path: &Path) -> Vec<String> {
    let data = fs::symlink_metadata(path).unwrap();
    let mode = data.permissions().mode() & 0o777;
    let wanted = if data.is_dir() { 0o700 } else { 0o600 };
    let mut found = Vec::new();
    if mode != wanted {
        found.push(format!("{}: {mode:o}", path.display()));
    }
    if data.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            found.extend(open_to_others(&entry.unwrap().path()));
        }
    }
    found
}

fn open_up(path: &Path) {
    let is_directory = fs::symlink_metadata(path).unwrap().is_dir();
    let mode = if is_directory { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    if is_directory {
        fs::read_dir(path).unwrap().for_each(|entry| open_up(&entry.unwrap().path()));
    }
}

#[test]
fn data_directories_and_backups_are_for_their_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let none: [String; 0] = [];
    // Long enough to lie in a file of its own beside the database.
    let long = "word ".repeat(40_000);
    fs::write(place.join("units.tsv"), format!("ar\ten\nab\tcd\n{long}\t{long}\n")).unwrap();
    run(place, "import --data data --memory m --source-lang ar --target-lang en units.tsv");
    run(place, "tokens create anna --grant admin:* --data data");
    let data = place.join("data");
    assert_eq!(open_to_others(&data), none);
    assert!(data.join("access/tokens.json").exists() && data.join("tokens-required").exists());
    run(place, "compact --data data");
    assert_eq!(open_to_others(&data), none);
    run(place, "backup --data data copies");
    assert_eq!(open_to_others(&place.join("copies")), none);
    run(place, "restore --data restored copies");
    assert_eq!(open_to_others(&place.join("restored")), none);
    // What an older version left behind.
    open_up(&data);
    assert!(open_to_others(&data).len() > 5);
    drop(Process::start(&data));
    assert_eq!(open_to_others(&data), none);
}
