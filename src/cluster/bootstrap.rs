//! Makes a local copy of a shared store: all its records, then the commits that were made meanwhile.

use std::path::Path;

use crate::limits::{COPY_PAGE_COMMITS, COPY_PAGE_REQUESTS, COPY_PAGE_UNITS};
use crate::store::{
    BuildStore as _, CommitLog, LogRecord, LogStart, MemoryKey, Sequence, SharedStore,
    StoreBuilder, StoreError,
};
use crate::unit::Unit;

/// Progress of making a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinProgress {
    /// Units copied so far.
    pub copied_units: u64,
    /// Units that the shared store held when the copy was begun.
    pub total_units: u64,
}

/// Makes a copy in a directory, which must not exist. The store is closed again.
///
/// # Errors
/// The shared store; the disk.
pub(super) fn bootstrap(
    shared: &SharedStore,
    directory: &Path,
    progress: &mut dyn FnMut(JoinProgress),
) -> Result<(), StoreError> {
    let builder = Box::new(StoreBuilder::new(directory, "serve")?);
    let begin = mark(shared.log.as_ref(), shared.log.end()?.sequence)?;
    let memories = shared.store.memories()?;
    builder.put_memories(&memories)?;
    let total_units = memories.iter().map(|memory| memory.unit_count).sum();
    let mut copied_units = 0;
    for memory in &memories {
        // Those of deleted memories, too: the copy has to say which of them are still to be purged.
        copy_units(shared, builder.as_ref(), memory.key, &mut |units| {
            copied_units += units;
            progress(JoinProgress { copied_units, total_units });
        })?;
    }
    copy_requests(shared, builder.as_ref())?;
    // Records that were read late may be those of later commits, and others not. The commits since the beginning put each record into
    // its state at their end.
    let end = mark(shared.log.as_ref(), shared.log.end()?.sequence)?;
    let replayed = replay(shared, builder.as_ref(), begin, end.sequence)?;
    builder.finish(replayed).map(drop)
}

/// Copies the units of a memory; a page is written while the next one is read.
fn copy_units(
    shared: &SharedStore,
    builder: &StoreBuilder,
    memory: MemoryKey,
    copied: &mut dyn FnMut(u64),
) -> Result<(), StoreError> {
    let read = |after| shared.store.page(memory, after, COPY_PAGE_UNITS);
    let mut page = read(None)?;
    while let Some(last) = page.last().map(|unit| unit.id) {
        let (next, written) = rayon::join(|| read(Some(last)), || builder.put_units(memory, &page));
        written?;
        copied(page.len() as u64);
        page = next?;
    }
    Ok(())
}

fn copy_requests(shared: &SharedStore, builder: &StoreBuilder) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let page = shared.requests.requests(after, COPY_PAGE_REQUESTS)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(*last);
        let requests: Vec<_> = page.into_iter().map(|(key, record)| (key, Some(record))).collect();
        builder.put_requests(&requests)?;
    }
}

/// Applies the commits after a mark, through `until`; returns the mark of the last one.
fn replay(
    shared: &SharedStore,
    builder: &StoreBuilder,
    mut at: LogStart,
    until: Sequence,
) -> Result<LogStart, StoreError> {
    while at.sequence < until {
        let records = shared.log.read(at.sequence, COPY_PAGE_COMMITS)?;
        let units = shared.store.stored_units_of(&records)?;
        let commits = records.iter().zip(units);
        for (record, units) in commits.take_while(|(record, _)| record.sequence <= until) {
            if record.sequence != at.sequence.next() || !record.follows(at.checksum) {
                return Err(broken(format!("no commit follows commit {}", at.sequence.0)));
            }
            apply(builder, record, units)?;
            at = record.into();
        }
        if records.is_empty() {
            return Err(broken(format!("the log ends at commit {}", at.sequence.0)));
        }
    }
    Ok(at)
}

/// Writes what a commit has stored.
fn apply(
    builder: &StoreBuilder,
    record: &LogRecord,
    units: Vec<Option<Unit>>,
) -> Result<(), StoreError> {
    if record.effects.is_none() {
        return Err(broken(format!("commit {} does not say what it did", record.sequence.0)));
    }
    if !builder.put_commit(record, units)? {
        let sequence = record.sequence.0;
        return Err(broken(format!("commit {sequence} stored units that are no longer held")));
    }
    Ok(())
}

/// Number, checksum and time of a commit.
fn mark(log: &dyn CommitLog, sequence: Sequence) -> Result<LogStart, StoreError> {
    match log.mark_at(sequence)? {
        Some(mark) => Ok(mark),
        None if sequence == Sequence(0) => Ok(LogStart::default()),
        None => Err(broken(format!("the log does not hold commit {}", sequence.0))),
    }
}

fn broken(cause: String) -> StoreError {
    StoreError::Io { doing: "copying the memories of the cluster".to_owned(), cause }
}
