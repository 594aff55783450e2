//! Defines the errors of the use cases: one enum, whose variants separate faults of the caller from faults of the server.

use crate::store::{Sequence, StoreError};
use crate::unit::{MemoryName, UnitId, ValidationError};

/// Why a use case failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EngineError {
    /// The request breaks a rule; the field is named as in the protocol.
    #[error("{field}: {message}")]
    InvalidArgument {
        /// Which field, such as `unit.target.text`.
        field: String,
        /// What is wrong with it, and what would be right.
        message: String,
    },
    /// There is no memory of that name.
    #[error("there is no memory '{0}'")]
    NoMemory(MemoryName),
    /// There is no such unit.
    #[error("memory '{0}' has no unit {1}")]
    NoUnit(MemoryName, UnitId),
    /// The name is taken.
    #[error("there is a memory '{0}' already")]
    MemoryExists(MemoryName),
    /// The request id was used for a request with another content.
    #[error(
        "this {0} was used before, for a request with another content or for another memory of the same name; choose a new one"
    )]
    RequestReused(&'static str),
    /// The request was carried out earlier, and its answer is no longer available.
    #[error(
        "the request with this {0} was carried out before, and its answer is no longer available; nothing was changed"
    )]
    RequestDone(&'static str),
    /// The import has stored another batch under this number.
    #[error(
        "batch {0} of this import_id is stored already, with another content; choose a new import_id for another import"
    )]
    BatchReused(u64),
    /// The memory holds units and the request did not allow their deletion.
    #[error("memory '{0}' still holds units ({1}), and `force` is not set")]
    MemoryNotEmpty(MemoryName, u64),
    /// The unit is not held at that revision.
    #[error(
        "unit {1} of memory '{0}' has no revision {2} that the store still holds; the commit log keeps earlier revisions for a \
         limited time, and ListUnitRevisions lists those that it holds"
    )]
    NoRevision(MemoryName, UnitId, u64),
    /// It was changed since the caller read it.
    #[error(
        "{what} has changed: it is at '{current}', not '{expected}'; read it again and retry the change"
    )]
    EtagMismatch {
        /// Resource name.
        what: String,
        /// What the request was made for.
        expected: String,
        /// What it is now.
        current: String,
    },
    /// Other units match a filter than those that were counted.
    #[error(
        "{found} units match now, not the {counted} that were counted, or some of them have changed; nothing was changed. Count \
         them again without a confirmation token"
    )]
    MatchesChanged {
        /// Units that matched when they were counted.
        counted: u64,
        /// Units that match now.
        found: u64,
    },
    /// The caller went away or ran out of time; the work was stopped.
    #[error("the call was cancelled")]
    Cancelled,
    /// The log no longer holds the requested commits.
    #[error(
        "commit {asked} was truncated from the commit log, which begins at commit {}: read everything again and continue from there",
        oldest.0 + 1
    )]
    LogTruncated {
        /// The first requested commit.
        asked: u64,
        /// The log holds every commit after this one.
        oldest: Sequence,
    },
    /// The server is too busy.
    #[error("{0}")]
    TooMuch(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A fault of this program.
    #[error("internal error: {0}")]
    Internal(String),
}

/// Why writes are paused when the commit loop has panicked.
pub(crate) const WRITER_ENDED: &str = "the commit thread has panicked; restart the server";

impl EngineError {
    /// The error when the commit loop has panicked.
    pub(crate) fn writer_ended() -> Self {
        Self::Store(StoreError::WritesPaused(WRITER_ENDED.to_owned()))
    }

    /// An [`EngineError::InvalidArgument`].
    pub fn invalid(field: impl Into<String>, message: impl ToString) -> Self {
        Self::InvalidArgument { field: field.into(), message: message.to_string() }
    }

    /// The error when units kept changing between the search and their reading.
    pub(crate) fn changing() -> Self {
        Self::TooMuch(
            "the units changed faster than they could be read; try again in a moment".to_owned(),
        )
    }
}

impl ValidationError {
    /// Converts the fault to an engine error about a field.
    pub fn at(self, field: impl Into<String>) -> EngineError {
        EngineError::invalid(field, self)
    }
}
