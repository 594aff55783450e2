//! Compacts the store, and reports which part of the commit log it holds.

use std::time::Duration;

use crate::store::{Compacted, LogStart, Retention, Sequence, StoreError};

use crate::engine::Engine;
use crate::engine::cancel::Cancel;
use crate::engine::clock::now;
use crate::engine::commit::work::Work;
use crate::engine::error::EngineError;
use crate::engine::replica::changes::check_held;

impl Engine {
    /// Compacts the database, and truncates commits older than `keep_log` from the log. Lookups and writes continue; writes wait
    /// during the last step. Blocks.
    ///
    /// # Errors
    /// Cancelled; the store. The database is unchanged then.
    pub fn compact(
        &self,
        keep_log: Duration,
        cancel: &Cancel,
        progress: &dyn Fn(f32),
    ) -> Result<Compacted, EngineError> {
        let keep_from = now().before(keep_log);
        let mut report = |done: u64, total: u64| {
            #[expect(clippy::cast_precision_loss)]
            progress(done as f32 / total.max(1) as f32);
            !cancel.is_cancelled()
        };
        let maintenance = self.backend.maintenance.as_ref();
        let maintenance = maintenance.ok_or(StoreError::Unsupported("compaction"))?;
        let compacted = maintenance.compact(Retention { keep_from }, &mut report)?;
        // If the queue is full, the commit loop notices the truncation itself, later.
        let _ = self.writer.submit(Work::LogTruncated, None);
        Ok(compacted)
    }

    /// Checks that the log holds every commit after this one.
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
