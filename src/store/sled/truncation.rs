//! Truncates the commit log: removes its oldest commits, a few in each transaction, with the versions of units that they replaced.
//!
//! sled reuses the space, so a store that is written to for years does not grow with the writes, though its file never shrinks
//! (see `compaction` for that).

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::PoisonError;

use crate::limits::{BATCH_UNITS_MAX, LOG_TRUNCATION_COMMITS};
use crate::unit::UnitId;

use super::database::Database;
use super::log_ends::LOG_START_KEY;
use super::tables::Table;
use super::transaction::{Never, storage_error};
use crate::store::Retention;
use crate::store::codec;
use crate::store::{ChangeKind, LogRecord, LogStart, MemoryKey, Sequence, StoreError};
use sled::transaction::{ConflictableTransactionError, Transactional as _};

/// Commits that are read at a time.
const PAGE_COMMITS: usize = 8;

/// The changes of one truncating transaction.
struct Truncation {
    /// The new start of the log, encoded.
    start: Vec<u8>,
    /// Commits to remove.
    commits: RangeInclusive<u64>,
    /// Keys of the pieces of versions to remove.
    history: Vec<Vec<u8>>,
}

impl Database {
    /// As of [`Maintenance::truncate_log`](crate::store::Maintenance::truncate_log). Calls must not overlap with appends.
    pub(super) fn truncate_log(&self, retention: Retention) -> Result<bool, StoreError> {
        self.write(|| self.truncate_some(retention))
    }

    /// Removes some of the log; returns whether there is more to remove. Nothing may be committed meanwhile.
    ///
    /// Synced at once, although no caller waits for it: later writes reuse the freed space, which the database on disk still
    /// refers to until the truncation is durable.
    fn truncate_some(&self, retention: Retention) -> Result<bool, StoreError> {
        let start = self.log_start();
        let (expired, more) = self.oldest(start.sequence, retention)?;
        let Some(last) = expired.last() else { return Ok(false) };
        let new = LogStart::from(last);
        let mut history = Vec::new();
        for ((memory, unit), revision) in superseded(&expired) {
            let from = codec::history_key(memory, unit, 0, 0);
            let to = codec::history_key(memory, unit, revision, u8::MAX);
            history.extend(self.keys(Table::History, &from, &to)?);
        }
        let record = codec::encode(&LOG_START_KEY, &new);
        let truncation = Truncation {
            start: record.map_err(|error| self.damage(&error))?,
            commits: start.sequence.next().0..=last.sequence.0,
            history,
        };
        // Before the transaction: readers check the start after reading the log, and must not take removed commits for a gap.
        *self.start.lock().unwrap_or_else(PoisonError::into_inner) = new;
        self.remove_commits(&truncation)?;
        self.sync(self.end().sequence)?;
        Ok(more)
    }

    /// Expired commits after `after`, as many as one transaction may remove, and whether there may be more.
    fn oldest(
        &self,
        mut after: Sequence,
        retention: Retention,
    ) -> Result<(Vec<LogRecord>, bool), StoreError> {
        let last = self.end().sequence;
        let (mut expired, mut units) = (Vec::new(), 0);
        while expired.len() < LOG_TRUNCATION_COMMITS {
            // Commits of imports are as large as a transaction may be, so few are read at a time.
            let page = self.read_log(after, PAGE_COMMITS)?;
            let Some(end) = page.last() else { return Ok((expired, false)) };
            after = end.sequence;
            for record in page {
                if record.time >= retention.keep_from || record.sequence > last {
                    return Ok((expired, false));
                }
                units += touched(&record).count();
                if units > BATCH_UNITS_MAX && !expired.is_empty() {
                    return Ok((expired, true));
                }
                expired.push(record);
            }
        }
        Ok((expired, true))
    }

    fn remove_commits(&self, truncation: &Truncation) -> Result<(), StoreError> {
        let doing = || format!("truncating the commit log in {}", self.place().0.display());
        let remove = || {
            (&self.trees.log, &self.trees.history).transaction(|(log, history)| {
                log.insert(&LOG_START_KEY, truncation.start.as_slice())?;
                for number in truncation.commits.clone() {
                    log.remove(&number.to_be_bytes())?;
                }
                for key in &truncation.history {
                    history.remove(key.as_slice())?;
                }
                Ok::<(), ConflictableTransactionError<Never>>(())
            })
        };
        self.guard(doing, || remove().map_err(storage_error))
    }
}

/// Units that a commit touched, each with its last revision that this commit or an earlier one replaced.
fn touched(record: &LogRecord) -> impl Iterator<Item = ((MemoryKey, UnitId), u64)> {
    let changed = record.changes.iter().map(|it| {
        let replaced = match it.kind {
            ChangeKind::Created | ChangeKind::Updated | ChangeKind::Used => {
                it.revision.saturating_sub(1)
            }
            ChangeKind::Deleted => it.revision,
        };
        ((it.memory, it.unit), replaced)
    });
    let purged = record.effects.iter().flat_map(|it| &it.purged).map(|it| (*it, u64::MAX));
    changed.chain(purged)
}

/// The versions that these commits replaced: each unit, and its last such revision. A version is kept as long as the commit that
/// replaced it.
fn superseded(expired: &[LogRecord]) -> BTreeMap<(MemoryKey, UnitId), u64> {
    let mut last = BTreeMap::new();
    for (unit, revision) in expired.iter().flat_map(touched).filter(|it| it.1 > 0) {
        let known = last.entry(unit).or_insert(revision);
        *known = revision.max(*known);
    }
    last
}
