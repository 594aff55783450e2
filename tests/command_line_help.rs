//! The program about itself: its help, the completions of shells, and the manual pages.

use std::collections::BTreeSet;
use std::path::Path;

use crate::command_line::{code, run, stderr, stdout};

/// The names in a list of commands of a help.
pub(crate) fn commands(directory: &Path, of: &[&str]) -> Vec<String> {
    let help = run(directory, &[of, &["--help"]].concat());
    assert_eq!(code(&help), 0, "{}", stderr(&help));
    let help = stdout(&help);
    let Some((_, listed)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let lines = listed.lines().take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_shell_completes_every_command() {
    let directory = tempfile::tempdir().unwrap();
    let listed = commands(directory.path(), &[]);
    assert!(listed.len() > 25 && listed.contains(&"completions".to_owned()), "{listed:?}");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = run(directory.path(), &["completions", shell]);
        assert_eq!((code(&output), stderr(&output).as_str()), (0, ""), "{shell}");
        let script = stdout(&output);
        for word in listed.iter().map(String::as_str).chain(["min-score", "skip-identical"]) {
            let has_values = shell != "powershell" && shell != "elvish";
            assert!(
                script.contains(word) || word == "skip-identical" && !has_values,
                "{shell}: {word}"
            );
        }
    }
    let unknown = run(directory.path(), &["completions", "bsh"]);
    assert_eq!(code(&unknown), 2);
    assert!(stderr(&unknown).contains("'bash'"), "{}", stderr(&unknown));
}

#[test]
fn each_command_has_a_manual_page() {
    let directory = tempfile::tempdir().unwrap();
    let page = stdout(&run(directory.path(), &["man"]));
    assert!(page.contains(".TH dhakira 1") && page.contains("dhakira\\-lookup(1)"), "{page}");
    let pages = directory.path().join("new/man1");
    let output = run(directory.path(), &["man", "--output", "new/man1"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let entries = std::fs::read_dir(&pages).unwrap();
    let written: BTreeSet<String> =
        entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    let mut expected = BTreeSet::from(["dhakira.1".to_owned()]);
    for command in commands(directory.path(), &[]) {
        expected.insert(format!("dhakira-{command}.1"));
        for below in commands(directory.path(), &[&command]) {
            expected.insert(format!("dhakira-{command}-{below}.1"));
        }
    }
    assert_eq!(expected.difference(&written).collect::<Vec<_>>(), [""; 0]);
    let count = format!("wrote {} manual pages", written.len());
    assert!(stderr(&output).contains(&count), "{}", stderr(&output));
    let lookup = std::fs::read_to_string(pages.join("dhakira-lookup.1")).unwrap();
    assert!(lookup.contains("\\-\\-min\\-score"), "{lookup}");
    std::fs::write(directory.path().join("file"), "").unwrap();
    let refused = run(directory.path(), &["man", "--output", "file"]);
    assert_eq!(code(&refused), 1);
    assert!(stderr(&refused).contains("manual pages into file"), "{}", stderr(&refused));
}

#[test]
fn each_help_ends_in_examples_and_has_its_options_under_headings() {
    let directory = tempfile::tempdir().unwrap();
    let help = |command: &str| {
        let output = run(directory.path(), &[command, "--help"]);
        assert_eq!((code(&output), stderr(&output).as_str()), (0, ""), "{command}");
        stdout(&output)
    };
    for command in commands(directory.path(), &[]) {
        let help = help(&command);
        let examples = help.rsplit_once("\nExamples:\n").map(|(_, examples)| examples);
        let shows = |text: &str| text.contains(&format!("dhakira {command}"));
        // A client of AI is set up in its own file.
        assert!(command == "mcp" || examples.is_some_and(shows), "{command}: {help}");
    }
    let lookup = help("lookup");
    let place = |text: &str| lookup.find(text).unwrap_or_else(|| panic!("{text}: {lookup}"));
    let sections =
        ["\nOptions:", "\nConnection:", "--data <DIR>", "\nWith --server:", "--token-file"];
    assert!(sections.map(place).is_sorted(), "{lookup}");
    assert!(place("\nOutput:") < place("--json"), "{lookup}");
}
