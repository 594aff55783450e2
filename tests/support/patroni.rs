//! Three servers of PostgreSQL that Patroni manages, over one server of etcd: all of the tests' own, on free ports, below a temporary
//! directory.
//!
//! Patroni comes by pip, because it must know quorum commits, and what it needs from the system, whose Python runs it. Where one of
//! them cannot be had, the tests that need it are skipped, as those that need PostgreSQL.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::postgres::{
    USER, as_owner, free_port, kill_all, owner, programs, run, run_sql, store_url,
};
use crate::foreign_clients::python;

/// The Python whose packages the system manages.
const PYTHON: &str = "/usr/bin/python3";
/// What Patroni imports to manage PostgreSQL with the help of etcd.
const IMPORTS: &str = "import dateutil, dns, etcd, psutil, psycopg2, urllib3, yaml";

/// Longest wait for anything of Patroni.
const DONE: Duration = Duration::from_secs(120);
/// Time without a sign of life after which the leader is replaced: the least that Patroni allows.
pub(crate) const TTL: Duration = Duration::from_secs(20);

/// A server of PostgreSQL with the Patroni that manages it.
struct Member {
    port: u16,
    rest_port: u16,
    data: PathBuf,
    config: PathBuf,
    process: Option<Child>,
}

/// The members, and etcd; all are ended when this is dropped.
pub(crate) struct Patroni {
    members: Vec<Member>,
    etcd_port: u16,
    etcd: Option<Child>,
    programs: PathBuf,
    directory: tempfile::TempDir,
}

/// Whether what Patroni needs is there; says what is missing.
fn is_there() -> bool {
    let succeeds = |command: &mut Command| {
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|it| it.success())
    };
    let etcd = succeeds(Command::new("etcd").arg("--version"));
    let packages = succeeds(Command::new(PYTHON).args(["-c", IMPORTS]));
    if !etcd {
        super::skip("etcd is not installed");
    } else if !packages {
        super::skip("the packages that Patroni needs are not installed for the system's Python");
    }
    etcd && packages
}

