//! Standard output and standard error that nobody reads, or that take nothing: every command ends as it would otherwise, without a
//! panic, and the data are whole.

use std::fs;
use std::io::{Write as _, pipe};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::command_line::{code, run, stderr};

/// What a command is run with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// Both are read.
    Open,
    /// The reader of standard output is gone.
    NoOutput,
    /// The reader of standard error is gone.
    NoErrors,
    NeitherRead,
    /// Neither is open at all.
    NotThere,
}

const FILE: &str = "ar\ten\tdate\n\u{646}\u{635} \u{623}\u{648}\u{644}\tfirst text\t\n\u{646}\u{635} \u{62b}\u{627}\u{646}\tsecond text\t\n\tno source\t\nx\u{646}\t \t\n";
const TEXT: &str = "\u{646}\u{635} \u{623}\u{648}\u{644}\n\u{646}\u{635} \u{62b}\u{627}\u{646}\n";

/// Each command with what it reads.
const COMMANDS: [(&[&str], &str); 28] = [
    (&["import", "--memory", "new", "in.tsv"], ""),
    (&["import", "--memory", "new", "in.tsv", "--json", "-v"], ""),
    (&["export", "--memory", "m"], ""),
    (&["export", "--memory", "m", "--output", "x.tmx"], ""),
    (&["extract", "--memory", "m", "ar.txt"], ""),
    (&["extract", "--memory", "m", "ar.txt", "--output", "x.tmx", "--json"], ""),
    (&["lookup", "--memory", "m"], TEXT),
    (&["lookup", "--memory", "m", "--json"], TEXT),
    (&["search", "--memory", "m", "--side", "target", "text"], ""),
    (&["search", "--memory", "m", "nothing"], ""),
    (&["analyze", "--memory", "m", "ar.txt"], ""),
    (&["analyze", "--memory", "m", "--format", "csv", "ar.txt"], ""),
    (&["align", "ar.txt", "en.txt", "--format", "tsv"], ""),
    (&["split", "--lang", "ar"], TEXT),
    (&["tokens", "--lang", "ar", "--json"], TEXT),
    (&["links"], "\u{646}\u{635} ||| text\n"),
    (&["memories"], ""),
    (&["memories", "create", "new"], ""),
    (&["memories", "delete", "m", "--force"], ""),
    (&["train", "--memory", "m"], ""),
    (&["check", "--memory", "m", "--min-suspicion", "0"], ""),
    (&["backup", "saved"], ""),
    (&["verify"], ""),
    (&["compact"], ""),
    (&["tokens", "create", "anna", "--grant", "admin:*"], ""),
    (&["config"], ""),
    (&["export", "--memory", "none"], ""),
    (&["lookup", "--help"], ""),
];

fn run_with_ends(directory: &Path, arguments: &[&str], input: &str, ends: Ends) -> (i32, String) {
    let closed = || {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_dhakira"));
    if ends == Ends::NotThere {
        command = Command::new("sh");
        command.args(["-c", "exec \"$0\" \"$@\" >&- 2>&-", env!("CARGO_BIN_EXE_dhakira")]);
    }
    let reads_output = matches!(ends, Ends::Open | Ends::NoErrors | Ends::NotThere);
    let reads_errors = matches!(ends, Ends::Open | Ends::NoOutput | Ends::NotThere);
    let mut child = command
        .args(arguments)
        .current_dir(directory)
        .env_remove("DHAKIRA_DATA")
        .env_remove("DHAKIRA_SERVER")
        .stdin(Stdio::piped())
        .stdout(if reads_output { Stdio::piped() } else { closed() })
        .stderr(if reads_errors { Stdio::piped() } else { closed() })
        .spawn()
        .unwrap();
    // One that has ended already does not read it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn units(directory: &Path, memory: &str) -> usize {
    let output = run(directory, &["export", "--memory", memory, "--format", "jsonl"]);
    output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count()
}

/// A directory with a memory of two units and the files that the commands read.
fn prepared() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write("in.tsv", FILE);
    write("ar.txt", TEXT);
    write("en.txt", "First text.\nSecond text.\n");
    let output = run(directory.path(), &["import", "--memory", "m", "in.tsv"]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    directory
}

#[test]
fn commands_end_as_ever_when_nobody_reads() {
    let prepared = prepared();
    for (arguments, input) in COMMANDS {
        let mut usual = None;
        for ends in [Ends::Open, Ends::NoOutput, Ends::NoErrors, Ends::NeitherRead, Ends::NotThere]
        {
            let directory = tempfile::tempdir().unwrap();
            copy(prepared.path(), directory.path());
            let (code, errors) = run_with_ends(directory.path(), arguments, input, ends);
            assert!(!errors.contains("panicked"), "{arguments:?}, {ends:?}: {errors}");
            let usual = *usual.get_or_insert(code);
            assert_eq!(code, usual, "{arguments:?}, {ends:?}: {errors}");
            if arguments[0] == "import" {
                assert_eq!(usual, 3);
                assert_eq!(units(directory.path(), "new"), 2, "{ends:?}");
            }
            if !arguments.contains(&"delete") {
                assert_eq!(units(directory.path(), "m"), 2, "{arguments:?}, {ends:?}");
            }
        }
    }
}

/// The commands after which something may be wrong with the data.
#[test]
fn a_store_is_whole_after_a_write_that_nobody_watched() {
    let prepared = prepared();
    for arguments in [
        &["import", "--memory", "m", "--duplicates", "keep-all", "in.tsv"][..],
        &["compact"],
        &["backup", "saved"],
    ] {
        run_with_ends(prepared.path(), arguments, "", Ends::NeitherRead);
        let verified = run(prepared.path(), &["verify"]);
        assert_eq!(code(&verified), 0, "{arguments:?}: {}", stderr(&verified));
    }
    assert_eq!(units(prepared.path(), "m"), 4);
    let verified = run(prepared.path(), &["verify", "--backup", "saved"]);
    assert_eq!(code(&verified), 0, "{}", stderr(&verified));
}

/// What cannot be written although somebody waits for it is a failure, and said.
#[test]
fn an_output_that_takes_nothing_is_a_failure() {
    if !Path::new("/dev/full").exists() {
        eprintln!("SKIPPED: there is no /dev/full");
        return;
    }
    let prepared = prepared();
    for arguments in [
        &["export", "--memory", "m"][..],
        &["lookup", "--memory", "m", "\u{646}\u{635}"],
        &["memories"],
        &["tokens", "\u{646}\u{635}"],
        &["analyze", "--memory", "m", "ar.txt"],
    ] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_dhakira"))
            .args(arguments)
            .current_dir(prepared.path())
            .env_remove("DHAKIRA_DATA")
            .env_remove("DHAKIRA_SERVER")
            .stdin(Stdio::null())
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        assert_eq!(code(&output), 1, "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("No space left"), "{arguments:?}: {}", stderr(&output));
    }
}
