//! A snapshot of an index: immutable sets of rows, each with tombstones for removed rows; most sets are sealed with
//! the structures that find rows.
//!
//! Knows nothing of threads or locks, nor of when sets are sealed and merged.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::matching::cancel::Cancelled;
use crate::matching::encode::{Identity, Question, Row, RowFacts, Side, Vocabulary};
use crate::matching::jagged_array::length_u32;
use crate::unit::UnitId;

use super::context_index::ContextIndexes;
use super::occurrences::Occurrences;
use super::postings::Postings;
use super::rows::{CONTEXT_INDEX_UNITS_MIN, Rows};

/// Most rows of the open set, which searches scan.
pub(crate) const OPEN_ROWS_MAX: usize = 256;
/// When rows are sealed. Unsealed rows are scanned; rows that are sealed in small batches are merged more often.
pub(crate) struct SealPolicy {
    /// Rows that are sealed together when they arrive quickly.
    pub(crate) rows_target: usize,
    /// With more unsealed rows, the writer seals before it returns.
    pub(crate) rows_max: usize,
}

impl SealPolicy {
    /// Scanning all unsealed rows takes about a millisecond, or eight in bulk mode.
    pub(crate) fn of(long: bool) -> Self {
        let rows_max = if long { 256 * 1_024 } else { 32 * 1_024 };
        Self { rows_target: rows_max * 3 / 8, rows_max }
    }
}

/// Sealed sets of one size that are merged into one; also the factor from one size to the next.
const SETS_PER_SIZE: usize = 4;

/// All segments at one moment.
#[derive(Default)]
pub(crate) struct Snapshot {
    pub(crate) sets: Vec<Set>,
}

/// Rows, their tombstones, and the search structures if they are sealed.
#[derive(Clone)]
pub(crate) struct Set {
    rows: Arc<Rows>,
    sealed: Option<Arc<Sealed>>,
    tombstones: Arc<Tombstones>,
    context_indexes: Arc<ContextIndexes>,
}

/// Search structures of rows that no longer change.
pub(crate) struct Sealed {
    pub(crate) postings: Postings,
    pub(crate) source: Occurrences,
    pub(crate) target: Occurrences,
}

/// A bit for each removed row.
#[derive(Debug, Clone, Default)]
struct Tombstones {
    bits: Vec<u64>,
    count: usize,
}

impl Snapshot {
    /// The rows of each set.
    pub(crate) fn sets(&self) -> impl Iterator<Item = &Rows> {
        self.sets.iter().map(|set| set.rows.as_ref())
    }

    /// The sets, the largest first.
    pub(crate) fn largest_first(&self) -> Vec<&Set> {
        let mut sets: Vec<&Set> = self.sets.iter().collect();
        sets.sort_by_key(|set| std::cmp::Reverse(set.live()));
        sets
    }

    /// Sets to be sealed.
    pub(crate) fn waiting(&self) -> Vec<Set> {
        self.sets.iter().filter(|set| set.needs_sealing()).cloned().collect()
    }

    /// Live rows of the sets to be sealed.
    pub(crate) fn waiting_rows(&self) -> usize {
        self.sets.iter().filter(|set| set.needs_sealing()).map(Set::live).sum()
    }

    /// Sets to be merged: enough sealed sets of one size, or one with more removed rows than live ones.
    pub(crate) fn to_merge(&self) -> Option<Vec<Set>> {
        let sealed = || self.sets.iter().filter(|set| set.sealed.is_some());
        if let Some(set) = sealed().find(|set| set.tombstones.count > set.live()) {
            return Some(vec![set.clone()]);
        }
        let mut sizes: BTreeMap<u32, Vec<Set>> = BTreeMap::new();
        for set in sealed() {
            let size = (set.live() / OPEN_ROWS_MAX).max(1).ilog(SETS_PER_SIZE);
            sizes.entry(size).or_default().push(set.clone());
        }
        sizes.into_values().find(|sets| sets.len() >= SETS_PER_SIZE)
    }

    /// Calls `show` for every live row of a set in a range.
    pub(crate) fn each_live(
        &self,
        set: usize,
        from: usize,
        to: usize,
        show: &mut dyn FnMut(Row<'_>) -> Result<(), Cancelled>,
    ) -> Result<(), Cancelled> {
        let set = &self.sets[set];
        for number in from..to.min(set.rows.len()) {
            if !set.tombstones.contains(number) {
                show(set.rows.row(number))?;
            }
        }
        Ok(())
    }
}

impl Set {
    pub(crate) fn open(rows: Rows) -> Self {
        Self::of(Arc::new(rows), None, Tombstones::default())
    }

    /// Whether rows are still added to it.
    pub(crate) fn is_open(&self) -> bool {
        self.sealed.is_none() && self.rows.len() <= OPEN_ROWS_MAX
    }

    /// Whether it is full and not sealed.
    pub(crate) fn needs_sealing(&self) -> bool {
        self.sealed.is_none() && self.rows.len() > OPEN_ROWS_MAX
    }

    /// Merges the live rows of some sets into one sealed set, ordered by length and then by unit.
    pub(crate) fn seal(sets: &[Self], vocabulary: &Vocabulary) -> Self {
        let mut order: Vec<(u32, UnitId, u32, u32)> =
            Vec::with_capacity(sets.iter().map(Self::live).sum());
        for (part, set) in (0..).zip(sets) {
            let live = (0..set.rows.len()).filter(|&row| !set.tombstones.contains(row));
            order.extend(live.map(|row| {
                let (length, unit) = (set.rows.length(row), set.rows.unit(row));
                (length_u32(length), unit, part, length_u32(row))
            }));
        }
        // Sealed sets are in this order already, and a stable sort merges sorted runs.
        order.sort();
        let mut rows = Rows::with_room_of(sets.iter().map(Self::rows));
        for (_, _, part, row) in order {
            rows.push(sets[part as usize].rows.row(row as usize));
        }
        let rows = rows.sorted();
        let (postings, (source, target)) = rayon::join(
            || Postings::new(&rows, vocabulary),
            || {
                rayon::join(
                    || Occurrences::of(&rows, Side::Source),
                    || Occurrences::of(&rows, Side::Target),
                )
            },
        );
        let sealed = Sealed { postings, source, target };
        Self::of(Arc::new(rows), Some(Arc::new(sealed)), Tombstones::default())
    }

