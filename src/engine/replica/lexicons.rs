//! What have the units of a memory taught? Its lexicon: learnt from all of them once in a while, and from those that came
//! since as they come; kept in a file beside the store, which can be deleted at any time.
//!
//! Trusted like a checkpoint: only when versions, memory and log agree. Learning anew costs time and nothing else.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use serde::{Deserialize, Serialize};

use crate::alignment::{Cancelled, Corpus, LEXICON_VERSION, Lexicon, PAIRS_MIN, builtin};
use crate::limits::LOAD_PAGE_UNITS;
use crate::store::{CommitLog, MemoryRecord, Sequence};
use crate::text::{Analysis, TEXT_VERSION};
use crate::unit::{Lang, MemoryName, Unit, UnitId};

use super::artifact::{self, unfit};
use super::catalog::Memory;
use super::changes::{changed_since, position_of};
use crate::engine::Engine;
use crate::engine::cancel::Cancel;
use crate::engine::error::EngineError;
use crate::engine::priority;

const MAGIC: &[u8] = b"dhakira lexicon 2";
pub(crate) const ENDING: &str = "lexicon";

/// Units of a memory whose lexicon is learnt in no time, whenever it is asked for.
const UNITS_AT_ONCE: u64 = 2_000;
/// New units, in hundredths of the memory, that a lexicon may not know: they hardly change it.
const UNKNOWN_HUNDREDTHS: u64 = 2;
/// New units, in hundredths of the memory, above which everything is learnt again.
const RECENT_HUNDREDTHS: u64 = 25;

/// What a memory has taught.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct TrainedLexicon {
    provenance: Provenance,
    /// Units that were learnt from.
    pub units: u64,
    whole: Lexicon,
    recent: Lexicon,
}

/// Where a lexicon comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Provenance {
    text_version: u32,
    lexicon_version: u32,
    memory: u64,
    source_lang: String,
    target_lang: String,
    created_micros: i64,
    /// The commit up to which everything was learnt, with its running checksum.
    whole: (Sequence, u32),
    /// The commit up to which the rest was learnt.
    recent: Sequence,
}

impl TrainedLexicon {
    /// What it taught at first, and what it taught lately.
    fn learnt(&self) -> impl Iterator<Item = &Lexicon> {
        let enough = self.units >= PAIRS_MIN as u64;
        [&self.whole, &self.recent].into_iter().filter(move |it| enough && !it.is_empty())
    }

    /// Terms of both languages that it knows.
    pub fn terms(&self) -> (usize, usize) {
        let ((a, b), (c, d)) = (self.whole.len(), self.recent.len());
        (a.max(c), b.max(d))
    }
}

/// The lexicon of a memory while the memory is open.
#[derive(Debug, Default)]
pub(crate) struct LexiconSlot {
    taught: Mutex<Option<Arc<TrainedLexicon>>>,
    /// Held while learning: what two want is learnt once.
    learning: Mutex<()>,
}

impl LexiconSlot {
    /// What is there; what `read` gives, or nothing taught, when nobody has looked yet.
    fn get_or_read(&self, read: impl FnOnce() -> Option<TrainedLexicon>) -> Arc<TrainedLexicon> {
        let mut taught = self.taught.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(taught.get_or_insert_with(|| Arc::new(read().unwrap_or_default())))
    }

    fn set(&self, taught: &Arc<TrainedLexicon>) {
        *self.taught.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(taught));
    }
}

/// Told the part of learning that is done, from 0 to 1.
pub type TrainingProgress<'a> = &'a (dyn Fn(f32) + Sync);

impl Engine {
    /// The lexicon of a memory, as good as it is: read from disk, but not learnt.
    pub(crate) fn known(&self, memory: &Memory) -> Arc<TrainedLexicon> {
        memory.lexicon.get_or_read(|| {
            let record = memory.record();
            let path = self.lexicon_path(&record)?;
            read(&path, &record, self.backend.log.as_ref()).unwrap_or_else(|error| {
                tracing::warn!(
                    memory = %record.name,
                    "the lexicon is not used: {error}; it will be learnt again"
                );
                None
            })
        })
    }

    /// The lexicon of a memory, learnt from what has changed if much has. Blocks for a while.
    ///
    /// # Errors
    /// No such memory; cancelled; the store.
    pub fn lexicon(
        &self,
        name: &MemoryName,
        cancel: &Cancel,
        progress: TrainingProgress<'_>,
    ) -> Result<Arc<TrainedLexicon>, EngineError> {
        self.learn(name, false, cancel, progress)
    }

