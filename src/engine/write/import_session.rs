//! Imports units in bulk: numbered batches, each acknowledged when it is durable.

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::formats::parse_time;
use crate::store::RequestKey;
use crate::unit::{LAST_USE_ATTRIBUTE, MemoryName, USE_COUNT_ATTRIBUTE, UnitContent, Usage};
use crate::validate::ContentFault;

use crate::engine::Engine;
use crate::engine::commit::idempotency::{Idempotency, fingerprint};
use crate::engine::commit::outcome::{ImportState, Outcome, Reply};
use crate::engine::commit::prepare::Prepared;
use crate::engine::commit::progress::{ImportProgress, StoredBatch};
use crate::engine::commit::queue::Answer;
use crate::engine::commit::work::{DuplicatePolicy, ImportBatch, PreparedBatch, Work};
use crate::engine::error::EngineError;
use crate::engine::handle::{internal, receive};

impl Engine {
    /// The durable progress of an import; zero for a new one.
    ///
    /// # Errors
    /// No such memory; the id belongs to another import or request; the store.
    pub fn import_progress(&self, import: &Import) -> Result<ImportProgress, EngineError> {
        Ok(self.import_state(import)?.progress())
    }

    /// The same with the digests of its batches. The commit loop answers, because records read directly may not be durable yet.
    pub(crate) fn import_state(&self, import: &Import) -> Result<ImportState, EngineError> {
        let memory = self.named(&import.memory)?.key;
        let idempotency = Some(import.idempotency()?);
        let answer = self.writer.submit_when_free(Work::ImportProgress { memory }, idempotency)?;
        receive(answer.blocking_recv())?.outcome.import(memory).ok_or_else(not_an_import)
    }

    /// Validates and analyses the units of a batch in parallel. Attributes with the usage that a file gives become the usage of new
    /// units.
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
            |encoder, mut content| {
                let usage = take_usage(&mut content);
                Ok(Prepared::new(content, &memory, encoder)?.with_usage(usage))
            },
        );
        Ok(self.bulk.install(|| prepared.collect()))
    }

    /// Queues a batch of an import, waiting for space in the queue but not for the commit. The `last` batch completes the import.
    ///
    /// # Errors
    /// No such memory; the commit loop has ended.
    pub fn import(
        &self,
        import: &Import,
        content: PreparedBatch,
    ) -> Result<ImportAnswer, EngineError> {
        let memory = self.named(&import.memory)?.key;
        // The memory was deleted and created again since the units were encoded for the old one.
        if content.units.iter().any(|unit| unit.memory != memory) {
            return Err(EngineError::NoMemory(import.memory.clone()));
        }
        let batch = ImportBatch { memory, policy: import.policy, content };
        let idempotency = Some(import.idempotency()?);
        let answer = self.writer.submit_when_free(Work::ImportBatch(batch), idempotency)?;
        Ok(ImportAnswer { answer, received: None })
    }
}

/// Takes the usage out of the attributes that hold it. Values that cannot be read stay attributes.
fn take_usage(content: &mut UnitContent) -> Usage {
    let attributes = &mut content.attributes;
    let count = attributes.get(USE_COUNT_ATTRIBUTE).and_then(|it| it.trim().parse().ok());
    let last = attributes.get(LAST_USE_ATTRIBUTE).and_then(|it| parse_time(it));
    if count.is_some() {
        attributes.remove(USE_COUNT_ATTRIBUTE);
    }
    if last.is_some() {
        attributes.remove(LAST_USE_ATTRIBUTE);
    }
    Usage { count: count.unwrap_or_default(), last, revisions: 0 }
}

/// Identifies an import; the same values resume it.
#[derive(Debug, Clone)]
pub struct Import {
    /// Chosen by the client.
    pub id: RequestKey,
    /// The memory that it writes to.
    pub memory: MemoryName,
    /// How to treat units that the memory already holds.
    pub policy: DuplicatePolicy,
    /// Fingerprint of the aligned document whose beads are stored, and of the options.
    pub(crate) document: Option<u128>,
}

impl Import {
    /// An import of units.
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

/// The pending acknowledgement of a batch.
pub struct ImportAnswer {
    answer: Answer,
    received: Option<Result<Reply, EngineError>>,
}

impl ImportAnswer {
    /// Waits for it; cancel-safe.
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

    /// The durable progress of the import, at least through this batch, and the outcomes of the batch's units.
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
            Ok(StoredBatch { progress: state.progress(), unit_outcomes: reply.unit_outcomes })
        }
        _ => Err(not_an_import()),
    }
}

fn not_an_import() -> EngineError {
    EngineError::Internal("an import was answered as something else".to_owned())
}
