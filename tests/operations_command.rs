//! `dhakira operations`: starts work on a server, and shows what became of it.

use std::path::Path;
use std::process::{Command, Output};

use crate::crash::Process;
use crate::support::Clients;

fn dhakira(url: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dhakira"));
    command.args(arguments).env("DHAKIRA_SERVER", url).output().unwrap()
}

/// The lines of an answer that succeeded.
fn lines(url: &str, arguments: &[&str]) -> Vec<serde_json::Value> {
    let output = dhakira(url, &[&["operations", "--json"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn name(lines: &[serde_json::Value]) -> String {
    lines[0]["name"].as_str().unwrap().to_owned()
}

fn write_units(path: &Path) {
    let mut text = "ar\ten\n".to_owned();
    for number in 0..100 {
        text += &format!("\u{62c}\u{645}\u{644}\u{629} {number}\tSentence {number}\n");
    }
    text += "\u{62c}\t\n";
    std::fs::write(path, text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn work_is_started_watched_read_and_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(&directory.path().join("data"));
    Clients::connect(&process.url).await.create_memory("m").await;
    let url = process.url.as_str();
    let file = directory.path().join("units.tsv");
    write_units(&file);
    let import = name(&lines(url, &["start-import", "--memory", "m", file.to_str().unwrap()]));
    let done = lines(url, &["watch", &import]);
    assert_eq!((&done[0]["done"], &done[0]["counts"]["stored"]), (&true.into(), &100.into()));
    let result = lines(url, &["result", &import]);
    assert_eq!((result.len(), &result[0]["cause"]), (1, &"EMPTY_SEGMENT".into()));

    let id = name(&lines(url, &["start-train", "--memory", "m"]));
    let id = id.strip_prefix("operations/").unwrap();
    assert_eq!(lines(url, &["watch", id])[0]["counts"]["units"], 100);
    let check = name(&lines(url, &["start-check", "--memory", "m", "--min-suspicion", "0"]));
    let listed = lines(url, &["watch", &check])[0]["counts"]["units_listed"].as_u64().unwrap();
    assert_eq!(lines(url, &["result", &check]).len() as u64, listed + 1);
    let kinds: Vec<_> = lines(url, &["list"]).iter().map(|it| it["kind"].clone()).collect();
    assert_eq!(kinds, ["check", "train", "import"]);
    let table = dhakira(url, &["operations", "list", "--limit", "1"]);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.starts_with("NAME") && table.contains("100 units checked"), "{table}");

    // A backup is fetched into a directory, which restores.
    let copies = directory.path().join("copies");
    let copies = copies.to_str().unwrap();
    let backup = name(&lines(url, &["start-backup"]));
    lines(url, &["watch", &backup]);
    assert!(
        dhakira(url, &["operations", "result", &backup, "--backup-dir", copies]).status.success()
    );
    let restored = directory.path().join("restored");
    let restored = restored.to_str().unwrap();
    let restore = Command::new(env!("CARGO_BIN_EXE_dhakira"))
        .args(["restore", copies, "--data", restored])
        .output()
        .unwrap();
    assert!(restore.status.success(), "{restore:?}");
    let more = name(&lines(url, &["start-backup", "--after", copies]));
    lines(url, &["watch", &more]);
    let nothing = dhakira(url, &["operations", "result", &more, "--backup-dir", copies]);
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("nothing new"), "{nothing:?}");

    lines(url, &["cancel", &import]);
    lines(url, &["delete", &import]);
    let gone = dhakira(url, &["operations", "show", &import]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&gone.stderr).contains("there is no operation"), "{gone:?}");
    let local = Command::new(env!("CARGO_BIN_EXE_dhakira"))
        .args(["operations", "--data", restored, "list"])
        .env_remove("DHAKIRA_SERVER")
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&local.stderr).contains("--server"), "{local:?}");
}