    /// Learns the lexicon of a memory from all of its units.
    ///
    /// # Errors
    /// No such memory; cancelled; the store.
    pub fn train(
        &self,
        name: &MemoryName,
        cancel: &Cancel,
        progress: TrainingProgress<'_>,
    ) -> Result<Arc<TrainedLexicon>, EngineError> {
        self.learn(name, true, cancel, progress)
    }

    fn learn(
        &self,
        name: &MemoryName,
        anew: bool,
        cancel: &Cancel,
        progress: TrainingProgress<'_>,
    ) -> Result<Arc<TrainedLexicon>, EngineError> {
        let memory = self.named(name)?;
        let _one_at_a_time = memory.lexicon.learning.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.known(&memory);
        // What the log does not hold any more cannot be told apart from what was learnt.
        let is_held = known.provenance.whole.0 >= self.backend.log.start()?.sequence;
        let known =
            (known.provenance != Provenance::default() && is_held && !anew).then_some(known);
        let record = memory.record();
        let now = *self.sequence.borrow();
        let taught = match known {
            Some(known) => {
                let changed = |after| changed_since(self.backend.log.as_ref(), memory.key, after);
                let unknown = changed(known.provenance.recent)?.len() as u64;
                let hundredths = |units: u64| 100 * units / record.unit_count.max(1);
                if unknown == 0 || hundredths(unknown) < UNKNOWN_HUNDREDTHS {
                    return Ok(known);
                }
                let changed = changed(known.provenance.whole.0)?;
                if record.unit_count <= UNITS_AT_ONCE
                    || hundredths(changed.len() as u64) > RECENT_HUNDREDTHS
                {
                    self.learn_all(&memory, &record, now, cancel, progress)?
                } else {
                    let recent =
                        self.learn_from(&memory, Units::Some(changed), cancel, progress)?;
                    let mut provenance = known.provenance.clone();
                    provenance.recent = now;
                    TrainedLexicon {
                        provenance,
                        units: record.unit_count,
                        whole: known.whole.clone(),
                        recent,
                    }
                }
            }
            None => self.learn_all(&memory, &record, now, cancel, progress)?,
        };
        let taught = Arc::new(taught);
        memory.lexicon.set(&taught);
        if let Some(path) = self.lexicon_path(&record)
            && let Err(error) = postcard::to_stdvec(taught.as_ref())
                .map_err(io::Error::other)
                .and_then(|bytes| artifact::write(&path, MAGIC, |out| out.bytes(&bytes)))
        {
            tracing::warn!(memory = %record.name, "the lexicon was not saved: {error}");
        }
        Ok(taught)
    }

    fn learn_all(
        &self,
        memory: &Memory,
        record: &MemoryRecord,
        now: Sequence,
        cancel: &Cancel,
        progress: TrainingProgress<'_>,
    ) -> Result<TrainedLexicon, EngineError> {
        let position = position_of(self.backend.log.as_ref(), now)?.unwrap_or_default();
        let whole = self.learn_from(memory, Units::All, cancel, progress)?;
        Ok(TrainedLexicon {
            provenance: Provenance::of(record, (now, position.checksum), now),
            units: record.unit_count,
            whole,
            recent: Lexicon::default(),
        })
    }

    /// Reading is a fifth of the work, about.
    fn learn_from(
        &self,
        memory: &Memory,
        units: Units,
        cancel: &Cancel,
        progress: TrainingProgress<'_>,
    ) -> Result<Lexicon, EngineError> {
        /// Part of the work that reading is.
        const READING: f32 = 0.2;
        let mut corpus = Corpus::default();
        let all = match &units {
            Units::All => memory.record().unit_count,
            Units::Some(ids) => ids.len() as u64,
        };
        self.pages(memory, units, cancel, |page| {
            let analysed = self.bulk.install(|| {
                let analyse = |unit: Unit| -> (Analysis, Analysis) {
                    let (source, target) = (&unit.content.source, &unit.content.target);
                    (
                        memory.analyzers.source.analyze_segment(source),
                        memory.analyzers.target.analyze_segment(target),
                    )
                };
                page.into_par_iter().map(analyse).collect::<Vec<_>>()
            });
            for (source, target) in &analysed {
                corpus.add(source, target);
            }
            #[expect(clippy::cast_precision_loss)]
            progress(READING * (corpus.len() as f32 / all.max(1) as f32).min(1.0));
            Ok(())
        })?;
        let stop = || cancel.is_cancelled();
        let learning = |part: f32| progress(READING + (1.0 - READING) * part);
        let learnt = self.bulk.install(|| corpus.train(&stop, &learning));
        learnt.map_err(|Cancelled| EngineError::Cancelled)
    }

