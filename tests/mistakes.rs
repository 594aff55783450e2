//! The mistakes that people make, and what the program says to each: `tests/data/mistakes/*.txt`, read by [`cases`].
//!
//! `DHAKIRA_BLESS=1` writes what is said now into the tables, to be read before it is committed.

mod cases;
mod world;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::command_line::{code, program, stderr};

use cases::{Case, cases};
use world::World;

fn tables() -> Vec<PathBuf> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/mistakes");
    let mut tables: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    tables.sort();
    tables
}

/// Runs the command of a case; returns the exit code and the messages, with names for what differs from run to run.
fn answer(world: &World, case: &Case) -> (i32, String) {
    let words: Vec<String> = case.words().iter().map(|word| world.filled(word)).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = program(world.directory(), &words);
    for name in ["DHAKIRA_TOKEN", "DHAKIRA_TOKEN_FILE", "DHAKIRA_CA_FILE"] {
        command.env_remove(name);
    }
    if let Some(path) = &case.output {
        command.stdout(fs::File::options().write(true).open(path).unwrap());
    }
    let mut child = command.spawn().unwrap();
    // A command that fails before it reads its input closes it.
    let _ = child.stdin.take().unwrap().write_all(&case.input);
    let output = child.wait_with_output().unwrap();
    (code(&output), world.named(&stderr(&output)))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mistake_gets_the_message_in_the_table() {
    let world = World::new().await;
    let bless = std::env::var_os("DHAKIRA_BLESS").is_some();
    let (mut wrong, mut checked) = (String::new(), 0);
    for table in tables() {
        let text = fs::read_to_string(&table).unwrap();
        let mut cases = cases(&text);
        for case in &mut cases {
            let (code, said) = tokio::task::block_in_place(|| answer(&world, case));
            checked += 1;
            if bless {
                (case.code, case.says) = (code, said.trim_end().to_owned());
            } else if (code, said.trim_end()) != (case.code, case.says.as_str()) {
                let name = table.file_name().unwrap().to_string_lossy();
                wrong += &format!(
                    "{name}: {}\n$ {}\nexpected {}:\n{}\ngot {code}:\n{said}\n",
                    case.title, case.command, case.code, case.says
                );
            }
            assert!(said.len() < 4_000, "{}: {} bytes", case.title, said.len());
        }
        if bless {
            let table_text: Vec<String> = cases.iter().map(Case::to_string).collect();
            fs::write(&table, table_text.join("\n")).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(checked >= 60, "{checked} mistakes");
}

/// What all messages have in common: the name of the program in front, no debug output, no path of the source, nothing twice.
#[test]
fn messages_have_one_style() {
    for table in tables() {
        let text = fs::read_to_string(&table).unwrap();
        for case in cases(&text) {
            let of_clap = case.says.starts_with("error: ");
            let first = case.says.lines().next().unwrap_or_default();
            let with_name = first.starts_with("dhakira: ") || first.starts_with("note: ");
            let is_silent = case.says.is_empty();
            let lists_units = first.ends_with(" unit") || first.ends_with(" units");
            assert!(of_clap || with_name || lists_units || is_silent, "{}: {first}", case.title);
            for bad in
                ["Some(", "Err(", "Error {", "panicked", ".rs:", "os error", "1 units", "1 files"]
            {
                assert!(!case.says.contains(bad), "{}: {bad}: {}", case.title, case.says);
            }
            for line in case.says.lines() {
                let parts: Vec<&str> = line.split(": ").collect();
                let twice = parts.windows(2).any(|pair| pair[0] == pair[1]);
                assert!(!twice, "{}: {line}", case.title);
            }
        }
    }
}

/// The disk of a data directory is full: what is stored stays, and the message says what to do.
#[test]
fn a_full_disk_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let mount = directory.path().join("small");
    fs::create_dir(&mount).unwrap();
    let Some(_mounted) = Mounted::new(&mount, "3m") else { return };
    let lines: String =
        (0..40_000).map(|it| format!("source {it} {}\ttarget\n", "x".repeat(80))).collect();
    fs::write(directory.path().join("big.tsv"), format!("ar\ten\n{lines}")).unwrap();
    let words = ["import", "--memory", "m", "--data", "small/data", "big.tsv"];
    let output = crate::command_line::run(directory.path(), &words);
    let said = stderr(&output);
    assert_eq!(code(&output), 1, "{said}");
    assert!(said.contains("No space left on device"), "{said}");
    assert!(said.lines().count() < 12 && !said.contains("panicked"), "{said}");
}

/// A small file system, for as long as it lives.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    /// Says so and gives nothing where file systems may not be mounted.
    fn new(path: &'a Path, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        let mount = ["-t", "tmpfs", "-o", options.as_str(), "tmpfs"];
        let done = std::process::Command::new("mount").args(mount).arg(path).output();
        if done.is_ok_and(|output| output.status.success()) {
            return Some(Self(path));
        }
        eprintln!("SKIPPED: no file system can be mounted here, so no disk is full");
        None
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // It goes with the machine at the latest.
        let _ = std::process::Command::new("umount").arg(self.0).output();
    }
}
