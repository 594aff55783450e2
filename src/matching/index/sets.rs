//! What makes up an index at one moment? Sets of rows that do not change, each with a list of what is gone from it, most of
//! them sealed: with what finds rows in them.
//!
//! Knows nothing of threads or locks, nor of when sets are made and merged.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::matching::cancel::Cancelled;
use crate::matching::encode::{Identity, Question, Row, RowFacts, Side, Vocabulary};
use crate::matching::jagged_array::length_u32;
use crate::unit::UnitId;

use super::crowds::Crowds;
use super::occurrences::Occurrences;
use super::postings::Postings;
use super::rows::{CROWD_UNITS_MIN, Rows};

/// Rows of the open set, which are looked at one by one.
pub(crate) const OPEN_ROWS_MAX: usize = 256;
/// How long rows wait to be sealed. Those that wait are looked at one by one; those that are sealed few at a time are merged
/// more often.
pub(crate) struct Patience {
    /// So many are sealed together when they come in a short time.
    pub(crate) rows_wanted: usize,
    /// With more than these none is added before they are sealed.
    pub(crate) rows_max: usize,
}

impl Patience {
    /// A search of all that wait takes about a millisecond, or, where nobody searches for long, eight.
    pub(crate) fn of(long: bool) -> Self {
        let rows_max = if long { 256 * 1_024 } else { 32 * 1_024 };
        Self { rows_wanted: rows_max * 3 / 8, rows_max }
    }
}

/// Sealed sets of about one size that are merged into one; the next size is so many times larger.
const SETS_PER_SIZE: usize = 4;

/// All segments at one moment.
#[derive(Default)]
pub(crate) struct Snapshot {
    pub(crate) sets: Vec<Set>,
}

/// Rows, which of them are gone, and how to search in them if they are sealed.
#[derive(Clone)]
pub(crate) struct Set {
    rows: Arc<Rows>,
    sealed: Option<Arc<Sealed>>,
    dead: Arc<Dead>,
    crowds: Arc<Crowds>,
}

/// What finds rows that do not change any more.
pub(crate) struct Sealed {
    pub(crate) postings: Postings,
    pub(crate) source: Occurrences,
    pub(crate) target: Occurrences,
}

/// A bit for each row that is gone.
#[derive(Debug, Clone, Default)]
struct Dead {
    bits: Vec<u64>,
    count: usize,
}

impl Snapshot {
    /// The sets of rows.
    pub(crate) fn sets(&self) -> impl Iterator<Item = &Rows> {
        self.sets.iter().map(|set| set.rows.as_ref())
    }

    /// The sets, the largest first.
    pub(crate) fn largest_first(&self) -> Vec<&Set> {
        let mut sets: Vec<&Set> = self.sets.iter().collect();
        sets.sort_by_key(|set| std::cmp::Reverse(set.live()));
        sets
    }

    /// Sets that wait to be sealed.
    pub(crate) fn waiting(&self) -> Vec<Set> {
        self.sets.iter().filter(|set| set.waits()).cloned().collect()
    }

    /// Rows in them.
    pub(crate) fn waiting_rows(&self) -> usize {
        self.sets.iter().filter(|set| set.waits()).map(Set::live).sum()
    }

    /// Sealed sets of one size, when there are enough of them; or one that is more gone than there.
    pub(crate) fn to_merge(&self) -> Option<Vec<Set>> {
        let sealed = || self.sets.iter().filter(|set| set.sealed.is_some());
        if let Some(set) = sealed().find(|set| set.dead.count > set.live()) {
            return Some(vec![set.clone()]);
        }
        let mut sizes: BTreeMap<u32, Vec<Set>> = BTreeMap::new();
        for set in sealed() {
            let size = (set.live() / OPEN_ROWS_MAX).max(1).ilog(SETS_PER_SIZE);
            sizes.entry(size).or_default().push(set.clone());
        }
        sizes.into_values().find(|sets| sets.len() >= SETS_PER_SIZE)
    }

    /// Shows every live row of a set from one number to before another.
    pub(crate) fn each_live(
        &self,
        set: usize,
        from: usize,
        to: usize,
        show: &mut dyn FnMut(Row<'_>) -> Result<(), Cancelled>,
    ) -> Result<(), Cancelled> {
        let set = &self.sets[set];
        for number in from..to.min(set.rows.len()) {
            if !set.dead.contains(number) {
                show(set.rows.row(number))?;
            }
        }
        Ok(())
    }
}

impl Set {
    pub(crate) fn open(rows: Rows) -> Self {
        Self::of(Arc::new(rows), None, Dead::default())
    }

    /// Whether rows are still added to it.
    pub(crate) fn is_open(&self) -> bool {
        self.sealed.is_none() && self.rows.len() <= OPEN_ROWS_MAX
    }

    /// Whether it is to be sealed.
    pub(crate) fn waits(&self) -> bool {
        self.sealed.is_none() && self.rows.len() > OPEN_ROWS_MAX
    }

    /// The live rows of some sets as one, the shortest first, those of one length in order of their units.
    pub(crate) fn seal(sets: &[Self], vocabulary: &Vocabulary) -> Self {
        let mut order: Vec<(u32, UnitId, u32, u32)> =
            Vec::with_capacity(sets.iter().map(Self::live).sum());
        for (part, set) in (0..).zip(sets) {
            let live = (0..set.rows.len()).filter(|&row| !set.dead.contains(row));
            order.extend(live.map(|row| {
                let (length, unit) = (set.rows.length(row), set.rows.facts(row).unit);
                (length_u32(length), unit, part, length_u32(row))
            }));
        }
        // Sealed sets are in this order already, and a stable sort merges what is in order.
        order.sort();
        let mut rows = Rows::with_room_of(sets.iter().map(Self::rows));
        for (_, _, part, row) in order {
            rows.push(sets[part as usize].rows.row(row as usize));
        }
        let rows = rows.sorted();
        let (postings, (source, target)) = rayon::join(
            || Postings::new(&rows, vocabulary),
            || rayon::join(|| Occurrences::new(rows.words()), || Occurrences::new(rows.target())),
        );
        let sealed = Sealed { postings, source, target };
        Self::of(Arc::new(rows), Some(Arc::new(sealed)), Dead::default())
    }

