//! What is in a memory right now? One index a memory: changes go in as batches, questions see a whole number of them.
//!
//! Readers take the current snapshot and keep it; a writer makes the next one beside it and puts it in its place. New rows
//! gather in a small open set; when there are enough they are sealed, and sealed sets are merged on a thread of their own.
//! Knows nothing of the store: what is acknowledged, and when, is the caller's business.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::unit::UnitId;

use super::concordance::{self, Expression, Page, Passage, Side};
use super::families::Families;
use super::judge::Judge;
use super::occurrences::Occurrences;
use super::postings::Postings;
use super::query::{Cancelled, Hit, Options, Query};
use super::rows::{NumberedEntry, Row, Rows};
use super::scan;
use super::search::{self, Scratch, SearchWork};
use super::vocabulary::Vocabulary;
use super::{IndexChange, IndexEntry};

/// Rows of the open set, which are looked at one by one.
const OPEN_ROWS_MAX: usize = 256;
/// Sealed sets of about one size that are merged into one; the next size is so many times larger.
const SETS_PER_SIZE: usize = 4;
/// Working memories of searches that are kept for the next ones: more than any machine has cores.
const SCRATCHES_MAX: usize = 256;

/// The index of one memory.
#[derive(Default)]
pub struct MemoryIndex {
    shared: Arc<Shared>,
    families: Families,
    scratches: Mutex<Vec<Scratch>>,
    /// What a merging thread does first.
    at_thread_start: Option<fn()>,
}

/// Where the memory goes, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IndexBytes {
    /// The segments themselves: numbers of their words, facts.
    pub rows: usize,
    /// What finds similar ones.
    pub postings: usize,
    /// What finds words in running text.
    pub occurrences: usize,
}

/// What the merging thread sees too.
struct Shared {
    vocabulary: Vocabulary,
    current: RwLock<Arc<Snapshot>>,
    /// Held by whoever makes the next snapshot.
    writer: Mutex<()>,
    /// Whether a thread is merging.
    merging: AtomicBool,
}

/// All segments at one moment.
#[derive(Default)]
pub(super) struct Snapshot {
    sets: Vec<Set>,
}

/// Rows, which of them are gone, and how to search in them if they are sealed.
#[derive(Clone)]
pub(super) struct Set {
    rows: Arc<Rows>,
    sealed: Option<Arc<Sealed>>,
    dead: Arc<Dead>,
}

/// What finds rows that do not change any more.
pub(super) struct Sealed {
    pub(super) postings: Postings,
    pub(super) source: Occurrences,
    pub(super) target: Occurrences,
}

/// A bit for each row that is gone.
#[derive(Debug, Clone, Default)]
struct Dead {
    bits: Vec<u64>,
    count: usize,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            vocabulary: Vocabulary::new(),
            current: RwLock::default(),
            writer: Mutex::default(),
            merging: AtomicBool::new(false),
        }
    }
}

impl MemoryIndex {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what its threads do first.
    #[must_use]
    pub fn at_thread_start(mut self, call: fn()) -> Self {
        self.at_thread_start = Some(call);
        self
    }

    /// Holds on to the index as it is now, for writing it while it goes on.
    pub fn freeze(&self) -> Frozen {
        Frozen { shared: Arc::clone(&self.shared), snapshot: self.shared.snapshot() }
    }

    /// From parts that fit together.
    pub(super) fn assembled(vocabulary: Vocabulary, sets: Vec<Set>) -> Self {
        let current = RwLock::new(Arc::new(Snapshot { sets }));
        let shared = Arc::new(Shared { vocabulary, current, ..Shared::default() });
        Self { shared, ..Self::default() }
    }

