//! Writes and reads checkpoints: files beside the store, one for each memory, that hold its index and can be deleted at any time.
//!
//! A checkpoint is used only if everything agrees: its checksum, the versions of the text and score rules, the memory, and its
//! commit, which must be in the log with the same running checksum. Later commits are replayed from the log. If anything disagrees,
//! the reason is logged and the index is built from the store (see `load`).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::matching::{ArrayReader, Frozen, MemoryIndex, SCORE_VERSION};
use crate::store::{CommitLog, LogPosition, MemoryKey, MemoryRecord, Sequence};
use crate::text::TEXT_VERSION;

use super::artifact::{self, unfit};
use super::catalog::{Catalog, Memory};
use super::lexicon;
use crate::engine::priority::lower_priority;

/// The magic number, which ends in the version of the layout.
const MAGIC: &[u8] = b"dhakira index 5";
const ENDING: &str = "index";

/// What a checkpoint was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    text_version: u32,
    score_version: u32,
    memory: MemoryKey,
    source_lang: String,
    target_lang: String,
    /// Creation time of the memory: another store may use the same key.
    created_micros: i64,
    sequence: Sequence,
    /// Running checksum of the log at that sequence.
    checksum: u32,
}

impl Header {
    fn of(record: &MemoryRecord, position: LogPosition) -> Self {
        Self {
            text_version: TEXT_VERSION,
            score_version: SCORE_VERSION,
            memory: record.key,
            source_lang: record.source_lang.to_string(),
            target_lang: record.target_lang.to_string(),
            created_micros: record.created.micros,
            sequence: position.sequence,
            checksum: position.checksum,
        }
    }

    /// Checks that this program can use the checkpoint for this memory; the error names what disagrees.
    fn check(&self, record: &MemoryRecord, log: &dyn CommitLog) -> io::Result<()> {
        let versions = [
            ("text", self.text_version, TEXT_VERSION),
            ("score", self.score_version, SCORE_VERSION),
        ];
        for (rules, found, current) in versions {
            if found != current {
                return Err(unfit(&format!(
                    "it was made by version {found} of the {rules} rules; the current version is {current}"
                )));
            }
        }
        let sequence = self.sequence;
        let start = log.start().map_err(io::Error::other)?.sequence;
        let last = log.end().map_err(io::Error::other)?.sequence;
        if sequence > last {
            return Err(unfit(&format!(
                "it is of commit {}, but the store ends at commit {}",
                sequence.0, last.0
            )));
        }
        let Some(mark) = log.mark_at(sequence).map_err(io::Error::other)? else {
            return Err(unfit(&format!(
                "it is of commit {}, but the log begins after commit {}",
                sequence.0, start.0
            )));
        };
        if *self != Self::of(record, mark.into()) {
            return Err(unfit("it was made from another memory or another store"));
        }
        Ok(())
    }
}

/// The directory of the checkpoints; without one there are none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checkpoints {
    directory: Option<PathBuf>,
}

impl Checkpoints {
    pub(crate) fn new(directory: Option<PathBuf>) -> Self {
        Self { directory }
    }

    fn path(directory: &Path, memory: MemoryKey) -> PathBuf {
        directory.join(format!("{}.{ENDING}", memory.0))
    }

    /// Reads the index of a memory and its commit; `None` when there is no checkpoint.
    ///
    /// # Errors
    /// Why the checkpoint cannot be used, as a clause that follows "the checkpoint is not used:".
    pub(crate) fn read(
        &self,
        record: &MemoryRecord,
        log: &dyn CommitLog,
    ) -> io::Result<Option<(MemoryIndex, Sequence)>> {
        let Some(directory) = &self.directory else { return Ok(None) };
        read(&Self::path(directory, record.key), record, log)
    }

    /// Writes the index of a memory at a position of the log. The previous checkpoint is replaced when the new one is durable.
    pub(crate) fn write(
        &self,
        record: &MemoryRecord,
        index: &Frozen,
        position: LogPosition,
    ) -> io::Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let header = Header::of(record, position);
        let header = postcard::to_stdvec(&header).map_err(io::Error::other)?;
        artifact::write(&Self::path(directory, record.key), MAGIC, |out| {
            out.bytes(&header)?;
            index.write(out)
        })
    }

    /// The commit of a memory's checkpoint; `None` when there is none or its header cannot be read.
    fn commit_of(&self, memory: MemoryKey) -> Option<Sequence> {
        let path = Self::path(self.directory.as_deref()?, memory);
        let (header, _) = read_header(&path).ok()??;
        Some(header.sequence)
    }

    /// The age of a memory's checkpoint; `None` when there is none or its age is unknown.
    fn age(&self, memory: MemoryKey) -> Option<Duration> {
        let path = Self::path(self.directory.as_deref()?, memory);
        fs::metadata(path).ok()?.modified().ok()?.elapsed().ok()
    }

    /// Deletes the checkpoints and lexicons of memories that no longer exist.
    pub(crate) fn delete_stale(&self, exists: impl Fn(MemoryKey) -> bool) {
        let Some(directory) = &self.directory else { return };
        let Ok(entries) = fs::read_dir(directory) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            let Some(key) = stem.and_then(|stem| stem.parse().ok()) else { continue };
            let whole = path.extension().is_some_and(|it| it == ENDING || it == lexicon::ENDING);
            if !(whole && exists(MemoryKey(key))) {
                // Harmless if it cannot be deleted.
                let _ = fs::remove_file(&path);
            }
        }
    }
}

