//! The services over one engine: how a call runs on it, how its stream is fed, and when both stop.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::service::{Routes, RoutesBuilder};

use crate::engine::{Cancel, Engine, EngineError, now};
use crate::limits::{IMPORT_FILES_MAX, MESSAGE_BYTES_MAX};
use crate::operations::Operations;

use super::access::Principals;
use super::counts::{LookupCounts, ServingStatus};
use super::proto::admin_service_server::AdminServiceServer;
use super::proto::alignment_service_server::AlignmentServiceServer;
use super::proto::lookup_service_server::LookupServiceServer;
use super::proto::memory_service_server::MemoryServiceServer;
use super::proto::operation_service_server::OperationServiceServer;
use super::proto::server_service_server::ServerServiceServer;
use super::proto::unit_service_server::UnitServiceServer;
use super::status::{self, WRITES_PAUSED};

/// The full names of the services, as health checking wants them.
pub const SERVICE_NAMES: [&str; 7] = [
    <MemoryServiceServer<Api> as tonic::server::NamedService>::NAME,
    <UnitServiceServer<Api> as tonic::server::NamedService>::NAME,
    <LookupServiceServer<Api> as tonic::server::NamedService>::NAME,
    <AlignmentServiceServer<Api> as tonic::server::NamedService>::NAME,
    <ServerServiceServer<Api> as tonic::server::NamedService>::NAME,
    <AdminServiceServer<Api> as tonic::server::NamedService>::NAME,
    <OperationServiceServer<Api> as tonic::server::NamedService>::NAME,
];

/// The messages of an answering stream.
pub(crate) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Where a task puts the messages of its stream.
pub(crate) type Sender<T> = mpsc::Sender<Result<T, Status>>;

/// Whether a stream ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    UntilDone,
    Endless,
}

/// Answers that wait for a slow reader.
const ANSWERS_WAITING: usize = 4;

/// All services, over an engine that may still be loading.
#[derive(Clone)]
pub struct Api {
    engine: Arc<OnceLock<Engine>>,
    pub(super) stopping: CancellationToken,
    kept: Arc<OnceLock<Kept>>,
    /// Places for files that are being imported.
    pub(super) files: Arc<Semaphore>,
    pub(super) lookups: Arc<LookupCounts>,
}

/// The operations of a server, and the tokens that they were started with.
pub(super) struct Kept {
    pub(super) operations: Arc<Operations>,
    pub(super) principals: Option<Arc<dyn Principals>>,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            engine: Arc::default(),
            stopping: CancellationToken::new(),
            kept: Arc::default(),
            files: Arc::new(Semaphore::new(IMPORT_FILES_MAX)),
            lookups: Arc::default(),
        }
    }
}

impl Api {
    /// Services over an engine that is ready.
    pub fn ready(engine: Engine) -> Self {
        let api = Self::default();
        api.load(engine);
        api
    }

    /// Makes the services ready; until then calls are answered with UNAVAILABLE.
    pub fn load(&self, engine: Engine) {
        // A second engine is a bug of the caller; the first one stays.
        let _ = self.engine.set(engine);
    }

    /// Keeps operations in a directory; without one, none can be started. Those that a restart interrupted run again in
    /// [`run_operations`](Self::run_operations). Blocks.
    ///
    /// # Errors
    /// I/O.
    pub fn keep_operations(
        &self,
        directory: &Path,
        principals: Option<Arc<dyn Principals>>,
    ) -> io::Result<()> {
        let operations = Arc::new(Operations::open(directory, now())?);
        // A second directory is a bug of the caller; the first one stays.
        let _ = self.kept.set(Kept { operations, principals });
        Ok(())
    }

    pub(super) fn kept(&self) -> Result<&Kept, Status> {
        self.kept.get().ok_or_else(status::no_operations)
    }

