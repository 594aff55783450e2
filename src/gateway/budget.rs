//! The memory that a call may take, which the layer that admits calls grants.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use tonic::Status;

/// Bytes that are counted until it is dropped.
pub type Hold = Box<dyn Any + Send + Sync>;

/// Counts the memory of one call.
pub trait Budget: Send + Sync {
    /// Counts bytes, unless they exceed a limit.
    ///
    /// # Errors
    /// They do.
    fn hold(&self, bytes: usize) -> Result<Hold, Status>;
    /// Counts bytes that are there already, whatever the limit.
    fn hold_anyway(&self, bytes: usize) -> Hold;
}

/// The budget of a call, once it is admitted; an extension of its request.
#[derive(Clone, Default)]
pub struct Room(Arc<OnceLock<Arc<dyn Budget>>>);

impl Room {
    /// Grants the budget.
    pub fn grant(&self, budget: Arc<dyn Budget>) {
        // A call is admitted once.
        let _ = self.0.set(budget);
    }

    /// See [`Budget::hold`].
    pub(super) fn hold(&self, bytes: usize) -> Result<Option<Hold>, Status> {
        self.0.get().map(|budget| budget.hold(bytes)).transpose()
    }

    /// See [`Budget::hold_anyway`].
    pub(super) fn hold_anyway(&self, bytes: usize) -> Option<Hold> {
        self.0.get().map(|budget| budget.hold_anyway(bytes))
    }
}
