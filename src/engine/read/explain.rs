//! Explains a match: where query and stored source differ, and what follows for the target.

use std::ops::Range;
use std::sync::Arc;

use crate::limits::ADAPTED_PLACES_MAX;
use crate::matching::{Adapted, Edit, adapt, changed_placeables, compare};
use crate::text::Analysis;
use crate::unit::UnitContent;

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
    fn needs_comparison(self) -> bool {
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

impl Engine {
    /// Compares a query with a unit of a memory, as far as it is asked for.
    pub(super) fn explain(
        &self,
        wanted: Explain,
        (memory, analyzers): (&Arc<Memory>, &Analyzers),
        (query, content): (&Analysis, &UnitContent),
        cancel: &Cancel,
    ) -> Result<Explanation, EngineError> {
        let mut found = Explanation::default();
        if !wanted.needs_comparison() {
            return Ok(found);
        }
        let source = analyzers.source.analyze_segment(&content.source);
        let comparison = compare(query, &source, &|| cancel.is_cancelled());
        let comparison = comparison.map_err(|_| EngineError::Cancelled)?;
        let mut changed = Vec::new();
        if wanted.adapted {
            changed = changed_placeables(query, &source, &comparison.pairs);
        }
        let has_edited = wanted.spans_to_edit && !comparison.edited_source_tokens.is_empty();
        if !changed.is_empty() || has_edited {
            if cancel.is_cancelled() {
                return Err(EngineError::Cancelled);
            }
            let target = analyzers.target.analyze_segment(&content.target);
            if !changed.is_empty() && changed.len() <= ADAPTED_PLACES_MAX {
                found.adapted = adapt(query, &source, &target, &content.target.text, &changed);
            }
            if has_edited {
                let edited = edited(&source, &comparison.edited_source_tokens);
                let texts = (&source, &target);
                found.spans_to_edit = self.aligned_target_spans(memory, texts, &edited, cancel)?;
            }
        }
        if wanted.edits {
            found.edits = comparison.edits;
        }
        Ok(found)
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
