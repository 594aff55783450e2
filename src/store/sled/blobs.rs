//! What lies beside the database's own file? Large records, each in a file that the database writes and never syncs.
//!
//! A commit whose large records are not on disk is not on disk: the files that came since the last look are synced, and their
//! directory.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::watermark::sync_directory;
use crate::store::private;

/// The directory of the large records of a database.
pub(super) struct Blobs {
    directory: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// When the directory had changed last, where that was long enough before the look to be the last change.
    changed: Option<SystemTime>,
    synced: BTreeSet<OsString>,
}

/// Changes nearer to each other than this may have the same time.
const TIME_GRAIN: Duration = Duration::from_secs(1);

impl Blobs {
    pub(super) fn new(database: &Path) -> Self {
        Self { directory: database.join("blobs"), seen: Mutex::default() }
    }

    /// Makes whatever is there durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        let changed = match fs::metadata(&self.directory) {
            Ok(metadata) => metadata.modified()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if seen.changed == Some(changed) {
            return Ok(());
        }
        let mut there = BTreeSet::new();
        let mut is_new = false;
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            if !seen.synced.contains(&name) {
                is_new = true;
                match File::open(self.directory.join(&name)) {
                    Ok(file) => {
                        private::restrict(&file);
                        file.sync_all()?;
                    }
                    // The database has deleted it again.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                }
            }
            there.insert(name);
        }
        if is_new {
            sync_directory(&self.directory)?;
        }
        seen.synced = there;
        let is_past = now.duration_since(changed).is_ok_and(|since| since > TIME_GRAIN);
        seen.changed = is_past.then_some(changed);
        Ok(())
    }
}
