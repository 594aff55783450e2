//! Finds the best hits through the postings of sealed sets, exactly those that a full scan finds.
//!
//! Candidates come from the postings of the query's rarest classes, within the ranks, places and lengths of
//! [`Bounds`]. Signatures and a bit-parallel distance over classes rule out most of them; the rest is scored as in a
//! scan. Once there are as many hits as were asked for, the worst of them tightens the bounds.

use std::ops::RangeInclusive;

use crate::matching::cancel::{Cancelled, Ticker};
use crate::matching::encode::UNKNOWN;
use crate::matching::index::{
    BASE_MIN, LENGTH_MAX, MARKS, Posting, Postings, Quantizer, QuerySignature, Set, Snapshot, mark,
};
use crate::matching::jagged_array::length_u32;
use crate::matching::score::{Hit, Matcher, Scorer, ScorerScratch, reachable};

use super::best::Best;
use super::bounds::{Bounds, LengthBounds};

/// Statistics of a search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SearchStats {
    /// Postings read.
    pub postings: u64,
    /// Postings within the bounds of rank and place, of segments not met before.
    pub candidates: u64,
    /// Candidates whose signature allows enough tokens in common.
    pub after_signature: u64,
    /// Candidates whose class distance is small enough.
    pub after_distance: u64,
    /// Candidates that became hits.
    pub hits: u64,
}

impl std::ops::AddAssign for SearchStats {
    fn add_assign(&mut self, other: Self) {
        self.postings += other.postings;
        self.candidates += other.candidates;
        self.after_signature += other.after_signature;
        self.after_distance += other.after_distance;
        self.hits += other.hits;
    }
}

/// Working memory of a search, reused by the next.
#[derive(Default)]
pub(crate) struct Scratch {
    bounds: Bounds,
    scorer: ScorerScratch,
    matcher: Matcher,
    /// How often each row was met, two bits each, and the indices of the nonzero words.
    met: Vec<u64>,
    touched: Vec<u32>,
    /// Rows of one chunk of postings that are within the bounds.
    gathered: Vec<u32>,
    /// Candidates to be checked, with their lengths.
    waiting: Vec<(u32, u32)>,
    /// Marks and signature of the query's classes, and the number of its tokens whose class no segment has.
    marks: u64,
    signature: QuerySignature,
    unknown: u32,
    /// Classes of the query, then of a row.
    classes: Vec<u32>,
    /// For each query token one more than the rank of its class in the set, 0 where no row has it, and its place;
    /// rarest first.
    order: Vec<(u32, u32)>,
    pub(crate) work: SearchStats,
}

/// Postings read between two checks for cancellation.
const PIECE: usize = 512;

/// Candidates that are checked together: enough to overlap their cache misses.
const WAITING_MAX: usize = 64;

/// Returns the best hits of a snapshot; `None` when the wanted score is so low that only a scan is complete.
pub(crate) fn search(
    snapshot: &Snapshot,
    scorer: &Scorer<'_>,
    scratch: &mut Scratch,
) -> Result<Option<Vec<Hit>>, Cancelled> {
    if !reachable(scorer) {
        return Ok(Some(Vec::new()));
    }
    if scorer.base_min() < BASE_MIN {
        return Ok(None);
    }
    scratch.scorer.begin();
    let mut ticker = Ticker::new(scorer.options.cancelled);
    ticker.look()?;
    let best = Best::new(scorer.options.limit);
    let mut search = Search { scorer, best, base: 0, ticker, scratch };
    search.begin();
    search.raise();
    // Largest first: its hits tighten the bounds for all others.
    for set in snapshot.largest_first() {
        match set.postings() {
            Some(postings) => search.sealed(set, postings)?,
            None => search.scan_rows(set, 0, set.rows().len())?,
        }
    }
    Ok(Some(search.best.finish()))
}

