//! Trains the lexicons of memories: on all units from time to time, and on units that have changed since.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::alignment::{Cancelled, Corpus, Lexicon};
use crate::engine::cancel::Cancel;
use crate::engine::error::EngineError;
use crate::engine::handle::Engine;
use crate::engine::priority::lower_priority;
use crate::engine::replica::catalog::Memory;
use crate::engine::replica::changes::changed_since;
use crate::engine::replica::lexicon::{self, TrainedLexicon};
use crate::limits::LOAD_PAGE_UNITS;
use crate::store::{LogPosition, MemoryRecord, Sequence};
use crate::text::Analysis;
use crate::unit::{MemoryName, Unit, UnitId};

/// Largest memory whose lexicon is trained on all units whenever it is used: that is fast enough.
const UNITS_AT_ONCE: u64 = 2_000;
/// Changed units, in hundredths of the memory, below which a lexicon is not trained again: they hardly affect it.
const UNKNOWN_HUNDREDTHS: u64 = 2;
/// Changed units, in hundredths of the memory, above which a lexicon is trained on all units again.
const RECENT_HUNDREDTHS: u64 = 25;

/// Receives the progress of a training, from 0 to 1.
pub type TrainingProgress<'a> = &'a (dyn Fn(f32) + Sync);

impl Engine {
    /// The present lexicon of a memory, from memory or its file, without training.
    pub(crate) fn cached_lexicon(&self, memory: &Memory) -> Arc<TrainedLexicon> {
        self.numbered_lexicon(memory).0
    }

    /// The same with a number that changes with the lexicon.
    pub(crate) fn numbered_lexicon(&self, memory: &Memory) -> (Arc<TrainedLexicon>, u64) {
        memory.lexicon.get_or_read(|| {
            let record = memory.record();
            let path = self.lexicon_path(&record)?;
            lexicon::read(&path, &record, self.backend.log.as_ref()).unwrap_or_else(|error| {
                tracing::warn!(
                    memory = %record.name,
                    "the lexicon is not used: {error}; it will be trained again"
                );
                None
            })
        })
    }

    /// The lexicon of a memory, trained again if much has changed. Blocks.
    ///
    /// # Errors
    /// No such memory; cancelled; the store.
    pub fn ensure_trained(
        &self,
        name: &MemoryName,
        cancel: &Cancel,
        progress: TrainingProgress<'_>,
    ) -> Result<Arc<TrainedLexicon>, EngineError> {
        self.train_lexicon(name, false, cancel, progress)
    }

    /// Trains the lexicon of a memory on all of its units.
    ///
    /// # Errors
    /// No such memory; cancelled; the store.
    pub fn train(
        &self,
        name: &MemoryName,
        cancel: &Cancel,
        progress: TrainingProgress<'_>,
    ) -> Result<Arc<TrainedLexicon>, EngineError> {
        self.train_lexicon(name, true, cancel, progress)
    }

    fn train_lexicon(
        &self,
        name: &MemoryName,
        anew: bool,
        cancel: &Cancel,
        progress: TrainingProgress<'_>,
    ) -> Result<Arc<TrainedLexicon>, EngineError> {
        let memory = self.named(name)?;
        let _one_at_a_time = memory.lexicon.training.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.cached_lexicon(&memory);
        // If the log was truncated after its commit, the changes since are unknown.
        let is_held = known.provenance.whole.0 >= self.backend.log.start()?.sequence;
        let known = (!known.is_empty() && is_held && !anew).then_some(known);
        let record = memory.record();
        let now = *self.sequence.borrow();
        let trained = match known {
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
                    self.train_all(&memory, &record, now, cancel, progress)?
                } else {
                    let recent = self.train_on(&memory, Units::Some(changed), cancel, progress)?;
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
            None => self.train_all(&memory, &record, now, cancel, progress)?,
        };
        let trained = Arc::new(trained);
        memory.lexicon.set(&trained);
        if let Some(path) = self.lexicon_path(&record)
            && let Err(error) = lexicon::write(&path, &trained)
        {
            tracing::warn!(memory = %record.name, "cannot write the lexicon: {error}");
        }
        Ok(trained)
    }

    fn train_all(
        &self,
        memory: &Memory,
        record: &MemoryRecord,
        now: Sequence,
        cancel: &Cancel,
        progress: TrainingProgress<'_>,
    ) -> Result<TrainedLexicon, EngineError> {
        let checksum = self.backend.log.mark_at(now)?.unwrap_or_default().checksum;
        let whole = self.train_on(memory, Units::All, cancel, progress)?;
        Ok(TrainedLexicon::of_all(record, LogPosition { sequence: now, checksum }, whole))
    }

    /// Trains on some units.
    fn train_on(
        &self,
        memory: &Memory,
        units: Units,
        cancel: &Cancel,
        progress: TrainingProgress<'_>,
    ) -> Result<Lexicon, EngineError> {
        /// The share of reading in the progress.
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
        let training = |part: f32| progress(READING + (1.0 - READING) * part);
        let trained = self.bulk.install(|| corpus.train(&stop, &training));
        trained.map_err(|Cancelled| EngineError::Cancelled)
    }

    /// Reads the units of a memory page by page, in the order of their numbers.
    pub(crate) fn pages(
        &self,
        memory: &Memory,
        units: Units,
        cancel: &Cancel,
        mut take: impl FnMut(Vec<Unit>) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        match units {
            Units::All => {
                let mut after = None;
                loop {
                    if cancel.is_cancelled() {
                        return Err(EngineError::Cancelled);
                    }
                    let page = self.backend.store.page(memory.key, after, LOAD_PAGE_UNITS)?;
                    // The memory was deleted meanwhile, and its units may be partly purged.
                    if self.catalog.by_key(memory.key).is_none() {
                        return Err(EngineError::NoMemory(memory.record().name.clone()));
                    }
                    let Some(last) = page.last() else { return Ok(()) };
                    after = Some(last.id);
                    take(page)?;
                }
            }
            Units::Some(ids) => {
                let ids: Vec<UnitId> = ids.into_iter().collect();
                for ids in ids.chunks(LOAD_PAGE_UNITS) {
                    if cancel.is_cancelled() {
                        return Err(EngineError::Cancelled);
                    }
                    take(
                        self.backend.store.units(memory.key, ids)?.into_iter().flatten().collect(),
                    )?;
                }
                Ok(())
            }
        }
    }

    pub(crate) fn lexicon_path(&self, record: &MemoryRecord) -> Option<PathBuf> {
        let directory = self.derived.as_ref()?;
        Some(directory.join(format!("{}.{}", record.key.0, lexicon::ENDING)))
    }

    /// Trains the lexicon of every memory that has changed much. Blocks; lowers the priority of its thread.
    pub fn train_outdated(&self, cancel: &Cancel) {
        lower_priority();
        for record in self.memories(None, usize::MAX) {
            // The lexicon of a small memory is trained when it is used.
            if record.unit_count > UNITS_AT_ONCE
                && let Err(error) = self.ensure_trained(&record.name, cancel, &|_| ())
                && !matches!(error, EngineError::Cancelled | EngineError::NoMemory(_))
            {
                tracing::warn!(memory = %record.name, "cannot train the lexicon: {error}");
            }
        }
    }
}

/// A selection of a memory's units.
pub(crate) enum Units {
    All,
    Some(BTreeSet<UnitId>),
}
