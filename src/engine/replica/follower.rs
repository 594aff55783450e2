//! Applies commits of the log, those of this process and of others, to everything derived from them: the local copy, catalog,
//! indexes, checkpoints, watchers. No other code does so, neither at start-up, nor after a restore, nor while the engine runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use crate::engine::error::EngineError;
use crate::limits::WATCH_PAGE_COMMITS;
use crate::matching::IndexChange;
use crate::store::{
    Backend, ChangeKind, Commit, LogPosition, LogRecord, MemoryKey, MemoryRecord, Sequence, Store,
};
use crate::unit::{Timestamp, UnitId};

use super::catalog::Catalog;
use super::changes::{apply_from_store, check_held};
use super::checkpoints::{CheckpointScheduler, Checkpoints};
use super::load::{LoadProgress, Loaded, Loading};

/// Changes of indexes by memory.
pub(crate) type IndexChanges = BTreeMap<MemoryKey, Vec<IndexChange>>;

/// The state of this process, with the log applied up to a position.
pub(crate) struct Follower {
    backend: Backend,
    catalog: Arc<Catalog>,
    /// All memories at the position, including deleted ones.
    memories: BTreeMap<MemoryKey, MemoryRecord>,
    position: LogPosition,
    /// Time of the commit at the position.
    time: Timestamp,
    /// Publishes the position.
    sequence: watch::Sender<Sequence>,
    pub(crate) checkpoints: CheckpointScheduler,
}

/// How often counts are compared while others append; after that, comparing them is left to `verify`.
const COUNTS_TRIES: usize = 10;

impl Follower {
    /// Loads every memory into its index and applies the log to its end.
    ///
    /// # Errors
    /// The store; a memory that holds more or fewer units than its record counts.
    pub(crate) fn open(
        backend: Backend,
        catalog: Arc<Catalog>,
        directory: Option<PathBuf>,
        progress: &mut dyn FnMut(LoadProgress),
    ) -> Result<(Self, Loaded), EngineError> {
        let position = match &backend.local_copy {
            Some(copy) => copy.log.end()?,
            None => backend.log.end()?,
        };
        let memories = backend.store.memories()?;
        let live = || memories.iter().filter(|record| !record.deleted);
        let total_units = live().map(|record| record.unit_count).sum();
        let checkpoints = Checkpoints::new(directory);
        checkpoints.delete_stale(|key| live().any(|record| record.key == key));
        let mut loading = Loading {
            backend: &backend,
            checkpoints: &checkpoints,
            loaded: Loaded::default(),
            unwritten: BTreeMap::new(),
        };
        let mut loaded_units = 0;
        for record in live() {
            catalog.add(loading.memory(record, &mut |units| {
                loaded_units += units;
                progress(LoadProgress { loaded_units, total_units });
            })?);
        }
        let (loaded, unwritten) = (loading.loaded, loading.unwritten);
        let mut follower = Self {
            time: backend.log.mark_at(position.sequence)?.unwrap_or_default().time,
            memories: memories.into_iter().map(|record| (record.key, record)).collect(),
            checkpoints: CheckpointScheduler::new(checkpoints, Arc::clone(&catalog), unwritten),
            sequence: watch::Sender::new(position.sequence),
            position,
            backend,
            catalog,
        };
        follower.catch_up()?;
        follower.check_counts()?;
        Ok((follower, loaded))
    }

    pub(crate) fn position(&self) -> LogPosition {
        self.position
    }

    pub(crate) fn time(&self) -> Timestamp {
        self.time
    }

