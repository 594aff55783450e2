//! Backs up all memories: a full part, then incremental parts with the commits since the previous one.
//!
//! Writes may continue meanwhile. A full part holds records read from the store and then the commits made while they were read,
//! which bring it to the state of its last commit. An incremental part holds each commit with the units that it stored. So any
//! commit from the end of the first part on can be restored.

mod directory;
mod frame;
mod part;
mod restore;

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use crate::limits::{COMPACTION_PAGE_RECORDS, EXPORT_PAGE_UNITS};
use crate::store::{Backend, CommitLog, Sequence, StoreError};

use crate::engine::Engine;
use crate::engine::cancel::Cancel;
use crate::engine::error::EngineError;
use crate::engine::replica::changes::check_held;

use frame::{Begin, Frame};
use part::PartWriter;

pub use directory::{BackupDirectory, NewPart, Part};
pub use frame::Mark;
pub use part::read_any;
pub use restore::{
    Checked, Restored, TOKENS_REQUIRED_FILE, Target, restore, restore_shared, verify,
    write_token_mark,
};

/// The content of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartSummary {
    /// Whether it is a full part.
    pub full: bool,
    /// The commit before its first one.
    pub after: Mark,
    /// Its last commit.
    pub through: Mark,
    /// Units in it, each version of a unit counted.
    pub units: u64,
    /// Commits in it.
    pub commits: u64,
}

/// Why a backup could not be made, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// An I/O error.
    #[error("{doing}: {cause}")]
    Io {
        /// What was being done.
        doing: String,
        /// The error.
        cause: io::Error,
    },
    /// A file of the backup is damaged.
    #[error("the backup is damaged: {}: {what}", file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// What was found.
        what: String,
    },
    /// There is no backup.
    #[error("{} holds no backup of Dhakira", .0.display())]
    NoBackup(PathBuf),
    /// Another process writes to it.
    #[error("{} is being written to by another process", .0.display())]
    InUse(PathBuf),
    /// The backup does not hold the requested commit.
    #[error("{0}")]
    OutOfReach(String),
    /// The directory to restore to is not empty.
    #[error(
        "{} is not empty: a store is only restored into a new or empty directory",
        .0.display()
    )]
    Occupied(PathBuf),
    /// The restored store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Writes a part of a backup: incremental after the mark of an earlier part, or full. Without a mark it is full. Writes may
    /// continue meanwhile. Blocks.
    ///
    /// # Errors
    /// [`EngineError::LogTruncated`] when the log no longer holds the commits; a mark of another store; cancelled; the store; the output.
    pub fn backup(
        &self,
        (full, after): (bool, Option<Mark>),
        out: &mut dyn Write,
        cancel: &Cancel,
        progress: &dyn Fn(f32),
    ) -> Result<PartSummary, EngineError> {
        let backend = &self.backend;
        let log = backend.log.as_ref();
        let part = PartWriter::new(out).map_err(output)?;
        let last = log.end()?.sequence;
        self.wait_applied(last, cancel)?;
        let full = full || after.is_none();
        let after = match after {
            Some(after) => {
                check_lineage(log, after)?;
                after
            }
            None => mark_at(log, last)?,
        };
        let mut writer = BackupWriter { backend, part, cancel, progress, units: 0, commits: 0 };
        writer.put(&Frame::Begin(Begin { full, after }))?;
        let through = if full {
            writer.put_store()?;
            let end = log.end()?.sequence;
            self.wait_applied(end, cancel)?;
            end
        } else {
            last
        };
        let through = writer.put_commits(after, through, !full)?;
        writer.put(&Frame::End(through))?;
        let BackupWriter { part, units, commits, .. } = writer;
        part.finish().and_then(Write::flush).map_err(output)?;
        Ok(PartSummary { full, after, through, units, commits })
    }

    /// Waits until this process has applied a commit that others may have appended, and with it its copy of the store.
    fn wait_applied(&self, sequence: Sequence, cancel: &Cancel) -> Result<(), EngineError> {
        while *self.sequence.borrow() < sequence {
            if cancel.is_cancelled() {
                return Err(EngineError::Cancelled);
            }
            if let Some(cause) = self.writes_paused() {
                return Err(StoreError::WritesPaused(cause).into());
            }
            std::thread::sleep(APPLIED_POLL);
        }
        Ok(())
    }
}

