//! How does a database give disk back? By a copy of what is alive, which then takes its place.
//!
//! sled never shrinks its file. The copy is made beside the database that counts, while that goes on; what was committed
//! meanwhile is copied again by the log. Commits wait only for the last stretch. One replaced file makes the copy count
//! (see `directory`); everything before that leaves the old database as it was, everything after it is tidying.

use std::collections::BTreeSet;

use crate::limits::{COMPACTION_CATCH_UP_COMMITS, COMPACTION_PAGE_RECORDS};
use crate::unit::UnitId;

use super::database::Database;
use super::directory::damaged;
use super::log_ends::LOG_START_KEY;
use super::tables::{Raw, Table};
use crate::store::codec::{self, HISTORY_KEY_BYTES, UNIT_KEY_BYTES};
use crate::store::{
    LogStart, MemoryKey, MemoryRecord, RequestRecord, Retention, Sequence, StoreError,
};

/// A database that is being copied.
pub(super) struct Copying<'a> {
    from: &'a Database,
    to: Database,
    /// Where the log of the copy begins.
    start: LogStart,
    /// Up to which commit the copy holds what the original does.
    at: Sequence,
    done: u64,
}

/// What the keys of all pieces of a version in the history begin with.
type VersionKey = [u8; VERSION_KEY_BYTES];
const VERSION_KEY_BYTES: usize = HISTORY_KEY_BYTES - 1;

/// Runs after what others commit meanwhile, before they must wait: a bulk import may well be faster than the copy.
const CATCH_UPS_MAX: usize = 8;

/// Told how many entries are copied; says whether to go on.
type Progress<'a> = &'a mut dyn FnMut(u64) -> bool;

impl<'a> Copying<'a> {
    pub(super) fn begin(
        from: &'a Database,
        name: String,
        retention: Retention,
    ) -> Result<Self, StoreError> {
        let at = from.end().sequence;
        let start = log_start(from, retention, at)?;
        let to = from.sibling(name)?;
        Ok(Self { from, to, start, at, done: 0 })
    }

    /// Copies everything as it is; what changes meanwhile may be copied as it was, or as it is by then.
    pub(super) fn copy(&mut self, progress: Progress<'_>) -> Result<(), StoreError> {
        let mut from = Vec::new();
        loop {
            let page = self.from.scan(Table::Units, &from, COMPACTION_PAGE_RECORDS)?;
            let Some((last, _)) = page.last() else { break };
            from = behind(last);
            self.put(Table::Units, page, progress)?;
        }
        self.copy_history(progress)?;
        let mut from = Vec::new();
        loop {
            let page = self.from.scan(Table::Requests, &from, COMPACTION_PAGE_RECORDS)?;
            let Some((last, _)) = page.last() else { break };
            from = behind(last);
            self.put(Table::Requests, page, progress)?;
        }
        let start = codec::encode(&LOG_START_KEY, &self.start);
        let start = start.map_err(|error| self.from.damage(&error))?;
        if self.start.sequence > Sequence(0) {
            self.to.put_raw(Table::Log, vec![(LOG_START_KEY.to_vec(), Some(start))])?;
        }
        let held = self.at;
        self.at = self.start.sequence;
        self.copy_log(held, progress)
    }

