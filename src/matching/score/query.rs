//! Queries and search options.

use crate::limits::STATE_PENALTY_HUNDREDTHS;
use crate::matching::encode::{Filter, Form};
use crate::text::Analysis;
use crate::unit::{Context, ContextMode, Score};

use super::penalties::Penalties;

/// A segment to search for, prepared once for any number of memories.
#[derive(Debug, Clone, Default)]
pub struct Query {
    pub(crate) form: Form,
    pub(crate) context: Context,
    /// Hash of the context id.
    pub(crate) context_key: Option<u64>,
    /// Its document; empty when unknown.
    pub(crate) document: String,
    /// Whether it has only numbers, code, links and the like, and nothing to translate.
    pub(crate) placeables_only: bool,
}

impl Query {
    /// Prepares an analysed text with the signature of its inline tags (0 for none) and its known neighbours.
    pub fn new(analysis: &Analysis, tags: u64, context: Context) -> Self {
        let form = Form::new(analysis, tags);
        let placeables_only = !form.is_empty() && !analysis.has_words();
        Self { form, context, placeables_only, ..Self::default() }
    }

    /// Sets the hash of its context id and its document.
    #[must_use]
    pub fn at(self, context_key: Option<u64>, document: &str) -> Self {
        Self { context_key, document: document.to_owned(), ..self }
    }

    /// The form that is compared.
    pub fn form(&self) -> &Form {
        &self.form
    }
}

/// Options of a search.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Least score, all penalties included.
    pub min_score: Score,
    /// Most hits.
    pub limit: usize,
    /// Penalty of the memory, in hundredths.
    pub penalty: u16,
    /// Penalty of an unfinished translation, in hundredths.
    pub state_penalty: u16,
    /// Rules by which hits lose points besides.
    pub penalties: Penalties<'a>,
    /// How contexts that are missing count.
    pub context_mode: ContextMode,
    /// Which units may be found.
    pub filter: Filter<'a>,
    /// Called often; the search stops soon after it returns true.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

impl Default for Options<'_> {
    /// At least 70 points, five hits, no penalty of the memory, no filter, never cancelled.
    fn default() -> Self {
        Self {
            min_score: Score::FULL.minus_hundredths(3_000),
            limit: 5,
            penalty: 0,
            state_penalty: STATE_PENALTY_HUNDREDTHS,
            penalties: Penalties::default(),
            context_mode: ContextMode::default(),
            filter: Filter::default(),
            cancelled: &|| false,
        }
    }
}
