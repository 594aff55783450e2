//! The engine: one database, opened, and what every use case needs of it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;

use crate::store::{Backend, LogRecord, MemoryKey, MemoryRecord, RequestKey, Secret, Sequence};
use crate::unit::{MemoryName, Unit, UnitContent, UnitId};

use super::error::{EngineError, WRITER_ENDED};
use super::priority;
use super::replica::catalog::{Catalog, Memory};
use super::replica::changes::check_held;
use super::replica::follower::Follower;
use super::replica::load::{LoadProgress, Loaded};
use super::write::idempotency::{Idempotency, Remembered, fingerprint};
use super::write::outcome::Reply;
use super::write::prepare::Prepared;
use super::write::queue::WriteQueue;
use super::write::work::{MemoryPatch, NewMemory, Work};

/// Everything that can be done with one store. Calls block; share it behind an `Arc`.
pub struct Engine {
    pub(crate) backend: Backend,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) sequence: watch::Receiver<Sequence>,
    loaded: Loaded,
    /// The directory of checkpoints and lexicons.
    pub(crate) derived: Option<PathBuf>,
    pub(crate) bulk: rayon::ThreadPool,
    secret: Secret,
    /// Held by an update of a unit that came too late once, so that others like it cannot make it come too late again.
    pub(crate) second_try: Mutex<()>,
    /// Threads that analyse the large texts of updates.
    pub(crate) large_texts: rayon::ThreadPool,
    pub(crate) writer: WriteQueue,
}

/// A request id, and which field of the protocol it came in.
pub type RequestId = Option<RequestKey>;

impl Engine {
    /// Opens an engine on a database: loads every memory into its index, from its checkpoint in `checkpoints` and what was committed
    /// since, or from its units where there is no checkpoint that can be trusted. Later checkpoints go there too; without a directory
    /// there are none, which costs only time.
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

