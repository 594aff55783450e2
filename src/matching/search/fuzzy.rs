//! Which stored segments can be among the best, without looking at the others? The complete search over sealed rows.
//!
//! Candidates come from the postings of the query's rarest classes, within the ranks, places and lengths of [`Bounds`]; a
//! signature and a bit-parallel distance over classes say no to most; what is left is judged as in a scan. Once there are
//! as many hits as were asked for, the worst of them raises the bound. Nothing that could be a hit is left out.

use std::ops::RangeInclusive;

use crate::matching::cancel::{Cancelled, Ticker};
use crate::matching::encode::UNKNOWN;
use crate::matching::index::{
    BASE_MIN, LENGTH_MAX, MARKS, Posting, Postings, QuerySignature, Set, Small, Snapshot, mark,
};
use crate::matching::jagged_array::length_u32;
use crate::matching::score::{Bench, Hit, Matcher, Scorer, reachable};

use super::best::Best;
use super::bounds::{Bounds, OfLength};

/// What a search did, for those who measure it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SearchWork {
    /// Postings read.
    pub postings: u64,
    /// Postings within the bounds of rank and place, of segments not seen before.
    pub candidates: u64,
    /// Candidates whose signature allows enough tokens in common.
    pub after_signature: u64,
    /// Candidates whose class distance is small enough.
    pub after_distance: u64,
    /// Candidates that were hits when they were judged.
    pub hits: u64,
}

impl std::ops::AddAssign for SearchWork {
    fn add_assign(&mut self, other: Self) {
        self.postings += other.postings;
        self.candidates += other.candidates;
        self.after_signature += other.after_signature;
        self.after_distance += other.after_distance;
        self.hits += other.hits;
    }
}

/// Working memory of a search; kept from one to the next.
#[derive(Default)]
pub(crate) struct Scratch {
    bounds: Bounds,
    bench: Bench,
    matcher: Matcher,
    /// How often each row was met, in two bits, and the words of it that are not zero.
    met: Vec<u64>,
    touched: Vec<u32>,
    /// Rows that passed the bounds, of one piece of a list.
    gathered: Vec<u32>,
    /// Rows that wait to be looked at, with their lengths.
    waiting: Vec<(u32, u32)>,
    /// Marks and signature of the query's classes, and how many of its tokens have a class that no segment has.
    marks: u64,
    signature: QuerySignature,
    unknown: u32,
    /// Classes of the query, then of a row.
    classes: Vec<u32>,
    /// One more than the rank of each token of the query in a set, 0 where no row has its class, and its place; the rarest
    /// first.
    order: Vec<(u32, u32)>,
    pub(crate) work: SearchWork,
}

/// Postings read in one go.
const PIECE: usize = 512;

/// Rows that wait before they are looked at: enough to overlap the waiting for memory.
const WAITING_MAX: usize = 64;

/// The best hits of a snapshot; `None` when the bound is so low that only a scan finds all.
pub(crate) fn search(
    snapshot: &Snapshot,
    judge: &Scorer<'_>,
    scratch: &mut Scratch,
) -> Result<Option<Vec<Hit>>, Cancelled> {
    if !reachable(judge) {
        return Ok(Some(Vec::new()));
    }
    if judge.base_min() < BASE_MIN {
        return Ok(None);
    }
    scratch.bench.begin();
    let mut ticker = Ticker::new(judge.options.cancelled);
    ticker.look()?;
    let best = Best::new(judge.options.limit);
    let mut search = Search { judge, best, base: 0, ticker, scratch };
    search.begin();
    search.raise();
    // The largest first: what it holds raises the bound for all others.
    for set in snapshot.largest_first() {
        match set.postings() {
            Some(postings) => search.sealed(set, postings)?,
            None => search.one_by_one(set, 0, set.rows().len())?,
        }
    }
    Ok(Some(search.best.finish()))
}

struct Search<'a, 'q> {
    judge: &'a Scorer<'q>,
    best: Best,
    /// Least base of a hit that would still count.
    base: u16,
    ticker: Ticker<'a>,
    scratch: &'a mut Scratch,
}

