//! Runs one connection to the database: its settings, its prepared statements, the notices that it receives, and its commits.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Connection, Row, Statement};

use super::failure::Failure;
use super::options::Durability;
use super::tail::Tail;

/// Parameters of a statement.
pub(super) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Settings of every session. Plans must not depend on statistics: a table that has just been filled has none, and every statement
/// has an index to follow.
const SETTINGS: &str = "SET synchronous_commit = on; SET lock_timeout = '5s'; \
    SET idle_in_transaction_session_timeout = '5s'; SET statement_timeout = '60s'; \
    SET default_transaction_isolation = 'read committed'; SET search_path = dhakira; \
    SET client_min_messages = warning; SET jit = off; SET enable_seqscan = off; \
    SET enable_hashjoin = off; SET enable_mergejoin = off";

/// Why nothing is committed without standbys.
pub(super) const NOT_SYNCHRONOUS: &str = "the primary has no synchronous standbys (synchronous_standby_names is empty), so a failover would lose \
    acknowledged writes";

/// Longest wait for the end of a failed transaction.
const ROLLBACK: Duration = Duration::from_secs(2);

/// A connection to the primary.
pub(super) struct Session {
    client: Client,
    warnings: Arc<Warnings>,
    statements: Mutex<HashMap<&'static str, Statement>>,
    driver: AbortHandle,
    tail: Arc<Tail>,
    closed: AtomicBool,
    durability: Durability,
    /// Which server it is connected to.
    pub(super) server: usize,
}

/// Warnings that a connection has received.
#[derive(Default)]
struct Warnings {
    count: AtomicU64,
    last: Mutex<String>,
}

impl Session {
    /// Takes over a new connection, whose messages a task of the current runtime handles from now on.
    pub(super) async fn begin<S, T>(
        (client, connection): (Client, Connection<S, T>),
        (server, durability): (usize, Durability),
        tail: Arc<Tail>,
    ) -> Result<Self, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let warnings = Arc::<Warnings>::default();
        let driver = drive(connection, Arc::clone(&warnings), Arc::clone(&tail));
        let driver = tokio::spawn(driver).abort_handle();
        let session = Self {
            client,
            warnings,
            statements: Mutex::default(),
            driver,
            tail,
            closed: AtomicBool::new(false),
            durability,
            server,
        };
        session.batch(SETTINGS).await?;
        Ok(session)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst) || self.client.is_closed() || self.driver.is_finished()
    }

    /// Closes the connection at once, whatever the server is doing. Never a cancel: a cancelled wait for a standby answers that the
    /// commit succeeded.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.tail.lost_connection();
        self.driver.abort();
    }

    /// Runs statements without parameters.
    pub(super) async fn batch(&self, statements: &str) -> Result<(), Failure> {
        Ok(self.client.batch_execute(statements).await?)
    }

    /// A statement, prepared once for each session.
    pub(super) async fn prepared(&self, sql: &'static str) -> Result<Statement, Failure> {
        let known =
            self.statements.lock().unwrap_or_else(PoisonError::into_inner).get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        let mut statements = self.statements.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(statements.entry(sql).or_insert(statement).clone())
    }

    pub(super) async fn query(
        &self,
        sql: &'static str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Failure> {
        let statement = self.prepared(sql).await?;
        Ok(self.client.query(&statement, parameters).await?)
    }

    pub(super) async fn query_opt(
        &self,
        sql: &'static str,
        parameters: Parameters<'_>,
    ) -> Result<Option<Row>, Failure> {
        let statement = self.prepared(sql).await?;
        Ok(self.client.query_opt(&statement, parameters).await?)
    }

    pub(super) async fn execute(
        &self,
        sql: &'static str,
        parameters: Parameters<'_>,
    ) -> Result<u64, Failure> {
        let statement = self.prepared(sql).await?;
        Ok(self.client.execute(&statement, parameters).await?)
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Warnings that came so far.
    fn warnings(&self) -> u64 {
        self.warnings.count.load(Ordering::SeqCst)
    }

    /// Refuses a primary that would acknowledge commits without any standby. A cluster manager may have changed that a moment ago: when
    /// the last standby is gone, or just after a promotion.
    pub(super) async fn check_replication(&self) -> Result<(), Failure> {
        if self.durability == Durability::Engine {
            return Ok(());
        }
        let query = "SELECT coalesce(current_setting('synchronous_standby_names', true), '')";
        let row = self.client.query_typed_one(query, &[]).await?;
        if row.get::<_, String>(0).trim().is_empty() {
            return Err(Failure::connection(NOT_SYNCHRONOUS));
        }
        Ok(())
    }

    /// Commits the open transaction. Without an error, it is durable; after an error it may or may not be committed, now or later,
    /// and the connection is closed.
    pub(super) async fn commit(&self, limit: Duration) -> Result<(), Failure> {
        let before = self.warnings();
        let doubt = match tokio::time::timeout(limit, self.client.batch_execute("COMMIT")).await {
            Ok(Ok(())) if self.warnings() == before => return Ok(()),
            // A wait for the standbys that was cancelled or terminated: committed here, and perhaps nowhere else.
            Ok(Ok(())) => {
                let last = self.warnings.last.lock().unwrap_or_else(PoisonError::into_inner);
                format!("the server committed with a warning: {last}")
            }
            Ok(Err(error)) => Failure::from(error).message,
            Err(_) => format!("no answer to COMMIT within {} s", limit.as_secs_f32()),
        };
        self.close();
        Err(Failure::connection(doubt))
    }

    /// Runs a transaction that is durable when this returns without an error.
    pub(super) async fn durably<T>(
        &self,
        limit: Duration,
        work: impl AsyncFnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (begun, replicates) = tokio::join!(self.batch("BEGIN"), self.check_replication());
        begun?;
        let worked = match replicates {
            Ok(()) => work(self).await,
            Err(failure) => Err(failure),
        };
        match worked {
            Ok(done) => self.commit(limit).await.map(|()| done),
            Err(failure) => {
                self.roll_back().await;
                Err(failure)
            }
        }
    }

    /// Executes a statement whose effect may be lost in a failover, without waiting for the standbys.
    pub(super) async fn execute_lightly(
        &self,
        sql: &'static str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Failure> {
        let statement = self.prepared(sql).await?;
        let (begun, rows, ended) = tokio::join!(
            self.client.batch_execute("BEGIN; SET LOCAL synchronous_commit = off"),
            self.client.query(&statement, parameters),
            self.client.batch_execute("COMMIT"),
        );
        begun?;
        let rows = rows?;
        ended?;
        Ok(rows)
    }

    /// Ends a failed transaction; closes the connection where that fails too.
    pub(super) async fn roll_back(&self) {
        let ended = tokio::time::timeout(ROLLBACK, self.batch("ROLLBACK"));
        if self.is_closed() || !matches!(ended.await, Ok(Ok(()))) {
            self.close();
        }
    }
}

impl Warnings {
    fn note(&self, code: &str, message: &str) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = format!("{message} [{code}]");
        self.count.fetch_add(1, Ordering::SeqCst);
    }
}

/// Handles the messages of a connection until it ends. A warning is noted before any later answer is passed on.
async fn drive<S, T>(mut connection: Connection<S, T>, warnings: Arc<Warnings>, tail: Arc<Tail>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notice(notice))) => {
                warnings.note(notice.code().code(), notice.message());
            }
            Some(Ok(AsyncMessage::Notification(_))) => tail.hurry(),
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::debug!(%error, "a connection to the database ended");
                tail.lost_connection();
                return;
            }
            None => return,
        }
    }
}
