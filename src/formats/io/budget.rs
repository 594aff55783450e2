//! Limits how far a packed file may expand.
//!
//! A few kilobytes can unpack to gigabytes, and so can a workbook whose cells share one text or that holds millions of empty
//! rows. Unpacked bytes, texts of cells, rows and units are added up and compared with the size of the file.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::{EXPANSION_FREE_BYTES, EXPANSION_MAX, EXPANSION_ROW_BYTES};

/// The bytes that a file may still expand to; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Budget {
    /// Bytes of the file read so far.
    packed: Arc<AtomicU64>,
    spent: Arc<AtomicU64>,
}

impl Budget {
    /// For a file of which `packed` bytes have been read so far.
    pub(crate) fn new(packed: Arc<AtomicU64>) -> Self {
        Self { packed, spent: Arc::default() }
    }

    /// Charges bytes to the file.
    ///
    /// # Errors
    /// `InvalidData` when the file expands too far.
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

    /// Charges a row, a line or a unit.
    pub(crate) fn spend_row(&self) -> io::Result<()> {
        self.spend(EXPANSION_ROW_BYTES)
    }
}
