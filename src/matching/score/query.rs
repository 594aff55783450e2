//! What can be asked of an index, and what does it answer? Queries, options, hits, and the one order of hits.
//!
//! Knows nothing of how hits are found.

use crate::limits::STATE_PENALTY_HUNDREDTHS;
use crate::matching::encode::{Filter, Form};
use crate::text::Analysis;
use crate::unit::{Context, Score};

/// A segment to look for, made ready once for any number of memories.
#[derive(Debug, Clone, Default)]
pub struct Query {
    pub(crate) form: Form,
    pub(crate) context: Context,
    /// Only numbers, codes, links and their like: nothing of it is translated.
    pub(crate) placeables_only: bool,
}

impl Query {
    /// For an analysed text, the signature of its inline tags (0 for none) and its neighbours as far as they are known.
    pub fn new(analysis: &Analysis, tags: u64, context: Context) -> Self {
        let form = Form::new(analysis, tags);
        let placeables_only = !form.is_empty() && !analysis.has_words();
        Self { form, context, placeables_only }
    }

    /// What is compared.
    pub fn form(&self) -> &Form {
        &self.form
    }
}

/// How to look.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Least final score, penalty included.
    pub min_score: Score,
    /// Most hits.
    pub limit: usize,
    /// What every hit of this memory loses, in hundredths.
    pub penalty: u16,
    /// What a hit loses whose translation is not finished, in hundredths.
    pub state_penalty: u16,
    /// Which units may be found.
    pub filter: Filter<'a>,
    /// Asked often; the search stops soon after it says true.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

impl Default for Options<'_> {
    /// 70 points or more, five hits, no penalty of the memory, no filter, never cancelled.
    fn default() -> Self {
        Self {
            min_score: Score::FULL.minus_hundredths(3_000),
            limit: 5,
            penalty: 0,
            state_penalty: STATE_PENALTY_HUNDREDTHS,
            filter: Filter::default(),
            cancelled: &|| false,
        }
    }
}
