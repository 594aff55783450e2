//! Defines a segment to look up, with its context.

use crate::unit::{Context, Segment};

/// A segment to look up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuerySegment {
    /// Its text and tags.
    pub segment: Segment,
    /// Its neighbours.
    pub context: Context,
    /// The key under which its file or tool keeps it; empty when unknown.
    pub context_id: String,
    /// Its document; empty when unknown.
    pub document: String,
}

impl QuerySegment {
    /// A segment of which only the text and tags are known.
    pub fn new(segment: Segment) -> Self {
        Self { segment, ..Self::default() }
    }
}
