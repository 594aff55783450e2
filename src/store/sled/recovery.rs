//! Opens a copy of a database that cannot be trusted: one whose snapshot is damaged, or to which a write has failed.
//!
//! A snapshot tells sled where the pages lie; without one it finds them by reading its log from the beginning, but it never opens
//! past one that is damaged. sled repairs what it opens, so nothing may be changed until the copy has been found whole.

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
use crate::store::private;
use crate::store::{ChangeKind, MemoryKey, Sequence, StoreError};

/// What the names of snapshots begin with.
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
    /// Opens a copy of a database, made without its snapshots, and replaces the database by it if it is whole. Every byte of the copy
    /// is written and synced anew, so it is sound where a write or a sync of the original has failed.
    pub(super) fn open_copy(
        (directory, name): (&Path, &str),
        lock: Arc<Mutex<Lock>>,
        acknowledged: Option<Sequence>,
        accept_data_loss: bool,
    ) -> Result<Self, StoreError> {
        let new = directory::new_name(directory, name);
        let place = directory.join(&new);
        let io = |error: io::Error| StoreError::Io {
            doing: format!("copying the database in {}", directory.display()),
            cause: error.to_string(),
        };
        let open = || {
            copy_without_snapshots(&directory.join(name), &place).map_err(io)?;
            let copy = Self::open_named(directory, new.clone(), lock)?;
            check_acknowledged(directory, copy.end().sequence, acknowledged, accept_data_loss)?;
            check_whole(&copy)?;
            copy.sync_new()?;
            directory::point_to(directory, &new).map_err(io)?;
            Ok(copy)
        };
        open().inspect_err(|_| {
            // What cannot be deleted now is deleted by the next start that succeeds.
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

/// Whether everything is there: as many units of each memory as its record counts, each readable, and each as the commit log has it.
fn check_whole(store: &Database) -> Result<(), StoreError> {
    let mut words: HashMap<(MemoryKey, UnitId), (u64, bool)> = HashMap::new();
    let mut after = store.log_start().sequence;
    loop {
        let page = store.read_log(after, LOAD_PAGE_UNITS)?;
        let Some(last) = page.last() else { break };
        after = last.sequence;
        for change in page.iter().flat_map(|record| &record.changes) {
            let is_there = change.kind != ChangeKind::Deleted;
            words.insert((change.memory, change.unit), (change.revision, is_there));
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
                let word = words.remove(&(record.key, unit.id));
                if word.is_some_and(|word| word != (unit.revision, true)) {
                    return wrong(format!("unit {} is not as the commit log has it", unit.id));
                }
            }
        }
        let is_missed =
            |(key, word): (&(MemoryKey, UnitId), &(u64, bool))| key.0 == record.key && word.1;
        if count != record.unit_count || words.iter().any(is_missed) {
            let (name, counted) = (&record.name, record.unit_count);
            return wrong(format!("memory '{name}' holds {count} units of {counted}"));
        }
    }
    Ok(())
}
