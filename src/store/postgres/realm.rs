//! Defines a realm: its connections, its identity, and how blocking callers use them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use deadpool::managed::{Object, PoolError};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use crate::store::{Secret, StoreError};

use super::connector::{Connector, Pool};
use super::failure::Failure;
use super::options::{Durability, RealmOptions};
use super::session::Session;
use super::tail::Tail;

/// The number of the realm in its tables; more than one in a database is for later.
pub(super) const REALM: i32 = 1;
/// Threads that handle the messages of connections.
const RUNTIME_THREADS: usize = 2;

/// What a realm is, whoever asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealmIdentity {
    /// Its name for people.
    pub name: String,
    /// Which log it is: a restore begins another one.
    pub lineage: Uuid,
    /// The version of its tables.
    pub format: i32,
}

/// A realm in a PostgreSQL database, shared by any number of nodes.
///
/// Every call blocks. Drop it anywhere.
pub struct Realm {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    pub(super) connector: Connector,
    pool: Pool,
    pub(super) tail: Arc<Tail>,
    writer: Mutex<Writer>,
    pub(super) options: RealmOptions,
    /// The address without a password.
    pub(super) place: String,
    identity: RwLock<RealmIdentity>,
    pub(super) secret: Secret,
    /// Connections that were lost when this node last committed something durably, plus one; 0 before.
    confirmed: AtomicU64,
}

/// What appends use, one at a time.
#[derive(Default)]
pub(super) struct Writer {
    pub(super) session: Option<Session>,
    /// Why the outcome of an append is unknown.
    pub(super) paused: Option<String>,
    /// When other nodes were last hurried.
    pub(super) notified: Option<Instant>,
}

/// Connections to a database of which nothing is known yet.
pub(super) struct Connections {
    pub(super) runtime: Runtime,
    pub(super) connector: Connector,
    pub(super) tail: Arc<Tail>,
    pub(super) place: String,
}

impl Connections {
    pub(super) fn new(options: &RealmOptions) -> Result<Self, StoreError> {
        let place = options.url.to_string();
        let refused = |reason| StoreError::Refused { place: place.clone(), reason };
        let runtime = Builder::new_multi_thread()
            .worker_threads(RUNTIME_THREADS)
            .thread_name("database")
            .enable_all()
            .build()
            .map_err(|error| refused(format!("cannot start threads: {error}")))?;
        let tail = Arc::<Tail>::default();
        let connector = Connector::new(options, Arc::clone(&tail)).map_err(refused)?;
        Ok(Self { runtime, connector, tail, place })
    }
}

impl Realm {
    pub(super) fn over(
        connections: Connections,
        options: RealmOptions,
        (identity, secret): (RealmIdentity, Secret),
    ) -> Result<Arc<Self>, StoreError> {
        let Connections { runtime, connector, tail, place } = connections;
        let pool = {
            let _in_runtime = runtime.enter();
            let refused = |reason| StoreError::Refused { place: place.clone(), reason };
            connector.pool().map_err(refused)?
        };
        runtime.spawn(listen(connector.clone()));
        Ok(Arc::new(Self {
            runtime: Some(runtime),
            connector,
            pool,
            tail,
            writer: Mutex::default(),
            options,
            place,
            identity: RwLock::new(identity),
            secret,
            confirmed: AtomicU64::new(0),
        }))
    }