    /// History of what the log of the copy tells of.
    fn copy_history(&mut self, progress: Progress<'_>) -> Result<(), StoreError> {
        let held = self.versions_in_log()?;
        let mut from = Vec::new();
        loop {
            let page = self.from.scan(Table::History, &from, COMPACTION_PAGE_RECORDS)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            from = behind(last);
            let is_held = |(key, _): &Raw| {
                let version = key.first_chunk::<VERSION_KEY_BYTES>();
                version.is_some_and(|it| held.binary_search(it).is_ok())
            };
            self.put(Table::History, page.into_iter().filter(is_held).collect(), progress)?;
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

    /// Copies what was committed since, until hardly anything is left.
    pub(super) fn catch_up(&mut self, progress: Progress<'_>) -> Result<(), StoreError> {
        for _ in 0..CATCH_UPS_MAX {
            if self.from.end().sequence.0 - self.at.0 <= COMPACTION_CATCH_UP_COMMITS {
                break;
            }
            self.copy_commits(progress)?;
        }
        self.drop_deleted(progress)?;
        // Now, so that the last stretch has little to make durable.
        self.to.sync_new()
    }

    /// The last stretch: nothing may be committed meanwhile. When it returns, the copy is whole and on disk.
    pub(super) fn finish(mut self, progress: Progress<'_>) -> Result<Database, StoreError> {
        self.copy_commits(progress)?;
        self.drop_deleted(progress)?;
        let mut memories = Vec::new();
        for mut record in self.from.memories()? {
            if record.deleted {
                record.unit_count = 0;
            }
            memories.push(self.encode_memory(&record)?);
        }
        self.to.put_raw(Table::Memories, memories)?;
        self.to.read_log_again()?;
        if self.to.end().sequence != self.from.end().sequence {
            let (directory, name) = self.to.place();
            let what = format!("the copy '{name}' ends at another commit than the original");
            return Err(damaged(directory, what));
        }
        self.to.sync_new()?;
        Ok(self.to)
    }

    /// Units of deleted memories are not alive: they become history, as if they had been purged.
    fn drop_units(&mut self, memory: MemoryKey, progress: Progress<'_>) -> Result<(), StoreError> {
        let first = codec::unit_key(memory, UnitId(0), 0);
        let mut of: Option<(UnitId, u64)> = None;
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
                    let revision = codec::revision(piece).map_err(|it| self.from.damage(&it))?;
                    of = Some((id, revision));
                }
                if let Some((unit, revision)) = of.filter(|it| it.0 == id) {
                    let key = codec::history_key(memory, unit, revision, chunk).to_vec();
                    history.push((key, Some(piece.clone())));
                }
            }
            self.put_or_delete(Table::History, history, progress)?;
            let gone = page.into_iter().map(|(key, _)| (key, None)).collect();
            self.put_or_delete(Table::Units, gone, progress)?;
        }
    }

    fn drop_deleted(&mut self, progress: Progress<'_>) -> Result<(), StoreError> {
        for record in self.from.memories()?.iter().filter(|record| record.deleted) {
            self.drop_units(record.key, progress)?;
        }
        Ok(())
    }

    /// Brings the copy up to the last commit.
    fn copy_commits(&mut self, progress: Progress<'_>) -> Result<(), StoreError> {
        let until = self.from.end().sequence;
        let mut units: BTreeSet<(MemoryKey, UnitId)> = BTreeSet::new();
        let mut after = self.at;
        while after < until {
            let page = self.from.read_log(after, COMPACTION_PAGE_RECORDS)?;
            let Some(last) = page.last() else { break };
            after = last.sequence;
            for record in &page {
                units.extend(record.changes.iter().map(|it| (it.memory, it.unit)));
                let effects = record.effects.iter();
                for effects in effects {
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
        effects: &crate::store::Effects,
        progress: Progress<'_>,
    ) -> Result<(), StoreError> {
        let encode = |(key, record): &(crate::store::RequestKey, RequestRecord)| {
            let bytes = codec::encode(&key.0, record).map_err(|error| self.from.damage(&error))?;
            Ok((key.0.to_vec(), Some(bytes)))
        };
        let mut entries: Vec<_> =
            effects.requests.iter().map(encode).collect::<Result<_, StoreError>>()?;
        entries.extend(effects.forgotten.iter().map(|key| (key.0.to_vec(), None)));
        self.put_or_delete(Table::Requests, entries, progress)
    }

    /// Copies a unit and its history as they are now, over what was there.
    fn copy_unit(
        &mut self,
        memory: MemoryKey,
        id: UnitId,
        progress: Progress<'_>,
    ) -> Result<(), StoreError> {
        let key = codec::unit_key(memory, id, 0);
        // Without the chunk; the keys of its earlier versions begin alike.
        let unit = &key[..UNIT_KEY_BYTES - 1];
        for table in [Table::Units, Table::History] {
            let mut entries: Vec<_> =
                self.to.scan_prefix(table, unit)?.into_iter().map(|(key, _)| (key, None)).collect();
            let now = self.from.scan_prefix(table, unit)?;
            let kept = |(key, value): Raw| (key, Some(value));
            entries.extend(now.into_iter().map(kept));
            // Within a batch the last word counts.
            self.put_or_delete(table, entries, progress)?;
        }
        Ok(())
    }

    fn copy_log(&mut self, until: Sequence, progress: Progress<'_>) -> Result<(), StoreError> {
        while self.at < until {
            let first = self.at.next().0.to_be_bytes();
            let left = usize::try_from(until.0 - self.at.0).unwrap_or(usize::MAX);
            let page = self.from.scan(Table::Log, &first, COMPACTION_PAGE_RECORDS.min(left))?;
            if page.is_empty() {
                return Err(damaged(self.from.place().0, "the commit log ends before its end"));
            }
            self.at = Sequence(self.at.0 + page.len() as u64);
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
        entries: Vec<(Vec<u8>, Option<Vec<u8>>)>,
        progress: Progress<'_>,
    ) -> Result<(), StoreError> {
        self.done += entries.len() as u64;
        self.to.put_raw(table, entries)?;
        if progress(self.done) { Ok(()) } else { Err(StoreError::Cancelled) }
    }

    fn encode_memory(
        &self,
        record: &MemoryRecord,
    ) -> Result<(Vec<u8>, Option<Vec<u8>>), StoreError> {
        let key = record.key.0.to_be_bytes();
        let bytes = codec::encode_memory(&key, record).map_err(|error| self.from.damage(&error))?;
        Ok((key.to_vec(), Some(bytes)))
    }
}

/// Where the log begins when only so much of it stays.
///
/// What is being committed just now can be read already, and is not yet there: nothing behind `last` counts.
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
            start = LogStart {
                sequence: record.sequence,
                checksum: record.checksum,
                time: record.time,
            };
        }
    }
}

/// The first key behind another.
fn behind(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}
