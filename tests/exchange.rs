//! Files in and out by the commands: nothing is lost, nothing is silent, and what broke off goes on.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::command_line::{code, json, run, run_with, stderr, stdout};

/// So many rows with different Arabic sources.
fn rows(count: usize) -> String {
    let mut text = "ar\ten\n".to_owned();
    for number in 0..count {
        text += &format!(
            "\u{62c}\u{645}\u{644}\u{629} \u{631}\u{642}\u{645} {number}\tSentence number {number}\n"
        );
    }
    text
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("{name} in {value}"))
}

#[test]
fn rejected_units_are_mended_and_imported_again() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let bad = "ar\ten\n\u{646}\u{639}\u{645}\tYes\n\u{644}\u{627}\t\n\u{631}\u{628}\u{645}\u{627}\tMay\u{1}be\n";
    for (ending, empty, whole) in
        [("tmx", "<seg></seg>", "<seg>No</seg>"), ("tsv", "\t\t", "\tNo\t")]
    {
        std::fs::write(at.join("bad.tsv"), bad).unwrap();
        let rejects = format!("rejects.{ending}");
        let arguments = ["import", "--memory", ending, "--rejects", &rejects, "bad.tsv", "--json"];
        let output = run(at, &arguments);
        if stderr(&output).contains("is not written") {
            eprintln!("SKIPPED: {ending} is not written yet");
            continue;
        }
        assert_eq!(code(&output), 3, "{}", stderr(&output));
        let sums = json(&output);
        assert_eq!((number(&sums, "stored"), number(&sums, "rejected")), (1, 2), "{sums}");
        assert_eq!(number(&sums["causes"], "EMPTY_SEGMENT"), 1);
        assert_eq!(number(&sums["causes"], "CONTROL_CHARACTER"), 1);

        // What was rejected the last time is not overwritten.
        let output = run(at, &arguments);
        assert_eq!(code(&output), 1);
        assert!(stderr(&output).contains("exists"), "{}", stderr(&output));

        let written = std::fs::read_to_string(at.join(&rejects)).unwrap();
        assert!(written.contains("EMPTY_SEGMENT: ") && written.contains("bad.tsv:3"), "{written}");
        assert!(written.contains("CONTROL_CHARACTER: "), "{written}");
        assert!(written.contains(empty), "{written}");
        let mended = written.replacen(empty, whole, 1).replace('\u{fffd}', "");
        std::fs::write(at.join(format!("mended.{ending}")), mended).unwrap();
        let mended = format!("mended.{ending}");
        let output = run(at, &["import", "--memory", ending, &mended, "--json"]);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        assert_eq!(number(&json(&output), "stored"), 2, "{}", stdout(&output));
        let page = stdout(&run(at, &["export", "--memory", ending]));
        assert!(page.contains("Maybe") && page.contains("<seg>No</seg>"), "{page}");
        assert!(!page.contains("rejected"), "{page}");
    }
}

#[test]
fn units_that_the_server_rejects_are_written_down_too() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let text = "ar\ten\n\u{648}\u{635}\u{644} \u{627}\u{644}\u{631}\u{626}\u{64a}\u{633} \u{625}\u{644}\u{649} \u{627}\u{644}\u{639}\u{627}\u{635}\u{645}\u{629}\tThe president arrived in the capital\n\
        \u{631}\u{641}\u{636} \u{627}\u{644}\u{648}\u{632}\u{64a}\u{631} \u{627}\u{644}\u{62a}\u{639}\u{644}\u{64a}\u{642} \u{639}\u{644}\u{649} \u{62a}\u{642}\u{631}\u{64a}\u{631} \u{627}\u{644}\u{62d}\u{643}\u{648}\u{645}\u{629}\tThe match began at three in the afternoon in the rain\n";
    std::fs::write(at.join("rows.tsv"), text).unwrap();
    let arguments = [
        "import",
        "--memory",
        "m",
        "--check=reject",
        "--rejects",
        "r.tmx",
        "--verdicts",
        "v.jsonl",
        "rows.tsv",
        "--json",
    ];
    let output = run(at, &arguments);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert_eq!(number(&json(&output)["causes"], "SUSPECT"), 1);
    let rejects = std::fs::read_to_string(at.join("r.tmx")).unwrap();
    assert!(rejects.contains("The match began") && !rejects.contains("The president"), "{rejects}");
    let verdicts = std::fs::read_to_string(at.join("v.jsonl")).unwrap();
    let lines: Vec<Value> = verdicts.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let told: Vec<_> =
        lines.iter().map(|it| (it["line"].as_u64(), it["verdict"].as_str())).collect();
    assert_eq!(told, [(Some(2), Some("stored")), (Some(3), Some("rejected"))]);
    assert_eq!(lines[1]["cause"], "SUSPECT");
}