    /// Fills it with many units at once; what is in it already stays.
    pub fn loader(&self) -> Loader<'_> {
        Loader { index: self, rows: Rows::default() }
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
        let _writing = self.shared.write();
        let vocabulary = &self.shared.vocabulary;
        let rows = Rows::of(last.values().copied().flatten(), vocabulary);
        let mut sets = self.shared.snapshot().sets.clone();
        for set in &mut sets {
            set.remove(last.keys().copied());
        }
        sets.retain(|set| set.live() > 0);
        if rows.len() > 0 {
            let new = Set::open(rows);
            // At most one set is open.
            let open = sets.iter().position(|set| set.sealed.is_none());
            let joined = match open.map(|at| sets.remove(at)) {
                Some(open) => Set::open(Rows::collect(open.live_rows().chain(new.live_rows()))),
                None => new,
            };
            let full = joined.live() > OPEN_ROWS_MAX;
            sets.push(if full { Set::seal(&joined.rows, vocabulary) } else { joined });
        }
        self.shared.publish(Snapshot { sets });
        self.merge_in_background();
    }

    /// The units whose source has this hash, with their content hashes, in the order of the units.
    pub fn exact(&self, source_hash: u64) -> Vec<(UnitId, u64)> {
        let snapshot = self.shared.snapshot();
        let mut found: Vec<(UnitId, u64)> =
            snapshot.sets.iter().flat_map(|set| set.with_hash(source_hash)).collect();
        found.sort_unstable();
        found
    }

    /// The best hits, complete: the very ones that [`scan`](Self::scan) finds.
    ///
    /// # Errors
    /// [`Cancelled`] when the caller asked for it.
    pub fn search(&self, query: &Query, options: &Options<'_>) -> Result<Vec<Hit>, Cancelled> {
        self.search_measured(query, options).map(|(hits, _)| hits)
    }

    /// The same, with what it took.
    ///
    /// # Errors
    /// [`Cancelled`] when the caller asked for it.
    pub fn search_measured(
        &self,
        query: &Query,
        options: &Options<'_>,
    ) -> Result<(Vec<Hit>, SearchWork), Cancelled> {
        let judge = Judge::new(query, options, &self.shared.vocabulary);
        let snapshot = self.shared.snapshot();
        let mut scratch = self.scratches().pop().unwrap_or_default();
        scratch.work = SearchWork::default();
        let found = search::search(&snapshot, &judge, &mut scratch);
        let work = scratch.work;
        let mut scratches = self.scratches();
        if scratches.len() < SCRATCHES_MAX {
            scratches.push(scratch);
        }
        drop(scratches);
        match found? {
            Some(hits) => Ok((hits, work)),
            None => Ok((scan::scan(&snapshot, &judge)?, work)),
        }
    }

    /// The best hits by looking at every segment: slow, and right by its plainness. The oracle of every faster way.
    ///
    /// # Errors
    /// [`Cancelled`] when the caller asked for it.
    pub fn scan(&self, query: &Query, options: &Options<'_>) -> Result<Vec<Hit>, Cancelled> {
        let judge = Judge::new(query, options, &self.shared.vocabulary);
        scan::scan(&self.shared.snapshot(), &judge)
    }

    /// The segments in which an expression stands, in order; all of them, as far as the page reaches.
    ///
    /// # Errors
    /// [`Cancelled`] when the caller asked for it.
    pub fn concordance(
        &self,
        expression: &Expression,
        page: &Page<'_>,
    ) -> Result<Vec<Passage>, Cancelled> {
        let snapshot = self.shared.snapshot();
        concordance::search(&snapshot, expression, page, &self.shared.vocabulary, &self.families)
    }

    /// How many units there are.
    pub fn len(&self) -> usize {
        self.shared.snapshot().sets.iter().map(Set::live).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many tokens of their sources count.
    pub fn tokens(&self) -> usize {
        self.shared.snapshot().sets.iter().map(|set| set.rows.words().all().len()).sum()
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> IndexBytes {
        let snapshot = self.shared.snapshot();
        let rows = snapshot.sets.iter().map(|set| set.rows.bytes() + 8 * set.dead.bits.len()).sum();
        let sealed = || snapshot.sets.iter().filter_map(Set::sealed);
        let words = |sealed: &Sealed| sealed.source.bytes() + sealed.target.bytes();
        IndexBytes {
            rows,
            postings: sealed().map(|sealed| sealed.postings.bytes()).sum(),
            occurrences: sealed().map(words).sum(),
        }
    }

    /// Merges until nothing is left to merge, and waits for it.
    pub fn settle(&self) {
        loop {
            self.merge_in_background();
            if !self.shared.merging.load(Ordering::Acquire) {
                return;
            }
            std::thread::yield_now();
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    fn merge_in_background(&self) {
        if self.shared.snapshot().to_merge().is_none()
            || self.shared.merging.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let at_start = self.at_thread_start;
        let merging = std::thread::Builder::new().name("dhakira-merge".into()).spawn(move || {
            at_start.inspect(|call| call());
            let done = Done(&shared.merging);
            while shared.merge() {}
            drop(done);
        });
        if merging.is_err() {
            // No thread to be had: searches go on, somewhat slower, and the next change tries again.
            self.shared.merging.store(false, Ordering::Release);
        }
    }

    fn scratches(&self) -> MutexGuard<'_, Vec<Scratch>> {
        self.scratches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An index at one moment.
pub struct Frozen {
    shared: Arc<Shared>,
    snapshot: Arc<Snapshot>,
}

impl Frozen {
    pub(super) fn vocabulary(&self) -> &Vocabulary {
        &self.shared.vocabulary
    }

    pub(super) fn sets(&self) -> impl Iterator<Item = &Set> {
        self.snapshot.sets.iter()
    }
}

/// Says that a merging thread has ended, however it did.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Units on their way into an index, which sees them when all are there.
pub struct Loader<'a> {
    index: &'a MemoryIndex,
    rows: Rows,
}

impl Loader<'_> {
    /// Makes a unit ready to be added, on any thread.
    pub fn number(&self, entry: &IndexEntry) -> NumberedEntry {
        NumberedEntry::new(entry, &self.index.shared.vocabulary)
    }

    /// Adds units; none may come twice or be in the index already.
    pub fn add(&mut self, entries: impl IntoIterator<Item = NumberedEntry>) {
        entries.into_iter().for_each(|entry| self.rows.push(entry.row()));
    }

    /// Seals them and shows them.
    pub fn finish(self) {
        if self.rows.len() == 0 {
            return;
        }
        let shared = &self.index.shared;
        let set = Set::seal(&self.rows.sorted(), &shared.vocabulary);
        let _writing = shared.write();
        let mut sets = shared.snapshot().sets.clone();
        sets.push(set);
        shared.publish(Snapshot { sets });
    }
}

impl Shared {
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, snapshot: Snapshot) {
        let new = Arc::new(snapshot);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, new);
        // Giving a large set back takes long: after the lock.
        drop(current);
        drop(old);
    }

    /// Merges sealed sets of one size, if there are enough. Writers go on meanwhile; what they take out of the old sets is
    /// taken out of the new one before it is shown.
    fn merge(&self) -> bool {
        let snapshot = self.snapshot();
        let Some(old) = snapshot.to_merge() else { return false };
        let rows = Rows::collect(old.iter().flat_map(Set::live_rows));
        let mut merged = Set::seal(&rows, &self.vocabulary);
        drop(rows);
        let _writing = self.write();
        let mut sets = Vec::new();
        for set in &self.snapshot().sets {
            match old.iter().find(|old| Arc::ptr_eq(&old.rows, &set.rows)) {
                Some(old) => merged.remove(set.gone_since(&old.dead)),
                None => sets.push(set.clone()),
            }
        }
        sets.push(merged);
        self.publish(Snapshot { sets });
        true
    }
}

