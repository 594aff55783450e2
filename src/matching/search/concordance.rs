//! Finds all segments that contain an expression, ordered by length of source and then by unit: words, phrases and
//! prefixes, on either side.
//!
//! Numbers are found in any notation, and words also inside dates, addresses, code and placeholders. Only blocks of
//! rows that contain every word of the expression are read. Knows nothing of scores.

use std::ops::Range;

use crate::matching::cancel::{Cancelled, Ticker};
use crate::matching::encode::{EncodedFilter, Filter, Side, SurfaceForms, Vocabulary};
use crate::matching::index::{BlockSet, Rows, Set, Snapshot};
use crate::matching::jagged_array::length_u32;
use crate::unit::UnitId;

use super::expression::Expression;
use super::terms::{Layout, Terms};

/// The position of a result: tokens of the source, then the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Tokens of the source that count.
    pub source_tokens: u32,
    /// The unit.
    pub unit: UnitId,
}

/// One page of results.
#[derive(Clone, Copy)]
pub struct Page<'a> {
    /// Only results after this position.
    pub after: Option<Place>,
    /// Most results.
    pub limit: usize,
    /// Which units may be found.
    pub filter: Filter<'a>,
    /// Called often; the search stops soon after it returns true.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

/// A segment that contains the expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// The unit and its position.
    pub place: Place,
    /// The low 32 bits of the revision that was found.
    pub revision: u32,
    /// Where it occurs, as ranges of tokens that count; they overlap only where the words of a phrase do.
    pub tokens: Vec<Range<usize>>,
}

/// Returns a page of passages from a snapshot, in order.
pub(crate) fn search(
    snapshot: &Snapshot,
    expression: &Expression,
    page: &Page<'_>,
    vocabulary: &Vocabulary,
    surface_forms: &SurfaceForms,
) -> Result<Vec<Passage>, Cancelled> {
    let how = (expression.mode, expression.word_form);
    let mut ticker = Ticker::new(page.cancelled);
    ticker.look()?;
    let lists = surface_forms.lists(vocabulary, &mut ticker)?;
    let terms = Terms::new(&expression.parts, how, &lists, vocabulary, &mut ticker)?;
    drop(lists);
    if page.limit == 0 || terms.find_nothing() {
        return Ok(Vec::new());
    }
    let filter = EncodedFilter::new(page.filter, vocabulary);
    let mut search = Search { expression, terms, page, filter, ticker };
    let mut open = Vec::new();
    let mut cursors = Vec::new();
    for set in snapshot.largest_first() {
        match search.cursor(set) {
            Some(cursor) => cursors.push(cursor),
            None => search.read_open(set, &mut open)?,
        }
    }
    open.sort_unstable_by_key(|passage: &Passage| passage.place);
    let mut open = open.into_iter().peekable();
    let mut heads = Vec::with_capacity(cursors.len());
    for cursor in &mut cursors {
        heads.push(search.next(cursor)?);
    }
    let mut found = Vec::new();
    while found.len() < page.limit {
        let sealed = heads.iter().enumerate();
        let first = sealed
            .filter_map(|(number, head)| head.as_ref().map(|head| (head.place, number)))
            .min();
        let passage = match (first, open.peek()) {
            (Some((place, number)), next) if next.is_none_or(|next| place < next.place) => {
                let following = search.next(&mut cursors[number])?;
                std::mem::replace(&mut heads[number], following)
            }
            _ => open.next(),
        };
        let Some(passage) = passage else { break };
        found.push(passage);
    }
    Ok(found)
}

struct Search<'a> {
    expression: &'a Expression,
    terms: Terms,
    page: &'a Page<'a>,
    filter: EncodedFilter<'a>,
    ticker: Ticker<'a>,
}

/// A position in the rows of a sealed set.
struct SetCursor<'a> {
    set: &'a Set,
    blocks: BlockSet,
    block_rows: usize,
    row: usize,
    found: Found,
}

/// Working memory for one row.
#[derive(Default)]
struct Found {
    target: Vec<u32>,
    layout: Layout,
    places: Vec<Range<usize>>,
}

impl Search<'_> {
    fn cursor<'a>(&self, set: &'a Set) -> Option<SetCursor<'a>> {
        let occurrences = set.occurrences(self.expression.side)?;
        let rows = set.rows();
        let mut blocks: Option<BlockSet> = None;
        for words in self.terms.words() {
            let with = occurrences.with_any(words, rows.len());
            match &mut blocks {
                Some(blocks) => blocks.intersect(&with),
                None => blocks = Some(with),
            }
        }
        let row = self.page.after.map_or(0, |after| first_behind(rows, after));
        let block_rows = occurrences.block_rows();
        Some(SetCursor { set, blocks: blocks?, block_rows, row, found: Found::default() })
    }

    /// The next passage of a sealed set.
    fn next(&mut self, cursor: &mut SetCursor<'_>) -> Result<Option<Passage>, Cancelled> {
        let rows = cursor.set.rows();
        while let Some(block) = cursor.blocks.next_from(cursor.row / cursor.block_rows) {
            let start = cursor.row.max(block * cursor.block_rows);
            for row in start..rows.len().min((block + 1) * cursor.block_rows) {
                if let Some(passage) = self.read(cursor.set, row, &mut cursor.found)? {
                    cursor.row = row + 1;
                    return Ok(Some(passage));
                }
            }
            cursor.row = (block + 1) * cursor.block_rows;
        }
        Ok(None)
    }

    /// Reads all passages of an unsealed set, in any order.
    fn read_open(&mut self, set: &Set, passages: &mut Vec<Passage>) -> Result<(), Cancelled> {
        let mut found = Found::default();
        for row in 0..set.rows().len() {
            let passage = self.read(set, row, &mut found)?;
            let is_behind = |it: &Passage| self.page.after.is_none_or(|after| it.place > after);
            passages.extend(passage.filter(is_behind));
        }
        Ok(())
    }

    fn read(
        &mut self,
        set: &Set,
        row: usize,
        found: &mut Found,
    ) -> Result<Option<Passage>, Cancelled> {
        let rows = set.rows();
        let Found { target, layout, places } = found;
        let words = match self.expression.side {
            Side::Source => rows.words().get(row),
            Side::Target => {
                target.clear();
                rows.target().get(row).append_to(target);
                target
            }
        };
        // Each word may be compared with each term.
        self.ticker.tick((words.len() + 1) * self.terms.words().count())?;
        self.terms.find(words, layout, places);
        if places.is_empty() || !set.is_live(row) {
            return Ok(None);
        }
        let facts = rows.facts(row);
        Ok((self.filter.matches_facts(&facts) && self.filter.accepts(&facts)).then(|| Passage {
            place: place(rows, row),
            revision: facts.revision,
            tokens: places.clone(),
        }))
    }
}

fn place(rows: &Rows, row: usize) -> Place {
    Place { source_tokens: length_u32(rows.length(row)), unit: rows.unit(row) }
}

/// The first row after a position, among rows that are sorted by length.
fn first_behind(rows: &Rows, after: Place) -> usize {
    let (mut low, mut high) = (0, rows.len());
    while low < high {
        let middle = low + (high - low) / 2;
        if place(rows, middle) <= after {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
