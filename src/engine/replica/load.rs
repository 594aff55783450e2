//! Loads the indexes of memories: from checkpoints and later commits, or else from the units in the store.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use crate::limits::LOAD_PAGE_UNITS;
use crate::matching::MemoryIndex;
use crate::store::{Backend, MemoryKey, MemoryRecord};
use crate::unit::UnitId;

use super::catalog::Memory;
use super::changes::{apply_from_store, changed_since};
use super::checkpoints::Checkpoints;
use super::encoding;
use crate::engine::error::EngineError;

/// Progress of loading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoadProgress {
    /// Units loaded so far.
    pub loaded_units: u64,
    /// Units in the store.
    pub total_units: u64,
}

/// Statistics of a start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Units of all memories.
    pub units: u64,
    /// Of those, units loaded from a checkpoint.
    pub from_checkpoints: u64,
    /// Units that had changed since the checkpoint.
    pub replayed: u64,
}

/// Why an index is built from the store.
enum Reason {
    /// There is no checkpoint: the memory is new or small, or checkpoints are disabled.
    NoCheckpoint,
    /// The checkpoint is valid, but building the index is faster than updating it.
    Outdated(String),
    /// The checkpoint cannot be used.
    Unusable(String),
}

impl Reason {
    /// Logs that the index of a memory was built.
    fn log(&self, record: &MemoryRecord, units: u64, took: Duration) {
        let (memory, seconds) = (&record.name, took.as_secs_f64());
        let built = format!("built the index of {units} units from the store in {seconds:.1} s");
        match self {
            Self::NoCheckpoint => tracing::info!(%memory, "{built}: there is no checkpoint"),
            Self::Outdated(why) => tracing::info!(%memory, "{built}: the checkpoint is old: {why}"),
            Self::Unusable(why) => {
                tracing::warn!(%memory, "{built}: the checkpoint is not used: {why}");
            }
        }
    }
}

/// Loads memories one after the other.
pub(crate) struct Loading<'a> {
    pub(crate) backend: &'a Backend,
    pub(crate) checkpoints: &'a Checkpoints,
    pub(crate) loaded: Loaded,
    /// Units of each memory that are in no checkpoint.
    pub(crate) unwritten: BTreeMap<MemoryKey, u64>,
}

impl Loading<'_> {
    /// Loads the memory of a record.
    pub(crate) fn memory(
        &mut self,
        record: &MemoryRecord,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Memory, EngineError> {
        let reason = match self.read_checkpoint(record)? {
            Ok((memory, replayed)) => {
                progress(record.unit_count);
                self.loaded.units += record.unit_count;
                self.loaded.from_checkpoints += record.unit_count.saturating_sub(replayed);
                self.loaded.replayed += replayed;
                self.unwritten.insert(record.key, replayed);
                return Ok(memory);
            }
            Err(reason) => reason,
        };
        let started = Instant::now();
        let memory = Memory::new(record.clone(), MemoryIndex::new());
        let units = self.read_all(&memory, progress)?;
        reason.log(record, units, started.elapsed());
        self.loaded.units += units;
        self.unwritten.insert(record.key, units);
        Ok(memory)
    }

    /// Loads a memory from its checkpoint and the log, and counts the replayed units; or returns why its index must be built from
    /// the store.
    fn read_checkpoint(
        &self,
        record: &MemoryRecord,
    ) -> Result<Result<(Memory, u64), Reason>, EngineError> {
        let (index, sequence) = match self.checkpoints.read(record, self.backend.log.as_ref()) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(Err(Reason::NoCheckpoint)),
            Err(error) => return Ok(Err(Reason::Unusable(error.to_string()))),
        };
        let memory = Memory::new(record.clone(), index);
        let changed = changed_since(self.backend.log.as_ref(), record.key, sequence)?;
        let replayed = changed.len() as u64;
        // If most units are new, reading all of them in sequence is faster.
        if replayed > record.unit_count / 2 {
            let (commit, units) = (sequence.0, record.unit_count);
            return Ok(Err(Reason::Outdated(format!(
                "{replayed} units have changed since its commit {commit}, and the memory holds {units}"
            ))));
        }
        apply_from_store(self.backend.store.as_ref(), &memory, changed)?;
        let (found, units) = (memory.index.len(), record.unit_count);
        if found as u64 != units {
            let reason = format!("it holds {found} units, and the store {units}");
            return Ok(Err(Reason::Unusable(reason)));
        }
        Ok(Ok((memory, replayed)))
    }

    /// Builds the index of a memory from its units, a page at a time, each analysed in parallel; returns their number.
    fn read_all(&self, memory: &Memory, progress: &mut dyn FnMut(u64)) -> Result<u64, EngineError> {
        let mut loader = memory.index.loader();
        let mut units = 0;
        let read =
            |after: Option<UnitId>| self.backend.store.page(memory.key, after, LOAD_PAGE_UNITS);
        let mut page = read(None)?;
        while let Some(last) = page.last().map(|unit| unit.id) {
            // The next page is read while this one is analysed.
            let analyzers = &memory.analyzers;
            let ready = std::mem::take(&mut page).into_par_iter().map_init(
                || loader.encoder(),
                |encoder, unit| {
                    let entry = encoding::encode(&unit.content, analyzers, encoder);
                    let changed = unit.content.changed.unwrap_or_default();
                    entry.at(unit.id, encoding::short_revision(&unit), changed)
                },
            );
            let (next, entries): (_, Vec<_>) = rayon::join(|| read(Some(last)), || ready.collect());
            units += entries.len() as u64;
            progress(entries.len() as u64);
            loader.add(entries);
            page = next?;
        }
        loader.finish();
        Ok(units)
    }
}
