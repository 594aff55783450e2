//! `dhakira units`: what it lists, and that a change by filter takes a word more than its count.

use std::path::Path;
use std::process::{Command, Output};

fn dhakira(data: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dhakira"))
        .args(arguments)
        .env("DHAKIRA_DATA", data)
        .output()
        .unwrap()
}

/// The lines of an answer that succeeded.
fn lines(data: &Path, arguments: &[&str]) -> Vec<serde_json::Value> {
    let output = dhakira(data, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn units_are_listed_changed_rolled_back_and_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let file = directory.path().join("units.jsonl");
    let unit = |number: u32, author: &str| {
        format!(
            "{{\"source\": \"\u{643}\u{644}\u{645}\u{629} {number}\", \"target\": \"word {number}\", \"author\": \"{author}\"}}\n"
        )
    };
    let text = [unit(1, "amal"), unit(2, "sara"), unit(3, "amal")].concat();
    std::fs::write(&file, text).unwrap();
    lines(&data, &["import", "--json", "--memory", "m", file.to_str().unwrap()]);
    let units =
        |more: &[&str]| lines(&data, &[&["units", "--memory", "m", "--json"], more].concat());
    let numbers = |found: &[serde_json::Value]| -> Vec<String> {
        let name = |it: &serde_json::Value| it["unit"].as_str().unwrap().to_owned();
        found.iter().map(|it| name(it).replace("memories/m/units/", "")).collect()
    };
    assert_eq!(numbers(&units(&["list"])), ["1", "2", "3"]);
    assert_eq!(numbers(&units(&["list", "--by-author", "amal", "--limit", "1"])), ["1"]);
    assert_eq!(numbers(&units(&["get", "3", "1"])), ["3", "1"]);
    let update =
        ["update", "--by-author", "amal", "--set-author", "zaid", "--set-attribute", "client.a=x"];
    let counted = units(&update);
    assert_eq!((&counted[0]["matching"], &counted[0]["changed"]), (&2.into(), &0.into()));
    assert_eq!(units(&["get", "1"])[0]["author"], "amal");
    let changed = units(&[&update[..], &["--yes"]].concat());
    assert_eq!(changed[0]["changed"], 2);
    let first = units(&["get", "1"]).remove(0);
    assert_eq!((&first["author"], &first["attributes"]["client.a"]), (&"zaid".into(), &"x".into()));
    assert_eq!(numbers(&units(&["list", "--order-by", "changed", "--descending"]))[2], "2");
    let history = units(&["history", "1"]);
    let revisions: Vec<_> = history.iter().map(|it| it["revision"].as_u64().unwrap()).collect();
    assert_eq!(revisions, [2, 1]);
    let back = units(&["rollback", "1", "--revision", "1"]).remove(0);
    assert_eq!((&back["author"], &back["revision"]), (&"amal".into(), &3.into()));
    assert_eq!(units(&["delete", "--by-author", "zaid", "--yes"])[0]["changed"], 1);
    units(&["delete", "2"]);
    assert_eq!(numbers(&units(&["list"])), ["1"]);
    for wrong in [
        &["delete"][..],
        &["delete", "1", "--by-author", "amal"],
        &["update", "--set-author", "zaid", "--yes"],
        &["rollback", "1", "--revision", "9"],
        &["get", "9"],
    ] {
        let output = dhakira(&data, &[&["units", "--memory", "m"], wrong].concat());
        assert_eq!(output.status.code(), Some(1), "{wrong:?}");
        assert!(!output.stderr.is_empty(), "{wrong:?}");
    }
    let table = dhakira(&data, &["units", "--memory", "m", "list"]);
    assert!(String::from_utf8_lossy(&table.stdout).contains("word 1"));
}

#[test]
fn a_unit_is_added_edited_and_kept_as_it_was_in_its_history() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let file = directory.path().join("units.tmx");
    let tagged = "<tmx version=\"1.4\"><header srclang=\"ar\"/><body><tu>\
        <tuv xml:lang=\"ar\"><seg>\u{648}\u{627}\u{62d}\u{62f}</seg></tuv>\
        <tuv xml:lang=\"en\"><seg>one <bpt i=\"1\">b</bpt>two<ept i=\"1\">/b</ept></seg></tuv></tu></body></tmx>";
    std::fs::write(&file, tagged).unwrap();
    lines(&data, &["import", "--json", "--memory", "m", file.to_str().unwrap()]);
    let units =
        |more: &[&str]| lines(&data, &[&["units", "--memory", "m", "--json"], more].concat());
    let fields = ["--set-author", "amal", "--set-document", "d.md", "--set-attribute", "client=x"];
    let text = "\u{643}\u{62a}\u{627}\u{628}";
    let add = [&["add", text, "book"], &fields[..]].concat();
    let added = units(&add).remove(0);
    assert_eq!((&added["unit"], &added["revision"]), (&"memories/m/units/2".into(), &1.into()));
    assert_eq!((&added["source"], &added["target"]), (&text.into(), &"book".into()));
    assert_eq!((&added["author"], &added["document"]), (&"amal".into(), &"d.md".into()));
    assert_eq!(added["attributes"]["client"], "x");
    // The same again is the same unit, unless all are kept.
    assert_eq!(units(&add)[0]["unit"], "memories/m/units/2");
    let kept = units(&[&add[..], &["--duplicates", "keep-all"]].concat());
    assert_eq!(kept[0]["unit"], "memories/m/units/3");

    let edited = units(&["edit", "2", "--target", "a book", "--remove-attribute", "client"]);
    assert_eq!((&edited[0]["target"], &edited[0]["revision"]), (&"a book".into(), &2.into()));
    assert_eq!((&edited[0]["source"], &edited[0]["author"]), (&text.into(), &"amal".into()));
    assert_eq!(edited[0]["attributes"], serde_json::json!({}));
    let history = units(&["history", "2"]);
    assert_eq!([&history[0]["target"], &history[1]["target"]], ["a book", "book"]);

    for (wrong, code, said) in [
        (&["edit", "1", "--target", "one two"][..], 1, "--drop-tags"),
        (&["edit", "2"], 2, "--target"),
        (&["edit", "9", "--set-author", "x"], 1, "unit"),
        (&["add", "x", ""], 1, "empty"),
        (&["add", "x"], 2, "<TARGET>"),
    ] {
        let output = dhakira(&data, &[&["units", "--memory", "m"], wrong].concat());
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(code) && error.contains(said), "{wrong:?}: {error}");
    }
    // What has tags keeps them when another text changes.
    units(&["edit", "1", "--source", "\u{648}"]);
    let dropped = units(&["edit", "1", "--target", "one two", "--drop-tags"]);
    assert_eq!(dropped[0]["target"], "one two");
    let table = dhakira(&data, &["units", "--memory", "m", "edit", "2", "--set-author", "sara"]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.starts_with("UNIT") && table.contains("sara"), "{table}");
}
