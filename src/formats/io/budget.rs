//! How much may a packed file become? One ceiling for everything that comes out of it.
//!
//! A few kilobytes can hold gigabytes of the same, and so can a workbook whose cells share one text, or hold millions of
//! rows with nothing in them. What is unpacked, what cells are filled with, and each row and unit are added up and compared
//! with the size of the file.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::{EXPANSION_FREE_BYTES, EXPANSION_MAX, EXPANSION_ROW_BYTES};

/// What is left of what a file may become; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Budget {
    /// Bytes of the file read so far.
    packed: Arc<AtomicU64>,
    spent: Arc<AtomicU64>,
}

impl Budget {
    /// For a file of which so many bytes are read; the number may rise.
    pub(crate) fn new(packed: Arc<AtomicU64>) -> Self {
        Self { packed, spent: Arc::default() }
    }

    /// Adds bytes to what the file has become.
    ///
    /// # Errors
    /// `InvalidData` when it is too much.
    pub(crate) fn spend(&self, bytes: u64) -> io::Result<()> {
        let spent = self.spent.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let packed = self.packed.load(Ordering::Relaxed);
        if spent <= EXPANSION_FREE_BYTES.max(packed.saturating_mul(EXPANSION_MAX)) {
            return Ok(());
        }
        let message = format!(
            "the file becomes more than {EXPANSION_MAX} times its size (bytes unpacked, cells, rows and units counted); if \
             that is right, unpack it first, or save the workbook as CSV"
        );
        Err(io::Error::new(io::ErrorKind::InvalidData, message))
    }

    /// The same for a row, a line or a unit.
    pub(crate) fn spend_row(&self) -> io::Result<()> {
        self.spend(EXPANSION_ROW_BYTES)
    }
}