    /// Ends the endless streams.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    /// Trains the lexicons of memories that have changed, each time nothing was written for a while; returns when the
    /// services stop.
    pub async fn train_when_idle(&self, idle: Duration) {
        let cancel = Cancel::default();
        let _stop_when_dropped = CancelOnDrop(cancel.clone());
        let training = async {
            let Some(engine) = self.engine.get() else { return };
            let mut sequence = engine.watch_sequence();
            loop {
                sequence.mark_unchanged();
                match tokio::time::timeout(idle, sequence.changed()).await {
                    Ok(Ok(())) => continue,
                    // The writer has ended: nothing changes any more.
                    Ok(Err(_)) => return,
                    Err(_) => {}
                }
                let (api, cancel) = (self.clone(), cancel.clone());
                let train = move || api.engine.get().map(|engine| engine.train_outdated(&cancel));
                // A failure was logged; the memories work without a lexicon.
                let _ = tokio::task::spawn_blocking(train).await;
                if sequence.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = training => {}
            () = self.stopping.cancelled() => {}
        }
    }

    /// Why writes are paused; `None` when they are not.
    pub fn writes_paused(&self) -> Option<String> {
        self.engine.get().and_then(Engine::writes_paused)
    }

    /// The last commit that readers see; `None` while the memories are being loaded.
    pub fn sequence(&self) -> Option<u64> {
        self.engine.get().map(|engine| engine.sequence().0)
    }

    /// Waits until readers see a commit; returns whether they do within the time.
    pub async fn applied(&self, sequence: u64, time: Duration) -> bool {
        let Some(engine) = self.engine.get() else { return false };
        let mut applied = engine.watch_sequence();
        let reached = applied.wait_for(|applied| applied.0 >= sequence);
        matches!(tokio::time::timeout(time, reached).await, Ok(Ok(_)))
    }

    /// Adds the services to the routes of a server.
    pub fn add_to(&self, routes: &mut RoutesBuilder) {
        let memories = MemoryServiceServer::new(self.clone());
        let units = UnitServiceServer::new(self.clone());
        let lookups = LookupServiceServer::new(self.clone());
        let alignment = AlignmentServiceServer::new(self.clone());
        let server = ServerServiceServer::new(self.clone());
        let admin = AdminServiceServer::new(self.clone());
        let operations = OperationServiceServer::new(self.clone());
        let limit = MESSAGE_BYTES_MAX;
        routes
            .add_service(memories.max_decoding_message_size(limit).max_encoding_message_size(limit))
            .add_service(units.max_decoding_message_size(limit).max_encoding_message_size(limit))
            .add_service(lookups.max_decoding_message_size(limit).max_encoding_message_size(limit))
            .add_service(
                alignment.max_decoding_message_size(limit).max_encoding_message_size(limit),
            )
            .add_service(server.max_decoding_message_size(limit))
            .add_service(admin.max_decoding_message_size(limit).max_encoding_message_size(limit))
            .add_service(
                operations.max_decoding_message_size(limit).max_encoding_message_size(limit),
            );
    }

    /// The services alone, for a client in the same process.
    pub fn routes(&self) -> Routes {
        let mut routes = Routes::builder();
        self.add_to(&mut routes);
        routes.routes()
    }

    /// Whether the memories are loaded.
    pub fn is_ready(&self) -> bool {
        self.engine.get().is_some()
    }

    /// Segments looked up, by the kind of their best match.
    pub fn lookup_counts(&self) -> &LookupCounts {
        &self.lookups
    }

    /// Whether the memories can be used, and how much they hold.
    pub fn serving_status(&self) -> ServingStatus {
        let Some(engine) = self.engine.get() else {
            let trouble = Some("the memories are still being loaded".to_owned());
            return ServingStatus { trouble, ..ServingStatus::default() };
        };
        let memories = engine.memories(None, usize::MAX);
        let stopping =
            self.stopping.is_cancelled().then(|| "the server is shutting down".to_owned());
        ServingStatus {
            can_read: stopping.is_none() && engine.damaged().is_none(),
            trouble: stopping.or_else(|| trouble(engine)),
            memories: memories.len(),
            units: memories.iter().map(|memory| memory.unit_count).sum(),
            sequence: engine.sequence().0,
        }
    }

    pub(super) fn engine(&self) -> Result<&Engine, Status> {
        self.engine.get().ok_or_else(status::loading)
    }

    /// Runs a use case on a thread that may block.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Engine) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, Status> {
        self.engine()?;
        let api = self.clone();
        blocking(move || call(api.engine()?).map_err(status::from_engine)).await
    }