    /// Builds a set from consistent parts; `tombstones` has a bit for each removed row.
    pub(crate) fn assembled(
        rows: Arc<Rows>,
        tombstones: Vec<u64>,
        sealed: Option<Arc<Sealed>>,
    ) -> Self {
        let count = tombstones.iter().map(|bits| bits.count_ones() as usize).sum();
        Self::of(rows, sealed, Tombstones { bits: tombstones, count })
    }

    fn of(rows: Arc<Rows>, sealed: Option<Arc<Sealed>>, tombstones: Tombstones) -> Self {
        Self { rows, sealed, tombstones: Arc::new(tombstones), context_indexes: Arc::default() }
    }

    pub(crate) fn rows(&self) -> &Rows {
        &self.rows
    }

    pub(crate) fn sealed(&self) -> Option<&Sealed> {
        self.sealed.as_deref()
    }

    pub(crate) fn tombstone_bits(&self) -> &[u64] {
        &self.tombstones.bits
    }

    pub(crate) fn postings(&self) -> Option<&Postings> {
        self.sealed.as_ref().map(|sealed| &sealed.postings)
    }

    /// The occurrences of words, if the set is sealed.
    pub(crate) fn occurrences(&self, side: Side) -> Option<&Occurrences> {
        self.sealed.as_ref().map(|sealed| match side {
            Side::Source => &sealed.source,
            Side::Target => &sealed.target,
        })
    }

    pub(crate) fn is_live(&self, row: usize) -> bool {
        !self.tombstones.contains(row)
    }

    pub(crate) fn live(&self) -> usize {
        self.rows.len() - self.tombstones.count
    }

    pub(crate) fn remove(&mut self, units: impl Iterator<Item = UnitId>) {
        // Most units of an import are new and have higher numbers than all others.
        let last = self.rows.last_unit();
        for unit in units.filter(|unit| last.is_some_and(|last| *unit <= last)) {
            if let Some(row) = self.rows.find(unit)
                && !self.tombstones.contains(row)
            {
                Arc::make_mut(&mut self.tombstones).insert(row);
            }
        }
    }

    /// Whether both have the same rows, perhaps with different tombstones.
    pub(crate) fn has_rows_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.rows, &other.rows)
    }

    /// The units that were removed since `then`.
    pub(crate) fn gone_since(&self, then: &Self) -> impl Iterator<Item = UnitId> {
        let gone = (0..self.rows.len())
            .filter(|&row| self.tombstones.contains(row) && !then.tombstones.contains(row));
        gone.map(|row| self.rows.unit(row))
    }

    pub(crate) fn with_hash(&self, hash: u64) -> impl Iterator<Item = (UnitId, Identity)> {
        self.live_facts(self.rows.with_hash(hash).iter().copied())
            .map(|facts| (facts.unit, facts.identity()))
    }

    /// Whether it holds a live unit with this identity.
    pub(crate) fn holds(&self, unit: UnitId, identity: Identity) -> bool {
        let row = self.rows.find(unit).filter(|&row| !self.tombstones.contains(row));
        row.is_some_and(|row| self.rows.facts(row).identity() == identity)
    }

    /// Calls `take` for live rows with the source of `new`, among them all that have the asked relation to it, until
    /// it returns true. Through a context index and for replacements it stops once for each key, at the row changed
    /// last.
    pub(crate) fn candidates(
        &self,
        new: Identity,
        question: Question,
        take: &mut dyn FnMut(&RowFacts) -> bool,
    ) {
        let run = self.rows.with_hash(new.source_hash);
        let is_indexed = run.len() >= CONTEXT_INDEX_UNITS_MIN;
        let context_index = is_indexed
            .then(|| self.context_indexes.of((&self.rows, new.source_hash), run, question));
        let mut all = self.live_facts(run.iter().copied());
        match (context_index, question) {
            (None, Question::Repeats) => {
                all.any(|facts| take(&facts));
            }
            (None, Question::Places) => all.for_each(|facts| {
                take(&facts);
            }),
            (Some(context_index), Question::Repeats) => {
                let mut same = self.live_facts(context_index.with_key(new.repeats_key()));
                same.any(|facts| take(&facts));
            }
            (Some(context_index), Question::Places) => new.place_keys().for_each(|key| {
                self.live_facts(context_index.with_key(key)).any(|facts| take(&facts));
            }),
        }
    }

    /// Size of the context indexes, which grow as the set is asked.
    pub(crate) fn context_index_bytes(&self) -> usize {
        self.context_indexes.bytes()
    }

    fn live_facts(&self, rows: impl Iterator<Item = u32>) -> impl Iterator<Item = RowFacts> {
        rows.map(|row| row as usize)
            .filter(|&row| !self.tombstones.contains(row))
            .map(|row| self.rows.facts(row))
    }

    pub(crate) fn live_rows(&self) -> impl Iterator<Item = Row<'_>> {
        let live = (0..self.rows.len()).filter(|&row| !self.tombstones.contains(row));
        live.map(|row| self.rows.row(row))
    }
}

impl Tombstones {
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
