//! Extracts a project memory: every unit that matches any segment of a job, once, with its best match.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};

use crate::limits::{EXTRACT_STEP_SEGMENTS, EXTRACT_UNITS_MAX, LOOKUP_MATCHES_MAX};
use crate::matching::{Hit, MatchKind};
use crate::store::MemoryKey;
use crate::unit::{MemoryName, Score, Unit, UnitId};

use super::explain::Explain;
use super::lookup::LookupSettings;
use super::query_segment::QuerySegment;
use crate::engine::Engine;
use crate::engine::cancel::Cancel;
use crate::engine::error::EngineError;

/// A unit that matches a segment of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct ExtractedUnit {
    /// Its memory.
    pub memory: MemoryName,
    /// The unit.
    pub unit: Unit,
    /// The kind of its best match.
    pub kind: MatchKind,
    /// The score of its best match.
    pub score: Score,
    /// The points that penalties took off its best match: of its memory, of all rules, and of its state.
    pub penalty: Score,
}

/// How much of a job was searched and found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExtractCounts {
    /// Segments searched.
    pub segments: u64,
    /// Segments with a match.
    pub matched_segments: u64,
    /// Segments with more matches than are taken for one segment.
    pub cut_segments: u64,
    /// Units found.
    pub units: u64,
}

/// The best match of a unit. The least is the best.
type Best = (MatchKind, Reverse<Score>, Score);

/// A memory by its place in the settings, and a unit of it.
type Found = (usize, UnitId);

/// A running extraction: segments are added, then the units are read in pages.
pub struct Extraction {
    settings: LookupSettings,
    /// In the order of the settings.
    memories: Vec<MemoryKey>,
    best: BTreeMap<Found, Best>,
    counts: ExtractCounts,
}

impl Extraction {
    /// Uses the memories, the least score, the filter and the penalties of the settings.
    ///
    /// # Errors
    /// As of [`check_settings`](Engine::check_settings).
    pub fn new(engine: &Engine, mut settings: LookupSettings) -> Result<Self, EngineError> {
        // One more tells whether there are more.
        settings.max_matches = LOOKUP_MATCHES_MAX + 1;
        settings.explain = Explain { edits: false, adapted: false, spans_to_edit: false };
        engine.check_settings(&settings)?;
        let keys = settings.memories.iter().map(|choice| engine.memory_key(&choice.memory));
        let memories = keys.collect::<Result<_, _>>()?;
        let (best, counts) = (BTreeMap::new(), ExtractCounts::default());
        Ok(Self { settings, memories, best, counts })
    }

    /// The counts so far.
    pub fn counts(&self) -> ExtractCounts {
        self.counts
    }

    /// Searches the next segments.
    ///
    /// # Errors
    /// An invalid segment; too many units; a memory was deleted; cancelled; the store.
    pub fn add(
        &mut self,
        engine: &Engine,
        segments: &[QuerySegment],
        cancel: &Cancel,
    ) -> Result<(), EngineError> {
        let Self { settings, memories, best, counts } = self;
        let search = engine.searcher(settings, segments, cancel)?;
        for (memory, key) in search.memories().zip(memories) {
            // Another one may have its name now, whose units have the same numbers.
            if memory.key != *key {
                return Err(EngineError::NoMemory(memory.record().name.clone()));
            }
        }
        for some in segments.chunks(EXTRACT_STEP_SEGMENTS) {
            let hits = |segment| Ok(search.hits(segment)?.iter().map(condensed).collect());
            let found: Vec<Vec<(Found, Best)>> =
                some.par_iter().map(hits).collect::<Result<_, EngineError>>()?;
            for mut hits in found {
                counts.segments += 1;
                counts.matched_segments += u64::from(!hits.is_empty());
                counts.cut_segments += u64::from(hits.len() > LOOKUP_MATCHES_MAX);
                hits.truncate(LOOKUP_MATCHES_MAX);
                for (unit, hit) in hits {
                    keep_best(best, unit, hit);
                }
            }
            counts.units = best.len() as u64;
            if best.len() > EXTRACT_UNITS_MAX {
                let what = format!(
                    "more than {EXTRACT_UNITS_MAX} units match; ask for a higher score, or extract the job in parts"
                );
                return Err(EngineError::invalid("segments", what));
            }
        }
        Ok(())
    }

    /// The next units, at most `limit`, memory by memory in the order of the settings, in order of their numbers; `None` after the
    /// last. Units that were deleted meanwhile, or that the filter no longer accepts, are left out, so a page may be empty.
    ///
    /// # Errors
    /// A memory was deleted; the store.
    pub fn page(
        &mut self,
        engine: &Engine,
        limit: usize,
    ) -> Result<Option<Vec<ExtractedUnit>>, EngineError> {
        let Some((&(place, _), _)) = self.best.first_key_value() else { return Ok(None) };
        let mut some: BTreeMap<UnitId, Best> = BTreeMap::new();
        while some.len() < limit
            && let Some(entry) = self.best.first_entry()
            && entry.key().0 == place
        {
            let ((_, unit), best) = entry.remove_entry();
            some.insert(unit, best);
        }
        let (name, key) = (&self.settings.memories[place].memory, self.memories[place]);
        let no_memory = || EngineError::NoMemory(name.clone());
        let memory = engine.catalog.by_key(key).ok_or_else(no_memory)?;
        let filter = self.settings.filter.prepare(&memory.analyzers, "settings.filter")?;
        let ids: Vec<UnitId> = some.keys().copied().collect();
        let units = engine.backend.store.units(key, &ids)?;
        // The memory may have been deleted meanwhile, and its units partly purged.
        engine.catalog.by_key(key).ok_or_else(no_memory)?;
        let units = units.into_iter().flatten().filter(|unit| filter.accepts(unit));
        let units = units.filter_map(|unit| {
            let (kind, Reverse(score), penalty) = some.remove(&unit.id)?;
            Some(ExtractedUnit { memory: name.clone(), unit, kind, score, penalty })
        });
        Ok(Some(units.collect()))
    }
}

fn condensed((memory, hit): &(usize, Hit)) -> (Found, Best) {
    let penalties = hit.deductions.iter().filter(|(reason, _)| reason.is_penalty());
    let penalty: u32 = penalties.map(|(_, hundredths)| u32::from(hundredths)).sum();
    // All deductions together are no more than all points.
    let penalty = Score::from_hundredths(penalty).unwrap_or(Score::FULL);
    ((*memory, hit.unit), (hit.kind, Reverse(hit.score), penalty))
}

fn keep_best(best: &mut BTreeMap<Found, Best>, unit: Found, hit: Best) {
    match best.entry(unit) {
        Entry::Vacant(entry) => {
            entry.insert(hit);
        }
        Entry::Occupied(mut entry) => {
            if hit < *entry.get() {
                entry.insert(hit);
            }
        }
    }
}