#[test]
fn verdicts_name_every_unit() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let text = "ar\ten\n\u{646}\u{639}\u{645}\tYes\n\u{646}\u{639}\u{645}\tYes\n\u{644}\u{627}\t\n\u{646}\u{639}\u{645}\tYeah\n";
    std::fs::write(at.join("rows.tsv"), text).unwrap();
    let arguments = [
        "import",
        "--memory",
        "m",
        "--duplicates",
        "replace-same-source",
        "--verdicts",
        "v.jsonl",
        "rows.tsv",
    ];
    let output = run(at, &arguments);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    let table = stdout(&output);
    assert!(table.contains("4 units read") && table.contains("EMPTY_SEGMENT"), "{table}");
    let verdicts = std::fs::read_to_string(at.join("v.jsonl")).unwrap();
    let mut told: Vec<_> = verdicts
        .lines()
        .map(|it| serde_json::from_str::<Value>(it).unwrap())
        .map(|it| (it["line"].as_u64().unwrap(), it["verdict"].as_str().unwrap().to_owned()))
        .collect();
    told.sort();
    let expected = [(2, "stored"), (3, "duplicate"), (4, "rejected"), (5, "replaced")];
    assert_eq!(told, expected.map(|(line, verdict)| (line, verdict.to_owned())));
}

#[test]
fn a_killed_import_goes_on_and_stores_every_unit_once() {
    const UNITS: usize = 40_000;
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::write(at.join("rows.tsv"), rows(UNITS)).unwrap();
    // Every unit is stored, duplicates too: whatever came twice would be seen.
    let arguments = [
        "import",
        "--data",
        "d",
        "--memory",
        "m",
        "--duplicates",
        "keep-all",
        "rows.tsv",
        "--json",
    ];
    let mut child = Command::new(env!("CARGO_BIN_EXE_dhakira"))
        .args(arguments)
        .current_dir(at)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Commit 1 makes the memory.
    while acknowledged(&at.join("d")) < 2 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
    child.kill().unwrap();
    child.wait().unwrap();

    let output = run(at, &arguments);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("resuming"), "{}", stderr(&output));
    let sums = json(&output);
    let expected = UNITS as u64;
    assert_eq!((number(&sums, "read"), number(&sums, "stored")), (expected, expected), "{sums}");
    assert_eq!(number(&sums, "resumed"), 1);
    let page = stdout(&run(at, &["export", "--data", "d", "--memory", "m"]));
    assert_eq!(page.matches("<tu ").count() + page.matches("<tu>").count(), UNITS);
    assert!(page.contains(&format!("Sentence number {}<", UNITS - 1)));

    // The whole file once more: nothing is stored, and that is said.
    let output = run(at, &arguments);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    assert!(stderr(&output).contains("completely imported before"), "{}", stderr(&output));
    let sums = json(&output);
    assert_eq!((number(&sums, "stored"), number(&sums, "imported_before")), (0, 1), "{sums}");
    // Unless it is wanted.
    let output = run(at, &[&arguments[..], &["--again"]].concat());
    assert_eq!(number(&json(&output), "stored"), expected);
}

