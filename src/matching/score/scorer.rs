//! Scores one encoded segment against a query: distance, deductions, kind and filter.
//!
//! Index search and full scan use the same code, so they can differ only in which segments they score. Knows nothing
//! of how segments are stored or selected.

use std::collections::HashMap;

use crate::limits::PLACEABLES_BASE_MIN;
use crate::matching::cancel::{Cancelled, STEPS_OF_WORD, Ticker};
use crate::matching::encode::{
    EncodedFilter, Gaps, Numbers, Row, RowFacts, UNKNOWN, Vocabulary, usual_gap,
};
use crate::matching::jagged_array::length_u32;
use crate::text::{Differences, gap_differences, token_differences};
use crate::unit::Score;

use super::align::{self, Step};
use super::context::QueryContext;
use super::context_parts::AgreedContexts;
use super::deductions::{
    Findings, NUMBER_COST, WORD_COST, base_hundredths, deductions, distance_max,
};
use super::hit::{Hit, MatchKind};
use super::penalties::EncodedPenalties;
use super::query::{Options, Query};
use super::token_cost::same_class_cost;

/// A query in the numbers of one memory, with its options.
pub(crate) struct Scorer<'a> {
    pub(crate) query: &'a Query,
    pub(crate) options: &'a Options<'a>,
    pub(crate) vocabulary: &'a Vocabulary,
    pub(crate) numbers: Vec<Numbers>,
    gaps: Vec<u32>,
    context: QueryContext,
    filter: EncodedFilter<'a>,
    penalties: EncodedPenalties<'a>,
}

/// Working memory, one for each thread.
#[derive(Default)]
pub(crate) struct ScorerScratch {
    stored: Vec<Numbers>,
    rows: Vec<u32>,
    graded: Graded,
}

/// Caches what query tokens cost in place of stored forms of their class, by (token, form).
#[derive(Default)]
pub(crate) struct Graded {
    costs: HashMap<(u32, u32), u32, foldhash::fast::FixedState>,
}

impl ScorerScratch {
    /// Prepares for another query.
    pub(crate) fn begin(&mut self) {
        self.graded.costs.clear();
    }
}

/// Entries of the vocabulary that are looked up for a token: its class, folded text, form, and surface.
const TEXTS_OF_TOKEN: usize = 4;

/// Most cached costs: more than any query of usual length needs.
const GRADED_MAX: usize = 1 << 16;

impl Graded {
    pub(crate) fn cost(&mut self, scorer: &Scorer<'_>, token: usize, form: u32) -> u32 {
        let asked = scorer.query.form.token(token);
        // Not cached: a text full of numbers would fill the cache with their pairs.
        if asked.number_like && scorer.vocabulary.is_number_like(form) {
            return NUMBER_COST;
        }
        let key = (length_u32(token), form);
        if let Some(&cost) = self.costs.get(&key) {
            return cost;
        }
        let stored = scorer.vocabulary.folded_form(form);
        let cost = same_class_cost(asked.class, (asked.folded, asked.number_like), stored);
        if self.costs.len() < GRADED_MAX {
            self.costs.insert(key, cost);
        }
        cost
    }
}

impl<'a> Scorer<'a> {
    pub(crate) fn new(
        query: &'a Query,
        options: &'a Options<'a>,
        vocabulary: &'a Vocabulary,
    ) -> Result<Self, Cancelled> {
        let mut ticker = Ticker::new(options.cancelled);
        let mut each = || ticker.tick(TEXTS_OF_TOKEN * STEPS_OF_WORD);
        let tokens = query.form.tokens().map(|token| each().map(|()| vocabulary.find(token)));
        let numbers = tokens.collect::<Result<_, _>>()?;
        let gaps = query.form.gaps().map(|gap| each().map(|()| vocabulary.find_gap(gap)));
        let gaps = gaps.collect::<Result<_, _>>()?;
        Ok(Self {
            query,
            options,
            vocabulary,
            numbers,
            gaps,
            context: QueryContext::new(query, options.context_mode, vocabulary),
            filter: EncodedFilter::new(options.filter, vocabulary),
            penalties: EncodedPenalties::new(options.penalties, vocabulary),
        })
    }