/// How often a wait for a commit looks.
const APPLIED_POLL: Duration = Duration::from_millis(5);

/// Writes a part from the store.
struct BackupWriter<'a, W: Write> {
    backend: &'a Backend,
    part: PartWriter<W>,
    cancel: &'a Cancel,
    progress: &'a dyn Fn(f32),
    units: u64,
    commits: u64,
}

impl<W: Write> BackupWriter<'_, W> {
    fn put(&mut self, frame: &Frame) -> Result<(), EngineError> {
        if self.cancel.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        self.part.put(frame).map_err(output)
    }

    /// Writes all live records; the commits since the part began make them consistent.
    fn put_store(&mut self) -> Result<(), EngineError> {
        let memories = self.backend.store.memories()?;
        let live = || memories.iter().filter(|record| !record.deleted);
        let total: u64 = live().map(|record| record.unit_count).sum();
        self.put(&Frame::Memories(memories.clone()))?;
        for record in live() {
            let mut after = None;
            loop {
                let page = self.backend.store.page(record.key, after, EXPORT_PAGE_UNITS)?;
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                self.units += page.len() as u64;
                self.put(&Frame::Units(record.key, page))?;
                (self.progress)(part_of(self.units, total));
            }
        }
        let source = self.backend.backup_source.as_ref();
        let source = source.ok_or(StoreError::Unsupported("full backups"))?;
        let mut after = None;
        loop {
            let page = source.requests(after, COMPACTION_PAGE_RECORDS)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(*last);
            self.put(&Frame::Requests(page))?;
        }
    }

    /// Writes the commits after a mark, through `until`; returns the mark of the last one.
    fn put_commits(
        &mut self,
        mut at: Mark,
        until: Sequence,
        reports_progress: bool,
    ) -> Result<Mark, EngineError> {
        let (first, all) = (at.sequence.0, until.0.saturating_sub(at.sequence.0));
        while at.sequence < until {
            let page = self.backend.log.read(at.sequence, EXPORT_PAGE_UNITS)?;
            let gap = || EngineError::Internal(format!("no commit follows {}", at.sequence.0));
            if page.first().is_none_or(|record| record.sequence != at.sequence.next()) {
                // The log was truncated meanwhile, unless it is damaged.
                return check_held(self.backend.log.as_ref(), at.sequence).and(Err(gap()));
            }
            for record in page.into_iter().take_while(|record| record.sequence <= until) {
                let units = self.backend.store.stored_units(&record)?;
                at = (&record).into();
                self.commits += 1;
                self.units += units.iter().flatten().count() as u64;
                self.put(&Frame::Commit(record, units))?;
            }
            check_held(self.backend.log.as_ref(), at.sequence)?;
            if reports_progress {
                (self.progress)(part_of(at.sequence.0 - first, all));
            }
        }
        Ok(at)
    }
}

#[expect(clippy::cast_precision_loss)]
fn part_of(done: u64, all: u64) -> f32 {
    (done as f32 / all.max(1) as f32).min(1.0)
}

/// The mark of a commit that the log holds, or of the log's start.
fn mark_at(log: &dyn CommitLog, sequence: Sequence) -> Result<Mark, EngineError> {
    match log.mark_at(sequence)? {
        Some(mark) => Ok(mark),
        None if sequence == Sequence(0) => Ok(Mark::default()),
        None => {
            check_held(log, sequence)?;
            Err(EngineError::Internal(format!("the log does not hold commit {}", sequence.0)))
        }
    }
}

/// Checks that a backup which ends at a mark is of this store.
fn check_lineage(log: &dyn CommitLog, mark: Mark) -> Result<(), EngineError> {
    check_held(log, mark.sequence)?;
    let ours = mark.sequence <= log.end()?.sequence
        && mark_at(log, mark.sequence)?.checksum == mark.checksum;
    if ours {
        return Ok(());
    }
    Err(EngineError::invalid(
        "after",
        format!(
            "commit {} of the backup is not a commit of this store: the backup is of another store, or this one was restored to an \
             earlier commit; back up to another directory",
            mark.sequence.0
        ),
    ))
}

fn output(error: io::Error) -> EngineError {
    EngineError::Store(StoreError::Io {
        doing: "writing the backup".to_owned(),
        cause: error.to_string(),
    })
}
