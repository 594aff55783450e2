//! What is in a memory right now? One index a memory: changes go in as batches, questions see a whole number of them.
//!
//! Readers take the current snapshot and keep it; a writer makes the next one beside it and puts it in its place. Knows
//! nothing of the store: what is acknowledged, and when, is the caller's business.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::unit::UnitId;

use super::judge::Judge;
use super::query::{Cancelled, Hit, Options, Query};
use super::rows::{Row, Rows};
use super::scan;
use super::vocabulary::Vocabulary;
use super::{IndexChange, IndexEntry};

/// The index of one memory.
#[derive(Debug)]
pub struct MemoryIndex {
    vocabulary: Vocabulary,
    current: RwLock<Arc<Snapshot>>,
    /// Held by whoever makes the next snapshot.
    writer: Mutex<()>,
}

/// All segments at one moment.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    sets: Vec<Set>,
}

/// Rows and which of them are gone.
#[derive(Debug, Clone)]
struct Set {
    rows: Arc<Rows>,
    dead: Arc<Dead>,
}

/// A bit for each row that is gone.
#[derive(Debug, Clone, Default)]
struct Dead {
    bits: Vec<u64>,
    count: usize,
}

impl Default for MemoryIndex {
    fn default() -> Self {
        Self { vocabulary: Vocabulary::new(), current: RwLock::default(), writer: Mutex::default() }
    }
}

impl MemoryIndex {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Carries out changes, in their order; questions see all of them or none.
    pub fn apply(&self, changes: &[IndexChange]) {
        let mut last: BTreeMap<UnitId, Option<&IndexEntry>> = BTreeMap::new();
        for change in changes {
            match change {
                IndexChange::Put(entry) => last.insert(entry.unit, Some(entry)),
                IndexChange::Remove(unit) => last.insert(*unit, None),
            };
        }
        if last.is_empty() {
            return;
        }
        let _writing = self.write();
        let rows = Rows::of(last.values().copied().flatten(), &self.vocabulary);
        let mut sets = self.snapshot().sets.clone();
        for set in &mut sets {
            set.remove(last.keys().copied());
        }
        sets.retain(|set| set.live() > 0);
        if rows.len() > 0 {
            sets.push(Set::new(rows));
        }
        join_small(&mut sets);
        self.publish(Snapshot { sets });
    }

    /// The units whose source has this hash, with their content hashes, in the order of the units.
    pub fn exact(&self, source_hash: u64) -> Vec<(UnitId, u64)> {
        let snapshot = self.snapshot();
        let mut found: Vec<(UnitId, u64)> =
            snapshot.sets.iter().flat_map(|set| set.with_hash(source_hash)).collect();
        found.sort_unstable();
        found
    }

    /// The best hits by looking at every segment: slow, and right by its plainness. The oracle of every faster way.
    ///
    /// # Errors
    /// [`Cancelled`] when the caller asked for it.
    pub fn scan(&self, query: &Query, options: &Options<'_>) -> Result<Vec<Hit>, Cancelled> {
        let judge = Judge::new(query, options, &self.vocabulary);
        scan::scan(&self.snapshot(), &judge)
    }

    /// How many units there are.
    pub fn len(&self) -> usize {
        self.snapshot().sets.iter().map(Set::live).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory, the vocabulary's texts not counted.
    pub fn bytes(&self) -> usize {
        self.snapshot().sets.iter().map(|set| set.rows.bytes() + 8 * set.dead.bits.len()).sum()
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, snapshot: Snapshot) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }
}

impl Snapshot {
    /// The sets of rows.
    pub(super) fn sets(&self) -> impl Iterator<Item = &Rows> {
        self.sets.iter().map(|set| set.rows.as_ref())
    }

    /// Shows every live row of a set from one number to before another.
    pub(super) fn each_live(
        &self,
        set: usize,
        from: usize,
        to: usize,
        show: &mut dyn FnMut(Row<'_>),
    ) {
        let set = &self.sets[set];
        for number in from..to.min(set.rows.len()) {
            if !set.dead.contains(number) {
                show(set.rows.row(number));
            }
        }
    }
}

impl Set {
    fn new(rows: Rows) -> Self {
        Self { rows: Arc::new(rows), dead: Arc::default() }
    }

    fn live(&self) -> usize {
        self.rows.len() - self.dead.count
    }

    fn remove(&mut self, units: impl Iterator<Item = UnitId>) {
        for unit in units {
            if let Some(row) = self.rows.find(unit)
                && !self.dead.contains(row)
            {
                Arc::make_mut(&mut self.dead).insert(row);
            }
        }
    }

    fn with_hash(&self, hash: u64) -> impl Iterator<Item = (UnitId, u64)> {
        let live = self.rows.with_hash(hash).filter(|&row| !self.dead.contains(row));
        live.map(|row| {
            let facts = self.rows.row(row).facts;
            (facts.unit, facts.content_hash)
        })
    }

    fn live_rows(&self) -> impl Iterator<Item = Row<'_>> {
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

/// Joins the newest sets while the newer is not much smaller than the older: every row is copied some log₂ n times.
fn join_small(sets: &mut Vec<Set>) {
    while let [.., older, newer] = sets.as_slice()
        && older.live() <= 2 * newer.live()
    {
        let mut rows: Vec<Row<'_>> = older.live_rows().chain(newer.live_rows()).collect();
        rows.sort_by_key(|row| row.facts.unit);
        let joined = Set::new(Rows::collect(rows.into_iter()));
        sets.truncate(sets.len() - 2);
        sets.push(joined);
    }
}
