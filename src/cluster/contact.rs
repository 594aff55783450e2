//! Remembers when the shared log last answered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::store::Sequence;

/// When the shared log last answered, and where it ended then.
#[derive(Debug)]
pub struct Contact {
    began: Instant,
    /// Milliseconds after that.
    last: AtomicU64,
    end: AtomicU64,
}

impl Default for Contact {
    fn default() -> Self {
        Self { began: Instant::now(), last: AtomicU64::new(0), end: AtomicU64::new(0) }
    }
}

impl Contact {
    /// Records an answer.
    pub(super) fn note(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.fetch_max(now, Ordering::Relaxed);
    }

    /// Records an answer that gave the end of the log.
    pub(super) fn note_end(&self, end: Sequence) {
        self.note();
        self.end.fetch_max(end.0, Ordering::Relaxed);
    }

    /// How long ago the log answered.
    pub fn age(&self) -> Duration {
        self.began
            .elapsed()
            .saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }

    /// The highest commit that the log is known to have held.
    pub fn end(&self) -> Sequence {
        Sequence(self.end.load(Ordering::Relaxed))
    }
}
