//! Servers of PostgreSQL of the tests' own: on free ports, below a temporary directory, with or without streaming standbys.
//!
//! Where PostgreSQL cannot be had, the tests that need it are skipped: they say so on standard error even when they pass, and append
//! a line to the file that `DHAKIRA_SKIPS` names.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use dhakira::store::{Durability, Realm, RealmOptions};
use uuid::Uuid;

pub(super) const USER: &str = "dhakira";

/// Longest wait for a server.
const STARTED: Duration = Duration::from_secs(60);

/// Settings of every server: quick, because no test cuts the power.
const SETTINGS: [&str; 10] = [
    "shared_buffers=64MB",
    "max_connections=60",
    "wal_level=replica",
    "max_wal_senders=8",
    "wal_keep_size=256MB",
    "hot_standby=on",
    "listen_addresses=127.0.0.1",
    "wal_receiver_status_interval=1s",
    "wal_retrieve_retry_interval=200ms",
    "logging_collector=off",
];

/// The folder of PostgreSQL's programs; says that the test is skipped where there is none.
pub(super) fn programs() -> Option<PathBuf> {
    let needed = ["initdb", "postgres", "psql", "pg_isready", "pg_basebackup"];
    let has = |folder: &Path| needed.iter().all(|name| folder.join(name).exists());
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        found.push(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    found.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let programs = found.into_iter().rev().find(|folder| has(folder));
    if programs.is_none() {
        super::skip("PostgreSQL is not installed");
    }
    programs
}

/// The user and group that the servers run as: they refuse to run as root.
pub(super) fn owner() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().ok()
    };
    (id(&["-u"]) == Some(0)).then(|| {
        let of = |what| id(&[what, "postgres"]).or_else(|| id(&[what, "nobody"])).unwrap();
        (of("-u"), of("-g"))
    })
}

/// A port that no other server of the tests has, or gets from the system while this one is down.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 15_000;
    const COUNT: u16 = 15_000;
    // Runs of the tests beside each other begin at different places.
    let first = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap();
    let ports = std::iter::repeat_with(|| NEXT.fetch_add(1, Ordering::Relaxed));
    let mut ports = ports.take(COUNT.into()).map(|next| FIRST + (first + next % COUNT) % COUNT);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

/// A server, ended when it is dropped.
pub(crate) struct Server {
    programs: PathBuf,
    data: PathBuf,
    pub(crate) port: u16,
    process: Mutex<Option<Child>>,
}

/// A primary with its standbys.
pub(crate) struct Postgres {
    pub(crate) primary: Server,
    pub(crate) standbys: Vec<Server>,
    databases: AtomicU32,
    _directory: tempfile::TempDir,
}

impl Server {
    /// A program of PostgreSQL, run by the owner of the servers.
    fn program(&self, name: &str) -> Command {
        as_owner(&self.programs.join(name))
    }

    pub(crate) fn start(&self) {
        let since = Instant::now();
        loop {
            let mut process = self.process.lock().unwrap();
            // A server ends at once while processes of the one before, which was killed, are still there.
            let has_ended = process.as_mut().is_none_or(|it| it.try_wait().unwrap().is_some());
            if has_ended {
                *process = Some(self.spawn());
            }
            drop(process);
            if self.is_ready() {
                return;
            }
            let log = || fs::read_to_string(self.data.with_extension("log")).unwrap();
            assert!(since.elapsed() < STARTED, "PostgreSQL does not start:\n{}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn spawn(&self) -> Child {
        let mut command = self.program("postgres");
        command.arg("-D").arg(&self.data).args(["-p", &self.port.to_string()]);
        command.arg("-k").arg(self.data.parent().unwrap());
        let fsync = std::env::var("DHAKIRA_TEST_FSYNC").unwrap_or_else(|_| "off".to_owned());
        command.args(["-c", &format!("fsync={fsync}")]);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        let log = self.data.with_extension("log");
        let log = fs::File::options().append(true).create(true).open(log).unwrap();
        command.stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null());
        command.spawn().unwrap()
    }

    fn is_ready(&self) -> bool {
        let mut command = self.program("pg_isready");
        let command = command.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        command.status().unwrap().success()
    }

    /// Sends a signal to the server and all of its processes.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.process.lock().unwrap().as_ref().unwrap().id().to_string();
        signal_all(&pid, name);
    }

