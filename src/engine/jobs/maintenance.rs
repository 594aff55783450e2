//! Compacts the store, and says which part of the commit log is held.

use std::time::Duration;

use crate::store::{Compacted, LogStart, Retention, Sequence, StoreError};

use crate::engine::Engine;
use crate::engine::cancel::Cancel;
use crate::engine::commit::commit_loop::ago;
use crate::engine::commit::work::Work;
use crate::engine::error::EngineError;
use crate::engine::replica::changes::check_held;

impl Engine {
    /// Gives disk back, and gives up the part of the commit log that is older than `keep_log`. Lookups and writes go on; writes
    /// wait for the last moment of it. Blocks.
    ///
    /// # Errors
    /// Cancelled; the store, which goes on as it was.
    pub fn compact(
        &self,
        keep_log: Duration,
        cancel: &Cancel,
        progress: &dyn Fn(f32),
    ) -> Result<Compacted, EngineError> {
        let keep_from = ago(keep_log);
        let mut tell = |done: u64, total: u64| {
            #[expect(clippy::cast_precision_loss)]
            progress(done as f32 / total.max(1) as f32);
            !cancel.is_cancelled()
        };
        let maintenance = self.backend.maintenance.as_ref();
        let maintenance = maintenance.ok_or(StoreError::Unsupported("compaction"))?;
        let compacted = maintenance.compact(Retention { keep_from }, &mut tell)?;
        // When too many writes wait, the writer comes to it by itself, later.
        let _ = self.writer.submit(Work::LogTruncated, None);
        Ok(compacted)
    }

    /// Whether every commit after this one is still held.
    ///
    /// # Errors
    /// [`EngineError::LogTruncated`].
    pub fn check_held(&self, after: Sequence) -> Result<(), EngineError> {
        check_held(self.backend.log.as_ref(), after)
    }

    /// Where the commit log begins.
    ///
    /// # Errors
    /// The store.
    pub fn log_start(&self) -> Result<LogStart, EngineError> {
        Ok(self.backend.log.start()?)
    }
}