impl Patroni {
    /// Starts a leader with two standbys, of which one must acknowledge each commit; `None` where something cannot be had.
    pub(crate) fn start() -> Option<Self> {
        let programs = programs()?;
        if !is_there() {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        give(directory.path(), 0o755);
        // Where the owner of the servers can read it.
        let packages = python("patroni")?.join("../lib");
        run(Command::new("cp").arg("-r").arg(packages).arg(directory.path().join("lib")));
        let member = |number: usize| Member {
            port: free_port(),
            rest_port: free_port(),
            data: directory.path().join(format!("pg{number}")),
            config: directory.path().join(format!("pg{number}.yml")),
            process: None,
        };
        let members = (0..3).map(member).collect();
        let mut patroni = Self { members, etcd_port: free_port(), etcd: None, programs, directory };
        patroni.start_etcd();
        for (number, member) in patroni.members.iter().enumerate() {
            fs::write(&member.config, patroni.config(number)).unwrap();
        }
        patroni.start_members();
        patroni.wait_until_whole();
        Some(patroni)
    }

    /// The configuration of a member, as a person would write it, but quick.
    fn config(&self, number: usize) -> String {
        let Member { port, rest_port, data, .. } = &self.members[number];
        let (programs, directory) = (self.programs.display(), self.directory.path().display());
        let ttl = TTL.as_secs();
        let mut text = format!(
            "scope: tm\nname: pg{number}\n\
             restapi: {{listen: '127.0.0.1:{rest_port}', connect_address: '127.0.0.1:{rest_port}'}}\n\
             etcd3: {{host: '127.0.0.1:{}'}}\n",
            self.etcd_port
        );
        write!(
            text,
            "bootstrap:\n  dcs:\n    ttl: {ttl}\n    loop_wait: 2\n    retry_timeout: 5\n    synchronous_mode: quorum\n    \
             synchronous_mode_strict: true\n    synchronous_node_count: 1\n    primary_start_timeout: 0\n  \
             initdb: [{{encoding: UTF8}}, {{locale: C}}, {{auth: trust}}]\n\
             postgresql:\n  listen: '127.0.0.1:{port}'\n  connect_address: '127.0.0.1:{port}'\n  data_dir: {data}\n  \
             bin_dir: {programs}\n  use_pg_rewind: true\n  remove_data_directory_on_diverged_timelines: true\n  \
             authentication: {{superuser: {{username: {USER}}}, replication: {{username: {USER}}}}}\n  \
             pg_hba: ['local all all trust', 'host all all 127.0.0.1/32 trust', 'host replication all 127.0.0.1/32 trust']\n  \
             parameters: {{unix_socket_directories: '{directory}', max_connections: 60, wal_log_hints: 'on'}}\n",
            data = data.display()
        )
        .unwrap();
        text
    }

    fn log(&self, name: &str) -> Stdio {
        let path = self.directory.path().join(format!("{name}.log"));
        File::options().append(true).create(true).open(path).unwrap().into()
    }

    pub(crate) fn start_etcd(&mut self) {
        let data = self.directory.path().join("etcd");
        let [client, peer] =
            [self.etcd_port, free_port()].map(|it| format!("http://127.0.0.1:{it}"));
        let mut command = Command::new("etcd");
        command.arg("--data-dir").arg(data).args(["--unsafe-no-fsync", "--enable-v2=false"]);
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &format!("default={peer}")]);
        command.stdin(Stdio::null()).stdout(self.log("etcd")).stderr(self.log("etcd"));
        self.etcd = Some(command.spawn().unwrap());
    }

    pub(crate) fn kill_etcd(&mut self) {
        let mut etcd = self.etcd.take().unwrap();
        etcd.kill().unwrap();
        etcd.wait().unwrap();
    }

    /// Starts each Patroni that does not run; it starts its server.
    pub(crate) fn start_members(&mut self) {
        for number in 0..self.members.len() {
            if self.members[number].process.is_some() {
                continue;
            }
            let name = format!("patroni{number}");
            let (output, errors) = (self.log(&name), self.log(&name));
            let member = &mut self.members[number];
            let mut command = as_owner(Path::new(PYTHON));
            command.args(["-m", "patroni"]).arg(&member.config);
            command.env("HOME", self.directory.path());
            command.env("PYTHONPATH", site_packages(&self.directory.path().join("lib")));
            command.stdin(Stdio::null()).stdout(output).stderr(errors);
            member.process = Some(command.spawn().unwrap());
        }
    }

    /// The member whose server is the primary.
    pub(crate) fn leader(&self) -> usize {
        let is_leader = |member: &Member| member.answers("/primary");
        self.wait("no leader", |it| it.members.iter().position(is_leader))
    }

    /// Waits until there is a leader, and both other servers acknowledge commits.
    pub(crate) fn wait_until_whole(&self) {
        self.wait("the members do not come together", |it| {
            let leader = it.members.iter().find(|member| member.answers("/primary"))?;
            let streaming = "SELECT count(*) FROM pg_stat_replication \
                WHERE sync_state = 'quorum' AND state = 'streaming'";
            let count = run_sql(&it.programs, leader.port, "postgres", streaming).ok()?;
            (count == "2").then_some(())
        });
    }

    fn wait<T>(&self, what: &str, mut found: impl FnMut(&Self) -> Option<T>) -> T {
        let since = Instant::now();
        loop {
            if let Some(found) = found(self) {
                return found;
            }
            assert!(since.elapsed() < DONE, "{what}:\n{}", self.last_words());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The end of each log.
    fn last_words(&self) -> String {
        let names = (0..self.members.len()).map(|number| format!("patroni{number}"));
        let mut all = String::new();
        for name in names.chain(["etcd".to_owned()]) {
            let path = self.directory.path().join(format!("{name}.log"));
            let text = fs::read_to_string(path).unwrap_or_default();
            let last: Vec<&str> = text.lines().rev().take(20).collect();
            writeln!(all, "{name}: {}", last.into_iter().rev().collect::<Vec<_>>().join("\n"))
                .unwrap();
        }
        all
    }

    /// Ends the server of a member without any warning; its Patroni is still there.
    pub(crate) fn kill_server(&self, number: usize) {
        self.members[number].kill_server();
    }

    /// Ends the Patroni of a member and its server, as when the machine loses its power.
    pub(crate) fn kill_member(&mut self, number: usize) {
        let member = &mut self.members[number];
        let mut process = member.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
        member.kill_server();
    }

    /// Asks for another leader, as before maintenance.
    pub(crate) fn switch_over(&self) {
        let leader = self.leader();
        let body = format!("{{\"leader\": \"pg{leader}\"}}");
        let head =
            format!("POST /switchover HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        self.wait("no switchover", |it| {
            // 412 while no standby is ready for it.
            it.members[leader].ask(&head).filter(|answer| answer.contains(" 200 "))
        });
    }

    /// A new, empty database.
    pub(crate) fn database(&self, name: &str) {
        let port = self.members[self.leader()].port;
        run_sql(&self.programs, port, "postgres", &format!("CREATE DATABASE {name}")).unwrap();
    }

    /// The address of a database, with all servers.
    pub(crate) fn store(&self, database: &str) -> String {
        store_url(self.members.iter().map(|it| it.port), database)
    }
}

impl Member {
    /// What its Patroni answers to a request; `None` without an answer.
    fn ask(&self, request: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.rest_port)).ok()?;
        stream.set_read_timeout(Some(DONE)).unwrap();
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn answers(&self, path: &str) -> bool {
        let answer = self.ask(&format!("GET {path} HTTP/1.0\r\n\r\n"));
        answer.is_some_and(|it| it.lines().next().is_some_and(|it| it.contains(" 200 ")))
    }

    fn kill_server(&self) {
        let file = fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
        if let Some(pid) = file.lines().next() {
            kill_all(pid);
        }
    }
}

impl Drop for Patroni {
    fn drop(&mut self) {
        for number in 0..self.members.len() {
            if self.members[number].process.is_some() {
                self.kill_member(number);
            }
        }
        if self.etcd.is_some() {
            self.kill_etcd();
        }
    }
}

/// The packages below the `lib` of a Python environment.
fn site_packages(lib: &Path) -> PathBuf {
    let version = fs::read_dir(lib).unwrap().next().unwrap().unwrap();
    version.path().join("site-packages")
}

/// Gives a file to the owner of the servers.
fn give(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    if let Some((user, group)) = owner() {
        chown(path, Some(user), Some(group)).unwrap();
    }
}
