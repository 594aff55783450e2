//! How do units in bulk get to the writer? In numbered batches, each acknowledged when it is on disk.

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::store::RequestKey;
use crate::unit::{MemoryName, UnitContent};
use crate::validate::ContentFault;

use crate::engine::Engine;
use crate::engine::commit::idempotency::Idempotency;
use crate::engine::commit::idempotency::fingerprint;
use crate::engine::commit::outcome::Reply;
use crate::engine::commit::outcome::{ImportState, Outcome};
use crate::engine::commit::prepare::Prepared;
use crate::engine::commit::progress::{ImportProgress, StoredBatch};
use crate::engine::commit::queue::Answer;
use crate::engine::commit::work::{DuplicatePolicy, ImportBatch, PreparedBatch, Work};
use crate::engine::error::EngineError;
use crate::engine::handle::internal;
use crate::engine::handle::receive;

impl Engine {
    /// How far an import is on disk; nothing when it is new.
    ///
    /// # Errors
    /// No such memory; the id belongs to another import or request; the store.
    pub fn import_progress(&self, import: &Import) -> Result<ImportProgress, EngineError> {
        Ok(self.import_state(import)?.progress())
    }

    /// The same, with what its batches held. Answered by the writer: what is read past it may not be on disk yet.
    pub(crate) fn import_state(&self, import: &Import) -> Result<ImportState, EngineError> {
        let memory = self.named(&import.memory)?.key;
        let idempotency = Some(import.idempotency()?);
        let answer = self.writer.submit_when_free(Work::ImportProgress { memory }, idempotency)?;
        receive(answer.blocking_recv())?.outcome.import(memory).ok_or_else(not_an_import)
    }

    /// Checks and analyses the units of a batch, in parallel.
    ///
    /// # Errors
    /// No such memory.
    pub fn prepare(
        &self,
        name: &MemoryName,
        contents: Vec<UnitContent>,
    ) -> Result<Vec<Result<Prepared, ContentFault>>, EngineError> {
        let memory = self.named(name)?;
        let prepared = contents.into_par_iter().map_init(
            || memory.index.encoder(),
            |encoder, content| Prepared::new(content, &memory, encoder),
        );
        Ok(self.bulk.install(|| prepared.collect()))
    }

    /// Hands one batch of an import in and waits for a place in the queue, not for the disk. After the `last` batch the import
    /// is complete.
    ///
    /// # Errors
    /// No such memory; the engine stops.
    pub fn import(
        &self,
        import: &Import,
        content: PreparedBatch,
    ) -> Result<ImportAnswer, EngineError> {
        let memory = self.named(&import.memory)?.key;
        // Deleted and made again since the units were prepared: their numbers are those of the old one.
        if content.units.iter().any(|unit| unit.memory != memory) {
            return Err(EngineError::NoMemory(import.memory.clone()));
        }
        let batch = ImportBatch { memory, policy: import.policy, content };
        let idempotency = Some(import.idempotency()?);
        let answer = self.writer.submit_when_free(Work::ImportBatch(batch), idempotency)?;
        Ok(ImportAnswer { answer, received: None })
    }
}

/// What an import is: the same values name the same import when it is resumed.
#[derive(Debug, Clone)]
pub struct Import {
    /// The client's name for it.
    pub id: RequestKey,
    /// Where the units go.
    pub memory: MemoryName,
    /// What to do with units that are there already.
    pub policy: DuplicatePolicy,
    /// Of a document whose beads are stored: what it holds and how it is stored.
    pub(crate) document: Option<u128>,
}

impl Import {
    /// An import of units as they come.
    pub fn new(id: RequestKey, memory: MemoryName, policy: DuplicatePolicy) -> Self {
        Self { id, memory, policy, document: None }
    }

    fn idempotency(&self) -> Result<Idempotency, EngineError> {
        let (fingerprint, field) = match self.document {
            None => (fingerprint(&("import", &self.memory, self.policy)), "import_id"),
            Some(document) => {
                (fingerprint(&("store_in", &self.memory, document)), "store_in.request_id")
            }
        };
        Ok(Idempotency { key: self.id, fingerprint: fingerprint.map_err(internal)?, field })
    }
}

/// The acknowledgement of a batch, when it comes.
pub struct ImportAnswer {
    answer: Answer,
    received: Option<Result<Reply, EngineError>>,
}

impl ImportAnswer {
    /// Waits until it is there; may be abandoned and called again.
    pub async fn ready(&mut self) {
        if self.received.is_none() {
            self.received = Some(receive((&mut self.answer).await));
        }
    }

    /// [`Self::acknowledged`] for callers that may block.
    ///
    /// # Errors
    /// As there.
    pub fn wait(self) -> Result<ImportProgress, EngineError> {
        let reply = match self.received {
            Some(received) => received?,
            None => receive(self.answer.blocking_recv())?,
        };
        Ok(stored_batch(reply)?.progress)
    }

    /// How far the import is on disk, at least through this batch, and what became of its units.
    ///
    /// # Errors
    /// A gap in the numbers; the id used for something else; the store.
    pub async fn acknowledged(mut self) -> Result<StoredBatch, EngineError> {
        self.ready().await;
        stored_batch(self.received.unwrap_or_else(|| Err(EngineError::writer_ended()))?)
    }
}

fn stored_batch(reply: Reply) -> Result<StoredBatch, EngineError> {
    match reply.outcome {
        Outcome::ImportInto(state) => {
            Ok(StoredBatch { progress: state.progress(), verdicts: reply.verdicts })
        }
        _ => Err(not_an_import()),
    }
}

fn not_an_import() -> EngineError {
    EngineError::Internal("an import was answered as something else".to_owned())
}