    /// The same; commits older than `keep_log` leave the log by themselves, at once and then every hour or so.
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
            second_try: Mutex::default(),
            large_texts: pool("update")?,
            writer,
        })
    }

    /// The secret of its store.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// What it took to load the memories.
    pub fn loaded(&self) -> Loaded {
        self.loaded
    }

    /// Makes a memory.
    ///
    /// # Errors
    /// The name is taken; [`EngineError::RequestReused`]; the store.
    pub fn create_memory(
        &self,
        new: NewMemory,
        request: RequestId,
    ) -> Result<MemoryRecord, EngineError> {
        let idempotency = idempotency(request, &("create_memory", &new))?;
        answered_memory(self.write(Work::CreateMemory(new), idempotency)?)
    }

    /// Changes a memory; `expected` is the revision that the change was made for.
    ///
    /// # Errors
    /// No such memory; another revision; [`EngineError::RequestReused`]; the store.
    pub fn update_memory(
        &self,
        name: &MemoryName,
        patch: MemoryPatch,
        expected: Option<u64>,
        request: RequestId,
    ) -> Result<MemoryRecord, EngineError> {
        let idempotency = idempotency(request, &("update_memory", name, &patch, expected))?;
        let reply = match self.catalog.by_name(name) {
            Some(memory) => {
                let work = Work::UpdateMemory { memory: memory.key, patch, expected };
                self.write(work, idempotency)?
            }
            None => self.repeat(idempotency, name)?,
        };
        answered_memory(reply)
    }

    /// Deletes a memory, with its units only when `force` says so.
    ///
    /// # Errors
    /// No such memory; it holds units; [`EngineError::RequestReused`]; the store.
    pub fn delete_memory(
        &self,
        name: &MemoryName,
        force: bool,
        request: RequestId,
    ) -> Result<(), EngineError> {
        let idempotency = idempotency(request, &("delete_memory", name, force))?;
        let Some(memory) = self.catalog.by_name(name) else {
            return self.repeat(idempotency, name).map(drop);
        };
        let work = Work::DeleteMemory { memory: memory.key, force };
        self.write(work, idempotency).map(drop)
    }

    /// One memory, as of the last commit.
    ///
    /// # Errors
    /// No such memory.
    pub fn memory(&self, name: &MemoryName) -> Result<MemoryRecord, EngineError> {
        Ok(self.named(name)?.record())
    }

    /// Memories in the order of their names, from the first one above `after`.
    pub fn memories(&self, after: Option<&MemoryName>, limit: usize) -> Vec<MemoryRecord> {
        self.catalog.page(after, limit).iter().map(|memory| memory.record()).collect()
    }

    /// Stores new units, all or none, at most [`crate::limits::BATCH_UNITS_MAX`].
    ///
    /// # Errors
    /// No such memory; a unit that breaks a rule (index and fault); [`EngineError::RequestReused`]; the store.
    pub fn create_units(
        &self,
        name: &MemoryName,
        contents: Vec<UnitContent>,
        request: RequestId,
        field: impl Fn(usize) -> String,
    ) -> Result<Vec<Unit>, EngineError> {
        let idempotency = idempotency(request, &("create_units", name, &contents))?;
        let Some(memory) = self.catalog.by_name(name) else {
            return Ok(self.repeat(idempotency, name)?.units);
        };
        let mut numbering = memory.index.numbering_of_few();
        let units = contents
            .into_iter()
            .enumerate()
            .map(|(index, content)| {
                Prepared::new(content, &memory, &mut numbering).map_err(|fault| {
                    EngineError::invalid(format!("{}.{}", field(index), fault.field), fault.message)
                })
            })
            .collect::<Result<_, _>>()?;
        let work = Work::CreateUnits { memory: memory.key, units };
        Ok(self.write(work, idempotency)?.units)
    }

    /// One unit.
    ///
    /// # Errors
    /// No such memory or unit; the store.
    pub fn unit(&self, name: &MemoryName, id: UnitId) -> Result<Unit, EngineError> {
        let memory = self.named(name)?;
        let unit = self.backend.store.units(memory.key, &[id])?.pop().flatten();
        unit.ok_or_else(|| EngineError::NoUnit(name.clone(), id))
    }

    /// Units in rising order of number, from the first one above `after`.
    ///
    /// # Errors
    /// No such memory; the store.
    pub fn units(
        &self,
        name: &MemoryName,
        after: Option<UnitId>,
        limit: usize,
    ) -> Result<Vec<Unit>, EngineError> {
        Ok(self.backend.store.page(self.named(name)?.key, after, limit)?)
    }

    /// Deletes a unit; `expected` is the revision that the caller saw.
    ///
    /// # Errors
    /// No such memory or unit; another revision; [`EngineError::RequestReused`]; the store.
    pub fn delete_unit(
        &self,
        name: &MemoryName,
        id: UnitId,
        expected: Option<u64>,
        request: RequestId,
    ) -> Result<(), EngineError> {
        let idempotency = idempotency(request, &("delete_unit", name, id, expected))?;
        let Some(memory) = self.catalog.by_name(name) else {
            return self.repeat(idempotency, name).map(drop);
        };
        let work = Work::DeleteUnit { memory: memory.key, id, expected };
        self.write(work, idempotency).map(drop)
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
        // Looked at after reading: a compaction may have cut the log in between.
        check_held(self.backend.log.as_ref(), after)?;
        Ok(records)
    }

    /// Tells of every commit that readers see; its value is the last one.
    pub fn watch_sequence(&self) -> watch::Receiver<Sequence> {
        self.sequence.clone()
    }

    /// The name of a memory by its key; `None` when it is deleted.
    pub fn memory_name(&self, key: MemoryKey) -> Option<MemoryName> {
        self.catalog.by_key(key).map(|memory| memory.record().name)
    }

    /// The key of a memory, for sorting out its changes.
    ///
    /// # Errors
    /// No such memory.
    pub fn memory_key(&self, name: &MemoryName) -> Result<MemoryKey, EngineError> {
        Ok(self.named(name)?.key)
    }

    /// Why writes are refused for now.
    pub fn writes_paused(&self) -> Option<String> {
        let writer_ended = || self.sequence.has_changed().is_err().then(|| WRITER_ENDED.to_owned());
        self.writer.paused().or_else(writer_ended)
    }

    /// The first damage that was met: some of what was stored cannot be read.
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

    /// The answer to a request for a memory that is not there: that of the first time if this very request came before.
    pub(crate) fn repeat(
        &self,
        idempotency: Option<Idempotency>,
        name: &MemoryName,
    ) -> Result<Reply, EngineError> {
        let missing = || EngineError::NoMemory(name.clone());
        let idempotency = idempotency.ok_or_else(missing)?;
        let record = self.backend.log.request(idempotency.key)?;
        let earlier = Remembered::read(record, idempotency)?.ok_or_else(missing)?;
        let version =
            |memory, id, revision| Ok(self.backend.store.version(memory, id, revision)?);
        earlier.replay(idempotency, version, |_| None)
    }
}

pub(crate) fn answered_memory(reply: Reply) -> Result<MemoryRecord, EngineError> {
    let missing = || EngineError::Internal("no memory was answered".to_owned());
    reply.memory.ok_or_else(missing)
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
