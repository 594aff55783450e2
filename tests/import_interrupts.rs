//! Imports that end early, by Ctrl-C or because the server is gone: what is stored is said, and the same command resumes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use crate::command_line::{code, json, program, run, stderr};
use crate::crash::Process;

/// Units of a file whose import takes long enough to be interrupted; more on a faster machine.
const UNITS: usize = 20_000;
const UNITS_MAX: usize = 640_000;

fn write_units(path: &Path, count: usize) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    writeln!(file, "ar\ten").unwrap();
    for number in 0..count {
        writeln!(file, "source text number {number} of the file\ttranslation number {number}")
            .unwrap();
    }
    file.flush().unwrap();
}

/// An import that has begun to store, and what it says from then on.
fn begun(directory: &Path, words: &[&str]) -> (Child, std::thread::JoinHandle<String>) {
    let mut child = program(directory, words).spawn().unwrap();
    drop(child.stdin.take());
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("created memory")), "it created no memory");
    let rest = std::thread::spawn(move || lines.map(|line| line + "\n").collect());
    std::thread::sleep(Duration::from_millis(400));
    (child, rest)
}

fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn ctrl_c_says_what_is_stored_and_the_same_command_resumes() {
    let mut units = UNITS;
    while units <= UNITS_MAX {
        let directory = tempfile::tempdir().unwrap();
        write_units(&directory.path().join("big.tsv"), units);
        let words = ["import", "--memory", "m", "big.tsv", "--json"];
        let (child, said) = begun(directory.path(), &words);
        interrupt(&child);
        let output = child.wait_with_output().unwrap();
        let said = said.join().unwrap();
        if code(&output) == 0 {
            units *= 4;
            continue;
        }
        assert_eq!(code(&output), 130, "{said}");
        assert!(said.contains("run the same command again, and it resumes there"), "{said}");
        let stored = json(&output)["stored"].as_u64().unwrap();
        assert!(stored > 0 && stored < units as u64, "{stored}");
        assert!(said.contains(" stored so far"), "{said}");
        let again = run(directory.path(), &words);
        assert_eq!(code(&again), 0, "{}", stderr(&again));
        assert!(stderr(&again).contains("resuming an import that broke off"), "{}", stderr(&again));
        assert_eq!(json(&again)["stored"], units);
        let memory = json(&run(directory.path(), &["memories", "show", "m", "--json"]));
        assert_eq!(memory["units"], units);
        return;
    }
    panic!("an import of {UNITS_MAX} units ends before it can be interrupted");
}

#[test]
fn an_import_whose_server_is_killed_resumes_when_it_is_back() {
    let mut units = UNITS;
    while units <= UNITS_MAX {
        let directory = tempfile::tempdir().unwrap();
        write_units(&directory.path().join("big.tsv"), units);
        let data = directory.path().join("served");
        let process = Process::start(&data);
        let url = process.url.clone();
        let words = ["import", "--memory", "m", "big.tsv", "--json", "--server", url.as_str()];
        let (child, said) = begun(directory.path(), &words);
        process.signal("-KILL");
        let output = child.wait_with_output().unwrap();
        let said = said.join().unwrap();
        if code(&output) == 0 {
            units *= 4;
            continue;
        }
        assert_eq!(code(&output), 1, "{said}");
        for part in [
            "importing big.tsv: no Dhakira server answers at http://127.0.0.1:",
            "nothing listens on port",
            "run the same command again, and it resumes there",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        drop(process);
        let process = Process::start(&data);
        let words = words.map(|word| if word == url { process.url.as_str() } else { word });
        let again = run(directory.path(), &words);
        assert_eq!(code(&again), 0, "{}", stderr(&again));
        let memory = json(&run(
            directory.path(),
            &["memories", "show", "m", "--json", "--server", &process.url],
        ));
        assert_eq!(memory["units"], units);
        return;
    }
    panic!("an import of {UNITS_MAX} units ends before its server can be killed");
}
