//! Restores a store from a backup at a commit or a time: builds the last full part before it, then appends each later commit, which
//! must lead to the same running checksum.

use std::fs::{self, File};
use std::io::{self, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::store::{
    BuildStore, Commit, CommitLog, LogPosition, LogRecord, Sequence, SharedBuilder, SharedStore,
    StoreBuilder, StoreError, private,
};
use crate::unit::{Timestamp, Unit};

use super::directory::{BackupDirectory, Part};
use super::frame::{Frame, Mark};
use super::part::PartReader;
use super::{BackupError, part_of};

/// The commit to restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The last commit of the backup.
    Latest,
    /// This commit.
    Sequence(Sequence),
    /// The last commit at this time or before.
    Time(Timestamp),
}

/// A restored store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// Its last commit.
    pub mark: Mark,
    /// Units of all memories.
    pub units: u64,
    /// Whether calls to the memories needed tokens when the backup was last written; `None` where that was not recorded.
    pub tokens_required: Option<bool>,
}

/// The result of verifying a backup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checked {
    /// Parts.
    pub parts: u64,
    /// Commits.
    pub commits: u64,
    /// Units, each version counted.
    pub units: u64,
    /// Versions of units that were no longer held when the part was made. A commit where one of them is current cannot be restored.
    pub units_missing: u64,
    /// First and last commit that can be restored.
    pub reach: Option<(Mark, Mark)>,
}

/// A file in a data directory which requires tokens for calls, so that losing the token file does not grant access.
pub const TOKENS_REQUIRED_FILE: &str = "tokens-required";
/// Commits that share one fsync while restoring.
const COMMITS_AT_ONCE: usize = 64;

/// Restores a store into a new or empty directory. It is built beside the directory under another name, and renamed when complete.
///
/// # Errors
/// Damage; the target is out of reach; the directory is not empty; the store; I/O.
pub fn restore(
    backup: &Path,
    data: &Path,
    target: Target,
    progress: &dyn Fn(f32),
) -> Result<Restored, BackupError> {
    let backup = BackupDirectory::open(backup)?;
    let parts = parts_to(&backup, target)?;
    let io = |doing: &str, path: &Path| {
        let doing = format!("{doing} {}", path.display());
        move |cause| BackupError::Io { doing, cause }
    };
    if fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some()) || data.is_file() {
        return Err(BackupError::Occupied(data.to_owned()));
    }
    let building = beside(data);
    if building.exists() {
        // Left over by a restore that was killed.
        fs::remove_dir_all(&building).map_err(io("deleting", &building))?;
    }
    let begin = || Ok(Box::new(StoreBuilder::new(&building, "restore")?) as Box<dyn BuildStore>);
    let restored = replay(&backup, &parts, begin, target, progress);
    let restored = restored.inspect_err(|_| {
        // If this fails, the next restore deletes it.
        let _ = fs::remove_dir_all(&building);
    })?;
    if backup.tokens_required() == Some(true) {
        let mark = building.join(TOKENS_REQUIRED_FILE);
        let text = "Calls to these memories needed a token when the backup was made.";
        write_token_mark(&mark, text).map_err(io("writing", &mark))?;
    }
    fs::rename(&building, data).map_err(io("moving the restored store to", data))?;
    let parent = data.canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned));
    if let Some(parent) = parent {
        let synced = File::open(&parent).and_then(|it| it.sync_all());
        synced.map_err(io("syncing", &parent))?;
    }
    Ok(restored)
}

/// Restores into a cluster without memories, which no node serves yet. Its log begins where the first part of the backup ends.
///
/// # Errors
/// Damage; the target is out of reach; the cluster holds memories; the database.
pub fn restore_shared(
    backup: &Path,
    shared: SharedStore,
    target: Target,
    progress: &dyn Fn(f32),
) -> Result<Restored, BackupError> {
    let backup = BackupDirectory::open(backup)?;
    let parts = parts_to(&backup, target)?;
    let begin = || Ok(Box::new(SharedBuilder::new(shared)?) as Box<dyn BuildStore>);
    replay(&backup, &parts, begin, target, progress)
}