    /// Writes a file into its data directory that only it can read.
    pub(crate) fn write_file(&self, name: &str, content: &str) {
        let path = self.data.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        if let Some((user, group)) = owner() {
            chown(&path, Some(user), Some(group)).unwrap();
        }
    }

    /// Ends it without any warning.
    pub(crate) fn kill(&self) {
        let mut process = self.process.lock().unwrap().take().unwrap();
        kill_all(&process.id().to_string());
        process.wait().unwrap();
    }

    /// Runs SQL; what it printed, without headings.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        run_sql(&self.programs, self.port, database, sql)
            .unwrap_or_else(|said| panic!("{sql}: {said}"))
    }

    /// Waits until SQL prints this.
    pub(crate) fn wait_for(&self, database: &str, sql: &str, expected: &str) {
        let since = Instant::now();
        loop {
            let found = self.sql(database, sql);
            if found == expected {
                return;
            }
            assert!(since.elapsed() < STARTED, "{sql}: {found} instead of {expected}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.lock().unwrap().take() {
            let pid = process.id().to_string();
            let _ = Command::new("kill").args(["-s", "CONT", &pid]).status();
            let _ = Command::new("kill").args(["-s", "QUIT", &pid]).status();
            let _ = process.wait();
        }
    }
}

/// Sends a signal to a server and its processes, which are its children.
fn signal_all(pid: &str, name: &str) {
    let _ = Command::new("pkill").args(["-P", pid, "--signal", name]).status();
    let _ = Command::new("kill").args(["-s", name, pid]).status();
}

/// Ends a server without any warning.
pub(super) fn kill_all(pid: &str) {
    // So that it starts nothing when the first of its processes is gone.
    signal_all(pid, "STOP");
    signal_all(pid, "KILL");
}

/// The address of a database on servers at these ports of this machine.
pub(crate) fn store_url(ports: impl IntoIterator<Item = u16>, database: &str) -> String {
    let servers = ports.into_iter().map(|port| format!("127.0.0.1:{port}"));
    let servers: Vec<String> = servers.collect();
    format!("postgres://{USER}@{}/{database}?sslmode=disable", servers.join(","))
}

/// A program, run by the owner of the servers.
pub(super) fn as_owner(program: &Path) -> Command {
    let Some((user, group)) = owner() else { return Command::new(program) };
    // It becomes the program, so that signals reach that.
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={user}"), &format!("--regid={group}"), "--clear-groups"]);
    // Where the tests end by a fault, their servers end too.
    command.arg("--").arg(program).current_dir("/");
    command
}

