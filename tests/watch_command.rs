//! `dhakira watch`: shows each change once, with what the unit was at that commit, and says how to resume.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::command_line::{code, program, run, stderr, stdout};
use crate::crash::Process;

fn signal(child: &std::process::Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

fn lines(directory: &Path, arguments: &[&str]) -> Vec<Value> {
    let output = run(directory, &[&["watch", "--json"], arguments].concat());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn changes_are_shown_as_they_happen_and_again_from_any_commit() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let process = Process::start(&here.join("data"));
    let server = ["--server", process.url.as_str()];
    let change = |arguments: &[&str]| {
        let output = run(here, &[arguments, &server].concat());
        assert_eq!(code(&output), 0, "{arguments:?}: {}", stderr(&output));
    };
    change(&["memories", "create", "m"]);
    change(&["memories", "create", "other"]);
    let units = ["units", "--memory", "m"];
    change(&[&units[..], &["add", "\u{648}", "and"]].concat());
    let watch = [&["watch", "--memory", "m", "--after", "0"], &server[..]].concat();
    let mut child = program(here, &watch).stdin(Stdio::null()).spawn().unwrap();
    let mut shown = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first = shown.next().unwrap();
    assert!(first.ends_with("  created  memories/m/units/1, revision 1"), "{first}");
    assert_eq!(shown.next().unwrap(), "  \u{2068}\u{648}\u{2069}");
    assert_eq!(shown.next().unwrap(), "  \u{2068}and\u{2069}");
    change(&["units", "--memory", "other", "add", "\u{641}", "so"]);
    change(&[&units[..], &["edit", "1", "--target", "also", "--set-author", "amal"]].concat());
    let second = shown.next().unwrap();
    assert!(second.ends_with("  updated  memories/m/units/1, revision 2"), "{second}");
    assert_eq!(shown.by_ref().nth(1).unwrap(), "  \u{2068}also\u{2069}");
    signal(&child);
    let output = child.wait_with_output().unwrap();
    let commit = second.split(' ').next().unwrap();
    assert_eq!(code(&output), 0);
    let said = stderr(&output);
    assert!(said.contains(&format!("--after {commit} resumes")), "{said}");

    change(&[&units[..], &["delete", "1"]].concat());
    let again = |more: &[&str]| lines(here, &[&server[..], &["--after", "0"], more].concat());
    let all = again(&["--max", "4"]);
    let of = |name: &str| all.iter().map(|it| it[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("kind"), ["created", "created", "updated", "deleted"]);
    assert_eq!(of("target"), ["and", "so", "also", "also"]);
    assert_eq!(all[1]["unit"], "memories/other/units/1");
    let commits: Vec<u64> = of("commit").iter().map(|it| it.as_u64().unwrap()).collect();
    assert!(commits.is_sorted() && commits[2].to_string() == commit, "{commits:?}");
    let deleted = again(&["--max", "1", "--kind", "deleted"]);
    assert_eq!((&deleted[0]["author"], &deleted[0]["revision"]), (&"amal".into(), &2.into()));
    let filtered = again(&["--max", "1", "--memory", "m", "--by-author", "amal"]);
    assert_eq!(filtered[0]["kind"], "updated");
    let resumed = lines(here, &[&server[..], &["--after", commit, "--max", "1"]].concat());
    assert_eq!(resumed[0]["kind"], "deleted");
}

#[test]
fn a_watch_that_cannot_go_on_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let alone = run(directory.path(), &["watch"]);
    assert_eq!(code(&alone), 1);
    assert!(stderr(&alone).contains("--server URL"), "{}", stderr(&alone));
    let process = Process::start(&directory.path().join("data"));
    let server = ["--server", process.url.as_str()];
    let future = run(directory.path(), &[&["watch", "--after", "99999"], &server[..]].concat());
    assert_eq!(code(&future), 1);
    assert!(stderr(&future).contains("sequence"), "{}", stderr(&future));
    run(directory.path(), &[&["memories", "create", "m"], &server[..]].concat());
    let add = ["units", "--memory", "m", "add", "\u{648}", "and"];
    run(directory.path(), &[&add[..], &server].concat());
    let watch = [&["watch", "--after", "0"], &server[..]].concat();
    let mut child = program(directory.path(), &watch).spawn().unwrap();
    let mut shown = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(shown.next().unwrap().unwrap().contains("created"));
    drop(process);
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("resumes after the last commit"), "{}", stderr(&output));
}
