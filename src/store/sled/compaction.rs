//! Compacts a database: copies its live records to a new one, which then replaces it.
//!
//! sled never shrinks its file. The copy is made while the active database stays in use; records that commits change meanwhile are
//! copied again by the log. Commits wait only for the last pass. Replacing one file activates the copy (see `directory`); a failure
//! before that leaves the old database unchanged, and afterwards only its files remain to be deleted.

use std::collections::BTreeSet;

use crate::limits::{COMPACTION_CATCH_UP_COMMITS, COMPACTION_PAGE_RECORDS};
use crate::unit::UnitId;

use super::database::Database;
use super::directory::damaged;
use super::log_ends::LOG_START_KEY;
use super::tables::{Raw, Table};
use super::transaction::Entry;
use crate::store::codec::{self, HISTORY_KEY_BYTES, UNIT_KEY_BYTES};
use crate::store::unit_codec;
use crate::store::{
    Effects, LogStart, MemoryKey, MemoryRecord, RequestKey, RequestRecord, Retention, Sequence,
    StoreError,
};

/// A compaction in progress.
pub(super) struct Compaction<'a> {
    from: &'a Database,
    to: Database,
    /// Where the log of the copy begins.
    start: LogStart,
    /// The last commit that the copy holds.
    copied: Sequence,
    entries_done: u64,
}

/// The prefix that the keys of all pieces of a version in the history share.
type VersionKey = [u8; VERSION_KEY_BYTES];
const VERSION_KEY_BYTES: usize = HISTORY_KEY_BYTES - 1;

/// Passes that follow concurrent commits before these must wait: a bulk import may be faster than the copy.
const CATCH_UPS_MAX: usize = 8;

/// Receives the number of copied entries; returns whether to continue.
type Progress<'a> = &'a mut dyn FnMut(u64) -> bool;

impl<'a> Compaction<'a> {
    pub(super) fn begin(
        from: &'a Database,
        name: String,
        retention: Retention,
    ) -> Result<Self, StoreError> {
        let copied = from.end().sequence;
        let start = log_start(from, retention, copied)?;
        let to = from.sibling(name)?;
        Ok(Self { from, to, start, copied, entries_done: 0 })
    }

    /// Copies all records. One that changes meanwhile may be copied in its old or its new state.
    pub(super) fn copy(&mut self, progress: Progress<'_>) -> Result<(), StoreError> {
        self.copy_table(Table::Units, |_| true, progress)?;
        let held = self.versions_in_log()?;
        let is_held = |key: &[u8]| {
            let version = key.first_chunk::<VERSION_KEY_BYTES>();
            version.is_some_and(|it| held.binary_search(it).is_ok())
        };
        self.copy_table(Table::History, is_held, progress)?;
        self.copy_table(Table::Requests, |_| true, progress)?;
        let start = codec::encode(&LOG_START_KEY, &self.start);
        let start = start.map_err(|error| self.from.damage(&error))?;
        if self.start.sequence > Sequence(0) {
            self.to.put_raw(Table::Log, vec![(LOG_START_KEY.to_vec(), Some(start))])?;
        }
        let until = self.copied;
        self.copied = self.start.sequence;
        self.copy_log(until, progress)
    }

    fn copy_table(
        &mut self,
        table: Table,
        keep: impl Fn(&[u8]) -> bool,
        progress: Progress<'_>,
    ) -> Result<(), StoreError> {
        let mut from = Vec::new();
        loop {
            let mut page = self.from.scan(table, &from, COMPACTION_PAGE_RECORDS)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            from = key_after(last);
            page.retain(|(key, _)| keep(key));
            self.put(table, page, progress)?;
        }
    }