    /// Least base (in hundredths) with which a hit can reach the wanted score after the penalty. A query without
    /// words has a threshold of its own.
    pub(crate) fn base_min(&self) -> u16 {
        let wanted = match self.options.min_score {
            Score::ZERO => 0,
            wanted => wanted.hundredths().saturating_add(self.options.penalty).min(10_001),
        };
        if self.query.placeables_only { wanted.max(PLACEABLES_BASE_MIN) } else { wanted }
    }

    /// Returns the hit that a stored segment makes if its base is at least `base_min` (no less than that of the
    /// options), it reaches the wanted score and passes the filter, as far as the index knows: see
    /// [`confirm`](Self::confirm).
    pub(crate) fn hit(
        &self,
        row: Row<'_>,
        scratch: &mut ScorerScratch,
        base_min: u16,
        ticker: &mut Ticker<'_>,
    ) -> Result<Option<Hit>, Cancelled> {
        ticker.tick(row.words.len())?;
        scratch.stored.clear();
        scratch.stored.extend(row.words.iter().map(|&word| self.vocabulary.numbers(word)));
        let longest = self.numbers.len().max(scratch.stored.len());
        let ScorerScratch { stored, rows, graded } = scratch;
        let base = if longest == 0 {
            self.base_without_tokens(row.gaps)
        } else {
            // Only this check depends on the bound, so a distance above it need not be exact.
            let most = distance_max(base_min.min(10_000), longest);
            let mut cost = |i: usize, j: usize| self.cost(i, stored[j], graded);
            let lengths = (self.numbers.len(), stored.len());
            let distance = align::distance(lengths, most, &mut cost, rows, ticker)?;
            let Some(distance) = distance else { return Ok(None) };
            base_hundredths(distance, longest)
        };
        if base < base_min {
            return Ok(None);
        }
        self.finish(&row.facts, (stored, row.gaps), base, graded, ticker)
    }

    /// Cost of token `i` of the query in place of a stored token.
    pub(crate) fn cost(&self, i: usize, stored: Numbers, graded: &mut Graded) -> u32 {
        let asked = self.numbers[i];
        if asked.class != stored.class {
            WORD_COST
        } else if asked.form == stored.form {
            0
        } else {
            graded.cost(self, i, stored.form)
        }
    }

    /// Base of two segments without tokens that count.
    pub(crate) fn base_without_tokens(&self, gaps: Gaps<'_>) -> u16 {
        let stored = gaps.iter().next().map_or(usual_gap(0, 0), |(_, gap)| gap);
        let equal = self.query.form.gap(0).folded == self.vocabulary.gap(stored).folded;
        if equal { 10_000 } else { 0 }
    }

