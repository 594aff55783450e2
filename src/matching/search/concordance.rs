//! Where does this expression stand? Words, phrases and beginnings of words in the sources or targets, complete and in
//! order: the shortest sources first, those of one length in order of their units. Numbers are found however they are
//! written, and words inside of dates, addresses, code and placeholders too.
//!
//! Blocks of rows that hold every word of the query are read, the others are not. Knows nothing of scores.

use std::ops::Range;

use crate::matching::cancel::{Cancelled, Ticker};
use crate::matching::encode::{Filter, Gate, Side, SurfaceForms, Vocabulary};
use crate::matching::index::{BlockSet, Rows, Set, Snapshot};
use crate::matching::jagged_array::{JaggedArray, length_u32};
use crate::unit::UnitId;

use super::expression::Expression;
use super::terms::{Layout, Terms};

/// A place in the order of results: tokens of the source, and the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Tokens of the source that count.
    pub source_tokens: u32,
    /// The unit.
    pub unit: UnitId,
}

/// Which results to give.
#[derive(Clone, Copy)]
pub struct Page<'a> {
    /// Only those behind this place.
    pub after: Option<Place>,
    /// At most so many.
    pub limit: usize,
    /// Which units may be found.
    pub filter: Filter<'a>,
    /// Asked often; the search stops soon after it says true.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
}

/// A segment in which the expression stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Which, and where in the order.
    pub place: Place,
    /// The revision that was found, the last 32 bits.
    pub revision: u32,
    /// Where it stands, in numbers of tokens that count; overlapping only where the words of a phrase do.
    pub tokens: Vec<Range<usize>>,
}

/// The passages of a snapshot, in order.
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
    let gate = Gate::new(page.filter, vocabulary);
    let mut search = Search { expression, terms, page, gate, ticker };
    let mut open = Vec::new();
    let mut walks = Vec::new();
    for set in snapshot.largest_first() {
        match search.walk(set) {
            Some(walk) => walks.push(walk),
            None => search.read_open(set, &mut open)?,
        }
    }
    open.sort_unstable_by_key(|passage: &Passage| passage.place);
    let mut open = open.into_iter().peekable();
    let mut heads = Vec::with_capacity(walks.len());
    for walk in &mut walks {
        heads.push(search.next(walk)?);
    }
    let mut found = Vec::new();
    while found.len() < page.limit {
        let sealed = heads.iter().enumerate();
        let first = sealed
            .filter_map(|(number, head)| head.as_ref().map(|head| (head.place, number)))
            .min();
        let passage = match (first, open.peek()) {
            (Some((place, number)), next) if next.is_none_or(|next| place < next.place) => {
                let following = search.next(&mut walks[number])?;
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
    gate: Gate<'a>,
    ticker: Ticker<'a>,
}

/// A way through the rows of a sealed set.
struct Walk<'a> {
    set: &'a Set,
    blocks: BlockSet,
    block_rows: usize,
    row: usize,
    found: Found,
}

/// Working memory for one row.
#[derive(Default)]
struct Found {
    layout: Layout,
    places: Vec<Range<usize>>,
}

impl Search<'_> {
    fn walk<'a>(&self, set: &'a Set) -> Option<Walk<'a>> {
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
        Some(Walk { set, blocks: blocks?, block_rows, row, found: Found::default() })
    }

    /// The next passage of a set.
    fn next(&mut self, walk: &mut Walk<'_>) -> Result<Option<Passage>, Cancelled> {
        let rows = walk.set.rows();
        while let Some(block) = walk.blocks.next_from(walk.row / walk.block_rows) {
            let start = walk.row.max(block * walk.block_rows);
            for row in start..rows.len().min((block + 1) * walk.block_rows) {
                if let Some(passage) = self.read(walk.set, row, &mut walk.found)? {
                    walk.row = row + 1;
                    return Ok(Some(passage));
                }
            }
            walk.row = (block + 1) * walk.block_rows;
        }
        Ok(None)
    }

    /// All passages of a set that is not sealed, in any order.
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
        let words = side(rows, self.expression.side).get(row);
        // Every word may be compared with every term.
        self.ticker.tick((words.len() + 1) * self.terms.words().count())?;
        self.terms.find(words, &mut found.layout, &mut found.places);
        if found.places.is_empty() || !set.is_live(row) {
            return Ok(None);
        }
        let facts = rows.facts(row);
        Ok((self.gate.lets_through(facts) && self.gate.accepts(facts)).then(|| Passage {
            place: place(rows, row),
            revision: facts.revision,
            tokens: found.places.clone(),
        }))
    }
}

/// The words of one side of all rows.
pub(crate) fn side(rows: &Rows, side: Side) -> &JaggedArray<u32> {
    match side {
        Side::Source => rows.words(),
        Side::Target => rows.target(),
    }
}

fn place(rows: &Rows, row: usize) -> Place {
    Place { source_tokens: length_u32(rows.length(row)), unit: rows.facts(row).unit }
}

/// The first row behind a place, among rows that are sorted by length.
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
