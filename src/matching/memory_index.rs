//! The index of one memory: applies changes in batches and answers searches from consistent snapshots.
//!
//! Readers hold the current snapshot; a writer builds the next one beside it and then replaces it. New rows go into a
//! small open set. Full sets are sealed in the background, and sealed sets of one size are merged. Knows nothing of
//! the store: the caller decides what is acknowledged, and when.

use std::io::{self, Read};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::unit::UnitId;

use super::array_codec::ArrayReader;
use super::cancel::Cancelled;
use super::encode::{Encoder, Identity, SurfaceForms};
use super::index::{
    self, AtStart, Frozen, IndexChange, Loader, Rows, SameSource, Sealed, Set, Shared, Snapshot,
};
use super::score::{Hit, Options, Query, Scorer};
use super::search::{self, Expression, Page, Passage, Scratch, SearchStats};

/// Search scratches that are kept for reuse: more than any machine has cores.
const SCRATCHES_MAX: usize = 256;

/// The index of one memory.
#[derive(Default)]
pub struct MemoryIndex {
    shared: Arc<Shared>,
    surface_forms: SurfaceForms,
    scratches: Mutex<Vec<Scratch>>,
    /// Called first on every background thread.
    at_thread_start: AtStart,
}

/// Memory use by part, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IndexBytes {
    /// The segments: numbers of their words, and facts.
    pub rows: usize,
    /// Postings and signatures, for fuzzy search.
    pub postings: usize,
    /// Occurrences of words, for concordance search.
    pub occurrences: usize,
}

impl MemoryIndex {
    /// Creates an empty index.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what each background thread calls first.
    #[must_use]
    pub fn at_thread_start(mut self, call: fn()) -> Self {
        self.at_thread_start = Some(call);
        self
    }

    /// Takes a snapshot to be written while the index keeps changing.
    pub fn freeze(&self) -> Frozen {
        Frozen::new(&self.shared)
    }

    /// Reads an index that [`Frozen::write`] has written, to the end of the input.
    ///
    /// # Errors
    ///
    /// `InvalidData` when the input is damaged or its parts are inconsistent; errors of the reader.
    pub fn read(input: ArrayReader<impl Read>) -> io::Result<Self> {
        let (vocabulary, sets) = index::read(input)?;
        let shared = Shared::over(vocabulary);
        shared.hashes().add(&Rows::default(), &sets);
        shared.publish(Snapshot { sets });
        Ok(Self { shared: Arc::new(shared), ..Self::default() })
    }

