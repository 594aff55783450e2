//! The tours of the documentation, run line by line: each command prints what the page says.
//!
//! A page has its commands in blocks of the kind `console`, behind `$ `, each followed by what it prints. Blocks of the kind `text`
//! with such commands are pictures, which may come before the commands that prepare them.

use std::net::TcpListener;
use std::path::Path;

use crate::foreign_clients::{has_curl, limited};

/// Seconds for a tour; it takes a few.
const TOUR_SECONDS: u32 = 120;
/// Between the outputs of the commands.
const MARK: char = '\u{1e}';
const ADDRESS: &str = "127.0.0.1:50051";

/// A command and the lines that it prints.
struct Step {
    command: String,
    printed: Vec<String>,
}

/// The steps of a page in the order in which they are run.
fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for kind in ["console", "text"] {
        for block in page.split(&format!("```{kind}\n")).skip(1) {
            for line in block.split_once("```").unwrap().0.lines() {
                match (line.strip_prefix("$ "), steps.last_mut()) {
                    (Some(command), _) => {
                        steps.push(Step { command: command.to_owned(), printed: Vec::new() });
                    }
                    (None, Some(step)) => step.printed.push(line.to_owned()),
                    (None, None) => {}
                }
            }
        }
    }
    steps
}

/// Without the lines at the end that are empty, and the spaces at the ends of lines.
fn trimmed<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut lines: Vec<String> = lines.map(|line| masked(line.trim_end())).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// A line with `#` in place of what differs from run to run: times, ids, sizes, numbers of commits.
fn masked(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let at = |index: usize| words.get(index).copied().unwrap_or_default();
    let is_volatile = |index: usize| {
        let (before, word) = (index.checked_sub(1).map_or("", at), at(index));
        let after = at(index + 1);
        let is_number = word.starts_with(|it: char| it.is_ascii_digit());
        let is_counted = after.starts_with("bytes") || after.starts_with("commits");
        let is_named = ["commit", "from", "to", "of", "(process"].contains(&before);
        is_number && (is_counted || (is_named && line.contains("commit")) || before == "(process")
            || word.contains("-full-")
    };
    let shown = (0..words.len()).map(|index| if is_volatile(index) { "#" } else { at(index) });
    shown.collect::<Vec<_>>().join(" ")
}

/// What each command printed, on standard output and standard error, run one after the other in a directory.
fn run(steps: &[Step], directory: &Path) -> Vec<String> {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut script = "exec 2>&1\n".to_owned();
    for Step { command, .. } in steps {
        script += &format!("printf '\\036'\n{}\n", command.replace(ADDRESS, &free.to_string()));
        if command.starts_with("dhakira serve") {
            script += &format!(
                "until dhakira memories --server http://{free} >/dev/null 2>&1; do sleep .1; done\n"
            );
        }
    }
    let program = Path::new(env!("CARGO_BIN_EXE_dhakira"));
    let path =
        format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut shell = limited(TOUR_SECONDS, "bash");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DHAKIRA_")) {
        shell.env_remove(name);
    }
    shell.args(["-c", &script]).current_dir(directory);
    let output = shell.env("PATH", path).env("DHAKIRA_LISTEN", free.to_string()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap().replace(&free.to_string(), ADDRESS);
    said.split(MARK).skip(1).map(str::to_owned).collect()
}

/// Runs the tour of a page.
fn walk(page: &str, steps_min: usize) {
    let mut steps = steps(page);
    assert!(steps.len() >= steps_min, "{} commands", steps.len());
    if !has_curl() {
        steps.retain(|step| !step.command.starts_with("curl"));
    }
    let directory = tempfile::tempdir().unwrap();
    let said = run(&steps, directory.path());
    assert_eq!(said.len(), steps.len(), "{said:#?}");
    for (Step { command, printed }, said) in steps.iter().zip(said) {
        let expected = trimmed(printed.iter().map(String::as_str));
        assert_eq!(trimmed(said.lines()), expected, "what `{command}` prints; as it is:\n{said}");
    }
}

#[test]
fn the_tour_of_the_readme_prints_what_it_says() {
    walk(include_str!("../../README.md"), 12);
}

#[test]
fn the_long_tour_prints_what_it_says() {
    walk(include_str!("../../docs/tour.md"), 25);
}

#[test]
fn only_what_differs_from_run_to_run_is_masked() {
    for (line, expected) in [
        ("   97.50 fuzzy    edited -2.5", "   97.50 fuzzy    edited -2.5"),
        ("420 units written to 1.tmx", "420 units written to 1.tmx"),
        (
            "in use by dhakira serve (process 69), listening",
            "in use by dhakira serve (process # listening",
        ),
        (
            "restored to commit 15 of 2026-11-30T16:28:11Z: 841 units",
            "restored to commit # of # 841 units",
        ),
        (
            "000001-full-15.part: up to commit 15: 8 units, 0 commits, 95,258 bytes",
            "# up to commit # 8 units, # commits, # bytes",
        ),
        (
            "all agree; any commit from 15 to 15 can be restored",
            "all agree; any commit from # to # can be restored",
        ),
    ] {
        assert_eq!(masked(line), expected);
    }
}
