//! The page of figures: it is what `dhakira bench report` makes of the figures beside it, and the only place with figures of speed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command_line::{code, run, stderr, stdout};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// Files of a directory by name.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<(String, Vec<u8>)> = entries
        .filter(|path| path.is_file())
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn the_page_is_what_the_report_makes_of_the_committed_figures() {
    let measured = docs().join("measured");
    let (all, scale) = (measured.join("all.json"), measured.join("scale.json"));
    let directory = tempfile::tempdir().unwrap();
    let mut arguments =
        vec!["bench", "report", "--output", "made", "--from", all.to_str().unwrap()];
    arguments.extend(["--scale", scale.to_str().unwrap()]);
    let output = run(directory.path(), &arguments);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let made = directory.path().join("made");
    let page = |directory: &Path| fs::read_to_string(directory.join("measured.md")).unwrap();
    assert_eq!(page(&made), page(&docs()), "run `dhakira bench report` again, or undo the edit");
    let names = |files: &[(String, Vec<u8>)]| -> Vec<String> {
        files.iter().map(|(name, _)| name.clone()).collect()
    };
    let (made, committed) = (files(&made.join("measured")), files(&measured));
    assert_eq!(names(&made), names(&committed));
    for ((name, made), (_, committed)) in made.iter().zip(&committed) {
        assert!(made == committed, "docs/measured/{name} is not what `dhakira bench report` makes");
    }
}

/// The files with one of some endings below a directory.
fn below(directory: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let has = |ending: &&str| path.extension().is_some_and(|it| it == *ending);
        if path.is_dir() {
            below(&path, endings, found);
        } else if endings.iter().any(has) {
            found.push(path);
        }
    }
}

#[test]
fn no_figure_of_speed_stands_anywhere_else() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("README.md")];
    below(&root.join("docs"), &["md"], &mut files);
    below(&root.join("proto"), &["proto"], &mut files);
    below(&root.join("src"), &["rs"], &mut files);
    // The page itself, and what measures and writes it.
    let measures = [root.join("docs/measured.md"), root.join("src/bench")];
    files.retain(|file| !measures.iter().any(|it| file.starts_with(it)));
    assert!(files.len() > 100, "{files:?}");
    let marks = ["\u{b5}s", "p50", "p95", "p99", "units/s", "segments/s", "calls/s", "lookups/s"];
    let mut wrong = String::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for (line, text) in (1..).zip(text.lines()) {
            let is_code = file.extension().is_some_and(|it| it == "rs") && !text.contains("//");
            if !is_code && marks.iter().any(|mark| text.contains(mark)) {
                wrong += &format!("{}:{line}: {}\n", file.display(), text.trim());
            }
        }
    }
    assert!(wrong.is_empty(), "figures of speed belong into docs/measured.md:\n{wrong}");
}

#[test]
fn the_commands_that_measure_are_in_the_help() {
    let directory = tempfile::tempdir().unwrap();
    let help = run(directory.path(), &["bench", "--help"]);
    assert_eq!(code(&help), 0, "{}", stderr(&help));
    let help = stdout(&help);
    let is_listed =
        |command: &str| help.lines().any(|line| line.split_whitespace().next() == Some(command));
    for command in [
        "adapt", "align", "all", "import", "lookup", "profile", "ratios", "report", "scale",
        "search", "soak", "text", "tools", "train",
    ] {
        assert!(is_listed(command), "{command} is not in the help:\n{help}");
        let of_command = run(directory.path(), &["bench", command, "--help"]);
        assert_eq!(code(&of_command), 0, "{}", stderr(&of_command));
    }
    // Only `ratios` runs it.
    assert!(!is_listed("passes"), "{help}");
}
