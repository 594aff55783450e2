//! `.ci/release`: an archive holds what a user needs beside the program, its checksum is right, and the same files give the same bytes.

use std::fs;
use std::path::Path;
use std::process::Command;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/release");

fn release(output: &Path) {
    let made = Command::new(SCRIPT)
        .args(["--output", output.to_str().unwrap(), "some-target"])
        .env("DHAKIRA_RELEASE_PROGRAM", env!("CARGO_BIN_EXE_dhakira"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[test]
fn an_archive_holds_program_completions_manual_and_licences() {
    if !Path::new(SCRIPT).exists() || Command::new("sha256sum").arg("--version").output().is_err() {
        eprintln!("SKIPPED: this is not the repository, or there is no sha256sum");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (directory.path().join("a"), directory.path().join("b"));
    release(&first);
    release(&second);
    let name = concat!("dhakira-", env!("CARGO_PKG_VERSION"), "-some-target");
    let archive = format!("{name}.tar.gz");
    let bytes = |output: &Path| fs::read(output.join(&archive)).unwrap();
    assert!(bytes(&first) == bytes(&second), "the archives differ");
    let check = Command::new("sha256sum")
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(&first)
        .output()
        .unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    let list = Command::new("tar").args(["-tzf", &archive]).current_dir(&first).output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    for file in [
        "dhakira",
        "completions/dhakira.bash",
        "completions/_dhakira",
        "completions/dhakira.fish",
        "completions/dhakira.ps1",
        "man/man1/dhakira.1",
        "man/man1/dhakira-lookup.1",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "CHANGELOG.md",
        "dhakira.service",
    ] {
        let path = format!("{name}/{file}");
        assert!(list.lines().any(|line| line == path), "{path} is missing: {list}");
    }
}

/// The container that the page on operating describes is the one that is built.
#[test]
fn the_dockerfile_sets_what_its_page_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = fs::read_to_string(root.join("Dockerfile")).unwrap();
    let page = fs::read_to_string(root.join("docs/operating.md")).unwrap();
    for word in ["DHAKIRA_DATA=/data", "50051", "9090"] {
        assert!(
            file.contains(word) && page.contains(word.split('=').next_back().unwrap()),
            "{word}"
        );
    }
    assert!(page.contains("](../Dockerfile)"), "the page does not lead to it");
    let variables = file.split_whitespace().filter(|word| word.starts_with("DHAKIRA_"));
    for variable in variables {
        let name = variable.split('=').next().unwrap().trim_start_matches("DHAKIRA_");
        let key = format!("| `{}` |", name.to_lowercase());
        let settings = fs::read_to_string(root.join("docs/settings.md")).unwrap();
        assert!(settings.contains(&key), "{key} is no setting");
    }
}
