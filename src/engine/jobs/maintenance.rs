//! How is a store kept in shape? Compaction, how long the log is kept, and what of it is still held.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::store::{Compacted, LogStart, Retention, Sequence, Store};
use crate::unit::Timestamp;

use crate::engine::Engine;
use crate::engine::cancel::Cancel;
use crate::engine::error::EngineError;
use crate::engine::write::work::Work;

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
        told: &dyn Fn(f32),
    ) -> Result<Compacted, EngineError> {
        let keep_from = ago(keep_log);
        let mut tell = |done: u64, total: u64| {
            #[expect(clippy::cast_precision_loss)]
            told(done as f32 / total.max(1) as f32);
            !cancel.is_cancelled()
        };
        let compacted = self.store.compact(Retention { keep_from }, &mut tell)?;
        // When too many writes wait, the writer comes to it by itself, later.
        let _ = self.writer.submit(Work::Compacted, None);
        Ok(compacted)
    }

    /// Whether every commit after this one is still held.
    ///
    /// # Errors
    /// [`EngineError::LogCut`].
    pub fn check_held(&self, after: Sequence) -> Result<(), EngineError> {
        check_held(self.store.as_ref(), after)
    }

    /// Where the commit log begins.
    pub fn log_start(&self) -> LogStart {
        self.store.log_start()
    }
}

/// The moment so long before now.
pub(crate) fn ago(time: Duration) -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    Timestamp { micros: micros(since).saturating_sub(micros(time)) }
}

pub(crate) fn check_held(store: &dyn Store, after: Sequence) -> Result<(), EngineError> {
    let oldest = store.log_start().sequence;
    if after < oldest {
        return Err(EngineError::LogCut { asked: after.0 + 1, oldest });
    }
    Ok(())
}
