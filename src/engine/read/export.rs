//! What goes out of a memory? Its units in the order of their numbers, all or those that are wanted, page by page.
//!
//! A page is found again by the number of the unit before it, so an export that broke goes on where it was.

use std::sync::Arc;

use crate::limits::{EXPORT_LOOK_UNITS, UNIT_PAGE_MAX};
use crate::matching::{ConcordanceMode, Expression, Filter, Page, Side, WordForm};
use crate::unit::{MemoryName, Unit, UnitId};

use super::concordance::check_words;
use super::filter::UnitFilter;
use crate::engine::Engine;
use crate::engine::cancel::Cancel;
use crate::engine::error::EngineError;
use crate::engine::replica::catalog::Memory;

/// Which units are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportQuery {
    /// Only those that it lets through.
    pub filter: UnitFilter,
    /// Only those with all its words in the source or in the target, anywhere; empty for all.
    pub text: String,
}

/// Units on their way out.
pub struct Export {
    memory: Arc<Memory>,
    filter: UnitFilter,
    /// The numbers of the units with the text that is wanted, in order.
    found: Option<Vec<UnitId>>,
    after: Option<UnitId>,
    ended: bool,
}

impl Export {
    /// The last unit that was looked at: where to go on behind.
    pub fn after(&self) -> Option<UnitId> {
        self.after
    }
}

impl Engine {
    /// Begins an export, from the first unit above `after`.
    ///
    /// # Errors
    /// No such memory; a text without a word; cancelled.
    pub fn export(
        &self,
        name: &MemoryName,
        wanted: ExportQuery,
        after: Option<UnitId>,
        cancel: &Cancel,
    ) -> Result<Export, EngineError> {
        let memory = self.named(name)?;
        let found = match wanted.text.trim() {
            "" => None,
            text => Some(units_with(&memory, text, cancel)?),
        };
        Ok(Export { memory, filter: wanted.filter, found, after, ended: false })
    }

    /// The next units, at most `limit`; `None` after the last. A page may be empty where many units in a row are not
    /// wanted: there is a chance to stop between pages.
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
        let mut looked = 0;
        while !export.ended && page.len() < limit && looked < EXPORT_LOOK_UNITS {
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
            // Its units leave one after the other: what is left of them is not what was asked for.
            if self.catalog.by_key(export.memory.key).is_none() {
                return Err(EngineError::NoMemory(export.memory.record().name));
            }
            looked += left;
            page.extend(units.into_iter().filter(|unit| export.filter.accepts(unit)));
        }
        Ok((!page.is_empty() || !export.ended).then_some(page))
    }
}

/// The units with all words of a text on one side.
fn units_with(memory: &Memory, text: &str, cancel: &Cancel) -> Result<Vec<UnitId>, EngineError> {
    let cancelled = || cancel.is_cancelled();
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
        let filter = Filter::default();
        let page = Page { after: None, limit: usize::MAX, filter, cancelled: &cancelled };
        let found = memory.index.concordance(&expression, &page);
        let found = found.map_err(|_| EngineError::Cancelled)?;
        units.extend(found.into_iter().map(|passage| passage.place.unit));
    }
    if !searched {
        let what = "there is no word in it; punctuation is not searched";
        return Err(EngineError::invalid("query", what));
    }
    units.sort_unstable();
    units.dedup();
    Ok(units)
}