    /// Returns a loader that adds many units at once to what the index holds.
    pub fn loader(&self) -> Loader<'_> {
        Loader::new(&self.shared)
    }

    /// Returns an encoder that prepares many entries on one thread.
    pub fn encoder(&self) -> Encoder<'_> {
        Encoder::new(&self.shared.vocabulary)
    }

    /// Returns an encoder without a cache, for a few entries.
    pub fn uncached_encoder(&self) -> Encoder<'_> {
        Encoder::uncached(&self.shared.vocabulary)
    }

    /// Applies changes in order; a reader sees all of them or none.
    pub fn apply(&self, changes: &[IndexChange]) {
        self.shared.in_bulk.store(false, Ordering::Relaxed);
        self.shared.apply(changes, self.at_thread_start);
    }

    /// Applies changes while few searches are expected: more rows are sealed together, which costs less. A search
    /// still finds them, some milliseconds slower.
    pub fn apply_in_bulk(&self, changes: &[IndexChange]) {
        self.shared.in_bulk.store(true, Ordering::Relaxed);
        self.shared.apply(changes, self.at_thread_start);
    }

    /// Returns the units whose source has this hash; `None` when there is none.
    pub fn same_source(&self, source_hash: u64) -> Option<SameSource> {
        let may_hold = self.shared.hashes().may_hold(source_hash);
        may_hold.then(|| SameSource::new(self.shared.snapshot(), source_hash))
    }

    /// Whether the index holds a unit with this identity.
    pub fn holds(&self, unit: UnitId, identity: Identity) -> bool {
        self.shared.snapshot().sets.iter().any(|set| set.holds(unit, identity))
    }

    /// Returns the best hits, exactly those that [`scan`](Self::scan) returns.
    ///
    /// # Errors
    ///
    /// [`Cancelled`] when the caller cancels.
    pub fn search(&self, query: &Query, options: &Options<'_>) -> Result<Vec<Hit>, Cancelled> {
        self.search_measured(query, options).map(|(hits, _)| hits)
    }

    /// [`search`](Self::search) with statistics.
    ///
    /// # Errors
    ///
    /// [`Cancelled`] when the caller cancels.
    pub fn search_measured(
        &self,
        query: &Query,
        options: &Options<'_>,
    ) -> Result<(Vec<Hit>, SearchStats), Cancelled> {
        let scorer = Scorer::new(query, options, &self.shared.vocabulary)?;
        let snapshot = self.shared.snapshot();
        let mut scratch = self.scratches().pop().unwrap_or_default();
        scratch.work = SearchStats::default();
        let found = search::fuzzy(&snapshot, &scorer, &mut scratch);
        let work = scratch.work;
        let mut scratches = self.scratches();
        if scratches.len() < SCRATCHES_MAX {
            scratches.push(scratch);
        }
        drop(scratches);
        match found? {
            Some(hits) => Ok((hits, work)),
            None => Ok((search::scan(&snapshot, &scorer)?, work)),
        }
    }

    /// Returns the best hits by scoring every segment: slow and obviously right. Faster searches are tested against
    /// it.
    ///
    /// # Errors
    ///
    /// [`Cancelled`] when the caller cancels.
    pub fn scan(&self, query: &Query, options: &Options<'_>) -> Result<Vec<Hit>, Cancelled> {
        let scorer = Scorer::new(query, options, &self.shared.vocabulary)?;
        search::scan(&self.shared.snapshot(), &scorer)
    }

    /// Returns the segments that contain an expression, in order, one page of them.
    ///
    /// # Errors
    ///
    /// [`Cancelled`] when the caller cancels.
    pub fn concordance(
        &self,
        expression: &Expression,
        page: &Page<'_>,
    ) -> Result<Vec<Passage>, Cancelled> {
        let snapshot = self.shared.snapshot();
        search::concordance(
            &snapshot,
            expression,
            page,
            &self.shared.vocabulary,
            &self.surface_forms,
        )
    }

    /// Number of units.
    pub fn len(&self) -> usize {
        self.shared.snapshot().sets.iter().map(Set::live).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of source tokens that count.
    pub fn tokens(&self) -> usize {
        self.shared.snapshot().sets.iter().map(|set| set.rows().words().all().len()).sum()
    }

    /// Size in memory, by part.
    pub fn bytes(&self) -> IndexBytes {
        let snapshot = self.shared.snapshot();
        let rows = |set: &Set| {
            set.rows().bytes() + 8 * set.tombstone_bits().len() + set.context_index_bytes()
        };
        let rows = snapshot.sets.iter().map(rows).sum::<usize>() + self.shared.hashes().bytes();
        let sealed = || snapshot.sets.iter().filter_map(Set::sealed);
        let words = |sealed: &Sealed| sealed.source.bytes() + sealed.target.bytes();
        IndexBytes {
            rows,
            postings: sealed().map(|sealed| sealed.postings.bytes()).sum(),
            occurrences: sealed().map(words).sum(),
        }
    }

    /// Seals and merges until nothing is left to do, and waits for it.
    pub fn settle(&self) {
        loop {
            self.shared.seal();
            index::merge(&self.shared, self.at_thread_start);
            if !self.shared.merging.load(Ordering::Acquire) {
                return;
            }
            std::thread::yield_now();
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    fn scratches(&self) -> MutexGuard<'_, Vec<Scratch>> {
        self.scratches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
