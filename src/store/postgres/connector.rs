//! Connects to the primary among the servers of a realm, and pools connections.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use tokio::task::JoinSet;
use tokio_postgres::Config;
use tokio_postgres::config::Host;
use tokio_postgres_rustls_improved::MakeRustlsConnect;

use super::failure::{Failure, FailureKind};
use super::options::{Durability, RealmOptions, StoreUrl, server_name};
use super::session::Session;
use super::tail::Tail;

/// Longest wait for one server to answer, which a frozen one never does.
const CONNECT: Duration = Duration::from_secs(3);
/// Head start of the other servers over one that has just failed.
const HEAD_START: Duration = Duration::from_millis(300);
/// Connections for reads and small writes; appends have one of their own.
const POOL_SESSIONS: usize = 8;
/// No server has failed yet.
const NONE: usize = usize::MAX;

pub(super) type Pool = managed::Pool<Connector>;

/// Opens connections to the primary.
#[derive(Clone)]
pub(super) struct Connector {
    servers: Arc<Vec<Server>>,
    tls: MakeRustlsConnect,
    durability: Durability,
    tail: Arc<Tail>,
    /// The server on which something failed last.
    failed: Arc<AtomicUsize>,
}

struct Server {
    config: Config,
    name: String,
}

impl Connector {
    pub(super) fn new(options: &RealmOptions, tail: Arc<Tail>) -> Result<Self, String> {
        let url = &options.url;
        let servers: Vec<Server> = url
            .servers()
            .into_iter()
            .enumerate()
            .map(|(place, server)| Server {
                name: server_name(&server),
                config: config_of(url, place, server),
            })
            .collect();
        let (servers, failed) = (Arc::new(servers), Arc::new(AtomicUsize::new(NONE)));
        let (tls, durability) = (url.tls.connector()?, options.durability);
        Ok(Self { servers, tls, durability, tail, failed })
    }

    pub(super) fn pool(&self) -> Result<Pool, String> {
        let pool =
            Pool::builder(self.clone()).max_size(POOL_SESSIONS).runtime(deadpool::Runtime::Tokio1);
        let waits = pool.wait_timeout(Some(2 * CONNECT)).create_timeout(Some(2 * CONNECT));
        waits.build().map_err(|error| error.to_string())
    }

    pub(super) fn name_of(&self, session: &Session) -> &str {
        self.servers.get(session.server).map_or("", |it| &it.name)
    }

    /// Remembers that a server failed, so that others are tried first.
    pub(super) fn avoid(&self, server: usize) {
        self.failed.store(server, Ordering::Relaxed);
    }

    /// Connects to whichever server answers first as the primary.
    pub(super) async fn primary(&self) -> Result<Session, Failure> {
        let failed = self.failed.load(Ordering::Relaxed);
        let mut attempts = JoinSet::new();
        for place in 0..self.servers.len() {
            let connector = self.clone();
            attempts.spawn(async move {
                if place == failed && connector.servers.len() > 1 {
                    tokio::time::sleep(HEAD_START).await;
                }
                let connected = tokio::time::timeout(CONNECT, connector.connect(place)).await;
                let silent =
                    || Failure::connection(format!("no answer within {} s", CONNECT.as_secs()));
                (place, connected.unwrap_or_else(|_| Err(silent())))
            });
        }
        let mut reasons = Vec::new();
        while let Some(ended) = attempts.join_next().await {
            match ended {
                Ok((_, Ok(session))) => return Ok(session),
                Ok((place, Err(failure))) => reasons.push((place, failure)),
                Err(error) => return Err(Failure::other(error.to_string())),
            }
        }
        reasons.sort_by_key(|(place, _)| *place);
        Err(self.failure(reasons))
    }

    async fn connect(&self, place: usize) -> Result<Session, Failure> {
        let Some(server) = self.servers.get(place) else {
            return Err(Failure::other("no such server"));
        };
        let connected = server.config.connect(self.tls.clone()).await?;
        let session =
            Session::begin(connected, (place, self.durability), Arc::clone(&self.tail)).await?;
        let query = "SELECT pg_catalog.pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'";
        let rows = session.client().query_typed(query, &[]).await?;
        let is = |column| rows.first().is_some_and(|row| row.get(column));
        if is(0) {
            return Err(Failure::connection("is a standby, not the primary"));
        }
        if is(1) {
            return Err(Failure::connection("accepts no writes (default_transaction_read_only)"));
        }
        Ok(session)
    }

    /// One failure for those of all servers.
    fn failure(&self, reasons: Vec<(usize, Failure)>) -> Failure {
        let mut message = String::new();
        // A wrong password or a missing database is no outage, wherever else nobody answers.
        let mut kind = FailureKind::Connection;
        for (place, failure) in reasons {
            let name = self.servers.get(place).map_or("", |it| &it.name);
            let separator = if message.is_empty() { "" } else { "; " };
            let _ = write!(message, "{separator}{name}: {}", failure.message);
            if !failure.is_connection() {
                kind = failure.kind;
            }
        }
        Failure { kind, message }
    }
}

/// The settings for one server alone.
fn config_of(url: &StoreUrl, place: usize, (host, port): (Host, u16)) -> Config {
    let given = &url.config;
    let mut config = Config::new();
    match host {
        Host::Tcp(name) => config.host(name),
        Host::Unix(path) => config.host_path(path),
    };
    config.port(port);
    if let Some(address) = given.get_hostaddrs().get(place) {
        config.hostaddr(*address);
    }
    if let Some(user) = given.get_user() {
        config.user(user);
    }
    if let Some(password) = given.get_password() {
        config.password(password);
    }
    if let Some(name) = given.get_dbname() {
        config.dbname(name);
    }
    if let Some(options) = given.get_options() {
        config.options(options);
    }
    config.application_name(given.get_application_name().unwrap_or("dhakira"));
    config.ssl_mode(url.tls.mode.ssl_mode());
    config.ssl_negotiation(given.get_ssl_negotiation());
    config.channel_binding(given.get_channel_binding());
    config.connect_timeout(CONNECT);
    config.tcp_user_timeout(Duration::from_secs(10));
    config.keepalives_idle(Duration::from_secs(5));
    config.keepalives_interval(Duration::from_secs(2));
    config.keepalives_retries(3);
    config
}

impl managed::Manager for Connector {
    type Type = Session;
    type Error = Failure;

    async fn create(&self) -> Result<Session, Failure> {
        self.primary().await
    }

    async fn recycle(&self, session: &mut Session, _: &Metrics) -> RecycleResult<Failure> {
        if session.is_closed() { Err(RecycleError::message("closed")) } else { Ok(()) }
    }
}