    pub(crate) fn memories(&self) -> &BTreeMap<MemoryKey, MemoryRecord> {
        &self.memories
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub(crate) fn watch_sequence(&self) -> watch::Receiver<Sequence> {
        self.sequence.subscribe()
    }

    /// Applies what the log holds after the position.
    ///
    /// # Errors
    /// The store; [`EngineError::LogTruncated`] when the log begins after the position; a log that does not continue what was
    /// applied.
    pub(crate) fn catch_up(&mut self) -> Result<(), EngineError> {
        while self.backend.log.end()? != self.position {
            let records = self.backend.log.read(self.position.sequence, WATCH_PAGE_COMMITS)?;
            check_held(self.backend.log.as_ref(), self.position.sequence)?;
            let mut position = self.position;
            for record in &records {
                if record.sequence != position.sequence.next() || !record.follows(position.checksum)
                {
                    return Err(diverged(position));
                }
                position = record.into();
            }
            if records.is_empty() {
                return Err(diverged(position));
            }
            self.copy(&records, None)?;
            self.publish_memories(&records);
            for (memory, units) in changed_units(&records) {
                let Some(memory) = self.catalog.by_key(memory) else { continue };
                let changed = units.len();
                apply_from_store(self.backend.store.as_ref(), &memory, units)?;
                self.checkpoints.note(memory.key, changed);
            }
            self.advance(&records);
        }
        Ok(())
    }

    /// Applies commits that this process has just appended after the position, with the index changes that it planned for them.
    ///
    /// # Errors
    /// The local copy failed; the commits are in the log, and [`catch_up`](Self::catch_up) applies them later.
    pub(crate) fn apply_own(
        &mut self,
        (records, commits): (&[LogRecord], &[Commit]),
        changes: &IndexChanges,
        in_bulk: bool,
    ) -> Result<(), EngineError> {
        self.copy(records, Some(commits))?;
        // A new memory has no index before it is published.
        self.publish_memories(records);
        // One index change for all commits is cheaper than many small ones.
        for (memory, changes) in changes {
            if let Some(memory) = self.catalog.by_key(*memory) {
                if in_bulk {
                    memory.index.apply_in_bulk(changes);
                } else {
                    memory.index.apply(changes);
                }
                self.checkpoints.note(memory.key, changes.len());
            }
        }
        self.advance(records);
        Ok(())
    }

    /// Appends commits after the position to the local copy, if there is one; commits that are not given are read from the remote
    /// store.
    fn copy(&self, records: &[LogRecord], commits: Option<&[Commit]>) -> Result<(), EngineError> {
        let Some(copy) = &self.backend.local_copy else { return Ok(()) };
        let read;
        let commits = if let Some(commits) = commits {
            commits
        } else {
            read = read_commits(copy.origin.as_ref(), records)?;
            &read
        };
        let copied = copy.log.append(self.position, commits).into_result()?;
        if copied.last() == records.last() { Ok(()) } else { Err(diverged(self.position)) }
    }

    fn publish_memories(&mut self, records: &[LogRecord]) {
        for effects in records.iter().filter_map(|record| record.effects.as_ref()) {
            for memory in &effects.memories {
                self.memories.insert(memory.key, memory.clone());
                self.catalog.publish(memory);
            }
            for counters in &effects.counters {
                if let Some(memory) = self.memories.get_mut(&counters.key) {
                    memory.set_counters(counters);
                }
                self.catalog.publish_counters(counters);
            }
            for memory in &effects.collected {
                self.memories.remove(memory);
            }
        }
    }

    fn advance(&mut self, records: &[LogRecord]) {
        if let Some(last) = records.last() {
            self.position = last.into();
            self.time = last.time;
            self.sequence.send_replace(last.sequence);
        }
    }

    /// Compares the size of each index with the count of its memory. While others append, the store and so the index may be ahead of
    /// the position.
    fn check_counts(&mut self) -> Result<(), EngineError> {
        for _ in 0..COUNTS_TRIES {
            let fault =
                self.memories.values().filter(|record| !record.deleted).find_map(|record| {
                    let found = self.catalog.by_key(record.key)?.index.len() as u64;
                    (found != record.unit_count)
                        .then(|| (record.name.clone(), found, record.unit_count))
                });
            let Some((name, found, counted)) = fault else { return Ok(()) };
            if self.backend.log.end()? == self.position {
                return Err(EngineError::Internal(format!(
                    "the store is damaged: memory '{name}' holds {found} units, but its record counts {counted}. Recover it with \
                     `dhakira restore` from a backup, or put a copy of the directory back"
                )));
            }
            self.catch_up()?;
        }
        Ok(())
    }
}

/// Units whose index entries change.
fn changed_units(records: &[LogRecord]) -> BTreeMap<MemoryKey, BTreeSet<UnitId>> {
    let mut units: BTreeMap<MemoryKey, BTreeSet<UnitId>> = BTreeMap::new();
    let changes = records.iter().flat_map(|record| &record.changes);
    for change in changes.filter(|change| change.kind != ChangeKind::Used) {
        units.entry(change.memory).or_default().insert(change.unit);
    }
    units
}

/// Rebuilds the commits of records, with the units that they stored.
fn read_commits(store: &dyn Store, records: &[LogRecord]) -> Result<Vec<Commit>, EngineError> {
    let commit = |(record, units): (&LogRecord, _)| {
        Commit::from_record(record, units).ok_or_else(|| {
            let sequence = record.sequence.0;
            EngineError::Internal(format!("commit {sequence} stored units that are no longer held"))
        })
    };
    records.iter().zip(store.stored_units_of(records)?).map(commit).collect()
}

fn diverged(position: LogPosition) -> EngineError {
    EngineError::Internal(format!(
        "the commit log does not continue after commit {}, which this process has applied",
        position.sequence.0
    ))
}
