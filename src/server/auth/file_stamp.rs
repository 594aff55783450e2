//! Notices that a file was replaced or written to.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Identity, size and time of change of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) struct FileStamp {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl FileStamp {
    pub(in crate::server) fn of(path: &Path) -> Option<Self> {
        let data = fs::metadata(path).ok()?;
        let changed = (data.mtime(), data.mtime_nsec());
        Some(Self { inode: data.ino(), bytes: data.len(), changed })
    }
}