    /// Runs a use case that usually takes microseconds, though it may read from the disk: passing it to another thread would
    /// take longer, so this thread runs it, and another one takes over its other tasks. `None` when it takes longer than
    /// [`SHORT_TIME`], or there is no other thread: use [`run`](Self::run) then.
    pub(super) fn run_short<T>(
        &self,
        call: impl FnOnce(&Engine, &Cancel) -> Result<T, EngineError>,
    ) -> Result<Option<T>, Status> {
        if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
            return Ok(None);
        }
        let engine = self.engine()?;
        match tokio::task::block_in_place(|| call(engine, &Cancel::after(SHORT_TIME))) {
            Ok(done) => Ok(Some(done)),
            Err(EngineError::Cancelled) => Ok(None),
            Err(error) => Err(status::from_engine(error)),
        }
    }

    /// Runs a task that fills a stream; its error ends the stream. Endless streams end when the server stops, the others may
    /// finish.
    pub(crate) fn stream<T, F>(
        &self,
        lifetime: Lifetime,
        task: impl FnOnce(Api, Sender<T>) -> F,
    ) -> Result<Answers<T>, Status>
    where
        T: Send + 'static,
        F: Future<Output = Result<(), Status>> + Send + 'static,
    {
        self.engine()?;
        let (sender, receiver) = mpsc::channel(ANSWERS_WAITING);
        let task = task(self.clone(), sender.clone());
        let stopping = self.stopping.clone();
        let filling: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            let result = tokio::select! {
                result = task => result,
                () = sender.closed() => return,
                () = stopping.cancelled(), if lifetime == Lifetime::Endless => {
                    Err(status::stopping())
                }
            };
            if let Err(error) = result {
                // It fails only when the reader is gone.
                let _ = sender.send(Err(error)).await;
            }
        });
        tokio::spawn(filling);
        Ok(Box::pin(ReceiverStream::new(receiver)))
    }

    /// Runs blocking work that answers as it goes; it is cancelled when its reader goes away.
    pub(super) fn long_call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Engine, &Cancel, &Sender<T>) -> Result<(), Status> + Send + 'static,
    ) -> Result<Answers<T>, Status> {
        self.stream(Lifetime::Endless, |api, answers| async move {
            let cancel = Cancel::default();
            let _stop_when_dropped = CancelOnDrop(cancel.clone());
            blocking(move || work(api.engine()?, &cancel, &answers)).await
        })
    }
}

/// Runs work on a thread that may block. The work is boxed, so that the runtime's code for a task is compiled once and not for each
/// kind of work.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    let (sender, receiver) = oneshot::channel();
    let work: Box<dyn FnOnce() + Send> = Box::new(move || {
        // The caller may be gone.
        let _ = sender.send(work());
    });
    let running = tokio::task::spawn_blocking(work);
    match receiver.await {
        Ok(done) => done,
        // Only a panic drops the sender.
        Err(_) => Err(match running.await {
            Ok(()) => status::internal("a call failed"),
            Err(error) => status::internal(&format!("a call failed: {error}")),
        }),
    }
}

/// A call that is dropped (the client went away, its deadline passed) cancels its work.
pub(super) struct CancelOnDrop(pub(super) Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Waits until the reader has room; `false` when it is gone.
pub(super) fn send<T>(answers: &Sender<T>, message: T) -> bool {
    answers.blocking_send(Ok(message)).is_ok()
}

/// Reports progress, unless the reader has not taken the report before.
pub(super) fn report<T>(answers: &Sender<T>, message: T) {
    let _ = answers.try_send(Ok(message));
}

/// Time limit of work on a thread that cannot notice meanwhile that the caller went away.
pub(super) const SHORT_TIME: Duration = Duration::from_millis(5);

/// Why the store cannot be used; details are in the log.
fn trouble(engine: &Engine) -> Option<String> {
    let paused = engine.writes_paused().map(|_| WRITES_PAUSED.to_owned());
    paused.or_else(|| engine.damaged().map(|_| STORE_DAMAGED.to_owned()))
}

const STORE_DAMAGED: &str =
    "the store is damaged: some stored data cannot be read; see the log of the server";