struct Search<'a, 'q> {
    scorer: &'a Scorer<'q>,
    best: Best,
    /// Least base of a hit that would still count.
    base: u16,
    ticker: Ticker<'a>,
    scratch: &'a mut Scratch,
}

impl Search<'_, '_> {
    /// Updates the bounds from the hits; returns whether they changed.
    fn raise(&mut self) -> bool {
        let base = self.best.base_min(self.scorer);
        let raised = base != self.base;
        self.base = base;
        if raised && !self.scorer.numbers.is_empty() {
            self.scratch.bounds.set(self.scorer.numbers.len(), base.min(10_000));
        }
        raised
    }

    /// Scores the live rows of a range whose lengths are within the bounds.
    fn scan_rows(&mut self, set: &Set, from: usize, to: usize) -> Result<(), Cancelled> {
        let length = self.scorer.numbers.len();
        for row in from..to {
            self.ticker.tick(8)?;
            let stored = set.rows().length(row);
            let can_do =
                if length == 0 { stored == 0 } else { self.scratch.bounds.of(stored).is_some() };
            if can_do && set.is_live(row) {
                self.score_row(set, row)?;
            }
        }
        Ok(())
    }

    fn score_row(&mut self, set: &Set, row: usize) -> Result<(), Cancelled> {
        let row = set.rows().row(row);
        let scratch = &mut self.scratch.scorer;
        if let Some(hit) = self.scorer.hit(row, scratch, self.base, &mut self.ticker)?
            && self.best.would_keep(&hit)
            && let Some(hit) = self.scorer.confirm(hit, &row.facts)
        {
            self.scratch.work.hits += 1;
            self.best.push(hit);
            self.raise();
        }
        Ok(())
    }

    fn sealed(&mut self, set: &Set, postings: &Postings) -> Result<(), Cancelled> {
        let length = self.scorer.numbers.len();
        if length == 0 {
            return self.scan_rows(set, 0, postings.first_row(1));
        }
        self.begin_set(set, postings);
        let result = self.probe(set, postings);
        self.end_set();
        result?;
        self.scan_rows(set, postings.first_row(LENGTH_MAX + 1), set.rows().len())
    }

    /// Reads the postings of the query's rarest tokens.
    fn probe(&mut self, set: &Set, postings: &Postings) -> Result<(), Cancelled> {
        for rank in 0..self.scorer.numbers.len() {
            let (key, place) = self.scratch.order[rank];
            let (shortest, _) = self.scratch.bounds.lengths();
            let end = self.scratch.bounds.lengths_end(rank).min(LENGTH_MAX + 1);
            if end <= shortest {
                break;
            }
            // A class that no row of the set has orders first and has no postings.
            if let Some(class) = key.checked_sub(1) {
                self.ticker.tick(PIECE)?;
                let lengths = shortest..end;
                match postings.directory(class) {
                    [] => self.short_list(set, postings, class, (rank, place), lengths)?,
                    directory => {
                        let list = postings.of(class);
                        let first = directory.partition_point(|&(it, _)| (it as usize) < shortest);
                        let mut start = first.checked_sub(1).map_or(0, |at| directory[at].1);
                        for &(length, end) in &directory[first..] {
                            if !lengths.contains(&(length as usize)) {
                                break;
                            }
                            let of_length = &list[start as usize..end as usize];
                            self.list(set, postings, of_length, (rank, place), length)?;
                            start = end;
                        }
                    }
                }
                self.check_waiting(set, postings, rank)?;
            }
        }
        Ok(())
    }

    /// Reads the postings of a class without a directory.
    fn short_list(
        &mut self,
        set: &Set,
        postings: &Postings,
        class: u32,
        token: (usize, u32),
        lengths: std::ops::Range<usize>,
    ) -> Result<(), Cancelled> {
        let first_row = length_u32(postings.first_row(lengths.start));
        let end_row = length_u32(postings.first_row(lengths.end));
        let list = postings.of(class);
        let mut rest = &list[list.partition_point(|posting| posting.row < first_row)..];
        let mut rows = postings.lengths_from(lengths.start);
        while let Some(first) = rest.first().filter(|first| first.row < end_row) {
            let Some((length, end)) = rows.find(|&(_, end)| end > first.row) else { break };
            let count = rest.iter().take_while(|posting| posting.row < end).count();
            let of_length;
            (of_length, rest) = rest.split_at(count);
            self.list(set, postings, of_length, token, length)?;
        }
        Ok(())
    }

