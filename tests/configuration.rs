//! Settings and where they come from, tokens on the command line, and what a server refuses to do by accident.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::crash::Process;

const SETTINGS: &str = include_str!("../docs/settings.md");

fn run(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dhakira"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DHAKIRA_")) {
        command.env_remove(name);
    }
    command.args(arguments).current_dir(directory).envs(variables.iter().copied()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_setting_says_where_it_comes_from() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dhakira.toml");
    std::fs::write(
        &file,
        "listen = \"127.0.0.1:1\"\ncalls_max = 7\ninsecure_no_auth = true\naudit = \"log\"\n",
    )
    .unwrap();
    let arguments = ["config", "--json", "--config", "dhakira.toml", "--listen", "127.0.0.1:3"];
    let variables = [("DHAKIRA_LISTEN", "127.0.0.1:2"), ("DHAKIRA_CALLS_MAX", "8")];
    let settings = lines(&run(directory.path(), &arguments, &variables));
    let of = |key: &str| {
        let found = settings.iter().find(|line| line["key"] == key).unwrap();
        (found["value"].as_str().unwrap().to_owned(), found["origin"].as_str().unwrap().to_owned())
    };
    assert_eq!(of("listen"), ("127.0.0.1:3".into(), "flag --listen".into()));
    assert_eq!(of("calls_max"), ("8".into(), "env DHAKIRA_CALLS_MAX".into()));
    assert_eq!(of("audit"), ("log".into(), "file dhakira.toml".into()));
    assert_eq!(of("insecure_no_auth"), ("true".into(), "file dhakira.toml".into()));
    assert_eq!(of("log_format"), ("text".into(), "default".into()));
}

#[test]
fn settings_that_are_no_good_are_named_with_their_origin() {
    let directory = tempfile::tempdir().unwrap();
    for (contents, said) in [
        ("listen = 5", "listen (file"),
        ("calls_max = 0", "at least 1"),
        ("call_max = 5", "there is no setting 'call_max'"),
        ("listen = [1]", "'listen' is of type array"),
        ("log_format = \"xml\"", "text or json"),
        ("listen = ", "the settings in"),
        ("cors_origins = \"*\"", "cors_origins (file bad.toml): '*' would let every web page"),
        ("cors_origins = \"https://a.example, tm.example/\"", "'tm.example/' is not an origin"),
    ] {
        std::fs::write(directory.path().join("bad.toml"), contents).unwrap();
        for command in ["config", "serve"] {
            let output = run(directory.path(), &[command, "--config", "bad.toml"], &[]);
            let error = text(&output.stderr);
            assert!(output.status.code() == Some(1) && error.contains(said), "{contents}: {error}");
        }
    }
    let output = run(directory.path(), &["config"], &[("DHAKIRA_CALLS_MAX", "many")]);
    assert!(text(&output.stderr).contains("calls_max (env DHAKIRA_CALLS_MAX): 'many'"));
}

#[test]
fn the_documentation_has_the_table_of_settings() {
    let directory = tempfile::tempdir().unwrap();
    let table = text(&run(directory.path(), &["config", "--describe"], &[]).stdout);
    assert!(table.lines().count() > 20);
    assert!(SETTINGS.contains(&table), "put this into docs/settings.md:\n{table}");
}

#[test]
fn strangers_are_not_let_in_by_accident() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(directory.path(), &["serve", "--listen", "0.0.0.0:0"], &[]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    for way in ["dhakira access-tokens create", "--tls-client-ca", "--insecure-no-auth"] {
        assert!(error.contains(way), "{error}");
    }
    assert!(!directory.path().join("dhakira-data").exists(), "nothing was begun");
    let output = run(directory.path(), &["serve", "--tls-cert", "cert.pem"], &[]);
    assert!(text(&output.stderr).contains("both tls_cert and tls_key"));
}

#[test]
fn a_server_whose_tokens_are_gone_opens_nothing_unless_told() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("dhakira-data");
    let tokens = data.join("access/tokens.json");
    let make = ["tokens", "create", "anna", "--grant", "admin:*"];
    assert!(run(directory.path(), &make, &[]).status.success());
    drop(Process::start(&data));
    std::fs::remove_file(&tokens).unwrap();
    let refused = |data: &Path| {
        let said = Process::try_start_with(data, &[]).err().expect("it started");
        for way in ["restore it", "dhakira access-tokens create", "--without-tokens"] {
            assert!(said.contains(way), "{said}");
        }
    };
    refused(&data);
    // Everything about tokens is gone, and there is still the mark in the data directory.
    std::fs::remove_dir_all(data.join("access")).unwrap();
    refused(&data);
    // New tokens are a way out.
    assert!(run(directory.path(), &make, &[]).status.success());
    drop(Process::start(&data));
    // So are none, when that is what is wanted; it has to be said once.
    let told = ["serve", "--without-tokens", "--until-stdin-ends", "--listen", "127.0.0.1:0"];
    let there = run(directory.path(), &told, &[]);
    assert!(!there.status.success() && text(&there.stderr).contains("move it away"));
    std::fs::rename(&tokens, directory.path().join("kept.json")).unwrap();
    refused(&data);
    let ended = run(directory.path(), &told, &[]);
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    drop(Process::start(&data));
    // A directory in which a version without the mark made tokens.
    std::fs::write(data.join("access/tokens.lock"), "").unwrap();
    refused(&data);
}