    /// What it is.
    pub fn identity(&self) -> RealmIdentity {
        self.identity.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_lineage(&self, lineage: Uuid) {
        self.identity.write().unwrap_or_else(PoisonError::into_inner).lineage = lineage;
    }

    /// The identity of this node.
    pub fn node(&self) -> Uuid {
        self.options.node
    }

    /// Who makes commits durable.
    pub fn durability(&self) -> Durability {
        self.options.durability
    }

    /// The address of the database, without user and password.
    pub fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks until a future of the realm's runtime is done.
    pub(super) fn block_on<F: Future>(&self, future: F) -> Result<F::Output, StoreError> {
        match &self.runtime {
            Some(runtime) => Ok(runtime.block_on(future)),
            None => Err(self.error("using the database", Failure::other("it is closed"))),
        }
    }

    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(future);
        }
    }

    pub(super) fn error(&self, doing: &str, failure: Failure) -> StoreError {
        failure.store_error(doing, &self.place)
    }

    pub(super) fn pool(&self) -> Pool {
        self.pool.clone()
    }

    pub(super) async fn session(&self) -> Result<Object<Connector>, Failure> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(failure) => failure,
            PoolError::Timeout(_) => Failure::connection("no connection became free in time"),
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                Failure::other("the pool of connections is closed")
            }
        })
    }

    /// Runs something that may be repeated on a pooled connection, and once more on a new one where that turns out to be dead.
    pub(super) fn run<T>(
        &self,
        doing: &str,
        work: impl AsyncFn(&Session) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        self.run_within((doing, self.options.unknown_after), work)
    }

    /// The same, with a time limit for each attempt.
    pub(super) fn run_within<T>(
        &self,
        (doing, limit): (&str, Duration),
        work: impl AsyncFn(&Session) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let ended = self.block_on(async {
            match self.try_run(limit, &work).await {
                Err(failure) if failure.is_connection() => {
                    // All connections of the pool may be to a primary that is gone or frozen.
                    self.pool.retain(|_, _| false);
                    self.try_run(limit, &work).await
                }
                result => result,
            }
        })?;
        ended.map_err(|failure| self.error(doing, failure))
    }

    async fn try_run<T>(
        &self,
        limit: Duration,
        work: &impl AsyncFn(&Session) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let session = self.session().await?;
        let result = tokio::time::timeout(limit, work(&session)).await.unwrap_or_else(|_| {
            Err(Failure::connection(format!("no answer within {} s", limit.as_secs_f32())))
        });
        if let Err(failure) = &result
            && failure.is_connection()
        {
            self.connector.avoid(session.server);
            session.close();
        }
        result
    }

    /// Runs a transaction that is durable when this returns without an error. After an error it may still become visible, so `work`
    /// must be something that can be repeated.
    pub(super) fn write<T>(
        &self,
        doing: &str,
        work: impl AsyncFn(&Session) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        self.write_within((doing, 2 * self.options.unknown_after), work)
    }

    /// The same, with a time limit for each attempt.
    pub(super) fn write_within<T>(
        &self,
        limited: (&str, Duration),
        work: impl AsyncFn(&Session) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let unknown_after = self.options.unknown_after;
        let lost = self.tail.lost();
        let write = async |session: &Session| session.durably(unknown_after, &work).await;
        let written = self.run_within(limited, write)?;
        self.note_confirmed(lost);
        Ok(written)
    }

    /// Whether everything that is visible is known to be durable.
    pub(super) fn is_confirmed(&self) -> bool {
        self.confirmed.load(Ordering::SeqCst) == self.tail.lost() + 1
    }

    /// A durable commit began when this many connections had been lost.
    pub(super) fn note_confirmed(&self, lost: u64) {
        self.confirmed.store(lost + 1, Ordering::SeqCst);
    }
}

impl Drop for Realm {
    fn drop(&mut self) {
        // Waiting for it would panic where a task of another runtime drops the realm.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// How long to wait before listening again.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
/// How often the connection that listens is tested: a frozen server keeps it open.
const LISTEN_TEST: Duration = Duration::from_secs(5);

/// Keeps a connection that listens for the notifications of appends. They only hurry the polling.
async fn listen(connector: Connector) {
    loop {
        if let Ok(session) = connector.primary().await
            && session.batch("LISTEN dhakira").await.is_ok()
        {
            while !session.is_closed() {
                tokio::time::sleep(LISTEN_TEST).await;
                let test = tokio::time::timeout(LISTEN_TEST, session.batch("SELECT 1")).await;
                if !matches!(test, Ok(Ok(()))) {
                    session.close();
                }
            }
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}
