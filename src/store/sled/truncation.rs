//! How does the log stay short? Its oldest commits go, a few in a transaction, with the versions that they replaced.
//!
//! sled uses the room again, so a store that is written to for years does not grow with the writes, though its file never gets
//! shorter (that is what `compaction` is for).

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

/// What leaves the database in one transaction.
struct Cut {
    /// Where the log begins then, as a record.
    start: Vec<u8>,
    /// Commits that go.
    commits: RangeInclusive<u64>,
    /// Keys of the pieces of versions that go.
    history: Vec<Vec<u8>>,
}

impl Database {
    /// As of [`Maintenance::truncate_log`](crate::store::Maintenance::truncate_log). Calls must not overlap with appends.
    pub(super) fn truncate_log(&self, retention: Retention) -> Result<bool, StoreError> {
        self.write(|| self.truncate_some(retention))
    }

    /// Gives up some of the log; `true` when there is more to give up. Nothing may be committed meanwhile.
    ///
    /// Synced at once, although nobody waits for it: the room that it frees is written over by what comes next, and until the cut
    /// is on disk the database still needs what lies there.
    fn truncate_some(&self, retention: Retention) -> Result<bool, StoreError> {
        let start = self.log_start();
        let (gone, more) = self.oldest(start.sequence, retention)?;
        let Some(last) = gone.last() else { return Ok(false) };
        let new = LogStart { sequence: last.sequence, checksum: last.checksum, time: last.time };
        let mut history = Vec::new();
        for ((memory, unit), revision) in superseded(&gone) {
            let from = codec::history_key(memory, unit, 0, 0);
            let to = codec::history_key(memory, unit, revision, u8::MAX);
            history.extend(self.keys(Table::History, &from, &to)?);
        }
        let record = codec::encode(&LOG_START_KEY, &new);
        let cut = Cut {
            start: record.map_err(|error| self.damage(&error))?,
            commits: start.sequence.next().0..=last.sequence.0,
            history,
        };
        // First: whoever reads the log looks at its start afterwards, and must not take what is missing for a gap.
        *self.start.lock().unwrap_or_else(PoisonError::into_inner) = new;
        self.carry_out_cut(&cut)?;
        self.sync(self.end().sequence)?;
        Ok(more)
    }

    /// Commits behind one that may go, as many as one transaction may carry out; and whether there are, or may be, others.
    fn oldest(
        &self,
        mut after: Sequence,
        retention: Retention,
    ) -> Result<(Vec<LogRecord>, bool), StoreError> {
        let last = self.end().sequence;
        let (mut gone, mut units) = (Vec::new(), 0);
        while gone.len() < LOG_TRUNCATION_COMMITS {
            // Commits of imports are as large as a transaction may be: few at a time, so that none is read for nothing.
            let page = self.read_log(after, PAGE_COMMITS)?;
            let Some(end) = page.last() else { return Ok((gone, false)) };
            after = end.sequence;
            for record in page {
                if record.time >= retention.keep_from || record.sequence > last {
                    return Ok((gone, false));
                }
                units += touched(&record).count();
                if units > BATCH_UNITS_MAX && !gone.is_empty() {
                    return Ok((gone, true));
                }
                gone.push(record);
            }
        }
        Ok((gone, true))
    }

    fn carry_out_cut(&self, cut: &Cut) -> Result<(), StoreError> {
        let doing = || format!("cutting the commit log in {}", self.place().0.display());
        let cut = || {
            (&self.trees.log, &self.trees.history).transaction(|(log, history)| {
                log.insert(&LOG_START_KEY, cut.start.as_slice())?;
                for number in cut.commits.clone() {
                    log.remove(&number.to_be_bytes())?;
                }
                for key in &cut.history {
                    history.remove(key.as_slice())?;
                }
                Ok::<(), ConflictableTransactionError<Never>>(())
            })
        };
        self.guard(doing, || cut().map_err(storage_error))
    }
}

/// Units that a commit touched, and up to which revision their versions were replaced by it or before.
fn touched(record: &LogRecord) -> impl Iterator<Item = ((MemoryKey, UnitId), u64)> {
    let changed = record.changes.iter().map(|it| {
        let replaced = match it.kind {
            ChangeKind::Created | ChangeKind::Updated => it.revision.saturating_sub(1),
            ChangeKind::Deleted => it.revision,
        };
        ((it.memory, it.unit), replaced)
    });
    let purged = record.effects.iter().flat_map(|it| &it.purged).map(|it| (*it, u64::MAX));
    changed.chain(purged)
}

/// The versions that go with these commits: each unit, and the last revision that goes. A version stays until the commit goes that
/// replaced it.
fn superseded(gone: &[LogRecord]) -> BTreeMap<(MemoryKey, UnitId), u64> {
    let mut last = BTreeMap::new();
    for (unit, revision) in gone.iter().flat_map(touched).filter(|it| it.1 > 0) {
        let known = last.entry(unit).or_insert(revision);
        *known = revision.max(*known);
    }
    last
}
