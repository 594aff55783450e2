//! The page of figures: it is what `dhakira bench report` makes of the figures beside it, and the only place with figures of speed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command_line::{code, json, run, stderr, stdout};

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
    let [all, scale, cluster] =
        ["all.json", "scale.json", "cluster.json"].map(|name| measured.join(name));
    let directory = tempfile::tempdir().unwrap();
    let mut arguments =
        vec!["bench", "report", "--output", "made", "--from", all.to_str().unwrap()];
    arguments.extend(["--scale", scale.to_str().unwrap()]);
    arguments.extend(["--cluster", cluster.to_str().unwrap()]);
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

#[test]
fn every_row_has_its_figures() {
    let directory = tempfile::tempdir().unwrap();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/src/cli/demo/sample.tsv");
    let small = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/small.tsv");
    let files = ["--corpus", sample, "--queries", small];
    let parts = ["import", "export", "search", "lookup", "tools", "text", "train", "align"];
    let mut arguments = vec!["bench", "all", "--json", "--units", "400"];
    arguments.extend(files);
    arguments.extend(parts.iter().flat_map(|part| ["--only", part]));
    let output = run(directory.path(), &arguments);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(
        stderr(&output).contains("7 of 8 parts measured, 1 skipped, 0 failed"),
        "{}",
        stderr(&output)
    );
    fs::write(directory.path().join("all.json"), &output.stdout).unwrap();
    let all = json(&output);
    assert_eq!(all["skipped"]["align"], "--docs was not given");
    assert_eq!(all["figures"]["import"]["units"], 400.0);
    assert!(all["machine"]["cores"].as_u64().unwrap() >= 1, "{all}");
    assert!(all["commit"].is_string() && all["date"].as_str().unwrap().len() == 10, "{all}");

    let mut arguments = vec!["bench", "scale", "--json", "--sizes", "300,200", "--runs", "1"];
    arguments.extend(files);
    let output = run(directory.path(), &arguments);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    fs::write(directory.path().join("scale.json"), &output.stdout).unwrap();

    let arguments =
        ["bench", "report", "--from", "all.json", "--scale", "scale.json", "--output", "."];
    let output = run(directory.path(), &arguments);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let page = fs::read_to_string(directory.path().join("measured.md")).unwrap();
    // Imports 6, exports 1, lookups 2 + 7, protocols 3, texts 1, training and checks 2: a figure by another name would cost its row.
    let rows = page.split("## Cost").next().unwrap().lines().filter(|line| line.starts_with("| "));
    let titles = 4;
    assert_eq!(rows.count() - titles, 22, "{page}");
    let sizes: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("| 200 ") || line.starts_with("| 300 "))
        .collect();
    assert_eq!(sizes.len(), 2, "{page}");
    assert!(sizes[0].starts_with("| 200 ") && !sizes[0].contains('\u{2013}'), "{page}");
    // What was measured is gone.
    assert_eq!(fs::read_dir(directory.path().join("dhakira-bench")).unwrap().count(), 0);
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
