//! Reports the state of the database: server, standbys, durability, sizes.

use std::time::Duration;

use tokio_postgres::Row;

use crate::store::{CommitLog as _, LogPosition, LogStart, StoreError};

use super::failure::Failure;
use super::options::Durability;
use super::realm::{Realm, RealmIdentity};
use super::session::Session;

const SERVER: &str = "SELECT current_setting('server_version'), \
    coalesce(current_setting('synchronous_standby_names', true), ''), \
    current_setting('fsync') = 'on', current_setting('full_page_writes') = 'on', \
    coalesce((SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid()), false), \
    pg_catalog.pg_database_size(current_database())";
const STANDBYS: &str = "SELECT coalesce(application_name, ''), coalesce(client_addr::text, ''), \
    coalesce(state, ''), coalesce(sync_state, ''), \
    coalesce(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), flush_lsn), 0)::bigint, \
    extract(epoch FROM flush_lag)::float8 FROM pg_catalog.pg_stat_replication ORDER BY 1, 2";
/// By the statistics of the planner: counting takes as long as reading.
const SIZES: &str = "SELECT relname::text, greatest(reltuples, 0)::bigint, \
    pg_catalog.pg_total_relation_size(oid) FROM pg_catalog.pg_class \
    WHERE relnamespace = 'dhakira'::regnamespace AND relkind = 'r' ORDER BY relname";

/// The mode of the database.
#[derive(Debug, Clone, PartialEq)]
pub struct DatabaseMode {
    /// Host and port of the primary.
    pub primary: String,
    /// Version of the server.
    pub server_version: String,
    /// `synchronous_standby_names` of the primary.
    pub synchronous_standby_names: String,
    /// Who makes commits durable.
    pub durability: Durability,
    /// Whether the server syncs its log to disk (`fsync`).
    pub fsync: bool,
    /// Whether a torn page is mended after a crash (`full_page_writes`).
    pub full_page_writes: bool,
    /// Whether this node's connections are encrypted.
    pub encrypted: bool,
    /// Standbys that are connected now. Empty fields mean that the role may not see them (grant it `pg_monitor`).
    pub standbys: Vec<Standby>,
    /// Bytes of the database.
    pub bytes: u64,
}

impl DatabaseMode {
    /// What would lose or block acknowledged writes, for people; empty when all is well.
    pub fn concerns(&self) -> Vec<String> {
        let mut concerns = Vec::new();
        if self.durability == Durability::Synchronous {
            let counts = |it: &&Standby| {
                it.state == "streaming" && ["sync", "quorum"].contains(&it.sync_state.as_str())
            };
            let is_hidden = |it: &Standby| it.state.is_empty();
            if self.synchronous_standby_names.trim().is_empty() {
                concerns.push(
                    "synchronous_standby_names is empty: a failover loses acknowledged writes"
                        .to_owned(),
                );
            } else if self.standbys.iter().filter(counts).count() == 0
                && !self.standbys.iter().any(is_hidden)
            {
                concerns.push(
                    "no synchronous standby is streaming: writes wait until one is".to_owned(),
                );
            }
        }
        if !self.fsync {
            concerns
                .push("fsync is off: a crash of the machine loses acknowledged writes".to_owned());
        }
        if !self.full_page_writes {
            concerns.push("full_page_writes is off: a crash may tear pages".to_owned());
        }
        concerns
    }
}

/// A standby that is connected to the primary.
#[derive(Debug, Clone, PartialEq)]
pub struct Standby {
    /// Its `application_name`.
    pub name: String,
    /// Its address; empty for a local socket.
    pub address: String,
    /// `streaming`, `catchup`, ….
    pub state: String,
    /// `sync`, `quorum`, `potential` or `async`.
    pub sync_state: String,
    /// Bytes of the log that it has not yet flushed.
    pub lag_bytes: u64,
    /// How long its last flush took; `None` when idle.
    pub lag: Option<Duration>,
}

/// The size of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSize {
    /// Its name.
    pub name: String,
    /// Rows, by the statistics of the planner.
    pub rows: u64,
    /// Bytes with its indexes.
    pub bytes: u64,
}

/// The state of a realm.
#[derive(Debug, Clone, PartialEq)]
pub struct RealmStatus {
    /// What it is.
    pub identity: RealmIdentity,
    /// The mode of the database.
    pub mode: DatabaseMode,
    /// Where the log begins.
    pub start: LogStart,
    /// Where the log ends.
    pub end: LogPosition,
    /// Its tables.
    pub tables: Vec<TableSize>,
}

impl Realm {
    /// The mode of the database.
    ///
    /// # Errors
    /// The database.
    pub fn mode(&self) -> Result<DatabaseMode, StoreError> {
        self.run("reading the mode of the database", async |session| self.read_mode(session).await)
    }

    /// The state of the realm.
    ///
    /// # Errors
    /// The database.
    pub fn status(&self) -> Result<RealmStatus, StoreError> {
        let (mode, tables) = self.run("reading the state of the database", async |session| {
            let rows = session.query(SIZES, &[]).await?;
            Ok((self.read_mode(session).await?, rows.iter().map(size).collect()))
        })?;
        let (identity, start, end) = (self.identity(), self.start()?, self.end()?);
        Ok(RealmStatus { identity, mode, start, end, tables })
    }

    async fn read_mode(&self, session: &Session) -> Result<DatabaseMode, Failure> {
        let row = session.query_opt(SERVER, &[]).await?;
        let row = row.ok_or_else(|| Failure::other("the server says nothing of itself"))?;
        let standbys = session.query(STANDBYS, &[]).await?;
        Ok(DatabaseMode {
            primary: self.connector.name_of(session).to_owned(),
            server_version: row.get(0),
            synchronous_standby_names: row.get(1),
            durability: self.options.durability,
            fsync: row.get(2),
            full_page_writes: row.get(3),
            encrypted: row.get(4),
            standbys: standbys.iter().map(standby).collect(),
            bytes: row.get::<_, i64>(5).cast_unsigned(),
        })
    }
}

fn standby(row: &Row) -> Standby {
    let lag: Option<f64> = row.get(5);
    Standby {
        name: row.get(0),
        address: row.get(1),
        state: row.get(2),
        sync_state: row.get(3),
        lag_bytes: u64::try_from(row.get::<_, i64>(4)).unwrap_or_default(),
        lag: lag.map(|lag| Duration::try_from_secs_f64(lag).unwrap_or_default()),
    }
}

fn size(row: &Row) -> TableSize {
    let [rows, bytes] = [1, 2].map(|column| row.get::<_, i64>(column).cast_unsigned());
    TableSize { name: row.get(0), rows, bytes }
}