impl Search<'_, '_> {
    /// Takes the bound from the hits; whether it has changed.
    fn raise(&mut self) -> bool {
        let base = self.best.base_min(self.judge);
        let raised = base != self.base;
        self.base = base;
        if raised && !self.judge.numbers.is_empty() {
            self.scratch.bounds.set(self.judge.numbers.len(), base.min(10_000));
        }
        raised
    }

    /// Judges every live row from one to before another that has a length that can do.
    fn one_by_one(&mut self, set: &Set, from: usize, to: usize) -> Result<(), Cancelled> {
        let length = self.judge.numbers.len();
        for row in from..to {
            self.ticker.tick(8)?;
            let stored = set.rows().length(row);
            let can_do =
                if length == 0 { stored == 0 } else { self.scratch.bounds.of(stored).is_some() };
            if can_do && set.is_live(row) {
                self.judge(set, row)?;
            }
        }
        Ok(())
    }

    fn judge(&mut self, set: &Set, row: usize) -> Result<(), Cancelled> {
        let row = set.rows().row(row);
        let bench = &mut self.scratch.bench;
        if let Some(hit) = self.judge.hit(row, bench, self.base, &mut self.ticker)? {
            self.scratch.work.hits += 1;
            self.best.push(hit);
            self.raise();
        }
        Ok(())
    }

    fn sealed(&mut self, set: &Set, postings: &Postings) -> Result<(), Cancelled> {
        let length = self.judge.numbers.len();
        if length == 0 {
            return self.one_by_one(set, 0, postings.first_row(1));
        }
        self.begin_set(set, postings);
        let result = self.probe(set, postings);
        self.end_set();
        result?;
        self.one_by_one(set, postings.first_row(LENGTH_MAX + 1), set.rows().len())
    }

    /// Goes through the postings of the query's rarest tokens.
    fn probe(&mut self, set: &Set, postings: &Postings) -> Result<(), Cancelled> {
        for rank in 0..self.judge.numbers.len() {
            let (key, place) = self.scratch.order[rank];
            let (shortest, _) = self.scratch.bounds.lengths();
            let end = self.scratch.bounds.lengths_end(rank).min(LENGTH_MAX + 1);
            if end <= shortest {
                break;
            }
            // A class that no row of the set has comes first, and has no postings.
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
                self.look_at_waiting(set, postings, rank)?;
            }
        }
        Ok(())
    }

    /// Goes through the postings of one token of the query that have no directory.
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

    /// What is asked of every set.
    fn begin(&mut self) {
        let Scratch { classes, matcher, marks, signature, unknown, .. } = &mut *self.scratch;
        classes.clear();
        classes.extend(self.judge.numbers.iter().map(|numbers| numbers.class));
        matcher.set(classes);
        let known = classes.iter().copied().filter(|&class| class != UNKNOWN);
        *marks = known.clone().fold(0, |marks, class| marks | mark(class));
        *unknown = length_u32(classes.len() - known.clone().count());
        *signature = QuerySignature::new(known);
    }

    /// The order of the query's tokens in a set.
    fn begin_set(&mut self, set: &Set, postings: &Postings) {
        let Scratch { order, met, .. } = &mut *self.scratch;
        order.clear();
        let ranks = self.judge.numbers.iter().map(|numbers| postings.rank(numbers.class));
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

    /// Goes through postings of one token of the query, all of one length.
    fn list(
        &mut self,
        set: &Set,
        postings: &Postings,
        of_length: &[Posting],
        (rank, place): (usize, u32),
        length: u32,
    ) -> Result<(), Cancelled> {
        let Some(bounds) = self.bounds(length as usize, rank) else { return Ok(()) };
        let small = Small::of(length as usize);
        let Some(places) = places(place, bounds, small) else { return Ok(()) };
        let near = near(of_length, &places);
        for piece in near.chunks(PIECE) {
            self.ticker.tick(piece.len())?;
            // The bound may have risen meanwhile; it may even leave out this length, or this token.
            let Some(bounds) = self.bounds(length as usize, rank) else { break };
            self.scratch.gather(piece, bounds, small, &places, length);
            if self.scratch.waiting.len() >= WAITING_MAX {
                self.look_at_waiting(set, postings, rank)?;
            }
        }
        Ok(())
    }

    /// Looks at the rows that wait for it: signatures in one go, so that the memory can bring several at a time, then those
    /// that are left one by one.
    fn look_at_waiting(
        &mut self,
        set: &Set,
        postings: &Postings,
        rank: usize,
    ) -> Result<(), Cancelled> {
        let Scratch { waiting, work, unknown, bounds, signature, .. } = &mut *self.scratch;
        work.candidates += waiting.len() as u64;
        waiting.retain(|&(row, length)| {
            let bounds = bounds.of(length as usize).unwrap_or(OfLength::NONE);
            let (of_query, of_row) = postings.signatures().missing(signature, row as usize);
            // At most so many tokens may be without a partner on either side.
            of_query + *unknown <= bounds.query_alone_max && of_row <= bounds.stored_alone_max
        });
        work.after_signature += waiting.len() as u64;
        for at in 0..self.scratch.waiting.len() {
            let (row, length) = self.scratch.waiting[at];
            // The bound may have risen meanwhile; it may even leave out this length, or this token.
            let Some(bounds) = self.bounds(length as usize, rank) else { continue };
            let row = row as usize;
            let Scratch { classes, matcher, .. } = &mut *self.scratch;
            classes.clear();
            let words = set.rows().words().get(row).iter();
            classes.extend(words.map(|&word| self.judge.vocabulary.numbers(word).class));
            if !set.is_live(row) {
                continue;
            }
            if matcher.distance(classes, bounds.edits_max, &mut self.ticker)?.is_some() {
                self.scratch.work.after_distance += 1;
                self.judge(set, row)?;
            }
        }
        self.scratch.waiting.clear();
        Ok(())
    }

    /// What is asked of rows of a length that are found by a token of this rank in the query.
    fn bounds(&self, length: usize, rank: usize) -> Option<OfLength> {
        self.scratch.bounds.of(length).filter(|of| of.query_rank_max() as usize >= rank)
    }
}

