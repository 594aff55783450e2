//! Opens a copy of a database that cannot be trusted: one whose snapshot is damaged, that holds part of a commit (see `torn`), or
//! to which a write has failed.
//!
//! A snapshot holds the positions of pages. Without one sled rebuilds them by reading its log from the beginning, but it refuses to
//! open a damaged one. sled modifies what it opens, so the original stays unchanged until the copy has passed its checks.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::limits::LOAD_PAGE_UNITS;
use crate::unit::UnitId;

use super::database::Database;
use super::directory::{self, check_acknowledged, damaged};
use super::lock::Lock;
use super::torn;
use crate::store::private;
use crate::store::{ChangeKind, MemoryKey, Sequence, StoreError};

/// Prefix of snapshot names.
const PREFIX: &str = "snap.";
/// Length and checksum at the end of a snapshot.
const TAIL_BYTES: usize = 12;

/// Whether the snapshot that sled would read fails its checksum.
pub(super) fn is_damaged(database: &Path) -> bool {
    let Some(newest) = snapshots(database).max() else { return false };
    let Ok(bytes) = fs::read(newest) else { return false };
    let Some((content, tail)) = bytes.split_last_chunk::<TAIL_BYTES>() else { return true };
    let checksum = tail.last_chunk().map(|it| u32::from_le_bytes(*it));
    content.is_empty() || checksum != Some(crc32fast::hash(content))
}

fn snapshots(database: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(database).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| is_snapshot(path))
}

fn is_snapshot(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(PREFIX) && !name.ends_with(".generating")
}

impl Database {
    /// Opens a copy of a database whose log ends before a commit that a crash has torn. `None` if acknowledged commits are not whole
    /// without that part of the log: something else has damaged it.
    pub(super) fn open_without_torn(
        (directory, name): (&Path, &str),
        lock: Arc<Mutex<Lock>>,
        acknowledged: Option<Sequence>,
        end: u64,
    ) -> Result<Option<Self>, StoreError> {
        match Self::open_copy((directory, name), lock, (acknowledged, false), Some(end)) {
            Ok(store) => {
                tracing::warn!(
                    directory = %directory.display(),
                    "a crash left part of an unacknowledged commit; opened a copy of the database without it"
                );
                Ok(Some(store))
            }
            Err(StoreError::Behind { .. } | StoreError::Damaged { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Copies a database without its snapshots, opens the copy, and replaces the database by it if it passes its checks. Every byte
    /// of the copy is written and synced anew, so a failed write or sync of the original does not affect it. The log of the copy
    /// ends at `end` if it is given.
    pub(super) fn open_copy(
        (directory, name): (&Path, &str),
        lock: Arc<Mutex<Lock>>,
        (acknowledged, accept_data_loss): (Option<Sequence>, bool),
        end: Option<u64>,
    ) -> Result<Self, StoreError> {
        let new = directory::new_name(directory, name);
        let place = directory.join(&new);
        let io = |error: io::Error| StoreError::Io {
            doing: format!("copying the database in {}", directory.display()),
            cause: error.to_string(),
        };
        let open = || {
            copy_without_snapshots(&directory.join(name), &place).map_err(io)?;
            if let Some(end) = end {
                torn::cut(&place, end).map_err(io)?;
            }
            let copy = Self::open_named(directory, new.clone(), lock)?;
            check_acknowledged(directory, copy.end().sequence, acknowledged, accept_data_loss)?;
            check_units(&copy)?;
            copy.sync_new()?;
            directory::point_to(directory, &new).map_err(io)?;
            Ok(copy)
        };
        open().inspect_err(|_| {
            // If this fails, the next successful start deletes it.
            let _ = fs::remove_dir_all(&place);
        })
    }
}

/// Copies a database without its snapshots.
fn copy_without_snapshots(database: &Path, to: &Path) -> io::Result<()> {
    private::create_directory(to)?;
    for entry in fs::read_dir(database)? {
        let path = entry?.path();
        let copy = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy_without_snapshots(&path, &copy)?;
        } else if !is_snapshot(&path) {
            fs::copy(&path, &copy)?;
        }
    }
    Ok(())
}

/// Verifies the units: each memory holds as many as its record counts, all are readable, and they agree with the commit log.
fn check_units(store: &Database) -> Result<(), StoreError> {
    let mut last_changes: HashMap<(MemoryKey, UnitId), (u64, bool)> = HashMap::new();
    let mut after = store.log_start().sequence;
    loop {
        let page = store.read_log(after, LOAD_PAGE_UNITS)?;
        let Some(last) = page.last() else { break };
        after = last.sequence;
        for change in page.iter().flat_map(|record| &record.changes) {
            let exists = change.kind != ChangeKind::Deleted;
            last_changes.insert((change.memory, change.unit), (change.revision, exists));
        }
    }
    let wrong = |what: String| Err(damaged(store.place().0, what));
    for record in store.memories()?.into_iter().filter(|record| !record.deleted) {
        let (mut after, mut count) = (None, 0);
        loop {
            let page = store.page(record.key, after, LOAD_PAGE_UNITS)?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            count += page.len() as u64;
            for unit in &page {
                let last_change = last_changes.remove(&(record.key, unit.id));
                if last_change.is_some_and(|change| change != (unit.revision, true)) {
                    return wrong(format!("unit {} differs from the commit log", unit.id));
                }
            }
        }
        let is_missing = |(key, (_, exists)): (&(MemoryKey, UnitId), &(u64, bool))| {
            key.0 == record.key && *exists
        };
        if count != record.unit_count || last_changes.iter().any(is_missing) {
            let (name, counted) = (&record.name, record.unit_count);
            return wrong(format!(
                "memory '{name}' holds {count} units, but its record counts {counted}"
            ));
        }
    }
    Ok(())
}