    /// Tells the units of a memory page by page, in the order of their numbers.
    pub(crate) fn pages(
        &self,
        memory: &Memory,
        units: Units,
        cancel: &Cancel,
        mut tell: impl FnMut(Vec<Unit>) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        match units {
            Units::All => {
                let mut after = None;
                loop {
                    if cancel.is_cancelled() {
                        return Err(EngineError::Cancelled);
                    }
                    let page = self.backend.store.page(memory.key, after, LOAD_PAGE_UNITS)?;
                    // What is left of a memory that was deleted meanwhile is not the memory.
                    if self.catalog.by_key(memory.key).is_none() {
                        return Err(EngineError::NoMemory(memory.record().name));
                    }
                    let Some(last) = page.last() else { return Ok(()) };
                    after = Some(last.id);
                    tell(page)?;
                }
            }
            Units::Some(ids) => {
                let ids: Vec<UnitId> = ids.into_iter().collect();
                for ids in ids.chunks(LOAD_PAGE_UNITS) {
                    if cancel.is_cancelled() {
                        return Err(EngineError::Cancelled);
                    }
                    tell(
                        self.backend.store.units(memory.key, ids)?.into_iter().flatten().collect(),
                    )?;
                }
                Ok(())
            }
        }
    }

    pub(crate) fn lexicon_path(&self, record: &MemoryRecord) -> Option<PathBuf> {
        let directory = self.derived.as_ref()?;
        Some(directory.join(format!("{}.{ENDING}", record.key.0)))
    }

    /// Learns the lexicon of every memory that has changed much, where nothing was written for a while. Blocks; meant for a
    /// thread of its own, which it makes give way to others.
    pub fn train_what_changed(&self, cancel: &Cancel) {
        priority::lower_priority();
        for record in self.memories(None, usize::MAX) {
            // A memory of a few units teaches when it is asked.
            if record.unit_count > UNITS_AT_ONCE
                && let Err(error) = self.lexicon(&record.name, cancel, &|_| ())
                && !matches!(error, EngineError::Cancelled | EngineError::NoMemory(_))
            {
                tracing::warn!(memory = %record.name, "no lexicon was learnt: {error}");
            }
        }
    }
}

/// Which units of a memory.
pub(crate) enum Units {
    All,
    Some(BTreeSet<UnitId>),
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

/// What every installation knows of two languages, and what memories have taught.
pub(crate) fn lexicons<'a>(
    (source, target): (&Lang, &Lang),
    taught: impl IntoIterator<Item = &'a Arc<TrainedLexicon>>,
) -> Vec<&'a Lexicon> {
    let mut lexicons = vec![builtin(source, target)];
    lexicons.extend(taught.into_iter().flat_map(|it| it.learnt()));
    lexicons
}

/// A lexicon in a file; `None` when there is none.
pub(crate) fn read(
    path: &Path,
    record: &MemoryRecord,
    log: &dyn CommitLog,
) -> io::Result<Option<TrainedLexicon>> {
    let Some(mut input) = artifact::open(path, MAGIC)? else { return Ok(None) };
    let taught = input.bytes()?;
    input.finish()?;
    let taught: TrainedLexicon =
        postcard::from_bytes(&taught).map_err(|_| unfit("it cannot be read"))?;
    let provenance = &taught.provenance;
    let expected = Provenance::of(record, provenance.whole, provenance.recent);
    let position = position_of(log, provenance.whole.0).map_err(io::Error::other)?;
    let in_log = position.is_some_and(|it| it.checksum == provenance.whole.1);
    let end = log.end().map_err(io::Error::other)?;
    if *provenance != expected || !in_log || provenance.recent > end.sequence {
        return Err(unfit("it was learnt from other texts, by other rules or from another store"));
    }
    Ok(Some(taught))
}