/// Runs SQL on a server; what it printed, without headings, or what it said of an error.
pub(super) fn run_sql(
    programs: &Path,
    port: u16,
    database: &str,
    sql: &str,
) -> Result<String, String> {
    let mut command = as_owner(&programs.join("psql"));
    command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"]);
    command.args(["-p", &port.to_string(), "-U", USER, "-d", database, "-c", sql]);
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

impl Postgres {
    /// Starts a primary and its standbys, synchronous if there is one; `None` where PostgreSQL cannot be had.
    pub(crate) fn start(standbys: usize) -> Option<Self> {
        let programs = programs()?;
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if let Some((user, group)) = owner() {
            chown(directory.path(), Some(user), Some(group)).unwrap();
        }
        let server = |name: &str| Server {
            programs: programs.clone(),
            data: directory.path().join(name),
            port: free_port(),
            process: Mutex::new(None),
        };
        let primary = server("primary");
        let mut initdb = primary.program("initdb");
        initdb.arg("-D").arg(&primary.data).args(["-U", USER, "-A", "trust", "--no-sync"]);
        run(initdb.args(["-E", "UTF8", "--locale=C"]));
        primary.start();
        let standbys: Vec<Server> = (1..=standbys)
            .map(|number| {
                let standby = server(&format!("standby{number}"));
                standby.copy(&primary, number);
                standby.start();
                standby
            })
            .collect();
        let postgres =
            Self { primary, standbys, databases: AtomicU32::new(0), _directory: directory };
        if !postgres.standbys.is_empty() {
            postgres.primary.set_synchronous("ANY 1 (*)");
        }
        Some(postgres)
    }

    /// A server without standbys, which the tests that run at the same time share.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap();
        if let Some(running) = shared.upgrade() {
            return Some(running);
        }
        let started = Arc::new(Self::start(0)?);
        *shared = Arc::downgrade(&started);
        Some(started)
    }

    /// A new, empty database.
    pub(crate) fn database(&self) -> String {
        let name = format!("tm{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.primary.sql("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// How a node uses a database. With standbys, they make commits durable.
    pub(crate) fn options(&self, database: &str) -> RealmOptions {
        self.options_at(self.ports(), database)
    }

    /// The ports of all servers.
    pub(crate) fn ports(&self) -> impl Iterator<Item = u16> {
        [&self.primary].into_iter().chain(&self.standbys).map(|server| server.port)
    }

    /// The same at other ports.
    pub(crate) fn options_at(
        &self,
        ports: impl IntoIterator<Item = u16>,
        database: &str,
    ) -> RealmOptions {
        let url = store_url(ports, database);
        let durability =
            if self.standbys.is_empty() { Durability::Engine } else { Durability::Synchronous };
        let node = Uuid::new_v4();
        RealmOptions { durability, ..RealmOptions::new(url.parse().unwrap(), node) }
    }

    /// A new realm in a database of its own.
    pub(crate) fn realm(&self) -> Arc<Realm> {
        let options = self.options(&self.database());
        Realm::init(&options, "test").unwrap();
        Realm::connect(options).unwrap()
    }

    /// Promotes the standby that has received most, once the primary is gone; the others follow it. Until
    /// [`Server::set_synchronous`] it acknowledges commits by itself, as after any promotion. Returns its place.
    pub(crate) fn promote(&self) -> usize {
        // After its restart, a standby may have replayed more than it has received since.
        let received =
            "SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'";
        let behind =
            |server: &Server| server.sql("postgres", received).parse::<u64>().unwrap_or_default();
        let best = (0..self.standbys.len()).max_by_key(|it| behind(&self.standbys[*it])).unwrap();
        let promoted = &self.standbys[best];
        promoted.sql("postgres", "SELECT pg_promote()");
        for (place, follower) in self.standbys.iter().enumerate().filter(|(it, _)| *it != best) {
            let source = format!(
                "host=127.0.0.1 port={} user={USER} application_name=standby{}",
                promoted.port,
                place + 1
            );
            follower.sql("postgres", &format!("ALTER SYSTEM SET primary_conninfo = '{source}'"));
            follower.sql("postgres", "SELECT pg_reload_conf()");
        }
        best
    }

    /// The same, with standbys that acknowledge commits; the promoted one is the primary now, and the old one in its place.
    pub(crate) fn replace_primary(&mut self) {
        let best = self.promote();
        std::mem::swap(&mut self.primary, &mut self.standbys[best]);
        self.primary.set_synchronous("ANY 1 (*)");
        self.standbys[best].rebuild(&self.primary, best + 1);
    }

    /// Waits until all standbys acknowledge commits.
    pub(crate) fn wait_for_standbys(&self) {
        let streaming = "SELECT count(*) FROM pg_stat_replication \
            WHERE sync_state IN ('sync', 'quorum') AND state = 'streaming'";
        self.primary.wait_for("postgres", streaming, &self.standbys.len().to_string());
    }

    /// Waits until a session waits for the standbys, then ends that by a function of the server.
    pub(crate) fn end_wait(&self, function: &str) {
        let waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        self.primary.wait_for("postgres", &format!("SELECT count(*) > 0 {waiting}"), "t");
        self.primary.sql("postgres", &format!("SELECT {function}(pid) {waiting}"));
    }
}

impl Server {
    /// Makes a standby of what was a primary, which may hold what the new one does not.
    fn rebuild(&self, primary: &Self, number: usize) {
        fs::remove_dir_all(&self.data).unwrap();
        self.copy(primary, number);
        self.start();
    }

    /// Makes a standby of a running primary.
    fn copy(&self, primary: &Self, number: usize) {
        let mut copy = self.program("pg_basebackup");
        let source = format!(
            "host=127.0.0.1 port={} user={USER} application_name=standby{number}",
            primary.port
        );
        copy.arg("-D").arg(&self.data).args(["-d", &source, "-R", "-X", "stream"]);
        run(copy.args(["-c", "fast", "--no-sync"]));
    }

    /// Sets which standbys acknowledge commits.
    pub(crate) fn set_synchronous(&self, names: &str) {
        self.sql("postgres", &format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'"));
        self.sql("postgres", "SELECT pg_reload_conf()");
        if !names.is_empty() {
            let streaming = "SELECT count(*) > 0 FROM pg_stat_replication \
                WHERE sync_state IN ('sync', 'quorum') AND state = 'streaming'";
            self.wait_for("postgres", streaming, "t");
        }
    }
}

pub(super) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}