    /// Prepares what is the same for every set.
    fn begin(&mut self) {
        let Scratch { classes, matcher, marks, signature, unknown, .. } = &mut *self.scratch;
        classes.clear();
        classes.extend(self.scorer.numbers.iter().map(|numbers| numbers.class));
        matcher.set(classes);
        let known = classes.iter().copied().filter(|&class| class != UNKNOWN);
        *marks = known.clone().fold(0, |marks, class| marks | mark(class));
        *unknown = length_u32(classes.len() - known.clone().count());
        *signature = QuerySignature::new(known);
    }

    /// Orders the query's tokens by their rarity in a set.
    fn begin_set(&mut self, set: &Set, postings: &Postings) {
        let Scratch { order, met, .. } = &mut *self.scratch;
        order.clear();
        let ranks = self.scorer.numbers.iter().map(|numbers| postings.rank(numbers.class));
        order.extend(ranks.map(|rank| rank.map_or(0, |rank| rank + 1)).zip(0..));
        order.sort_unstable();
        let words = set.rows().len().div_ceil(ROWS_PER_WORD);
        if met.len() < words {
            met.resize(words, 0);
        }
    }

    fn end_set(&mut self) {
        for word in self.scratch.touched.drain(..) {
            self.scratch.met[word as usize] = 0;
        }
    }

    /// Reads postings of one class and one length.
    fn list(
        &mut self,
        set: &Set,
        postings: &Postings,
        of_length: &[Posting],
        (rank, place): (usize, u32),
        length: u32,
    ) -> Result<(), Cancelled> {
        let Some(bounds) = self.bounds(length as usize, rank) else { return Ok(()) };
        let quantizer = Quantizer::of(length as usize);
        let Some(places) = places(place, bounds, quantizer) else { return Ok(()) };
        let near = near(of_length, &places);
        for piece in near.chunks(PIECE) {
            self.ticker.tick(piece.len())?;
            // The bounds may have tightened meanwhile and may exclude this length or token.
            let Some(bounds) = self.bounds(length as usize, rank) else { break };
            self.scratch.gather(piece, bounds, quantizer, &places, length);
            if self.scratch.waiting.len() >= WAITING_MAX {
                self.check_waiting(set, postings, rank)?;
            }
        }
        Ok(())
    }

    /// Checks the candidates: all signatures first, so that their cache misses overlap, then the rest one by one.
    fn check_waiting(
        &mut self,
        set: &Set,
        postings: &Postings,
        rank: usize,
    ) -> Result<(), Cancelled> {
        let Scratch { waiting, work, unknown, bounds, signature, .. } = &mut *self.scratch;
        work.candidates += waiting.len() as u64;
        waiting.retain(|&(row, length)| {
            let bounds = bounds.of(length as usize).unwrap_or(LengthBounds::NONE);
            let (of_query, of_row) = postings.signatures().missing(signature, row as usize);
            // Most tokens that may be without a partner on either side.
            of_query + *unknown <= bounds.query_unmatched_max
                && of_row <= bounds.stored_unmatched_max
        });
        work.after_signature += waiting.len() as u64;
        for at in 0..self.scratch.waiting.len() {
            let (row, length) = self.scratch.waiting[at];
            // The bounds may have tightened meanwhile and may exclude this length or token.
            let Some(bounds) = self.bounds(length as usize, rank) else { continue };
            let row = row as usize;
            let Scratch { classes, matcher, .. } = &mut *self.scratch;
            classes.clear();
            let words = set.rows().words().get(row).iter();
            classes.extend(words.map(|&word| self.scorer.vocabulary.numbers(word).class));
            if !set.is_live(row) {
                continue;
            }
            if matcher.distance(classes, bounds.edits_max, &mut self.ticker)?.is_some() {
                self.scratch.work.after_distance += 1;
                self.score_row(set, row)?;
            }
        }
        self.scratch.waiting.clear();
        Ok(())
    }