    /// From parts that fit together; `dead` has a bit for each row that is gone.
    pub(crate) fn assembled(rows: Arc<Rows>, dead: Vec<u64>, sealed: Option<Arc<Sealed>>) -> Self {
        let count = dead.iter().map(|bits| bits.count_ones() as usize).sum();
        Self::of(rows, sealed, Dead { bits: dead, count })
    }

    fn of(rows: Arc<Rows>, sealed: Option<Arc<Sealed>>, dead: Dead) -> Self {
        Self { rows, sealed, dead: Arc::new(dead), crowds: Arc::default() }
    }

    pub(crate) fn rows(&self) -> &Rows {
        &self.rows
    }

    pub(crate) fn sealed(&self) -> Option<&Sealed> {
        self.sealed.as_deref()
    }

    pub(crate) fn dead_bits(&self) -> &[u64] {
        &self.dead.bits
    }

    pub(crate) fn postings(&self) -> Option<&Postings> {
        self.sealed.as_ref().map(|sealed| &sealed.postings)
    }

    /// In which rows words might stand, if the set is sealed.
    pub(crate) fn occurrences(&self, side: Side) -> Option<&Occurrences> {
        self.sealed.as_ref().map(|sealed| match side {
            Side::Source => &sealed.source,
            Side::Target => &sealed.target,
        })
    }

    pub(crate) fn is_live(&self, row: usize) -> bool {
        !self.dead.contains(row)
    }

    pub(crate) fn live(&self) -> usize {
        self.rows.len() - self.dead.count
    }

    pub(crate) fn remove(&mut self, units: impl Iterator<Item = UnitId>) {
        // Most that an import brings are new, with numbers above all others.
        let last = self.rows.last_unit();
        for unit in units.filter(|unit| last.is_some_and(|last| *unit <= last)) {
            if let Some(row) = self.rows.find(unit)
                && !self.dead.contains(row)
            {
                Arc::make_mut(&mut self.dead).insert(row);
            }
        }
    }

    /// Whether both are the same rows, perhaps with other ones gone.
    pub(crate) fn has_rows_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.rows, &other.rows)
    }

    /// The units that are gone now and were not then.
    pub(crate) fn gone_since(&self, then: &Self) -> impl Iterator<Item = UnitId> {
        let gone =
            (0..self.rows.len()).filter(|&row| self.dead.contains(row) && !then.dead.contains(row));
        gone.map(|row| self.rows.row(row).facts.unit)
    }

    pub(crate) fn with_hash(&self, hash: u64) -> impl Iterator<Item = (UnitId, Identity)> {
        self.live_facts(self.rows.with_hash(hash).iter().copied())
            .map(|facts| (facts.unit, facts.identity()))
    }

    /// Whether a unit is here with this identity.
    pub(crate) fn holds(&self, unit: UnitId, identity: Identity) -> bool {
        let row = self.rows.find(unit).filter(|&row| !self.dead.contains(row));
        row.is_some_and(|row| self.rows.facts(row).identity() == identity)
    }

    /// Shows live rows with the source of `new`, among them all that answer a question about it, until one is taken; in a
    /// crowd, of those that may be replaced, until one of each key is taken, the one that was changed last first.
    pub(crate) fn candidates(
        &self,
        new: Identity,
        question: Question,
        take: &mut dyn FnMut(&RowFacts) -> bool,
    ) {
        let run = self.rows.with_hash(new.source_hash);
        let is_crowd = run.len() >= CROWD_UNITS_MIN;
        let crowd = is_crowd.then(|| self.crowds.of((&self.rows, new.source_hash), run, question));
        let mut all = self.live_facts(run.iter().copied());
        match (crowd, question) {
            (None, Question::Repeats) => {
                all.any(take);
            }
            (None, Question::Places) => all.for_each(|facts| {
                take(facts);
            }),
            (Some(crowd), Question::Repeats) => {
                self.live_facts(crowd.with_key(new.repeats_key())).any(take);
            }
            (Some(crowd), Question::Places) => new.place_keys().for_each(|key| {
                self.live_facts(crowd.with_key(key)).any(&mut *take);
            }),
        }
    }

    /// Bytes that crowds take, which grow while the set is asked.
    pub(crate) fn crowd_bytes(&self) -> usize {
        self.crowds.bytes()
    }

    fn live_facts(&self, rows: impl Iterator<Item = u32>) -> impl Iterator<Item = &RowFacts> {
        rows.map(|row| row as usize)
            .filter(|&row| !self.dead.contains(row))
            .map(|row| self.rows.facts(row))
    }

    pub(crate) fn live_rows(&self) -> impl Iterator<Item = Row<'_>> {
        let live = (0..self.rows.len()).filter(|&row| !self.dead.contains(row));
        live.map(|row| self.rows.row(row))
    }
}

impl Dead {
    fn contains(&self, row: usize) -> bool {
        self.bits.get(row / 64).is_some_and(|bits| bits >> (row % 64) & 1 == 1)
    }

    fn insert(&mut self, row: usize) {
        if self.bits.len() <= row / 64 {
            self.bits.resize(row / 64 + 1, 0);
        }
        self.bits[row / 64] |= 1 << (row % 64);
        self.count += 1;
    }
}
