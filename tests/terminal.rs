//! The program on a terminal: progress is one line that is gone at the end, and paragraphs are wrapped at words.
//!
//! `script` (util-linux) makes the terminal, and `vt100` is what is seen on it.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use unicode_width::UnicodeWidthStr as _;

use crate::command_line::run;

const ROWS: u16 = 30;
/// Units of a memory with which every command takes longer than nothing is shown.
const UNITS: usize = 20_000;
/// What only a line of progress has.
const BAR: [char; 2] = ['\u{2588}', '\u{2591}'];

/// What was to be seen of a command.
struct Seen {
    /// The greatest number of lines of progress at one moment.
    bars_max: usize,
    /// How many different ones there were.
    bars: std::collections::BTreeSet<String>,
    /// The screen at the end.
    last: String,
    /// Everything as it was written.
    raw: String,
}

/// Whether there can be a terminal; says so if not.
fn has_terminal() -> bool {
    let script = Command::new("script").arg("--version").output();
    let found = script.is_ok_and(|it| String::from_utf8_lossy(&it.stdout).contains("util-linux"));
    if !found {
        eprintln!("SKIPPED: there is no `script` of util-linux, so nothing is shown on a terminal");
    }
    found
}

/// Runs the program on a terminal of so many columns.
fn on_terminal(directory: &Path, columns: u16, words: &[&str]) -> Seen {
    let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let program = env!("CARGO_BIN_EXE_dhakira");
    let line = format!("stty cols {columns} rows {ROWS} && exec '{program}' {}", words.join(" "));
    let mut child = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .current_dir(directory)
        .env("TERM", "xterm-256color")
        .env_remove("DHAKIRA_DATA")
        .env_remove("DHAKIRA_SERVER")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut terminal = vt100::Parser::new(ROWS, columns, 0);
    let mut seen =
        Seen { bars_max: 0, bars: Default::default(), last: String::new(), raw: String::new() };
    let mut buffer = [0; 4_096];
    loop {
        let count = output.read(&mut buffer).unwrap_or(0);
        if count == 0 {
            break;
        }
        // Byte by byte, so that no state between two pieces is missed.
        for byte in &buffer[..count] {
            let _ = terminal.write(&[*byte]);
        }
        seen.raw.push_str(&String::from_utf8_lossy(&buffer[..count]));
        let screen = terminal.screen().contents();
        let bars: Vec<&str> = screen.lines().filter(|line| line.contains(BAR)).collect();
        seen.bars_max = seen.bars_max.max(bars.len());
        seen.bars.extend(bars.into_iter().map(str::to_owned));
    }
    seen.last = terminal.screen().contents();
    assert!(child.wait().unwrap().code().is_some());
    seen
}

fn write_units(path: &Path) {
    let lines: String = (0..UNITS)
        .map(|it| format!("\u{627}\u{644}\u{646}\u{635} {it} the text\tthe translation {it}\n"))
        .collect();
    std::fs::write(path, format!("ar\ten\n{lines}")).unwrap();
}

#[test]
fn progress_is_one_line_and_gone_at_the_end() {
    if !has_terminal() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let long = format!("{}.tsv", "a-file-with-a-long-name-".repeat(6));
    write_units(&directory.path().join(&long));
    let mut shown = Vec::new();
    for columns in [80, 160] {
        let memory = format!("m{columns}");
        let checkpoints = directory.path().join("dhakira-data/checkpoints");
        let backup = format!("backup{columns}");
        let commands: [&[&str]; 6] = [
            &["import", "--memory", &memory, &long],
            &["check", "--memory", &memory, "--max", "1"],
            &["train", "--memory", &memory],
            &["verify"],
            &["backup", &backup],
            &["memories", "list"],
        ];
        for words in commands {
            if words[0] == "memories" {
                // Without checkpoints, loading takes as long as it can.
                let _ = std::fs::remove_dir_all(&checkpoints);
            }
            let seen = on_terminal(directory.path(), columns, words);
            assert!(seen.bars_max <= 1, "{words:?} at {columns}: {:#?}", seen.bars);
            assert!(!seen.last.contains(BAR), "{words:?} at {columns}:\n{}", seen.last);
            for bar in &seen.bars {
                assert!(bar.trim_end().width() < usize::from(columns), "{bar}");
            }
            assert!(
                !seen.raw.contains("\u{1b}[1A") || seen.bars_max == 0,
                "it moves up: {words:?}"
            );
            if !seen.bars.is_empty() {
                shown.push((columns, words[0].to_owned()));
            }
        }
    }
    // How many of them take longer than half a second depends on the machine.
    assert!(!shown.is_empty(), "nothing takes long enough to be shown");
    let small = directory.path().join("small.tsv");
    std::fs::write(small, "ar\ten\nx\ty\n").unwrap();
    let seen = on_terminal(
        directory.path(),
        80,
        &["import", "--data", "other", "--memory", "m", "small.tsv"],
    );
    assert_eq!(seen.bars_max, 0, "{:?}", seen.bars);
    assert!(seen.last.contains("stored"), "{}", seen.last);
}

#[test]
fn paragraphs_are_wrapped_at_words_and_isolated() {
    if !has_terminal() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let word = "\u{627}\u{644}\u{643}\u{644}\u{645}\u{627}\u{62a}";
    let source: Vec<String> = (0..40).map(|number| format!("{word}{number}")).collect();
    let source = source.join(" ");
    let table = format!("ar\ten\n{source}\tthe words\n");
    std::fs::write(directory.path().join("long.tsv"), table).unwrap();
    run(directory.path(), &["import", "--memory", "m", "long.tsv"]);
    for columns in [80, 160] {
        let seen = on_terminal(directory.path(), columns, &["lookup", "--memory", "m", &source]);
        // Each line is isolated from right to left, and no word is divided.
        assert!(seen.raw.matches('\u{2067}').count() > 5, "{}", seen.raw);
        assert_eq!(seen.raw.matches('\u{2067}').count(), seen.raw.matches('\u{2069}').count() - 1);
        let words = seen.last.split_whitespace().filter(|it| it.contains(word));
        assert_eq!(words.count(), 80, "{}", seen.last);
        for line in seen.last.lines() {
            assert!(line.width() < usize::from(columns), "{line}");
        }
    }
    // What goes into a pipe is one line, whatever its length.
    let output = run(directory.path(), &["lookup", "--memory", "m", &source]);
    let text = crate::command_line::stdout(&output);
    assert_eq!(text.matches(&format!("\u{2068}{source}\u{2069}")).count(), 2, "{text}");
}

#[test]
fn a_lookup_says_what_it_waits_for() {
    if !has_terminal() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &["memories", "create", "m"]);
    let line = format!("exec '{}' lookup --memory m", env!("CARGO_BIN_EXE_dhakira"));
    let mut child = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut seen = String::new();
    let mut read_until = |what: &str| {
        let mut buffer = [0; 1_024];
        while !seen.contains(what) {
            let count = output.read(&mut buffer).unwrap();
            assert!(count > 0, "{what}: {seen}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    };
    read_until("type a segment and Enter; Ctrl-D ends");
    input.write_all(b"anything\n").unwrap();
    read_until("no match");
    input.write_all(b"\x04").unwrap();
    drop(input);
    assert!(child.wait().unwrap().success());
}
