//! Exports the units of a memory in the order of their numbers, all or a selection, page by page.
//!
//! A page begins after a unit number, so an interrupted export can be resumed.

use std::sync::Arc;

use crate::limits::{EXPORT_LOOK_UNITS, UNIT_PAGE_MAX};
use crate::matching::{ConcordanceMode, Expression, Filter, Page, Side, WordForm};
use crate::unit::{MemoryName, Unit, UnitId};

use super::filter::{PreparedFilter, UnitFilter};
use super::words::{check_words, no_word};
use crate::engine::Engine;
use crate::engine::cancel::Cancel;
use crate::engine::error::EngineError;
use crate::engine::replica::catalog::Memory;

/// Which units to export.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportQuery {
    /// Only units that it accepts.
    pub filter: UnitFilter,
    /// Only units with all of its words in the source or all in the target; empty for all units.
    pub text: String,
}

/// An export in progress.
pub struct Export {
    memory: Arc<Memory>,
    filter: PreparedFilter<'static>,
    /// The numbers of the units that match the texts, in order.
    found: Option<Vec<UnitId>>,
    after: Option<UnitId>,
    ended: bool,
}

impl Export {
    /// The last unit that was examined, after which the export can be resumed.
    pub fn after(&self) -> Option<UnitId> {
        self.after
    }
}

impl Engine {
    /// Begins an export, from the first unit above `after`.
    ///
    /// # Errors
    /// No such memory; a text without a word; a filter with too many conditions; cancelled.
    pub fn export(
        &self,
        name: &MemoryName,
        query: ExportQuery,
        after: Option<UnitId>,
        cancel: &Cancel,
    ) -> Result<Export, EngineError> {
        let memory = self.named(name)?;
        let filter = query.filter.into_prepared(&memory.analyzers, "filter")?;
        let mut found = match query.text.trim() {
            "" => None,
            text => Some(units_with(&memory, text, cancel)?),
        };
        for expression in filter.required_texts() {
            let mut units = units_of(&memory, expression, cancel)?;
            units.sort_unstable();
            if let Some(found) = &found {
                units.retain(|unit| found.binary_search(unit).is_ok());
            }
            found = Some(units);
        }
        Ok(Export { memory, filter, found, after, ended: false })
    }

    /// The next units, at most `limit`; `None` after the last. A page may be empty if many consecutive units do not match, so that
    /// the caller can stop between pages.
    ///
    /// # Errors
    /// The memory was deleted; the store.
    pub fn export_page(
        &self,
        export: &mut Export,
        limit: usize,
    ) -> Result<Option<Vec<Unit>>, EngineError> {
        let limit = limit.min(UNIT_PAGE_MAX);
        let mut page = Vec::new();
        let mut examined = 0;
        while !export.ended && page.len() < limit && examined < EXPORT_LOOK_UNITS {
            let left = limit - page.len();
            let units = match &export.found {
                None => self.backend.store.page(export.memory.key, export.after, left)?,
                Some(found) => {
                    let from = found.partition_point(|id| Some(*id) <= export.after);
                    let ids = &found[from..found.len().min(from + left)];
                    export.after = ids.last().copied().or(export.after);
                    export.ended = ids.is_empty();
                    self.backend
                        .store
                        .units(export.memory.key, ids)?
                        .into_iter()
                        .flatten()
                        .collect()
                }
            };
            if export.found.is_none() {
                export.ended = units.len() < left;
                export.after = units.last().map(|unit| unit.id).or(export.after);
            }
            // The memory was deleted meanwhile, and its units may be partly purged.
            if self.catalog.by_key(export.memory.key).is_none() {
                return Err(EngineError::NoMemory(export.memory.record().name.clone()));
            }
            examined += left;
            page.extend(units.into_iter().filter(|unit| export.filter.accepts(unit)));
        }
        Ok((!page.is_empty() || !export.ended).then_some(page))
    }
}

/// The units that contain an expression, in any order.
fn units_of(
    memory: &Memory,
    expression: &Expression,
    cancel: &Cancel,
) -> Result<Vec<UnitId>, EngineError> {
    let cancelled = || cancel.is_cancelled();
    let filter = Filter::default();
    let page = Page { after: None, limit: usize::MAX, filter, cancelled: &cancelled };
    let found = memory.index.concordance(expression, &page);
    let found = found.map_err(|_| EngineError::Cancelled)?;
    Ok(found.into_iter().map(|passage| passage.place.unit).collect())
}

/// The units with all words of a text on one side.
fn units_with(memory: &Memory, text: &str, cancel: &Cancel) -> Result<Vec<UnitId>, EngineError> {
    let mut units = Vec::new();
    let mut searched = false;
    for side in [Side::Source, Side::Target] {
        let analyzer = match side {
            Side::Source => &memory.analyzers.source,
            Side::Target => &memory.analyzers.target,
        };
        let analysis = analyzer.analyze(text);
        let Some(expression) =
            Expression::new(&analysis, side, ConcordanceMode::Words, WordForm::Folded)
        else {
            continue;
        };
        check_words("query", &expression)?;
        searched = true;
        units.extend(units_of(memory, &expression, cancel)?);
    }
    if !searched {
        return Err(no_word("query"));
    }
    units.sort_unstable();
    units.dedup();
    Ok(units)
}