/// The last acknowledged commit of a store; 0 while there is none.
fn acknowledged(data: &Path) -> u64 {
    let text = std::fs::read_to_string(data.join("acknowledged")).unwrap_or_default();
    text.split(' ').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[test]
fn files_come_as_pairs_as_directories_and_from_standard_input() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    std::fs::write(at.join("a.ar"), "\u{646}\u{639}\u{645}\n\u{644}\u{627}\n").unwrap();
    std::fs::write(at.join("a.en"), "Yes\nNo\n").unwrap();
    let output =
        run(at, &["import", "--memory", "m", "--format", "moses", "a.ar", "a.en", "--json"]);
    assert_eq!(number(&json(&output), "stored"), 2, "{}", stderr(&output));
    let output = run(at, &["import", "--memory", "m", "--format", "moses", "a.ar"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("pairs"), "{}", stderr(&output));

    std::fs::create_dir_all(at.join("job/deep")).unwrap();
    std::fs::write(at.join("job/b.tsv"), rows(3)).unwrap();
    std::fs::write(at.join("job/deep/a.tsv"), rows(5)).unwrap();
    std::fs::write(at.join("job/notes.txt"), "not for import").unwrap();
    let output = run(at, &["import", "--memory", "m", "job", "--json"]);
    let sums = json(&output);
    assert_eq!((number(&sums, "stored"), number(&sums, "duplicates")), (5, 3), "{sums}");

    let output = run_with(at, &["import", "--memory", "m", "-", "--json"], &rows(7));
    assert_eq!(number(&json(&output), "stored"), 2, "{}", stderr(&output));

    // One file that cannot be read does not keep the others out, and is not passed over in silence.
    std::fs::write(at.join("empty.tmx"), "").unwrap();
    let output =
        run(at, &["import", "--memory", "m", "empty.tmx", "missing.tsv", "job/b.tsv", "--json"]);
    assert_eq!(code(&output), 1);
    assert_eq!(number(&json(&output), "duplicates"), 3);
    let told = stderr(&output);
    assert!(told.contains("empty.tmx") && told.contains("missing.tsv"), "{told}");
    assert!(told.contains("2 of 3 files"), "{told}");
}

#[test]
fn exports_take_filters_and_give_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let small = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/small.tsv");
    run(at, &["import", "--memory", "m", small]);
    let units = |arguments: &[&str]| {
        let arguments = [&["export", "--memory", "m"], arguments].concat();
        let output = run(at, &arguments);
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        stdout(&output).matches("<tu").count() - stdout(&output).matches("<tuv").count()
    };
    assert_eq!(units(&[]), 4);
    assert_eq!(units(&["--in-document", "guide.md"]), 3);
    assert_eq!(units(&["--in-document", "news.md", "--in-document", "guide.md"]), 4);
    assert_eq!(units(&["--by-author", "nobody"]), 0);
    assert_eq!(units(&["--changed-from", "2024-01-03"]), 2);
    assert_eq!(units(&["--changed-before", "2024-01-03"]), 2);
    // In the source, spelt otherwise; in the target, in another case; both words, in any order.
    assert_eq!(
        units(&["--query", "\u{627}\u{644}\u{627}\u{639}\u{62f}\u{627}\u{62f}\u{627}\u{62a}"]),
        1
    );
    assert_eq!(units(&["--query", "MENU settings"]), 1);
    assert_eq!(units(&["--query", "menu schools"]), 0);
    assert_eq!(units(&["--query", "the", "--in-document", "guide.md"]), 3);
    let output = run(at, &["export", "--memory", "m", "--query", "\u{2026}"]);
    assert!(stderr(&output).contains("no word"), "{}", stderr(&output));

    for name in ["a.tmx", "a.tmx.gz", "a.tmx.xz", "a.tmx.zst"] {
        let export = |name: &str| {
            let output = run(at, &["export", "--memory", "m", "--force", "--output", name]);
            assert_eq!(code(&output), 0, "{}", stderr(&output));
            std::fs::read(at.join(name)).unwrap()
        };
        assert_eq!(export(name), export(&format!("b{name}")), "{name}");
        let again = run(at, &["import", "--memory", "m", name, "--json"]);
        assert_eq!(number(&json(&again), "duplicates"), 4, "{name}: {}", stderr(&again));
    }
    let output = run(at, &["export", "--memory", "m", "--output", "a.docx"]);
    assert!(stderr(&output).contains("--format"), "{}", stderr(&output));
    assert!(!at.join("a.docx.partial").exists());
}