#[test]
fn tokens_are_made_while_the_server_runs_and_asked_for_from_then_on() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(&directory.path().join("dhakira-data"));
    let list = |variables: &[(&str, &str)]| {
        run(directory.path(), &["memories", "--server", &process.url], variables)
    };
    assert!(list(&[]).status.success(), "nobody is asked for a token yet");
    let made = run(directory.path(), &["tokens", "create", "anna", "--grant", "admin:*"], &[]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let token = text(&made.stdout).trim().to_owned();
    assert!(token.starts_with("dhk_"));
    wait(|| !list(&[]).status.success());
    assert!(text(&list(&[]).stderr).contains("--token"), "the way out is named");
    assert!(list(&[("DHAKIRA_TOKEN", &token)]).status.success());
    std::fs::write(directory.path().join("token"), format!("{token}\n")).unwrap();
    let made = ["memories", "--server", &process.url, "--token-file", "token", "create", "m"];
    assert!(run(directory.path(), &made, &[]).status.success());
    let audit = directory.path().join("dhakira-data/access/audit.jsonl");
    wait(|| std::fs::read_to_string(&audit).is_ok_and(|it| it.contains("CreateMemory")));
    let listed = lines(&run(directory.path(), &["tokens", "list", "--json"], &[]));
    assert_eq!((&listed[0]["name"], &listed[0]["state"]), (&"anna".into(), &"active".into()));
    assert!(listed[0]["token"].is_null() && listed[0]["expires"].is_string());
    assert!(run(directory.path(), &["tokens", "revoke", "anna"], &[]).status.success());
    wait(|| text(&list(&[("DHAKIRA_TOKEN", &token)]).stderr).contains("revoked"));
    let again = run(directory.path(), &["tokens", "revoke", "nobody"], &[]);
    assert!(again.status.code() == Some(1) && text(&again.stderr).contains("nobody"));
    for wrong in [["--grant", "boss:*"], ["--grant", "reader"], ["--expires-in", "soon"]] {
        let arguments = [&["tokens", "create", "x", "--grant", "reader:*"], &wrong[..]].concat();
        assert!(!run(directory.path(), &arguments, &[]).status.success(), "{wrong:?}");
    }
}

fn wait(mut done: impl FnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !done() {
        assert!(begin.elapsed() < std::time::Duration::from_secs(30), "it never came");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

#[test]
fn logs_are_lines_of_json_when_asked() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dhakira"));
    let mut child = command
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--log-format",
            "json",
            "--log",
            "warn,call=info",
        ])
        .current_dir(directory.path())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap()));
    let mut address = String::new();
    for line in lines.by_ref().map(Result::unwrap) {
        if let Some((_, rest)) = line.split_once("listening on ") {
            address = rest.split(' ').next().unwrap().to_owned();
        }
        if line.contains("ready") {
            break;
        }
    }
    assert!(run(directory.path(), &["memories", "--server", &address], &[]).status.success());
    let line = lines.map(Result::unwrap).find(|line| line.contains("ListMemories")).unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["target"], &line["outcome"]), (&"call".into(), &"OK".into()));
    assert!(line["request_id"].is_string());
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The manifest of a backup as a version wrote it that recorded nothing of tokens.
fn forget_tokens(backup: &Path) {
    let manifest = backup.join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let (json, _) = text.trim_end().rsplit_once('\n').unwrap();
    let lines = json.lines().filter(|line| !line.contains("tokens_required"));
    let json = lines.collect::<Vec<_>>().join("\n");
    let checksum = xxhash_rust::xxh3::xxh3_64(json.as_bytes());
    std::fs::write(&manifest, format!("{json}\nxxh3 {checksum:016x}\n")).unwrap();
}

#[test]
fn restored_memories_ask_for_tokens_where_the_original_did() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("dhakira-data");
    let run = |arguments: &[&str]| {
        let output = run(directory.path(), arguments, &[]);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        output
    };
    let restore = |backup: &str, to: &str| {
        let output = run(&["restore", backup, "--data", to, "--json"]);
        let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let said = text(&output.stderr);
        (line["tokens_required"].as_bool(), said, directory.path().join(to))
    };
    let refused = |data: &Path| {
        let said = Process::try_start_with(data, &[]).err().expect("it started");
        assert!(said.contains("dhakira access-tokens create"), "{said}");
    };

    // Without tokens: as open as before.
    run(&["memories", "create", "m"]);
    run(&["backup", "saved"]);
    let (required, _, restored) = restore("saved", "open");
    assert_eq!(required, Some(false));
    drop(Process::start(&restored));
    // Tokens came, and no commit since: the backup knows all the same.
    let made = run(&["tokens", "create", "anna", "--grant", "admin:*"]);
    let token = text(&made.stdout).trim().to_owned();
    let nothing = run(&["backup", "saved"]);
    assert!(text(&nothing.stderr).contains("nothing new"));
    let (required, said, restored) = restore("saved", "guarded");
    assert_eq!(required, Some(true));
    assert!(said.contains("dhakira access-tokens create"), "{said}");
    refused(&restored);
    let data_of = restored.to_string_lossy();
    run(&["tokens", "create", "bert", "--grant", "admin:*", "--data", &data_of]);
    drop(Process::start(&restored));
    // Over a server, which asked for a token.
    let process = Process::start(&data);
    run(&["backup", "over-server", "--server", &process.url, "--token", &token]);
    drop(process);
    let (required, _, restored) = restore("over-server", "from-server");
    assert_eq!(required, Some(true));
    refused(&restored);
    // A backup that says nothing of tokens.
    forget_tokens(&directory.path().join("over-server"));
    let (required, said, restored) = restore("over-server", "unknown");
    assert_eq!(required, None);
    assert!(said.contains("does not say"), "{said}");
    drop(Process::start(&restored));
    // The tokens were given up.
    std::fs::remove_file(data.join("access/tokens.json")).unwrap();
    run(&["serve", "--without-tokens", "--until-stdin-ends", "--listen", "127.0.0.1:0"]);
    run(&["backup", "saved"]);
    assert_eq!(restore("saved", "open-again").0, Some(false));
}