/// Schedules and writes checkpoints.
pub(crate) struct CheckpointScheduler {
    checkpoints: Checkpoints,
    catalog: Arc<Catalog>,
    /// Units changed since the last checkpoint of each memory.
    changed: BTreeMap<MemoryKey, u64>,
    writing: Option<JoinHandle<()>>,
}

/// Time without writes after which checkpoints are written: long enough that an import has probably ended.
pub(crate) const CHECKPOINT_IDLE: Duration = Duration::from_secs(1);
/// Changed units below which no checkpoint is due, as a number and as a share of the memory: replaying them is fast.
const CHANGED_UNITS_MIN: u64 = 2_000;
const CHANGED_SHARE: u64 = 50;
/// Changed units from which a checkpoint is due even during writes, if they are also at least as many as the unchanged units.
const OVERDUE_UNITS_MIN: u64 = 250_000;

impl CheckpointScheduler {
    pub(crate) fn new(
        checkpoints: Checkpoints,
        catalog: Arc<Catalog>,
        changed: BTreeMap<MemoryKey, u64>,
    ) -> Self {
        Self { checkpoints, catalog, changed, writing: None }
    }

    /// Counts changed units of a memory.
    pub(crate) fn note(&mut self, memory: MemoryKey, units: usize) {
        let changed = self.changed.entry(memory).or_default();
        *changed = changed.saturating_add(units as u64);
    }

    /// Schedules checkpoints of at least this age, even of unchanged memories: their commits are about to leave the log.
    pub(crate) fn renew(&mut self, age: Duration) {
        for memory in self.catalog.page(None, usize::MAX) {
            if self.checkpoints.age(memory.key).is_some_and(|it| it >= age) {
                self.changed.insert(memory.key, u64::MAX);
            }
        }
    }

    /// Schedules checkpoints whose commits are before the start of the log: the next start could not use them.
    pub(crate) fn renew_before(&mut self, start: Sequence) {
        for memory in self.catalog.page(None, usize::MAX) {
            if self.checkpoints.commit_of(memory.key).is_some_and(|it| it < start) {
                self.changed.insert(memory.key, u64::MAX);
            }
        }
    }

    /// Whether a checkpoint should be written when there are no writes.
    pub(crate) fn is_due(&self) -> bool {
        !self.is_writing() && self.memories(Self::due).next().is_some()
    }

    /// Whether a checkpoint should be written even during writes.
    pub(crate) fn is_overdue(&self) -> bool {
        !self.is_writing() && self.memories(Self::overdue).next().is_some()
    }

    fn due(changed: u64, units: u64) -> bool {
        changed >= CHANGED_UNITS_MIN.max(units / CHANGED_SHARE)
    }

    fn overdue(changed: u64, units: u64) -> bool {
        changed >= OVERDUE_UNITS_MIN.max(units.saturating_sub(changed))
    }

    fn is_writing(&self) -> bool {
        self.writing.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    fn memories(&self, wanted: fn(u64, u64) -> bool) -> impl Iterator<Item = Arc<Memory>> {
        let kept = self.checkpoints.directory.is_some();
        let changed = self.changed.iter().filter(move |_| kept);
        changed.filter_map(move |(key, &changed)| {
            let memory = self.catalog.by_key(*key)?;
            wanted(changed, memory.record().unit_count).then_some(memory)
        })
    }

    /// Writes the checkpoints that are due on a separate thread. Nothing may be applied concurrently: the indexes are frozen in their
    /// current state, which is that of `position`.
    pub(crate) fn start(&mut self, position: LogPosition) {
        if position == LogPosition::default() {
            return;
        }
        let due: Vec<(Arc<MemoryRecord>, Frozen)> = self
            .memories(Self::due)
            .map(|memory| (memory.record(), memory.index.freeze()))
            .collect();
        for (record, _) in &due {
            self.changed.remove(&record.key);
        }
        let checkpoints = self.checkpoints.clone();
        let write = move || {
            lower_priority();
            for (record, index) in due {
                if let Err(error) = checkpoints.write(&record, &index, position) {
                    tracing::warn!(
                        memory = %record.name,
                        "cannot write a checkpoint of the index: {error}; the next start takes longer"
                    );
                }
            }
        };
        self.writing = std::thread::Builder::new().name("checkpoint".into()).spawn(write).ok();
    }

    /// Writes the checkpoints that are due and waits for them, at shutdown.
    pub(crate) fn finish(&mut self, position: LogPosition) {
        // A panic of the thread was reported when it happened.
        self.writing.take().map(JoinHandle::join);
        // Deferred merging happens now, so that searches after the next start do not pay for it.
        self.memories(Self::due).for_each(|memory| memory.index.settle());
        self.start(position);
        self.writing.take().map(JoinHandle::join);
    }
}

/// Reads the header of a file; returns it with a reader of the rest.
fn read_header(path: &Path) -> io::Result<Option<(Header, ArrayReader<File>)>> {
    let Some(mut input) = artifact::open(path, MAGIC)? else { return Ok(None) };
    let header = input.bytes()?;
    let header = postcard::from_bytes(&header).map_err(|_| unfit("its header cannot be read"))?;
    Ok(Some((header, input)))
}

fn read(
    path: &Path,
    record: &MemoryRecord,
    log: &dyn CommitLog,
) -> io::Result<Option<(MemoryIndex, Sequence)>> {
    let Some((header, input)) = read_header(path)? else { return Ok(None) };
    header.check(record, log)?;
    Ok(Some((MemoryIndex::read(input)?, header.sequence)))
}
