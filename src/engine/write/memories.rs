//! Creates, reads, changes and deletes memories.

use crate::engine::commit::outcome::Reply;
use crate::engine::commit::work::{Etag, MemoryPatch, NewMemory, Work};
use crate::engine::error::EngineError;
use crate::engine::handle::{Engine, RequestId, idempotency};
use crate::engine::read::penalties::check_rules;
use crate::store::{MemoryKey, MemoryRecord};
use crate::unit::{ContextMode, MemoryName};

impl Engine {
    /// Creates a memory.
    ///
    /// # Errors
    /// The name is taken; [`EngineError::RequestReused`]; the store.
    pub fn create_memory(
        &self,
        new: NewMemory,
        request: RequestId,
    ) -> Result<MemoryRecord, EngineError> {
        check_rules(&new.scoring.penalty_rules, "memory.penalties")?;
        // Without the mode, as earlier versions computed it, which had none.
        let mode = new.scoring.context_mode;
        let idempotency = if mode == ContextMode::default() {
            idempotency(request, &("create_memory", &new))?
        } else {
            idempotency(request, &("create_memory", &new, mode))?
        };
        answered_memory(self.write(Work::CreateMemory(new), idempotency)?)
    }

    /// Changes a memory; `expected` is the state that the change was made for.
    ///
    /// # Errors
    /// No such memory; another state; [`EngineError::RequestReused`]; the store.
    pub fn update_memory(
        &self,
        name: &MemoryName,
        patch: MemoryPatch,
        expected: Option<Etag>,
        request: RequestId,
    ) -> Result<MemoryRecord, EngineError> {
        check_rules(patch.penalty_rules.as_deref().unwrap_or_default(), "memory.penalties")?;
        let idempotency = idempotency(request, &("update_memory", name, &patch, &expected))?;
        let reply = match self.catalog.by_name(name) {
            Some(memory) => {
                let work = Work::UpdateMemory { memory: memory.key, patch, expected };
                self.write(work, idempotency)?
            }
            None => self.repeat(idempotency, name)?,
        };
        answered_memory(reply)
    }

    /// Deletes a memory; one that holds units only with `force`.
    ///
    /// # Errors
    /// No such memory; another state; it holds units; [`EngineError::RequestReused`]; the store.
    pub fn delete_memory(
        &self,
        name: &MemoryName,
        force: bool,
        expected: Option<Etag>,
        request: RequestId,
    ) -> Result<(), EngineError> {
        // Without an expected state, as earlier versions computed it.
        let idempotency = match &expected {
            None => idempotency(request, &("delete_memory", name, force))?,
            Some(expected) => idempotency(request, &("delete_memory", name, force, expected))?,
        };
        let Some(memory) = self.catalog.by_name(name) else {
            return self.repeat(idempotency, name).map(drop);
        };
        let work = Work::DeleteMemory { memory: memory.key, force, expected };
        self.write(work, idempotency).map(drop)
    }

    /// One memory, as of the last commit.
    ///
    /// # Errors
    /// No such memory.
    pub fn memory(&self, name: &MemoryName) -> Result<MemoryRecord, EngineError> {
        Ok(MemoryRecord::clone(&self.named(name)?.record()))
    }

    /// Memories in the order of their names, from the first one above `after`.
    pub fn memories(&self, after: Option<&MemoryName>, limit: usize) -> Vec<MemoryRecord> {
        let memories = self.catalog.page(after, limit);
        memories.iter().map(|memory| MemoryRecord::clone(&memory.record())).collect()
    }

    /// The name of a memory by its key; `None` when it is deleted.
    pub fn memory_name(&self, key: MemoryKey) -> Option<MemoryName> {
        self.catalog.by_key(key).map(|memory| memory.record().name.clone())
    }

    /// The key of a memory, which identifies its changes in the log.
    ///
    /// # Errors
    /// No such memory.
    pub fn memory_key(&self, name: &MemoryName) -> Result<MemoryKey, EngineError> {
        Ok(self.named(name)?.key)
    }
}

fn answered_memory(reply: Reply) -> Result<MemoryRecord, EngineError> {
    let missing = || EngineError::Internal("no memory was answered".to_owned());
    reply.memory.ok_or_else(missing)
}
