//! How a command succeeded, which decides the exit code.

/// How a command succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// Done, but some units of the input were rejected: exit code 3.
    DoneWithRejects,
}