impl Snapshot {
    /// The sets of rows.
    pub(super) fn sets(&self) -> impl Iterator<Item = &Rows> {
        self.sets.iter().map(|set| set.rows.as_ref())
    }

    /// The sets, the largest first.
    pub(super) fn largest_first(&self) -> Vec<&Set> {
        let mut sets: Vec<&Set> = self.sets.iter().collect();
        sets.sort_by_key(|set| std::cmp::Reverse(set.live()));
        sets
    }

    /// Sealed sets of one size, when there are enough of them; or one that is more gone than there.
    fn to_merge(&self) -> Option<Vec<Set>> {
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
    fn open(rows: Rows) -> Self {
        Self { rows: Arc::new(rows), sealed: None, dead: Arc::default() }
    }

    fn seal(rows: &Rows, vocabulary: &Vocabulary) -> Self {
        let rows = rows.by_length();
        let (postings, (source, target)) = rayon::join(
            || Postings::new(&rows, vocabulary),
            || rayon::join(|| Occurrences::new(rows.words()), || Occurrences::new(rows.target())),
        );
        let sealed = Sealed { postings, source, target };
        Self { rows: Arc::new(rows), sealed: Some(Arc::new(sealed)), dead: Arc::default() }
    }

    /// From parts that fit together; `dead` has a bit for each row that is gone.
    pub(super) fn assembled(rows: Arc<Rows>, dead: Vec<u64>, sealed: Option<Arc<Sealed>>) -> Self {
        let count = dead.iter().map(|bits| bits.count_ones() as usize).sum();
        Self { rows, sealed, dead: Arc::new(Dead { bits: dead, count }) }
    }

    pub(super) fn rows(&self) -> &Rows {
        &self.rows
    }

    pub(super) fn sealed(&self) -> Option<&Sealed> {
        self.sealed.as_deref()
    }

    pub(super) fn dead_bits(&self) -> &[u64] {
        &self.dead.bits
    }

    pub(super) fn postings(&self) -> Option<&Postings> {
        self.sealed.as_ref().map(|sealed| &sealed.postings)
    }

    /// In which rows words might stand, if the set is sealed.
    pub(super) fn occurrences(&self, side: Side) -> Option<&Occurrences> {
        self.sealed.as_ref().map(|sealed| match side {
            Side::Source => &sealed.source,
            Side::Target => &sealed.target,
        })
    }

    pub(super) fn is_live(&self, row: usize) -> bool {
        !self.dead.contains(row)
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

    /// The units that are gone now and were not then.
    fn gone_since(&self, then: &Dead) -> impl Iterator<Item = UnitId> {
        let gone =
            (0..self.rows.len()).filter(|&row| self.dead.contains(row) && !then.contains(row));
        gone.map(|row| self.rows.row(row).facts.unit)
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
