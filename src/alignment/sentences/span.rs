//! Names the sentences of a bead.

/// The sentences of a bead: for each side, the first one and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BeadSpan {
    pub(crate) source: (usize, usize),
    pub(crate) target: (usize, usize),
}

impl BeadSpan {
    /// Whether there are sentences on both sides.
    pub(crate) fn has_both(&self) -> bool {
        self.source.1 > 0 && self.target.1 > 0
    }
}
