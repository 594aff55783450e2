//! What is in a memory right now? One index a memory: changes go in as batches, questions see a whole number of them.
//!
//! Readers take the current snapshot and keep it; a writer makes the next one beside it and puts it in its place. New rows
//! gather in a small open set; when there are enough they wait to be sealed, on a thread of their own, and sealed sets are
//! merged on another.
//! Knows nothing of the store: what is acknowledged, and when, is the caller's business.

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
use super::search::{self, Expression, Page, Passage, Scratch, SearchWork};

/// Working memories of searches that are kept for the next ones: more than any machine has cores.
const SCRATCHES_MAX: usize = 256;

/// The index of one memory.
#[derive(Default)]
pub struct MemoryIndex {
    shared: Arc<Shared>,
    surface_forms: SurfaceForms,
    scratches: Mutex<Vec<Scratch>>,
    /// What a merging thread does first.
    at_thread_start: AtStart,
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
        Frozen::new(&self.shared)
    }

    /// Reads an index that was written, to the end of the input.
    ///
    /// # Errors
    /// `InvalidData` when it is not what was written, or does not fit together; the reader's.
    pub fn read(input: ArrayReader<impl Read>) -> io::Result<Self> {
        let (vocabulary, sets) = index::read(input)?;
        let shared = Shared::over(vocabulary);
        shared.hashes().add(&Rows::default(), &sets);
        shared.publish(Snapshot { sets });
        Ok(Self { shared: Arc::new(shared), ..Self::default() })
    }

    /// Fills it with many units at once; what is in it already stays.
    pub fn loader(&self) -> Loader<'_> {
        Loader::new(&self.shared)
    }

    /// What makes entries ready to be put in, on any thread, for one thread.
    pub fn encoder(&self) -> Encoder<'_> {
        Encoder::new(&self.shared.vocabulary)
    }

    /// The same for a few entries.
    pub fn uncached_encoder(&self) -> Encoder<'_> {
        Encoder::of_few(&self.shared.vocabulary)
    }

    /// Carries out changes, in their order; questions see all of them or none.
    pub fn apply(&self, changes: &[IndexChange]) {
        self.shared.patient.store(false, Ordering::Relaxed);
        self.shared.apply(changes, self.at_thread_start);
    }

    /// The same while nobody searches: many rows wait to be sealed together, which is less work. Who searches after all
    /// finds them, some milliseconds slower.
    pub fn apply_in_bulk(&self, changes: &[IndexChange]) {
        self.shared.patient.store(true, Ordering::Relaxed);
        self.shared.apply(changes, self.at_thread_start);
    }

    /// The units whose source has this hash, to be asked which of them concern a new one; `None` when there is none.
    pub fn same_source(&self, source_hash: u64) -> Option<SameSource> {
        let may_hold = self.shared.hashes().may_hold(source_hash);
        may_hold.then(|| SameSource::new(self.shared.snapshot(), source_hash))
    }

    /// Whether a unit is in it with this identity.
    pub fn holds(&self, unit: UnitId, identity: Identity) -> bool {
        self.shared.snapshot().sets.iter().any(|set| set.holds(unit, identity))
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
        let judge = Scorer::new(query, options, &self.shared.vocabulary);
        let snapshot = self.shared.snapshot();
        let mut scratch = self.scratches().pop().unwrap_or_default();
        scratch.work = SearchWork::default();
        let found = search::fuzzy(&snapshot, &judge, &mut scratch);
        let work = scratch.work;
        let mut scratches = self.scratches();
        if scratches.len() < SCRATCHES_MAX {
            scratches.push(scratch);
        }
        drop(scratches);
        match found? {
            Some(hits) => Ok((hits, work)),
            None => Ok((search::scan(&snapshot, &judge)?, work)),
        }
    }

    /// The best hits by looking at every segment: slow, and right by its plainness. The oracle of every faster way.
    ///
    /// # Errors
    /// [`Cancelled`] when the caller asked for it.
    pub fn scan(&self, query: &Query, options: &Options<'_>) -> Result<Vec<Hit>, Cancelled> {
        let judge = Scorer::new(query, options, &self.shared.vocabulary);
        search::scan(&self.shared.snapshot(), &judge)
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
        search::concordance(
            &snapshot,
            expression,
            page,
            &self.shared.vocabulary,
            &self.surface_forms,
        )
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
        self.shared.snapshot().sets.iter().map(|set| set.rows().words().all().len()).sum()
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> IndexBytes {
        let snapshot = self.shared.snapshot();
        let rows = |set: &Set| set.rows().bytes() + 8 * set.dead_bits().len() + set.crowd_bytes();
        let rows = snapshot.sets.iter().map(rows).sum::<usize>() + self.shared.hashes().bytes();
        let sealed = || snapshot.sets.iter().filter_map(Set::sealed);
        let words = |sealed: &Sealed| sealed.source.bytes() + sealed.target.bytes();
        IndexBytes {
            rows,
            postings: sealed().map(|sealed| sealed.postings.bytes()).sum(),
            occurrences: sealed().map(words).sum(),
        }
    }

    /// Seals and merges until nothing is left, and waits for it.
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