    /// The versions of units that the log of the copy names, sorted.
    fn versions_in_log(&self) -> Result<Vec<VersionKey>, StoreError> {
        let mut held = Vec::new();
        let mut after = self.start.sequence;
        loop {
            let page = self.from.read_log(after, COMPACTION_PAGE_RECORDS)?;
            let Some(last) = page.last() else { break };
            after = last.sequence;
            let changes = page.iter().flat_map(|record| &record.changes);
            let keys = changes.map(|it| codec::history_key(it.memory, it.unit, it.revision, 0));
            held.extend(keys.filter_map(|key| key.first_chunk().copied()));
        }
        held.sort_unstable();
        Ok(held)
    }

    /// Copies later commits until few are left.
    pub(super) fn catch_up(&mut self, progress: Progress<'_>) -> Result<(), StoreError> {
        for _ in 0..CATCH_UPS_MAX {
            if self.from.end().sequence.0 - self.copied.0 <= COMPACTION_CATCH_UP_COMMITS {
                break;
            }
            self.copy_commits(progress)?;
        }
        self.purge_deleted(progress)?;
        // Now, so that the last pass has little to make durable.
        self.to.sync_new()
    }

    /// The last pass, during which nothing may be committed. When it returns, the copy is complete and durable.
    pub(super) fn finish(mut self, progress: Progress<'_>) -> Result<Database, StoreError> {
        self.copy_commits(progress)?;
        self.purge_deleted(progress)?;
        let mut memories = Vec::new();
        for mut record in self.from.memories()? {
            if record.deleted {
                record.unit_count = 0;
            }
            memories.push(self.encode_memory(&record)?);
        }
        self.to.put_raw(Table::Memories, memories)?;
        self.to.reload_log_ends()?;
        if self.to.end().sequence != self.from.end().sequence {
            let (directory, name) = self.to.place();
            let what = format!("the copy '{name}' ends at another commit than the original");
            return Err(damaged(directory, what));
        }
        self.to.sync_new()?;
        Ok(self.to)
    }

    /// Moves the units of a deleted memory to the history, as if they had been purged.
    fn purge_units(&mut self, memory: MemoryKey, progress: Progress<'_>) -> Result<(), StoreError> {
        let first = codec::unit_key(memory, UnitId(0), 0);
        let mut current: Option<(UnitId, u64)> = None;
        loop {
            let mut page = self.to.scan(Table::Units, &first, COMPACTION_PAGE_RECORDS)?;
            page.retain(|(key, _)| key.starts_with(&first[..4]));
            if page.is_empty() {
                return Ok(());
            }
            let mut history = Vec::new();
            for (key, piece) in &page {
                let Some((_, id, chunk)) = codec::parse_unit_key(key) else { continue };
                if chunk == 0 {
                    let revision =
                        unit_codec::revision(piece).map_err(|it| self.from.damage(&it))?;
                    current = Some((id, revision));
                }
                if let Some((unit, revision)) = current.filter(|it| it.0 == id) {
                    let key = codec::history_key(memory, unit, revision, chunk).to_vec();
                    history.push((key, Some(piece.clone())));
                }
            }
            self.put_or_delete(Table::History, history, progress)?;
            let deletions = page.into_iter().map(|(key, _)| (key, None)).collect();
            self.put_or_delete(Table::Units, deletions, progress)?;
        }
    }

    fn purge_deleted(&mut self, progress: Progress<'_>) -> Result<(), StoreError> {
        for record in self.from.memories()?.iter().filter(|record| record.deleted) {
            self.purge_units(record.key, progress)?;
        }
        Ok(())
    }

    /// Copies what changed since the last copied commit.
    fn copy_commits(&mut self, progress: Progress<'_>) -> Result<(), StoreError> {
        let until = self.from.end().sequence;
        let mut units: BTreeSet<(MemoryKey, UnitId)> = BTreeSet::new();
        let mut after = self.copied;
        while after < until {
            let page = self.from.read_log(after, COMPACTION_PAGE_RECORDS)?;
            let Some(last) = page.last() else { break };
            after = last.sequence;
            for record in &page {
                units.extend(record.changes.iter().map(|it| (it.memory, it.unit)));
                if let Some(effects) = &record.effects {
                    units.extend(&effects.purged);
                    self.copy_requests(effects, progress)?;
                }
            }
        }
        for (memory, id) in units {
            self.copy_unit(memory, id, progress)?;
        }
        self.copy_log(until, progress)
    }

