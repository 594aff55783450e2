//! Reads the commits of the log for watchers: the changes they asked for, each with the unit as it was at that commit.

use std::sync::Arc;

use crate::limits::WATCH_PAGE_COMMITS;
use crate::store::{Change, ChangeKind, LogRecord, MemoryKey, Sequence};
use crate::unit::{MemoryName, Timestamp, Unit, UnitId};

use super::filter::UnitFilter;
use crate::engine::Engine;
use crate::engine::error::EngineError;
use crate::engine::replica::catalog::Memory;

/// Which changes a watcher asks for.
#[derive(Debug, Clone, Default)]
pub struct WatchQuery {
    /// Only changes of this memory.
    pub memory: Option<MemoryKey>,
    /// Only changes of units that it accepts as they are after the change, or were before their deletion. Changes of units whose content
    /// the log does not hold are always reported.
    pub filter: UnitFilter,
    /// Only these kinds of change; all when empty.
    pub kinds: Vec<ChangeKind>,
}

/// The changes of one commit that a watcher asked for; there may be none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedCommit {
    /// Its number.
    pub sequence: Sequence,
    /// When it was made.
    pub time: Timestamp,
    /// In order.
    pub changes: Vec<WatchedChange>,
}

/// A change of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedChange {
    /// The memory of the unit.
    pub memory: MemoryName,
    /// The unit.
    pub id: UnitId,
    /// What happened to it.
    pub kind: ChangeKind,
    /// Its revision after the change; for a deleted unit, its last one.
    pub revision: u64,
    /// The unit at that revision; `None` when the store does not hold it.
    pub unit: Option<Unit>,
}

impl Engine {
    /// Checks that a watcher can begin after a commit and that its filter can be applied.
    ///
    /// # Errors
    /// The log does not go back that far, or is not that long; a filter with a text without a word, or with too many conditions; the store.
    pub fn check_watch(&self, query: &WatchQuery, after: Sequence) -> Result<(), EngineError> {
        let last = *self.sequence.borrow();
        if after > last {
            let what = format!("not a sequence of this server, which is at {}", last.0);
            return Err(EngineError::invalid("after_sequence", what));
        }
        let memories = match query.memory {
            Some(key) => self.catalog.by_key(key).into_iter().collect::<Vec<_>>(),
            None => self.catalog.page(None, 1),
        };
        if let Some(memory) = memories.first() {
            query.filter.prepare(&memory.analyzers, "filter")?;
        }
        self.check_held(after)
    }

    /// The next commits above `after` that readers can see; none when there are none yet.
    ///
    /// # Errors
    /// [`EngineError::LogTruncated`] when the log does not hold them any more; a filter whose text has no word in the language of a
    /// memory; the store.
    pub fn watched_commits(
        &self,
        query: &WatchQuery,
        after: Sequence,
    ) -> Result<Vec<WatchedCommit>, EngineError> {
        // The log shows commits before they are on disk; watchers see them when writers do.
        let published = *self.sequence.borrow();
        let records = self.changes_since(after, WATCH_PAGE_COMMITS)?;
        let visible = records.iter().filter(|record| record.sequence <= published);
        visible.map(|record| self.watched_commit(query, record)).collect()
    }

    fn watched_commit(
        &self,
        query: &WatchQuery,
        record: &LogRecord,
    ) -> Result<WatchedCommit, EngineError> {
        let mut changes = Vec::new();
        for change in &record.changes {
            let is_wanted = query.memory.is_none_or(|memory| memory == change.memory)
                && (query.kinds.is_empty() || query.kinds.contains(&change.kind));
            // Changes of a memory that is deleted by now are skipped.
            let memory = self.catalog.by_key(change.memory).filter(|_| is_wanted);
            if let Some(memory) = memory {
                changes.extend(self.watched_change(query, &memory, *change)?);
            }
        }
        Ok(WatchedCommit { sequence: record.sequence, time: record.time, changes })
    }

    fn watched_change(
        &self,
        query: &WatchQuery,
        memory: &Arc<Memory>,
        change: Change,
    ) -> Result<Option<WatchedChange>, EngineError> {
        let Change { unit: id, kind, revision, .. } = change;
        let unit = self.backend.store.version(change.memory, id, revision)?;
        if let Some(unit) = &unit
            && !query.filter.is_empty()
            && !query.filter.prepare(&memory.analyzers, "filter")?.accepts(unit)
        {
            return Ok(None);
        }
        let memory = memory.record().name.clone();
        Ok(Some(WatchedChange { memory, id, kind, revision, unit }))
    }
}
