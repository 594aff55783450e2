//! Clients of other projects, unmodified, as the package registries give them.
//!
//! Each has a folder below `tests/clients` with its pinned packages and a short script that uses it. The packages are installed
//! once, below `target/tmp/clients`. A client that cannot be had is skipped: the test says so on standard error even when it
//! passes, and appends a line to the file that `DHAKIRA_SKIPS` names.

mod curl;
mod grpc_web;
mod mcp;
mod mymemory;
mod openapi;
mod python;
mod toolkit;
mod weblate;

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use dhakira::server::TokenFile;
use serde_json::Value;

use crate::crash::Process;
use crate::guarded::grants;

pub(crate) use curl::has_curl;

/// Seconds for an installation; a cold one takes less than one minute.
const INSTALL_SECONDS: u32 = 240;

/// Seconds for a script.
const SCRIPT_SECONDS: u32 = 120;

const DHAKIRA: &str = env!("CARGO_BIN_EXE_dhakira");

/// A file below `tests/clients`.
pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// The units of the memory that the clients use: markup to escape, one source in two contexts, marks, two lines, placeholders, what
/// has a meaning in an address, and a text that a client cuts.
pub(crate) fn stored() -> Vec<Value> {
    let text = std::fs::read_to_string(file("units.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A program that is ended, with all that it started, when its time is over.
pub(crate) fn limited(seconds: u32, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", &seconds.to_string()]).arg(program);
    command
}

fn skip(client: &str, why: &str) {
    crate::support::skip(&format!("the client {client}: {why}"));
}

/// Runs commands in a folder one after the other; the error is the end of what the first failing one said.
fn all(at: &Path, commands: Vec<Command>) -> Result<(), String> {
    for mut command in commands {
        let output = command.current_dir(at).output().map_err(|error| error.to_string())?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim().lines().last().unwrap_or("no reason given");
            return Err(format!("{}: {said}", output.status));
        }
    }
    Ok(())
}

/// The folder where the packages of a client are installed, unless they are there already; none where they cannot be had.
///
/// `list` is the file with the pinned packages; they are installed again when it changes.
fn installed(
    client: &str,
    list: &str,
    commands: impl FnOnce(&Path) -> Vec<Command>,
) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    let at = root.join(client);
    std::fs::create_dir_all(&root).unwrap();
    // Another test, or another run of the tests, may be about to do the same.
    let lock = File::create(root.join(format!("{client}.lock"))).unwrap();
    lock.lock().unwrap();
    let list = file(client).join(list);
    let wanted = std::fs::read(&list).unwrap();
    let stamp = at.join("installed");
    if std::fs::read(&stamp).is_ok_and(|it| it == wanted) {
        return Some(at);
    }
    let _ = std::fs::remove_dir_all(&at);
    std::fs::create_dir(&at).unwrap();
    match all(&at, commands(&list)) {
        Ok(()) => std::fs::write(stamp, wanted).unwrap(),
        Err(why) => {
            skip(client, &why);
            return None;
        }
    }
    Some(at)
}

/// The folder of the programs of a Python environment with the packages of `requirements.txt`.
///
/// Every package is listed there with its version, so pip need not search for what fits, and nothing is built from source.
pub(crate) fn python(client: &str) -> Option<PathBuf> {
    let at = installed(client, "requirements.txt", |list| {
        let mut create = limited(60, "python3");
        create.args(["-m", "venv", "venv"]);
        let mut install = limited(INSTALL_SECONDS, "venv/bin/python");
        install.args(["-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"]);
        // Where there is no registry, this says so soon.
        install.args(["--retries", "1"]);
        install.args(["--only-binary", ":all:", "--requirement"]).arg(list);
        vec![create, install]
    })?;
    Some(at.join("venv/bin"))
}

/// The folder of a client with its packages of npm and its scripts, which find packages only beside themselves.
pub(crate) fn node(client: &str, script: &str) -> Option<PathBuf> {
    let at = installed(client, "package.json", |list| {
        let mut copy = Command::new("cp");
        copy.arg(list).arg(".");
        let mut install = limited(INSTALL_SECONDS, "npm");
        install.args(["install", "--ignore-scripts", "--no-package-lock"]);
        install.arg("--fetch-retries=1");
        install.args(["--no-audit", "--no-fund", "--loglevel=error", "--logs-max=0"]);
        vec![copy, install]
    })?;
    std::fs::copy(file(client).join(script), at.join(script)).unwrap();
    Some(at)
}

/// What a program printed; it must succeed.
pub(crate) fn printed(program: impl AsRef<OsStr>, arguments: &[&str]) -> String {
    let mut command = limited(SCRIPT_SECONDS, program);
    let output = command.args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// What a script printed, as JSON.
pub(crate) fn answer(program: impl AsRef<OsStr>, script: &Path, arguments: &[&str]) -> Value {
    let arguments = [&[script.to_str().unwrap()], arguments].concat();
    serde_json::from_str(&printed(program, &arguments)).unwrap()
}

/// A server of its own process over a memory `m` with the units of `units.jsonl`, and a token of an administrator.
pub(crate) struct Served {
    directory: tempfile::TempDir,
    process: Process,
    pub(crate) token: String,
}

impl Served {
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().to_str().unwrap();
        let units = file("units.jsonl");
        printed(DHAKIRA, &["import", "--data", data, "--memory", "m", units.to_str().unwrap()]);
        let tokens = TokenFile::new(directory.path().join("access/tokens.json"));
        let (token, _) = tokens.create("client", grants("admin:*"), None).unwrap();
        let process = Process::start(directory.path());
        Self { directory, process, token }
    }

    pub(crate) fn url(&self) -> &str {
        &self.process.url
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }
}