impl Scratch {
    /// Puts the rows of some postings of one length that are within the bounds, and which were not looked at before, among
    /// those that wait.
    #[expect(clippy::needless_bitwise_bool, reason = "no branch")]
    fn gather(
        &mut self,
        piece: &[Posting],
        bounds: OfLength,
        small: Small,
        places: &RangeInclusive<u32>,
        length: u32,
    ) {
        self.work.postings += piece.len() as u64;
        let Some(spare) = bounds.query_alone_max.checked_sub(self.unknown) else { return };
        let (marks, not_marks) = (self.marks, !self.marks & MARKS);
        let rank_max = small.rank(bounds.stored_rank_max());
        let stored_max = bounds.stored_alone_max;
        let (first, more) = (*places.start(), places.end() - places.start());
        // Every row is written, and the next one over it unless it is wanted: nothing foretells the answers, so there is
        // no branch to foretell.
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

    /// How often a row was met, this time included; after three times the count starts at four and stays there.
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

/// Places in rows of one length that are within the bounds, made small; `None` where there is none.
fn places(place: u32, bounds: OfLength, small: Small) -> Option<RangeInclusive<u32>> {
    let shifted = |by: i32| i64::from(place) + i64::from(by);
    let first = u32::try_from(shifted(bounds.shift.0).max(0)).ok()?;
    let last = u32::try_from(shifted(bounds.shift.1)).ok()?;
    (first <= last).then(|| small.place(first)..=small.place(last))
}

/// The postings of one length that can have such places, and perhaps some more: few are looked at one by one sooner than
/// the first of them is found.
fn near<'a>(of_length: &'a [Posting], places: &RangeInclusive<u32>) -> &'a [Posting] {
    const FEW: usize = 96;
    if of_length.len() <= FEW {
        return of_length;
    }
    let from = of_length.partition_point(|posting| posting.place() < *places.start());
    let behind = &of_length[from..];
    &behind[..behind.partition_point(|posting| posting.place() <= *places.end())]
}