    fn copy_requests(
        &mut self,
        effects: &Effects,
        progress: Progress<'_>,
    ) -> Result<(), StoreError> {
        let encode = |(key, record): &(RequestKey, RequestRecord)| {
            let bytes = codec::encode(&key.0, record).map_err(|error| self.from.damage(&error))?;
            Ok((key.0.to_vec(), Some(bytes)))
        };
        let mut entries: Vec<_> =
            effects.requests.iter().map(encode).collect::<Result<_, StoreError>>()?;
        entries.extend(effects.forgotten.iter().map(|key| (key.0.to_vec(), None)));
        self.put_or_delete(Table::Requests, entries, progress)
    }

    /// Replaces a unit and its history in the copy by their current state.
    fn copy_unit(
        &mut self,
        memory: MemoryKey,
        id: UnitId,
        progress: Progress<'_>,
    ) -> Result<(), StoreError> {
        let key = codec::unit_key(memory, id, 0);
        // Without the chunk; the keys of its earlier versions have the same prefix.
        let unit = &key[..UNIT_KEY_BYTES - 1];
        for table in [Table::Units, Table::History] {
            let mut entries: Vec<_> =
                self.to.scan_prefix(table, unit)?.into_iter().map(|(key, _)| (key, None)).collect();
            let now = self.from.scan_prefix(table, unit)?;
            let kept = |(key, value): Raw| (key, Some(value));
            entries.extend(now.into_iter().map(kept));
            // Within a batch the last entry of a key wins.
            self.put_or_delete(table, entries, progress)?;
        }
        Ok(())
    }

    fn copy_log(&mut self, until: Sequence, progress: Progress<'_>) -> Result<(), StoreError> {
        while self.copied < until {
            let first = self.copied.next().0.to_be_bytes();
            let left = usize::try_from(until.0 - self.copied.0).unwrap_or(usize::MAX);
            let page = self.from.scan(Table::Log, &first, COMPACTION_PAGE_RECORDS.min(left))?;
            if page.is_empty() {
                return Err(damaged(self.from.place().0, "the commit log ends before its end"));
            }
            self.copied = Sequence(self.copied.0 + page.len() as u64);
            self.put(Table::Log, page, progress)?;
        }
        Ok(())
    }

    fn put(
        &mut self,
        table: Table,
        page: Vec<Raw>,
        progress: Progress<'_>,
    ) -> Result<(), StoreError> {
        let entries = page.into_iter().map(|(key, value)| (key, Some(value))).collect();
        self.put_or_delete(table, entries, progress)
    }

    fn put_or_delete(
        &mut self,
        table: Table,
        entries: Vec<Entry>,
        progress: Progress<'_>,
    ) -> Result<(), StoreError> {
        self.entries_done += entries.len() as u64;
        self.to.put_raw(table, entries)?;
        if progress(self.entries_done) { Ok(()) } else { Err(StoreError::Cancelled) }
    }

    fn encode_memory(&self, record: &MemoryRecord) -> Result<Entry, StoreError> {
        let key = record.key.0.to_be_bytes();
        let bytes = codec::encode_memory(&key, record).map_err(|error| self.from.damage(&error))?;
        Ok((key.to_vec(), Some(bytes)))
    }
}

/// Where the log begins under a retention.
///
/// A commit in progress can be read before it is durable, so commits after `last` are ignored.
fn log_start(
    store: &Database,
    retention: Retention,
    last: Sequence,
) -> Result<LogStart, StoreError> {
    let mut start = store.log_start();
    loop {
        let page = store.read_log(start.sequence, COMPACTION_PAGE_RECORDS)?;
        if page.is_empty() {
            return Ok(start);
        }
        for record in page {
            if record.time >= retention.keep_from || record.sequence > last {
                return Ok(start);
            }
            start = LogStart::from(&record);
        }
    }
}

/// The first key after another.
fn key_after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}
