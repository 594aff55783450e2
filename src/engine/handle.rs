//! Opens a database as an [`Engine`], and holds what all use cases share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;

use crate::store::{Backend, LogRecord, RequestKey, Secret, Sequence};
use crate::unit::MemoryName;

use super::commit::idempotency::{EarlierRequest, Idempotency, fingerprint};
use super::commit::outcome::Reply;
use super::commit::queue::WriteQueue;
use super::commit::work::Work;
use super::error::{EngineError, WRITER_ENDED};
use super::priority;
use super::replica::catalog::{Catalog, Memory};
use super::replica::changes::check_held;
use super::replica::follower::Follower;
use super::replica::load::{LoadProgress, Loaded};

/// All use cases on one store. Calls block; share it behind an `Arc`.
pub struct Engine {
    pub(crate) backend: Backend,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) sequence: watch::Receiver<Sequence>,
    loaded: Loaded,
    /// The directory of checkpoints and lexicons.
    pub(crate) derived: Option<PathBuf>,
    pub(crate) bulk: rayon::ThreadPool,
    secret: Secret,
    /// Held by an update that has met a newer revision once, so that concurrent updates of its kind cannot outrun it again.
    pub(crate) update_retry: Mutex<()>,
    /// Threads that analyse the large texts of updates.
    pub(crate) large_texts: rayon::ThreadPool,
    pub(crate) writer: WriteQueue,
}

/// The id of a request that may be repeated.
pub type RequestId = Option<RequestKey>;

impl Engine {
    /// Opens an engine on a database: loads the index of every memory from its checkpoint in `checkpoints` and the commits since, or
    /// from its units if there is no valid checkpoint. Later checkpoints are written to the same directory; without one there are no
    /// checkpoints, and starts take longer.
    ///
    /// # Errors
    /// The store; a memory that holds more or fewer units than its record counts.
    pub fn open(
        backend: impl Into<Backend>,
        checkpoints: Option<PathBuf>,
        progress: &mut dyn FnMut(LoadProgress),
    ) -> Result<Self, EngineError> {
        Self::open_keeping(backend, checkpoints, None, progress)
    }

    /// The same; commits older than `keep_log` are truncated from the log at once and then about every hour.
    ///
    /// # Errors
    /// As of [`open`](Self::open).
    pub fn open_keeping(
        backend: impl Into<Backend>,
        checkpoints: Option<PathBuf>,
        keep_log: Option<Duration>,
        progress: &mut dyn FnMut(LoadProgress),
    ) -> Result<Self, EngineError> {
        let backend = backend.into();
        let catalog = Arc::<Catalog>::default();
        let derived = checkpoints.clone();
        let (follower, loaded) =
            Follower::open(backend.clone(), Arc::clone(&catalog), checkpoints, progress)?;
        let sequence = follower.watch_sequence();
        let writer = WriteQueue::start(backend.clone(), follower, keep_log)
            .map_err(|error| EngineError::Internal(format!("starting the commit loop: {error}")))?;
        let pool = |name| {
            let threads = priority::pool(name);
            threads.map_err(|error| EngineError::Internal(format!("starting threads: {error}")))
        };
        let secret = backend.store.secret();
        Ok(Self {
            backend,
            catalog,
            sequence,
            loaded,
            derived,
            bulk: pool("bulk")?,
            secret,
            update_retry: Mutex::default(),
            large_texts: pool("update")?,
            writer,
        })
    }

    /// The secret of the store.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Statistics of loading the memories.
    pub fn loaded(&self) -> Loaded {
        self.loaded
    }

    /// Commits above `after`, in order.
    ///
    /// # Errors
    /// [`EngineError::LogTruncated`] when the log does not hold them any more; the store.
    pub fn changes_since(
        &self,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<LogRecord>, EngineError> {
        let records = self.backend.log.read(after, limit)?;
        // Checked after reading: the log may have been truncated in between.
        check_held(self.backend.log.as_ref(), after)?;
        Ok(records)
    }

    /// The last commit that is visible to readers.
    pub fn sequence(&self) -> Sequence {
        *self.sequence.borrow()
    }

    /// Watches it.
    pub fn watch_sequence(&self) -> watch::Receiver<Sequence> {
        self.sequence.clone()
    }

    /// Why writes are paused; `None` if they are not.
    pub fn writes_paused(&self) -> Option<String> {
        let writer_ended = || self.sequence.has_changed().is_err().then(|| WRITER_ENDED.to_owned());
        self.writer.paused().or_else(writer_ended)
    }

    /// The first damage found in the store, some of which cannot be read.
    pub fn damaged(&self) -> Option<String> {
        self.backend.store.damaged()
    }

    pub(crate) fn named(&self, name: &MemoryName) -> Result<Arc<Memory>, EngineError> {
        self.catalog.by_name(name).ok_or_else(|| EngineError::NoMemory(name.clone()))
    }

    pub(crate) fn write(
        &self,
        work: Work,
        idempotency: Option<Idempotency>,
    ) -> Result<Reply, EngineError> {
        receive(self.writer.submit(work, idempotency)?.blocking_recv())
    }

    /// Answers a request for a memory that does not exist: with the earlier answer if the request was carried out before.
    pub(crate) fn repeat(
        &self,
        idempotency: Option<Idempotency>,
        name: &MemoryName,
    ) -> Result<Reply, EngineError> {
        let missing = || EngineError::NoMemory(name.clone());
        let idempotency = idempotency.ok_or_else(missing)?;
        let record = self.backend.log.request(idempotency.key)?;
        let earlier = EarlierRequest::read(record, idempotency)?.ok_or_else(missing)?;
        let version =
            |memory, id, revision| Ok(self.backend.store.version(memory, id, revision)?);
        earlier.replay(idempotency, version, |_| None)
    }
}

pub(crate) fn receive<E>(
    answer: Result<Result<Reply, EngineError>, E>,
) -> Result<Reply, EngineError> {
    answer.unwrap_or_else(|_| Err(EngineError::writer_ended()))
}

pub(crate) fn idempotency<T: Serialize>(
    request: RequestId,
    content: &T,
) -> Result<Option<Idempotency>, EngineError> {
    let Some(key) = request else { return Ok(None) };
    let fingerprint = fingerprint(content).map_err(internal)?;
    Ok(Some(Idempotency { key, fingerprint, field: "request_id" }))
}

pub(crate) fn internal(error: impl ToString) -> EngineError {
    EngineError::Internal(error.to_string())
}
