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
