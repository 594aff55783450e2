//! Explains a match: where query and stored source differ, and what follows for the target.

use std::cell::RefCell;
use std::ops::Range;

use crate::limits::ADAPTED_PLACES_MAX;
use crate::matching::{Adapted, ComparedText, Edit, adapt, changed_placeables, compare};
use crate::text::{Analysis, Analyzer};
use crate::unit::{Segment, Unit};

use super::links::{UnitLinks, find_links};
use crate::engine::Engine;
use crate::engine::cancel::Cancel;
use crate::engine::error::EngineError;
use crate::engine::replica::catalog::Memory;
use crate::engine::replica::encoding::Analyzers;

/// What to work out about a match beyond its score; the rest of a found match stays empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explain {
    /// Where query and stored source differ.
    pub edits: bool,
    /// The target with the numbers and other placeables of the query.
    pub adapted: bool,
    /// What of the target a translator has to change.
    pub spans_to_edit: bool,
}

impl Default for Explain {
    /// Everything.
    fn default() -> Self {
        Self { edits: true, adapted: true, spans_to_edit: true }
    }
}

impl Explain {
    pub(super) fn needs_comparison(self) -> bool {
        self.edits || self.adapted || self.spans_to_edit
    }
}

/// What follows from the differences between a query and a stored source.
#[derive(Debug, Default)]
pub(super) struct Explanation {
    pub(super) edits: Vec<Edit>,
    pub(super) adapted: Option<Adapted>,
    pub(super) spans_to_edit: Vec<Range<usize>>,
}

/// An analysis that is made when it is first needed.
struct Lazy<'a> {
    analysis: &'a mut Analysis,
    of: Option<(&'a Analyzer, &'a Segment)>,
}

impl Lazy<'_> {
    fn get(&mut self) -> &Analysis {
        if let Some((analyzer, segment)) = self.of.take() {
            analyzer.analyze_segment_into(segment, self.analysis);
        }
        self.analysis
    }
}

thread_local! {
    /// Analyses of source and target, reused.
    static SCRATCH: RefCell<(Analysis, Analysis)> = RefCell::default();
}

impl Engine {
    /// Compares a query with a unit of a memory that is not an exact match, as far as it is asked for.
    pub(super) fn explain(
        &self,
        wanted: Explain,
        (memory, analyzers): (&Memory, &Analyzers),
        (query, compared): (&Analysis, &ComparedText<'_>),
        unit: &Unit,
        cancel: &Cancel,
    ) -> Result<Explanation, EngineError> {
        SCRATCH.with_borrow_mut(|(source, target)| {
            let content = &unit.content;
            analyzers.source.analyze_segment_into(&content.source, source);
            let source = &*source;
            let comparison =
                compare(compared, &ComparedText::new(source), &|| cancel.is_cancelled());
            let comparison = comparison.map_err(|_| EngineError::Cancelled)?;
            let mut target =
                Lazy { analysis: target, of: Some((&analyzers.target, &content.target)) };
            let mut found = Explanation::default();
            if wanted.adapted {
                let changed = changed_placeables(query, source, &comparison.pairs);
                if !changed.is_empty() && changed.len() <= ADAPTED_PLACES_MAX {
                    let text = &content.target.text;
                    found.adapted = adapt(query, source, target.get(), text, &changed);
                }
            }
            if wanted.spans_to_edit && !comparison.edited_source_tokens.is_empty() {
                let links = match self.known_links(memory, unit) {
                    UnitLinks::Known(links) => links,
                    UnitLinks::Unknown(lexicon, number) => {
                        let texts = (source, target.get());
                        find_links((memory, unit), texts, (&lexicon, number), cancel)?
                    }
                };
                let edited = edited(source, &comparison.edited_source_tokens);
                found.spans_to_edit = links.spans(&edited);
            }
            if wanted.edits {
                found.edits = comparison.edits;
            }
            Ok(found)
        })
    }
}

/// Which tokens are edited, from the indexes of edited tokens among those that count.
fn edited(source: &Analysis, numbers: &[usize]) -> Vec<bool> {
    let mut counted = 0..;
    let tokens = source.tokens().iter().map(|token| {
        // The numbers are in order.
        token.kind.counts()
            && counted.next().is_some_and(|number| numbers.binary_search(&number).is_ok())
    });
    tokens.collect()
}
