//! Syncs the files of large records, which sled writes beside its log and never syncs.
//!
//! A commit is durable only when its large records are. Each sync covers the files that are new since the last one, and their
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

/// The subdirectory of a database for its large records.
pub(super) const BLOBS: &str = "blobs";

/// The directory of the large records of a database.
pub(super) struct Blobs {
    directory: PathBuf,
    synced: Mutex<Synced>,
}

#[derive(Default)]
struct Synced {
    /// Modification time of the directory, if it was old enough at the last sync to exclude a later change with the same time.
    changed: Option<SystemTime>,
    files: BTreeSet<OsString>,
}

/// Changes closer together than this may have the same modification time.
const TIME_GRAIN: Duration = Duration::from_secs(1);

impl Blobs {
    pub(super) fn new(database: &Path) -> Self {
        Self { directory: database.join(BLOBS), synced: Mutex::default() }
    }

    /// Makes the files durable that are not yet.
    pub(super) fn sync(&self) -> io::Result<()> {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        let changed = match fs::metadata(&self.directory) {
            Ok(metadata) => metadata.modified()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if synced.changed == Some(changed) {
            return Ok(());
        }
        let mut present = BTreeSet::new();
        let mut is_new = false;
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            if !synced.files.contains(&name) {
                is_new = true;
                match File::open(self.directory.join(&name)) {
                    Ok(file) => {
                        private::restrict(&file);
                        file.sync_all()?;
                    }
                    // sled has deleted it again.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                }
            }
            present.insert(name);
        }
        if is_new {
            sync_directory(&self.directory)?;
        }
        synced.files = present;
        let is_past = now.duration_since(changed).is_ok_and(|since| since > TIME_GRAIN);
        synced.changed = is_past.then_some(changed);
        Ok(())
    }
}
