//! Defines answers and failures of tools, and keeps answers to their size.

use serde::Serialize;

use crate::client::ClientError;
use crate::limits::MCP_ANSWER_BYTES_MAX;

/// The answer of a tool: the same content as data and as text.
pub(super) struct Answer<T> {
    pub(super) structured: T,
    pub(super) text: String,
}

/// Why a tool cannot answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The arguments are wrong; the text says what to do instead.
    #[error("{0}")]
    Argument(String),
    /// The services refused a call.
    #[error("{0}")]
    Refused(#[from] ClientError),
}

impl Failure {
    pub(super) fn argument(text: impl Into<String>) -> Self {
        Self::Argument(text.into())
    }
}

/// Refuses a text that is too long, with what to do instead.
pub(super) fn check_length(name: &str, text: &str, bytes_max: usize) -> Result<(), Failure> {
    if text.len() <= bytes_max {
        return Ok(());
    }
    let bytes = text.len();
    Err(Failure::argument(format!(
        "`{name}` has {bytes} bytes (UTF-8), and at most {bytes_max} are taken: send it in parts"
    )))
}

/// Refuses a number outside of its range.
pub(super) fn check_range(
    name: &str,
    value: usize,
    range: std::ops::RangeInclusive<usize>,
) -> Result<usize, Failure> {
    if range.contains(&value) {
        return Ok(value);
    }
    let (least, most) = (range.start(), range.end());
    Err(Failure::argument(format!("`{name}` is {value}, and must be from {least} to {most}")))
}

/// Counts what an answer holds, so that it stays below [`MCP_ANSWER_BYTES_MAX`].
pub(super) struct Room {
    left: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { left: MCP_ANSWER_BYTES_MAX }
    }
}

impl Room {
    /// Whether an item fits; if so, it is counted.
    pub(super) fn take(&mut self, item: &impl Serialize) -> bool {
        let size = serde_json::to_vec(item).map_or(usize::MAX, |bytes| bytes.len());
        let fits = size <= self.left;
        if fits {
            self.left -= size;
        }
        fits
    }
}
