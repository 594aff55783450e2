//! Files that say what they are, given to the program as a user gives them: what is stored, counted, refused and left behind.

use std::path::Path;

use serde_json::Value;

use crate::command_line::{code, json, run, run_with, stderr, stdout};

fn write(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Names of the memories that there are.
fn memories(directory: &Path) -> Vec<String> {
    let output = run(directory, &["memories", "--json"]);
    let lines = stdout(&output);
    let names = lines.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["name"].as_str().unwrap().to_owned()
    });
    names.collect()
}

fn catalogue(lang: &str, pairs: &[(&str, &str, &str)]) -> String {
    let mut text = format!("msgid \"\"\nmsgstr \"\"\n\"Language: {lang}\\n\"\n");
    for (flags, source, target) in pairs {
        text += &format!("\n{flags}msgid \"{source}\"\nmsgstr \"{target}\"\n");
    }
    text
}

#[test]
fn of_a_directory_of_catalogues_only_the_language_of_the_memory_comes_in() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    for (lang, target) in [("ar", "\u{641}"), ("de", "d"), ("fa", "\u{641}\u{627}"), ("fr", "f")] {
        write(here, &format!("po/{lang}.po"), &catalogue(lang, &[("", "Open", target)]));
    }
    let langs = ["--source-lang", "en", "--target-lang", "ar"];
    let import = [&["import", "--memory", "m", "--json", "po"][..], &langs].concat();
    let output = run(here, &import);
    let sums = json(&output);
    assert_eq!((code(&output), &sums["stored"], &sums["rejected"]), (3, &1.into(), &3.into()));
    assert_eq!(sums["causes"]["DECLARED_LANGUAGE"], 3);
    assert_eq!(sums["examples"]["DECLARED_LANGUAGE"][0]["file"], "po/de.po");
    let all = [&import[..], &["--ignore-declared-languages"]].concat();
    assert_eq!(json(&run(here, &all))["stored"], 3);
}

#[test]
fn unfinished_translations_are_counted_or_kept_and_never_read_100() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let text =
        catalogue("ar", &[("#, fuzzy\n", "Open the door", "\u{641}"), ("", "Close it", "\u{642}")]);
    write(here, "a.po", &text);
    let import =
        ["import", "--memory", "m", "--json", "--source-lang", "en", "--target-lang", "ar", "a.po"];
    let sums = json(&run(here, &import));
    let counts =
        ["read", "stored", "unfinished", "rejected"].map(|name| sums[name].as_u64().unwrap());
    assert_eq!(counts, [2, 1, 1, 0]);
    assert_eq!(sums["examples"]["UNFINISHED"][0]["line"], 5);
    let best = |query: &str| {
        let lookup = ["lookup", "--memory", "m", "--json", "--max", "1"];
        let output = run_with(here, &lookup, &format!("{query}\n"));
        json(&output)["matches"][0].clone()
    };
    assert_eq!(best("Open the door"), Value::Null);
    let keep = [&import[..], &["--unfinished", "keep"]].concat();
    let output = run(here, &keep);
    let sums = json(&output);
    assert_eq!(
        (&sums["stored"], &sums["unfinished"]),
        (&1.into(), &0.into()),
        "{}",
        stderr(&output)
    );
    let found = best("Open the door");
    assert_eq!(found["score"], 90.0, "{found}");
    assert_eq!(found["deductions"][0]["reason"], "state", "{found}");
    assert_eq!(best("Close it")["score"], 100.0);
}

#[test]
fn an_import_that_stores_nothing_creates_no_memory() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    write(here, "a.ttx", "<?xml version='1.0'?><TRADOStag Version='2.0'><Body/></TRADOStag>");
    write(here, "b.txml", "<txml locale='en' version='1.0'></txml>");
    write(here, "c.tmx", "<tmx version='1.4'><body></body></tmx>");
    write(here, "d.po", &catalogue("fr", &[("", "a", "b")]));
    write(here, "e.tsv", "ar\ten\n");
    for (file, expected, message) in [
        ("a.ttx", 1, "TTX"),
        ("b.txml", 1, "TXML"),
        ("c.tmx", 0, ""),
        ("d.po", 3, "DECLARED_LANGUAGE: 1 unit"),
        ("e.tsv", 0, ""),
    ] {
        let output = run(here, &["import", "--memory", "m", file]);
        assert_eq!(code(&output), expected, "{file}: {}", stderr(&output));
        assert!(stderr(&output).contains(message), "{file}: {}", stderr(&output));
        assert_eq!(memories(here), [""; 0], "{file}");
    }
    // The unit is read, and rejected when the memory is there: its sides are in one language.
    let text =
        "\u{647}\u{630}\u{647} \u{62c}\u{645}\u{644}\u{629} \u{637}\u{648}\u{64a}\u{644}\u{629}";
    write(here, "f.tsv", &format!("ar\ten\n{text}\t{text}\n"));
    let output = run(here, &["import", "--memory", "m", "--check=reject", "f.tsv"]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    assert!(stderr(&output).contains("no unit was stored"), "{}", stderr(&output));
    assert_eq!(memories(here), [""; 0]);
}

#[test]
fn a_mistyped_language_is_refused_with_the_code_that_was_meant() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    write(here, "a.tsv", "ar\ten\nx\ty\n");
    for (arguments, meant) in [
        (&["import", "--memory", "m", "--source-lang", "arabic", "a.tsv"][..], "'ar'"),
        (&["import", "--memory", "m", "--target-lang", "eng", "a.tsv"], "'en'"),
        (&["memories", "create", "m", "--source-lang", "xx"], "did you mean"),
    ] {
        let output = run(here, arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        assert!(stderr(&output).contains(meant), "{}", stderr(&output));
    }
    assert_eq!(code(&run(here, &["memories", "create", "m", "--source-lang", "ckb"])), 0);
}

#[test]
fn the_report_groups_what_is_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let rows: String = (0..50).map(|row| format!("\u{633} {row}\t\n")).collect();
    write(here, "a.tsv", &format!("ar\ten\n{rows}\u{633}\tgood\n"));
    let output = run(here, &["import", "--memory", "m", "a.tsv"]);
    let told = stderr(&output);
    assert!(told.contains("EMPTY_SEGMENT: 50 units") && told.contains("and 47 more"), "{told}");
    assert_eq!(told.matches("a.tsv:").count(), 3, "{told}");
}
