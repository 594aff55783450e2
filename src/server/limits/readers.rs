//! Closes the connections of clients that do not read their answers.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::super::telemetry::{Metrics, Rejection};

/// How far a client has read an answer.
#[derive(Debug)]
pub(in crate::server) struct Reader {
    /// Pieces that wait to be sent.
    waiting: AtomicUsize,
    /// Milliseconds from the start of the server to the last piece sent.
    last_sent: AtomicU64,
    start: Instant,
    kill: CancellationToken,
}

impl Reader {
    pub(in crate::server) fn queued(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::server) fn sent(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.last_sent.store(millis(self.start), Ordering::Relaxed);
    }
}

fn millis(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// The readers of all answers.
#[derive(Debug)]
pub(in crate::server) struct Readers {
    start: Instant,
    all: Mutex<Vec<Weak<Reader>>>,
}

impl Default for Readers {
    fn default() -> Self {
        Self { start: Instant::now(), all: Mutex::default() }
    }
}

impl Readers {
    pub(in crate::server) fn add(&self, kill: CancellationToken) -> Arc<Reader> {
        let reader = Arc::new(Reader {
            waiting: AtomicUsize::new(0),
            last_sent: AtomicU64::new(millis(self.start)),
            start: self.start,
            kill,
        });
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        // Readers that ended are removed whenever the list would have to grow.
        if all.len() == all.capacity() {
            all.retain(|reader| reader.strong_count() > 0);
        }
        all.push(Arc::downgrade(&reader));
        reader
    }

    /// Closes the connections of readers that have stalled; never ends.
    pub(in crate::server) async fn watch(&self, metrics: &Metrics, stalled: Duration) {
        let stalled_millis = u64::try_from(stalled.as_millis()).unwrap_or(u64::MAX);
        loop {
            tokio::time::sleep(stalled / 8).await;
            let now = millis(self.start);
            let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|reader| {
                let Some(reader) = reader.upgrade() else { return false };
                let idle = now.saturating_sub(reader.last_sent.load(Ordering::Relaxed));
                if reader.waiting.load(Ordering::Relaxed) > 0 && idle > stalled_millis {
                    tracing::warn!(
                        seconds = idle / 1_000,
                        "closing the connection of a client that does not read its answer"
                    );
                    metrics.rejected(Rejection::Stalled);
                    reader.kill.cancel();
                    return false;
                }
                true
            });
        }
    }
}
