//! Finds the spans in which two original texts differ, from the same alignment as the score.
//!
//! Computed from the texts, for the few matches that are returned. Knows nothing of indexes.

use std::ops::Range;

use crate::matching::cancel::{Cancelled, Ticker};
use crate::matching::encode;
use crate::text::{Analysis, Token};

use super::align::{self, Step};
use super::token_cost::substitution_cost;

/// How two spans differ; the query is what the stored source would have to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EditKind {
    /// The same words written differently: marks, letter variants, case, digits, punctuation, spacing.
    Changed,
    /// Different words.
    Replaced,
    /// Only in the query; the range of the source is empty.
    Inserted,
    /// Only in the stored source; the range of the query is empty.
    Deleted,
}

impl EditKind {
    /// A stable lower-case name for users and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Replaced => "replaced",
            Self::Inserted => "inserted",
            Self::Deleted => "deleted",
        }
    }
}

/// Two spans that differ, in UTF-8 bytes of the original texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The kind of difference.
    pub kind: EditKind,
    /// Span of the query.
    pub query: Range<usize>,
    /// Span of the stored source.
    pub source: Range<usize>,
}

/// A query compared with a stored source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// All differences, in order; neighbours of one kind are one edit.
    pub edits: Vec<Edit>,
    /// For each token of the stored source that counts, the query token that it is paired with; `None` when it has
    /// none. Only tokens that count are numbered.
    pub pairs: Vec<Option<usize>>,
    /// Tokens of the stored source (numbered likewise) that the query replaces or lacks.
    pub edited_source_tokens: Vec<usize>,
}

/// Compares a query with the source of a unit.
///
/// # Errors
///
/// [`Cancelled`] when `cancelled`, which is called often, returns true.
pub fn compare(
    query: &ComparedText<'_>,
    source: &ComparedText<'_>,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Comparison, Cancelled> {
    let sides = Sides { query, source };
    let mut cost = |i, j| substitution_cost(query.token(i), source.token(j));
    let lengths = (query.words.len(), source.words.len());
    let steps = align::align(lengths, &mut cost, &mut Ticker::new(cancelled))?;
    let mut edits_so_far = EditList::default();
    let mut comparison =
        Comparison { pairs: vec![None; source.words.len()], ..Comparison::default() };
    let (mut i, mut j, mut paired) = (0, 0, true);
    for step in steps {
        let pair = matches!(step, Step::Pair(..));
        if pair && paired {
            sides.add_gap(i, j, &mut edits_so_far);
        }
        let kind = sides.kind(step);
        let (next_i, next_j) = match step {
            Step::Pair(..) => (i + 1, j + 1),
            Step::First(_) => (i + 1, j),
            Step::Second(_) => (i, j + 1),
        };
        if pair {
            comparison.pairs[j] = Some(i);
        }
        if matches!(kind, Some(EditKind::Replaced | EditKind::Deleted)) {
            comparison.edited_source_tokens.push(j);
        }
        match kind {
            Some(kind) => edits_so_far.add(Edit {
                kind,
                query: query.tokens(i, next_i),
                source: source.tokens(j, next_j),
            }),
            None => edits_so_far.interrupt(),
        }
        (i, j, paired) = (next_i, next_j, pair);
    }
    if paired {
        sides.add_gap(i, j, &mut edits_so_far);
    }
    comparison.edits = edits_so_far.edits;
    Ok(comparison)
}

struct Sides<'a> {
    query: &'a ComparedText<'a>,
    source: &'a ComparedText<'a>,
}

/// A text that is compared with others.
pub struct ComparedText<'a> {
    analysis: &'a Analysis,
    words: Vec<&'a Token>,
    /// One more than words.
    gaps: Vec<&'a str>,
}

impl Sides<'_> {
    fn kind(&self, step: Step) -> Option<EditKind> {
        match step {
            Step::First(_) => Some(EditKind::Inserted),
            Step::Second(_) => Some(EditKind::Deleted),
            Step::Pair(i, j) => {
                let (query, source) = (self.query.token(i), self.source.token(j));
                if substitution_cost(query, source) > 0 {
                    Some(EditKind::Replaced)
                } else {
                    (query.surface != source.surface).then_some(EditKind::Changed)
                }
            }
        }
    }

    /// Adds an edit if the gaps before two tokens (or after the last ones) differ.
    fn add_gap(&self, i: usize, j: usize, edits_so_far: &mut EditList) {
        if self.query.gaps[i] != self.source.gaps[j] {
            let (query, source) = (self.query.gap(i), self.source.gap(j));
            edits_so_far.add(Edit { kind: EditKind::Changed, query, source });
        }
    }
}

impl<'a> ComparedText<'a> {
    /// Prepares an analysed text.
    pub fn new(analysis: &'a Analysis) -> Self {
        let gaps = analysis.canonical_gaps().collect();
        Self { analysis, words: analysis.words().collect(), gaps }
    }

    fn token(&self, number: usize) -> encode::Token<'_> {
        let token = self.words[number];
        encode::Token {
            surface: self.analysis.surface(token),
            folded: self.analysis.folded(token),
            class: self.analysis.class(token),
            number_like: token.kind.is_number_like(),
        }
    }

    fn span(&self, number: usize) -> Range<usize> {
        self.analysis.span(self.words[number])
    }

    /// From the start of token `from` to the end of the one before `to`; if there is none, empty, at the end of what
    /// comes before.
    fn tokens(&self, from: usize, to: usize) -> Range<usize> {
        if from == to {
            let place = from.checked_sub(1).map_or(0, |before| self.span(before).end);
            return place..place;
        }
        self.span(from).start..self.span(to - 1).end
    }

    fn gap(&self, number: usize) -> Range<usize> {
        let start = number.checked_sub(1).map_or(0, |before| self.span(before).end);
        let is_last = number == self.words.len();
        let end = if is_last { self.analysis.original_len() } else { self.span(number).start };
        start..end.max(start)
    }
}

/// Collects edits and joins neighbours.
#[derive(Default)]
struct EditList {
    edits: Vec<Edit>,
    /// Whether nothing equal has come since the last edit.
    open: bool,
}

impl EditList {
    fn add(&mut self, edit: Edit) {
        match self.edits.last_mut() {
            Some(last) if self.open && last.kind == edit.kind => {
                last.query.end = edit.query.end;
                last.source.end = edit.source.end;
            }
            _ => self.edits.push(edit),
        }
        self.open = true;
    }

    fn interrupt(&mut self) {
        self.open = false;
    }
}
