//! Waits for commits of other nodes: by polling, hurried by notifications.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::store::{LogPosition, StoreError};

/// How often the end of the log is read while somebody waits.
const POLL: Duration = Duration::from_millis(200);
/// Least time between two reads, however often notifications come.
const POLL_MIN: Duration = Duration::from_millis(10);

/// The end of the log as it was last seen.
#[derive(Default)]
pub(super) struct Tail {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    end: LogPosition,
    /// When it was read; `None` to read it at once.
    read: Option<Instant>,
    /// Notifications came since.
    hurried: bool,
    /// A waiter is reading it.
    reading: bool,
    /// Connections that were lost.
    lost: u64,
}

impl Tail {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody has appended to the log.
    pub(super) fn hurry(&self) {
        self.state().hurried = true;
        self.changed.notify_all();
    }

    /// The end was read, or is known from an append.
    pub(super) fn note(&self, end: LogPosition) {
        let mut state = self.state();
        state.end = end;
        state.read = Some(Instant::now());
        drop(state);
        self.changed.notify_all();
    }

    /// A connection broke, so what is visible on the next one may not be durable.
    pub(super) fn lost_connection(&self) {
        self.state().lost += 1;
    }

    /// How many connections broke.
    pub(super) fn lost(&self) -> u64 {
        self.state().lost
    }

    /// Blocks until the log ends after `after`, or until the timeout; reads its end by `read`.
    pub(super) fn wait(
        &self,
        after: u64,
        timeout: Duration,
        read: impl Fn() -> Result<LogPosition, StoreError>,
    ) -> Result<bool, StoreError> {
        let deadline = Instant::now() + timeout;
        let mut state = self.state();
        loop {
            if state.end.sequence.0 > after && state.read.is_some_and(|it| it.elapsed() < POLL) {
                return Ok(true);
            }
            let now = Instant::now();
            let pause = if state.hurried { POLL_MIN } else { POLL };
            let due = state.read.map_or(now, |read| read + pause);
            if due <= now && !state.reading {
                state.reading = true;
                state.hurried = false;
                drop(state);
                let end = read();
                state = self.state();
                state.reading = false;
                // Also after an error: the next read is due a while later.
                state.read = Some(Instant::now());
                self.changed.notify_all();
                state.end = end?;
                continue;
            }
            if now >= deadline {
                return Ok(false);
            }
            let wake = if state.reading { deadline } else { deadline.min(due) };
            let wait = wake.saturating_duration_since(now);
            let waited = self.changed.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
