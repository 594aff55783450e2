//! Searches memories for an expression; returns pages of units with the found words highlighted.

use std::ops::Range;
use std::sync::Arc;

use crate::matching::{ConcordanceMode, Expression, Filter, Page, Passage, Place, Side, WordForm};
use crate::text::{Analyzer, Scan};
use crate::unit::{MemoryName, Unit};
use crate::validate::validate_text;

use super::filter::{OfUnitId, UnitFilter, search_filtered};
use super::lookup::RETRIES_MAX;
use super::words::{check_words, no_word};
use crate::engine::Engine;
use crate::engine::cancel::Cancel;
use crate::engine::error::EngineError;
use crate::engine::replica::catalog::Memory;
use crate::engine::replica::encoding::short_revision;

/// A concordance query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConcordanceSettings {
    /// At least one, without duplicates. Results are ordered by memory.
    pub memories: Vec<MemoryName>,
    /// The expression.
    pub text: String,
    /// Which side of the units is searched.
    pub side: Side,
    /// How its words belong together.
    pub mode: ConcordanceMode,
    /// When two words are the same.
    pub word_form: WordForm,
    /// Which units may be found.
    pub filter: UnitFilter,
}

/// The end of a page, after which the next one begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConcordancePlace {
    /// Index of the memory in the settings.
    pub memory: usize,
    /// The place in that memory.
    pub place: Place,
}

/// A unit that contains the expression.
#[derive(Debug, Clone)]
pub struct FoundPassage {
    /// Its memory.
    pub memory: MemoryName,
    /// The unit.
    pub unit: Unit,
    /// Byte ranges of the found words in the searched text.
    pub highlights: Vec<Range<usize>>,
}

/// A page of results.
#[derive(Debug, Clone)]
pub struct ConcordancePage {
    /// In order.
    pub passages: Vec<FoundPassage>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<ConcordancePlace>,
}

impl Engine {
    /// Finds a page of the units that contain an expression, by memory and then by length of the source, shortest first.
    ///
    /// # Errors
    /// No such memory; an expression without a word; cancelled; the store.
    pub fn concordance(
        &self,
        settings: &ConcordanceSettings,
        after: Option<ConcordancePlace>,
        limit: usize,
        cancel: &Cancel,
    ) -> Result<ConcordancePage, EngineError> {
        validate_text(&settings.text)
            .map_err(|fault| EngineError::invalid("text", fault.message))?;
        let mut passages = Vec::new();
        let mut next = None;
        let memories =
            self.distinct_memories(&settings.memories, |index| format!("memories[{index}]"))?;
        for (number, memory) in memories.iter().enumerate() {
            if after.is_some_and(|after| number < after.memory) {
                continue;
            }
            let behind = after.filter(|after| after.memory == number).map(|after| after.place);
            let wanted = limit - passages.len();
            let (found, more) = self.concordance_in(memory, settings, behind, wanted, cancel)?;
            let place =
                found.last().map(|(place, _)| ConcordancePlace { memory: number, place: *place });
            next = place.or(next).or(after);
            passages.extend(found.into_iter().map(|(_, passage)| passage));
            if more {
                return Ok(ConcordancePage { passages, next });
            }
        }
        Ok(ConcordancePage { passages, next: None })
    }

    /// The memories with these names; at least one, without duplicates.
    fn distinct_memories(
        &self,
        names: &[MemoryName],
        field: impl Fn(usize) -> String,
    ) -> Result<Vec<Arc<Memory>>, EngineError> {
        let mut memories: Vec<Arc<Memory>> = Vec::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            let memory = self.named(name)?;
            if memories.iter().any(|other| other.key == memory.key) {
                return Err(EngineError::invalid(field(index), "this memory is named twice"));
            }
            memories.push(memory);
        }
        if memories.is_empty() {
            return Err(EngineError::invalid("memories", "name at least one memory"));
        }
        Ok(memories)
    }

    /// The results in one memory, and whether there are more.
    fn concordance_in(
        &self,
        memory: &Memory,
        settings: &ConcordanceSettings,
        after: Option<Place>,
        limit: usize,
        cancel: &Cancel,
    ) -> Result<(Vec<(Place, FoundPassage)>, bool), EngineError> {
        let ConcordanceSettings { side, mode, word_form, .. } = *settings;
        let analyzer = match side {
            Side::Source => &memory.analyzers.source,
            Side::Target => &memory.analyzers.target,
        };
        let expression = Expression::new(&analyzer.analyze(&settings.text), side, mode, word_form)
            .ok_or_else(|| no_word("text"))?;
        check_words("text", &expression)?;
        let filter = settings.filter.prepare(&memory.analyzers, "filter")?;
        let store = self.backend.store.as_ref();
        let cancelled = || cancel.is_cancelled();
        for _ in 0..RETRIES_MAX {
            let search = |filter: Filter<'_>, _: Option<&OfUnitId<'_, ()>>| {
                let page = Page { after, limit: limit + 1, filter, cancelled: &cancelled };
                memory.index.concordance(&expression, &page)
            };
            let found = search_filtered((store, memory.key), &filter, None, search)?;
            let mut found = found.map_err(|_| EngineError::Cancelled)?;
            let more = found.len() > limit;
            found.truncate(limit);
            if let Some(passages) = self.read_passages(memory, found, (side, analyzer), cancel)? {
                return Ok((passages, more));
            }
        }
        Err(EngineError::changing())
    }

    /// Reads the units of passages; `None` when one of them has changed since the search.
    fn read_passages(
        &self,
        memory: &Memory,
        found: Vec<Passage>,
        (side, analyzer): (Side, &Analyzer),
        cancel: &Cancel,
    ) -> Result<Option<Vec<(Place, FoundPassage)>>, EngineError> {
        let name = memory.record().name.clone();
        // Only positions of words are needed here.
        let mut scan = Scan::default();
        let read = found.into_iter().map(|passage| {
            if cancel.is_cancelled() {
                return Err(EngineError::Cancelled);
            }
            let unit = self.backend.store.units(memory.key, &[passage.place.unit])?.pop().flatten();
            let unit = unit.filter(|unit| short_revision(unit) == passage.revision);
            let Some(unit) = unit else { return Ok(None) };
            let segment = match side {
                Side::Source => &unit.content.source,
                Side::Target => &unit.content.target,
            };
            analyzer.scan_segment_into(segment, &mut scan);
            let words: Vec<Range<usize>> = scan.words().map(|word| scan.span(word)).collect();
            let highlights = passage
                .tokens
                .iter()
                .filter_map(|tokens| {
                    Some(words.get(tokens.start)?.start..words.get(tokens.end - 1)?.end)
                })
                .collect();
            let passage = (passage.place, FoundPassage { memory: name.clone(), unit, highlights });
            Ok(Some(passage))
        });
        read.collect()
    }
}