    /// Computes deductions and kind, and checks filter and wanted score, as far as facts decide.
    pub(crate) fn finish(
        &self,
        facts: &RowFacts,
        (stored, gaps): (&[Numbers], Gaps<'_>),
        base: u16,
        graded: &mut Graded,
        ticker: &mut Ticker<'_>,
    ) -> Result<Option<Hit>, Cancelled> {
        if !self.filter.matches_facts(facts) {
            return Ok(None);
        }
        let same_text =
            base == 10_000 && self.same_words(stored) && self.same_gaps(gaps, stored.len());
        let tags_differ = facts.tags != self.query.form.tags();
        let differences = if same_text {
            Differences::default()
        } else {
            self.differences(stored, gaps, graded, ticker)?
        };
        let exact = same_text && !tags_differ;
        let mut deductions = deductions(Findings { base, exact, differences, tags_differ });
        let rules = self.penalties.by_facts(facts);
        deductions.penalize(self.state_penalty(facts), rules.as_ref(), self.options.penalty);
        let score = deductions.score();
        if score < self.options.min_score {
            return Ok(None);
        }
        let (kind, agreed_contexts) = if exact {
            self.context.compare(facts)
        } else {
            (MatchKind::Fuzzy, AgreedContexts::default())
        };
        let RowFacts { unit, changed, revision, .. } = *facts;
        let penalty = self.penalty(rules.map_or(0, |rules| rules.total()));
        let pair = facts.identity().pair();
        Ok(Some(Hit {
            unit,
            kind,
            agreed_contexts,
            score,
            deductions,
            penalty,
            changed,
            revision,
            pair,
        }))
    }

    /// Applies what only the unit itself tells, for a hit that would otherwise be kept: the rest of filter and
    /// penalties.
    pub(crate) fn confirm(&self, mut hit: Hit, facts: &RowFacts) -> Option<Hit> {
        if !self.filter.accepts(facts) {
            return None;
        }
        if self.penalties.reads_units() {
            let rules = self.penalties.of_unit(facts)?;
            hit.deductions = hit.deductions.of_text();
            hit.deductions.penalize(self.state_penalty(facts), Some(&rules), self.options.penalty);
            hit.score = hit.deductions.score();
            hit.penalty = self.penalty(rules.total());
        }
        (hit.score >= self.options.min_score).then_some(hit)
    }

    fn state_penalty(&self, facts: &RowFacts) -> u16 {
        if facts.unfinished { self.options.state_penalty } else { 0 }
    }

    /// The penalty of the memory with that of rules.
    fn penalty(&self, rules: u32) -> u32 {
        rules.saturating_add(self.options.penalty.into())
    }

    fn same_words(&self, stored: &[Numbers]) -> bool {
        self.numbers.len() == stored.len()
            && self.numbers.iter().zip(stored).all(|(asked, stored)| asked.word == stored.word)
    }

    fn same_gaps(&self, gaps: Gaps<'_>, length: usize) -> bool {
        let mut unusual = gaps.iter().peekable();
        self.gaps.iter().enumerate().all(|(place, &gap)| {
            let stored = unusual.next_if(|&(unusual, _)| unusual as usize == place);
            gap == stored.map_or(usual_gap(place, length), |(_, gap)| gap)
        })
    }

    /// The spelling differences along an alignment.
    fn differences(
        &self,
        stored: &[Numbers],
        gaps: Gaps<'_>,
        graded: &mut Graded,
        ticker: &mut Ticker<'_>,
    ) -> Result<Differences, Cancelled> {
        let mut cost = |i: usize, j: usize| self.cost(i, stored[j], graded);
        let steps = align::align((self.numbers.len(), stored.len()), &mut cost, ticker)?;
        let token = |i: usize, j: usize| {
            let (asked, stored) = (self.numbers[i], stored[j]);
            if asked.form != stored.form || asked.word == stored.word {
                return Differences::default();
            }
            token_differences(
                self.query.form.token(i).surface,
                self.vocabulary.surface(stored.word),
            )
        };
        let gap = |i: usize, j: usize| {
            let number = gaps.at(j).unwrap_or(usual_gap(j, stored.len()));
            if number != UNKNOWN && self.gaps[i] == number {
                return Differences::default();
            }
            gap_differences(self.query.form.gap(i).canonical, self.vocabulary.gap(number).canonical)
        };
        Ok(differences_along(&steps, (self.numbers.len(), stored.len()), token, gap))
    }
}

/// Collects the differences of paired tokens, and of the gaps between two neighbours that are paired with two
/// neighbours (the ends of the text count as paired). Punctuation around an unpaired token belongs to the edit and is
/// not counted again.
pub(crate) fn differences_along(
    steps: &[Step],
    lengths: (usize, usize),
    token: impl Fn(usize, usize) -> Differences,
    gap: impl Fn(usize, usize) -> Differences,
) -> Differences {
    let mut all = Differences::default();
    let mut paired = true;
    for step in steps {
        let Step::Pair(i, j) = *step else {
            paired = false;
            continue;
        };
        if paired {
            all |= gap(i, j);
        }
        all |= token(i, j);
        paired = true;
    }
    if paired {
        all |= gap(lengths.0, lengths.1);
    }
    all
}

/// Whether any segment can reach the wanted score.
pub(crate) fn reachable(scorer: &Scorer<'_>) -> bool {
    scorer.options.limit > 0 && Score::from_hundredths(scorer.base_min().into()).is_some()
}
