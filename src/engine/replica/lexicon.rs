//! Holds trained lexicons, the translation probabilities learned from a memory's units, and stores them in files beside the store.
//!
//! A file is used only if versions, memory and log agree, like a checkpoint. It can be deleted at any time: training again costs
//! only time.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::alignment::{LEXICON_VERSION, Lexicon, PAIRS_MIN, builtin};
use crate::store::{CommitLog, LogPosition, MemoryRecord, Sequence};
use crate::text::TEXT_VERSION;
use crate::unit::Lang;

use super::artifact::{self, unfit};

const MAGIC: &[u8] = b"dhakira lexicon 2";
pub(crate) const ENDING: &str = "lexicon";

/// The lexicon of a memory: one part trained on all of its units at some commit, one on those that have changed since.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct TrainedLexicon {
    pub(crate) provenance: Provenance,
    /// Units that it was trained on.
    pub units: u64,
    pub(crate) whole: Lexicon,
    pub(crate) recent: Lexicon,
}

/// What a lexicon was trained on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Provenance {
    text_version: u32,
    lexicon_version: u32,
    memory: u64,
    source_lang: String,
    target_lang: String,
    created_micros: i64,
    /// `whole` was trained on everything up to this commit, with its running checksum.
    pub(crate) whole: (Sequence, u32),
    /// `recent` was trained on what changed after that, up to this commit.
    pub(crate) recent: Sequence,
}

impl TrainedLexicon {
    /// A lexicon of every unit up to a position.
    pub(crate) fn of_all(record: &MemoryRecord, position: LogPosition, whole: Lexicon) -> Self {
        let LogPosition { sequence, checksum } = position;
        Self {
            provenance: Provenance::of(record, (sequence, checksum), sequence),
            units: record.unit_count,
            whole,
            recent: Lexicon::default(),
        }
    }

    /// Whether it was never trained.
    pub(crate) fn is_empty(&self) -> bool {
        self.provenance == Provenance::default()
    }

    /// The parts that were trained on enough units to be used.
    fn parts(&self) -> impl Iterator<Item = &Lexicon> {
        let enough = self.units >= PAIRS_MIN as u64;
        [&self.whole, &self.recent].into_iter().filter(move |it| enough && !it.is_empty())
    }

    /// Numbers of source and target terms.
    pub fn terms(&self) -> (usize, usize) {
        let ((a, b), (c, d)) = (self.whole.len(), self.recent.len());
        (a.max(c), b.max(d))
    }
}

/// The cached lexicon of an open memory.
#[derive(Debug, Default)]
pub(crate) struct LexiconSlot {
    /// With the number of lexicons that were set before.
    lexicon: Mutex<(Option<Arc<TrainedLexicon>>, u64)>,
    /// Held while training, so that concurrent callers train only once.
    pub(crate) training: Mutex<()>,
}

impl LexiconSlot {
    /// The cached lexicon and its number, which changes with the lexicon. The first call caches the result of `read`, or an empty
    /// one.
    pub(crate) fn get_or_read(
        &self,
        read: impl FnOnce() -> Option<TrainedLexicon>,
    ) -> (Arc<TrainedLexicon>, u64) {
        let mut slot = self.lexicon.lock().unwrap_or_else(PoisonError::into_inner);
        let (lexicon, number) = &mut *slot;
        (Arc::clone(lexicon.get_or_insert_with(|| Arc::new(read().unwrap_or_default()))), *number)
    }

    pub(crate) fn set(&self, lexicon: &Arc<TrainedLexicon>) {
        let mut slot = self.lexicon.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = (Some(Arc::clone(lexicon)), slot.1 + 1);
    }
}

impl Provenance {
    fn of(record: &MemoryRecord, whole: (Sequence, u32), recent: Sequence) -> Self {
        Self {
            text_version: TEXT_VERSION,
            lexicon_version: LEXICON_VERSION,
            memory: record.key.0.into(),
            source_lang: record.source_lang.to_string(),
            target_lang: record.target_lang.to_string(),
            created_micros: record.created.micros,
            whole,
            recent,
        }
    }
}

/// The builtin lexicon of two languages, and the trained ones of memories.
pub(crate) fn lexicons<'a>(
    (source, target): (&Lang, &Lang),
    trained: impl IntoIterator<Item = &'a Arc<TrainedLexicon>>,
) -> Vec<&'a Lexicon> {
    let mut lexicons = vec![builtin(source, target)];
    lexicons.extend(trained.into_iter().flat_map(|it| it.parts()));
    lexicons
}

/// Writes a lexicon to a file. The previous one is replaced when the new one is durable.
pub(crate) fn write(path: &Path, lexicon: &TrainedLexicon) -> io::Result<()> {
    let bytes = postcard::to_stdvec(lexicon).map_err(io::Error::other)?;
    artifact::write(path, MAGIC, |out| out.bytes(&bytes))
}

/// Reads a lexicon from a file; `None` when there is none.
///
/// # Errors
/// Why the lexicon cannot be used, as a clause that follows "the lexicon is not used:".
pub(crate) fn read(
    path: &Path,
    record: &MemoryRecord,
    log: &dyn CommitLog,
) -> io::Result<Option<TrainedLexicon>> {
    let Some(mut input) = artifact::open(path, MAGIC)? else { return Ok(None) };
    let bytes = input.bytes()?;
    input.finish()?;
    let lexicon: TrainedLexicon =
        postcard::from_bytes(&bytes).map_err(|_| unfit("it cannot be read"))?;
    let provenance = &lexicon.provenance;
    let expected = Provenance::of(record, provenance.whole, provenance.recent);
    let mark = log.mark_at(provenance.whole.0).map_err(io::Error::other)?;
    let in_log = mark.is_some_and(|it| it.checksum == provenance.whole.1);
    let end = log.end().map_err(io::Error::other)?;
    if *provenance != expected || !in_log || provenance.recent > end.sequence {
        return Err(unfit("it was trained from other texts, by other rules or in another store"));
    }
    Ok(Some(lexicon))
}