/// Writes the file that makes a server require tokens, durably.
///
/// # Errors
/// I/O.
pub fn write_token_mark(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    private::create_directory(directory)?;
    let mut file = private::create_file(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    File::open(directory)?.sync_all()
}

/// Verifies a backup: all checksums and records, and that each part continues the previous one.
///
/// # Errors
/// The first damage; I/O.
pub fn verify(backup: &Path, progress: &dyn Fn(f32)) -> Result<Checked, BackupError> {
    let backup = BackupDirectory::open(backup)?;
    let mut checked = Checked::default();
    let mut before: Option<Mark> = None;
    let all: u64 = backup.parts().iter().map(|part| part.units + part.commits).sum();
    for part in backup.parts() {
        let damaged = |what: &str| damaged(&backup, part, what);
        if !part.full && before != Some(part.after) {
            return Err(damaged("it does not continue the part before it"));
        }
        read_part(&backup, part, |frame| {
            match frame {
                Frame::Units(_, units) => checked.units += units.len() as u64,
                Frame::Commit(_, units) => {
                    checked.commits += 1;
                    checked.units += units.iter().flatten().count() as u64;
                    checked.units_missing += units.iter().filter(|it| it.is_none()).count() as u64;
                }
                _ => {}
            }
            progress(part_of(checked.units + checked.commits, all));
            Ok(true)
        })?;
        checked.parts += 1;
        before = Some(part.through);
        let first = checked.reach.map_or(part.through, |reach| reach.0);
        checked.reach = Some((first, part.through));
    }
    Ok(checked)
}

/// The parts that lead to a target: a full one, and those that follow it.
fn parts_to(backup: &BackupDirectory, target: Target) -> Result<Vec<&Part>, BackupError> {
    let parts = backup.parts();
    let is_before = |mark: Mark| match target {
        Target::Latest => true,
        Target::Sequence(sequence) => mark.sequence <= sequence,
        Target::Time(time) => mark.time <= time,
    };
    let reach = |first: &Part, last: &Part| {
        let show = |mark: Mark| {
            let time = jiff::Timestamp::from_microsecond(mark.time.micros).unwrap_or_default();
            format!("{} ({time})", mark.sequence.0)
        };
        let (first, last) = (show(first.through), show(last.through));
        BackupError::OutOfReach(format!(
            "the backup in {} holds commits {first} to {last}, not the requested one",
            backup.path().display()
        ))
    };
    let (Some(oldest), Some(newest)) = (parts.first(), parts.last()) else {
        return Err(BackupError::NoBackup(backup.path().to_owned()));
    };
    let from = parts.iter().rposition(|part| part.full && is_before(part.through));
    let from = from.ok_or_else(|| reach(oldest, newest))?;
    let mut chosen = vec![&parts[from]];
    // Only the commits of a later full part are used.
    for pair in parts[from..].windows(2) {
        if pair[1].after != pair[0].through || !is_before(pair[1].after) {
            break;
        }
        chosen.push(&pair[1]);
    }
    if let (Target::Sequence(sequence), Some(last)) = (target, chosen.last())
        && last.through.sequence < sequence
    {
        return Err(reach(oldest, newest));
    }
    Ok(chosen)
}

/// The directory of the store while it is built.
fn beside(data: &Path) -> PathBuf {
    let mut name = data.file_name().unwrap_or_default().to_owned();
    name.push(".restoring");
    data.with_file_name(name)
}

fn replay(
    backup: &BackupDirectory,
    parts: &[&Part],
    begin: impl FnOnce() -> Result<Box<dyn BuildStore>, StoreError>,
    target: Target,
    progress: &dyn Fn(f32),
) -> Result<Restored, BackupError> {
    let all: u64 = parts.iter().map(|part| part.units + part.commits).sum();
    let mut done = 0;
    let mut report = |frame: &Frame| {
        done += match frame {
            Frame::Units(_, units) => units.len() as u64,
            Frame::Commit(_, units) => units.len() as u64 + 1,
            _ => 0,
        };
        progress(part_of(done, all));
    };
    let Some((full, rest)) = parts.split_first() else {
        return Err(BackupError::NoBackup(backup.path().to_owned()));
    };
    let builder = begin()?;
    read_part(backup, full, |frame| {
        report(&frame);
        build(builder.as_ref(), frame, backup, full).map(|()| true)
    })?;
    let (log, store) = builder.finish(full.through)?;
    let mut replay = Replay { log, mark: full.through, pending: Vec::new() };
    for part in rest {
        let mut more = true;
        read_part(backup, part, |frame| {
            report(&frame);
            if let Frame::Commit(record, units) = frame {
                let wanted = match target {
                    Target::Latest => true,
                    Target::Sequence(sequence) => record.sequence <= sequence,
                    Target::Time(time) => record.time <= time,
                };
                if !wanted {
                    more = false;
                    return Ok(false);
                }
                replay.take(&record, units, backup, part)?;
            }
            Ok(true)
        })?;
        if !more {
            break;
        }
    }
    replay.write()?;
    let records = store.memories()?;
    let units = records.iter().filter(|it| !it.deleted).map(|it| it.unit_count).sum();
    let tokens_required = backup.tokens_required();
    Ok(Restored { mark: replay.mark, units, tokens_required })
}

/// Writes a frame of a full part to the store.
fn build(
    builder: &dyn BuildStore,
    frame: Frame,
    backup: &BackupDirectory,
    part: &Part,
) -> Result<(), BackupError> {
    match frame {
        // Reading converts the last ones to units, commits and memories.
        Frame::Begin(_)
        | Frame::End(_)
        | Frame::Counted(..)
        | Frame::PenalizedCommit(..)
        | Frame::PenalizedMemories(..)
        | Frame::UsedUnits(..)
        | Frame::ExtendedCommit(..)
        | Frame::MemoriesWithSettings(..)
        | Frame::UnitsWithExtras(..)
        | Frame::CommitWithExtras(..)
        | Frame::MemoriesWithModes(..) => {}
        Frame::Memories(memories) => builder.put_memories(&memories)?,
        Frame::Units(memory, units) => builder.put_units(memory, &units)?,
        Frame::Requests(requests) => {
            let requests: Vec<_> =
                requests.into_iter().map(|(key, record)| (key, Some(record))).collect();
            builder.put_requests(&requests)?;
        }
        Frame::Commit(record, units) => {
            if !builder.put_commit(&record, units)? {
                return Err(lost(backup, part, &record));
            }
        }
    }
    Ok(())
}

/// Appends the commits of a backup to the restored store.
struct Replay {
    log: Arc<dyn CommitLog>,
    /// The last commit, appended or pending.
    mark: Mark,
    pending: Vec<Commit>,
}

impl Replay {
    fn take(
        &mut self,
        record: &LogRecord,
        units: Vec<Option<Unit>>,
        backup: &BackupDirectory,
        part: &Part,
    ) -> Result<(), BackupError> {
        let commit = Commit::from_record(record, units);
        self.pending.push(commit.ok_or_else(|| lost(backup, part, record))?);
        self.mark = record.into();
        if self.pending.len() >= COMMITS_AT_ONCE { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), BackupError> {
        let commits = std::mem::take(&mut self.pending);
        if commits.is_empty() {
            return Ok(());
        }
        let records = self.log.append(self.log.end()?, &commits).into_result()?;
        if records.last().map(LogPosition::from) != Some(self.mark.into()) {
            return Err(BackupError::OutOfReach(format!(
                "commit {} has another checksum after replaying; the parts of the backup are inconsistent",
                self.mark.sequence.0
            )));
        }
        Ok(())
    }
}

/// Verifies the checksum of a part and passes its frames to `visit`, until the end or until it returns `false`.
fn read_part(
    backup: &BackupDirectory,
    part: &Part,
    mut visit: impl FnMut(Frame) -> Result<bool, BackupError>,
) -> Result<(), BackupError> {
    let file = backup.read(part)?;
    let bad = |error: std::io::Error| damaged(backup, part, &error.to_string());
    let mut reader = PartReader::new(BufReader::new(file)).map_err(bad)?;
    let Frame::Begin(begin) = reader.next().map_err(bad)? else {
        return Err(damaged(backup, part, "its first frame is wrong"));
    };
    let mut at = begin.after;
    if (begin.full, begin.after) != (part.full, part.after) {
        return Err(damaged(backup, part, "its first frame differs from the manifest"));
    }
    loop {
        let frame = reader.next().map_err(bad)?;
        match &frame {
            Frame::Commit(record, _) => {
                if record.sequence != at.sequence.next() || !record.follows(at.checksum) {
                    return Err(damaged(backup, part, "its commits do not follow each other"));
                }
                at = record.into();
            }
            Frame::End(end) if *end == part.through && *end == at => return Ok(()),
            Frame::End(_) => {
                return Err(damaged(backup, part, "it ends at a commit other than the stated one"));
            }
            _ => {}
        }
        if !visit(frame)? {
            return Ok(());
        }
    }
}

fn damaged(backup: &BackupDirectory, part: &Part, what: &str) -> BackupError {
    BackupError::Damaged { file: backup.path().join(&part.file), what: what.to_owned() }
}

fn lost(backup: &BackupDirectory, part: &Part, record: &LogRecord) -> BackupError {
    let (first, last) = (part.after.sequence.0, part.through.sequence.0);
    let what = format!(
        "commit {} stored units whose versions were not kept by the program that made it; restore a commit outside {first} to \
         {last}, or make a new full backup",
        record.sequence.0
    );
    damaged(backup, part, &what)
}