    /// Bounds for rows of a length that are found by the query token of this rank.
    fn bounds(&self, length: usize, rank: usize) -> Option<LengthBounds> {
        self.scratch.bounds.of(length).filter(|of| of.query_rank_max() as usize >= rank)
    }
}

impl Scratch {
    /// Collects the rows of a chunk of postings of one length that are within the bounds and were not met before.
    #[expect(clippy::needless_bitwise_bool, reason = "no branch")]
    fn gather(
        &mut self,
        piece: &[Posting],
        bounds: LengthBounds,
        quantizer: Quantizer,
        places: &RangeInclusive<u32>,
        length: u32,
    ) {
        self.work.postings += piece.len() as u64;
        let Some(spare) = bounds.query_unmatched_max.checked_sub(self.unknown) else { return };
        let (marks, not_marks) = (self.marks, !self.marks & MARKS);
        let rank_max = quantizer.rank(bounds.stored_rank_max());
        let stored_max = bounds.stored_unmatched_max;
        let (first, more) = (*places.start(), places.end() - places.start());
        // Every row is written, and overwritten by the next unless it is within the bounds: the outcome is
        // unpredictable, so there is no branch.
        self.gathered.resize(PIECE, 0);
        let mut count = 0;
        for &posting in piece {
            let of_query = (marks & !posting.marks()).count_ones();
            let of_row = (posting.marks() & not_marks).count_ones();
            self.gathered[count % PIECE] = posting.row;
            let wanted = (posting.place().wrapping_sub(first) <= more)
                & (posting.rank() <= rank_max)
                & (of_query <= spare)
                & (of_row <= stored_max);
            count += usize::from(wanted);
        }
        for at in 0..count {
            let row = self.gathered[at];
            if self.meet(row) == bounds.shared_min {
                self.waiting.push((row, length));
            }
        }
    }

    /// Counts how often a row was met, this time included; returns 4 from the fourth time on.
    fn meet(&mut self, row: u32) -> u32 {
        let (word, shift) = (row as usize / ROWS_PER_WORD, 2 * (row as usize % ROWS_PER_WORD));
        let met = &mut self.met[word];
        if *met == 0 {
            self.touched.push(length_u32(word));
        }
        let times = (*met >> shift) & 3;
        if times == 3 {
            return 4;
        }
        *met += 1 << shift;
        // 1 to 3.
        u32::try_from(times + 1).unwrap_or(4)
    }
}

/// Rows whose counts share a word.
const ROWS_PER_WORD: usize = 32;

/// Quantized places in rows of one length that are within the bounds; `None` where there are none.
fn places(place: u32, bounds: LengthBounds, quantizer: Quantizer) -> Option<RangeInclusive<u32>> {
    let shifted = |by: i32| i64::from(place) + i64::from(by);
    let first = u32::try_from(shifted(bounds.shift.0).max(0)).ok()?;
    let last = u32::try_from(shifted(bounds.shift.1)).ok()?;
    (first <= last).then(|| quantizer.place(first)..=quantizer.place(last))
}

/// The postings of one length that may be within the places, and perhaps more: scanning few is faster than a binary
/// search.
fn near<'a>(of_length: &'a [Posting], places: &RangeInclusive<u32>) -> &'a [Posting] {
    const FEW: usize = 96;
    if of_length.len() <= FEW {
        return of_length;
    }
    let from = of_length.partition_point(|posting| posting.place() < *places.start());
    let behind = &of_length[from..];
    &behind[..behind.partition_point(|posting| posting.place() <= *places.end())]
}
