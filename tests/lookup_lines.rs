//! `dhakira lookup` as a partner of another program: each line is answered as it comes, and files are read when they are named as such.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Child;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use crate::command_line::{code, program, run, run_with, stderr, stdout};

const SMALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/small.tsv");

fn memory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &["import", "--memory", "m", SMALL]);
    directory
}

/// A lookup that waits for more, with its answers.
struct Partner {
    child: Child,
    answers: mpsc::Receiver<Value>,
}

impl Partner {
    fn start(directory: &Path, more: &[&str]) -> Self {
        let words = [&["lookup", "--memory", "m", "--json"], more].concat();
        let mut child = program(directory, &words).spawn().unwrap();
        let (lines, answers) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines() {
                // The test may have ended.
                let _ = lines.send(serde_json::from_str(&line.unwrap()).unwrap());
            }
        });
        Self { child, answers }
    }

    fn write(&mut self, text: &str) {
        let mut input = self.child.stdin.as_ref().unwrap();
        input.write_all(text.as_bytes()).unwrap();
        input.flush().unwrap();
    }

    fn query(&self) -> String {
        let answer = self.answers.recv_timeout(Duration::from_secs(60)).expect("no answer came");
        answer["query"].as_str().unwrap().to_owned()
    }

    fn is_silent(&self) -> bool {
        self.answers.recv_timeout(Duration::from_millis(300)).is_err()
    }

    fn close(mut self) -> (Vec<Value>, i32) {
        drop(self.child.stdin.take());
        let code = self.child.wait().unwrap().code().unwrap();
        (self.answers.iter().collect(), code)
    }
}

#[test]
fn each_line_is_answered_while_the_input_is_open() {
    let directory = memory();
    let mut partner = Partner::start(directory.path(), &[]);
    for text in ["first", "second", "", "\u{627}\u{641}\u{62a}\u{62d}"] {
        partner.write(&format!("{text}\n"));
        assert_eq!(partner.query(), text);
    }
    // Half a line is not a segment yet.
    partner.write("half");
    assert!(partner.is_silent());
    partner.write(" a line\r\nand two\nmore\n");
    assert_eq!(
        [partner.query(), partner.query(), partner.query()],
        ["half a line", "and two", "more"]
    );
    partner.write("without an end");
    let (rest, code) = partner.close();
    assert_eq!((rest.len(), code), (1, 0));
    assert_eq!(rest[0]["query"], "without an end");
}

#[test]
fn a_line_of_a_document_is_answered_when_the_next_one_is_there() {
    let directory = memory();
    let text = std::fs::read_to_string(SMALL).unwrap();
    let sources: Vec<&str> =
        text.lines().skip(1).take(3).map(|line| line.split('\t').nth(3).unwrap()).collect();
    let whole = run_with(
        directory.path(),
        &["lookup", "--memory", "m", "--json", "--document"],
        &sources.join("\n"),
    );
    let mut partner = Partner::start(directory.path(), &["--document"]);
    partner.write(&format!("{}\n", sources[0]));
    assert!(partner.is_silent());
    partner.write(&format!("{}\n", sources[1]));
    let mut answers = vec![partner.answers.recv_timeout(Duration::from_secs(60)).unwrap()];
    partner.write(sources[2]);
    answers.extend(partner.close().0);
    // One by one or all at once: the same contexts, the same matches.
    let expected: Vec<Value> =
        stdout(&whole).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers, expected);
    assert_eq!(expected[1]["matches"][0]["kind"], "context");
}

#[test]
fn lines_before_a_fault_are_answered() {
    let directory = memory();
    let mut child =
        program(directory.path(), &["lookup", "--memory", "m", "--json"]).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"one\ntwo\ncaf\xe9\nfour\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), stdout(&output).lines().count()), (1, 2));
    assert!(
        stderr(&output).contains("line 3 of standard input is not UTF-8"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_file_is_read_when_it_is_named_as_one_whatever_its_encoding() {
    let directory = memory();
    let lines = "Click\n\u{62d}\u{641}\u{638}\n";
    let utf16: Vec<u8> =
        std::iter::once(0xfeff).chain(lines.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    std::fs::write(directory.path().join("job.txt"), lines).unwrap();
    std::fs::write(directory.path().join("utf16.txt"), utf16).unwrap();
    let lookup = |words: &[&str]| {
        run(directory.path(), &[&["lookup", "--memory", "m", "--json"], words].concat())
    };
    let queries = |output: &std::process::Output| -> Vec<String> {
        let lines = stdout(output);
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| line["query"].as_str().unwrap().to_owned()).collect()
    };
    for file in ["job.txt", "utf16.txt"] {
        let output = lookup(&["--file", file]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        assert_eq!(queries(&output), lines.lines().collect::<Vec<_>>(), "{file}");
        assert_eq!(stderr(&output), "");
    }
    // Its name alone is a segment, with a hint.
    let output = lookup(&["job.txt"]);
    assert_eq!(queries(&output), ["job.txt"]);
    assert!(stderr(&output).contains("--file job.txt"), "{}", stderr(&output));
    let both = lookup(&["--file", "job.txt", "x"]);
    assert_eq!(code(&both), 2);
    let by_stdin =
        run_with(directory.path(), &["lookup", "--memory", "m", "--json", "--file", "-"], "a\n");
    assert_eq!(queries(&by_stdin), ["a"]);
}
