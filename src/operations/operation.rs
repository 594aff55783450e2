//! One operation: its state, which can be watched, and whether it is to end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::record::{End, Header};

/// How far work is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Progress {
    /// Which stage, by the number that the protocol gives it.
    pub stage: i32,
    /// The completed share of the stage.
    pub fraction: f64,
}

/// What changes about an operation.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// How far it is; `None` before the first report.
    pub progress: Option<Progress>,
    /// How it ended; `None` while it is not done.
    pub end: Option<Arc<End>>,
}

/// An operation, done or not.
#[derive(Debug)]
pub struct Operation {
    /// The last part of its name.
    pub id: Uuid,
    /// What never changes.
    pub header: Header,
    state: watch::Sender<State>,
    claimed: AtomicBool,
    cancelled: CancellationToken,
    /// Held while its end is recorded.
    ending: Mutex<()>,
}

impl Operation {
    pub(super) fn new(id: Uuid, header: Header, end: Option<End>) -> Self {
        let state = State { progress: None, end: end.map(Arc::new) };
        Self {
            id,
            header,
            state: watch::Sender::new(state),
            claimed: AtomicBool::new(false),
            cancelled: CancellationToken::new(),
            ending: Mutex::default(),
        }
    }

    /// Its state now.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Its state now and whenever it changes.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Whether it is done.
    pub fn is_done(&self) -> bool {
        self.state.borrow().end.is_some()
    }

    /// Reports how far it is.
    pub fn report(&self, progress: Progress) {
        self.state.send_if_modified(|state| {
            let is_new = state.end.is_none() && state.progress != Some(progress);
            if is_new {
                state.progress = Some(progress);
            }
            is_new
        });
    }

    /// Takes it, to run it; `false` when it was taken before.
    pub fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::AcqRel)
    }

    /// Stops whoever runs it.
    pub fn cancel(&self) {
        self.cancelled.cancel();
    }

    /// Waits until it is to stop.
    pub async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }

    pub(super) fn ending(&self) -> MutexGuard<'_, ()> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn end(&self, end: End) {
        self.state.send_modify(|state| state.end = Some(Arc::new(end)));
    }
}
