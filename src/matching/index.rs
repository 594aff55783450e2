//! What is in a memory right now? One index a memory: changes go in as batches, questions see a whole number of them.
//!
//! Readers take the current snapshot and keep it; a writer makes the next one beside it and puts it in its place. New rows
//! gather in a small open set; when there are enough they wait to be sealed, on a thread of their own, and sealed sets are
//! merged on another.
//! Knows nothing of the store: what is acknowledged, and when, is the caller's business.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::unit::UnitId;

use super::IndexChange;
use super::concordance::{self, Expression, Page, Passage};
use super::families::Families;
use super::form::Token;
use super::hashes::{AllHashes, Identity};
use super::judge::Judge;
use super::numbering::Numbering;
use super::query::{Cancelled, Hit, Options, Query};
use super::rows::{NumberedEntry, Rows};
use super::same_source::SameSource;
use super::scan;
use super::search::{self, Scratch, SearchWork};
use super::sets::{Patience, Sealed, Set, Snapshot};
use super::vocabulary::Vocabulary;

/// Working memories of searches that are kept for the next ones: more than any machine has cores.
const SCRATCHES_MAX: usize = 256;
/// How long few rows wait for others to be sealed together with them.
const MORE_MAY_COME: std::time::Duration = std::time::Duration::from_millis(200);

/// The index of one memory.
#[derive(Default)]
pub struct MemoryIndex {
    shared: Arc<Shared>,
    families: Families,
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

/// What the merging thread sees too.
struct Shared {
    vocabulary: Vocabulary,
    current: RwLock<Arc<Snapshot>>,
    /// Of all rows that are shown, and of some that are gone.
    hashes: Mutex<AllHashes>,
    /// Held by whoever makes the next snapshot.
    writer: Mutex<()>,
    /// Whether a thread is merging.
    merging: AtomicBool,
    /// Whether a thread is there that seals what waits.
    sealing: AtomicBool,
    /// Held by whoever seals.
    sealer: Mutex<()>,
    /// Whether rows may wait long, as whoever changed the index last has said.
    patient: AtomicBool,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            vocabulary: Vocabulary::new(),
            current: RwLock::default(),
            hashes: Mutex::default(),
            writer: Mutex::default(),
            merging: AtomicBool::new(false),
            sealing: AtomicBool::new(false),
            sealer: Mutex::default(),
            patient: AtomicBool::new(false),
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
        let shared = Shared { vocabulary, ..Shared::default() };
        shared.hashes().add(&Rows::default(), &sets);
        shared.publish(Snapshot { sets });
        Self { shared: Arc::new(shared), ..Self::default() }
    }

    /// Fills it with many units at once; what is in it already stays.
    pub fn loader(&self) -> Loader<'_> {
        Loader { index: self, rows: Rows::default() }
    }

    /// What makes entries ready to be put in, on any thread, for one thread.
    pub fn numbering(&self) -> Numbering<'_> {
        Numbering::new(&self.shared.vocabulary)
    }

    /// The same for a few entries.
    pub fn numbering_of_few(&self) -> Numbering<'_> {
        Numbering::of_few(&self.shared.vocabulary)
    }

    /// Carries out changes, in their order; questions see all of them or none.
    pub fn apply(&self, changes: &[IndexChange]) {
        self.shared.patient.store(false, Ordering::Relaxed);
        self.change(changes);
    }

    /// The same while nobody searches: many rows wait to be sealed together, which is less work. Who searches after all
    /// finds them, some milliseconds slower.
    pub fn apply_in_bulk(&self, changes: &[IndexChange]) {
        self.shared.patient.store(true, Ordering::Relaxed);
        self.change(changes);
    }

    fn change(&self, changes: &[IndexChange]) {
        let mut last: BTreeMap<UnitId, &IndexChange> = BTreeMap::new();
        for change in changes {
            let unit = match change {
                IndexChange::Put(entry) => entry.unit,
                IndexChange::PutNumbered(entry) => entry.unit(),
                IndexChange::Remove(unit) => *unit,
            };
            last.insert(unit, change);
        }
        if last.is_empty() {
            return;
        }
        let writing = self.shared.write();
        let vocabulary = &self.shared.vocabulary;
        let mut rows = Rows::default();
        for change in last.values() {
            match change {
                IndexChange::Put(entry) => {
                    let number = |token: Token<'_>| vocabulary.intern_word(token);
                    rows.push(NumberedEntry::new(entry, vocabulary, number).row());
                }
                IndexChange::PutNumbered(entry) => rows.push(entry.row()),
                IndexChange::Remove(_) => {}
            }
        }
        let rows = rows.sorted();
        let mut sets = self.shared.snapshot().sets.clone();
        for set in &mut sets {
            set.remove(last.keys().copied());
        }
        sets.retain(|set| set.live() > 0);
        if rows.len() > 0 {
            self.shared.hashes().add(&rows, &sets);
            let new = Set::open(rows);
            // At most one set is open; what may be being sealed is not touched.
            let open = sets.iter().position(|set| set.is_open() && new.is_open());
            let new = match open.map(|at| sets.remove(at)) {
                Some(open) => Set::open(Rows::collect(open.live_rows().chain(new.live_rows()))),
                None => new,
            };
            sets.push(new);
        }
        let snapshot = Snapshot { sets };
        let waiting_rows = snapshot.waiting_rows();
        self.shared.publish(snapshot);
        drop(writing);
        if waiting_rows > self.shared.patience().rows_max {
            self.shared.seal();
            self.merge_in_background();
        } else if waiting_rows > 0 {
            self.seal_in_background();
        } else {
            self.merge_in_background();
        }
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
            self.merge_in_background();
            if !self.shared.merging.load(Ordering::Acquire) {
                return;
            }
            std::thread::yield_now();
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    fn merge_in_background(&self) {
        merge_in_background(&self.shared, self.at_thread_start);
    }

    fn seal_in_background(&self) {
        let job = Background {
            flag: |it| &it.sealing,
            is_due: |it| it.snapshot().waiting_rows() > 0,
            work: |shared, at_start| {
                let mut rows_before = 0;
                loop {
                    let rows = shared.snapshot().waiting_rows();
                    if rows >= shared.patience().rows_wanted || rows == rows_before {
                        break;
                    }
                    rows_before = rows;
                    std::thread::sleep(MORE_MAY_COME);
                }
                shared.seal();
                merge_in_background(shared, at_start);
            },
        };
        job.start(&self.shared, self.at_thread_start);
    }

    fn scratches(&self) -> MutexGuard<'_, Vec<Scratch>> {
        self.scratches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a thread does first.
type AtStart = Option<fn()>;

/// Work that one thread at a time does beside everything else.
#[derive(Clone, Copy)]
struct Background {
    /// Whether a thread does it.
    flag: fn(&Shared) -> &AtomicBool,
    /// Whether there is something to do.
    is_due: fn(&Shared) -> bool,
    work: fn(&Arc<Shared>, AtStart),
}

impl Background {
    /// Has it done on a thread of its own, unless one does it already or nothing is to be done.
    fn start(self, shared: &Arc<Shared>, at_start: AtStart) {
        if !self.takes(shared) {
            return;
        }
        let mine = Arc::clone(shared);
        let thread = std::thread::Builder::new().name("dhakira-merge".into()).spawn(move || {
            at_start.inspect(|call| call());
            loop {
                let done = Done((self.flag)(&mine));
                (self.work)(&mine, at_start);
                drop(done);
                // Whoever came while the last of it was done has seen that a thread is there.
                if !self.takes(&mine) {
                    return;
                }
            }
        });
        if thread.is_err() {
            // No thread to be had: searches go on, somewhat slower, and the next change tries again.
            (self.flag)(shared).store(false, Ordering::Release);
        }
    }

    fn takes(self, shared: &Shared) -> bool {
        (self.is_due)(shared) && !(self.flag)(shared).swap(true, Ordering::AcqRel)
    }
}

fn merge_in_background(shared: &Arc<Shared>, at_start: AtStart) {
    let job = Background {
        flag: |it| &it.merging,
        is_due: |it| it.snapshot().to_merge().is_some(),
        work: |shared, _| while shared.merge() {},
    };
    job.start(shared, at_start);
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
    /// What makes units ready to be added, for one thread.
    pub fn numbering(&self) -> Numbering<'_> {
        self.index.numbering()
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
        let set = Set::seal(&[Set::open(self.rows)], &shared.vocabulary);
        let _writing = shared.write();
        let mut sets = shared.snapshot().sets.clone();
        shared.hashes().add(set.rows(), &sets);
        sets.push(set);
        shared.publish(Snapshot { sets });
    }
}

impl Shared {
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn hashes(&self) -> MutexGuard<'_, AllHashes> {
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many rows may wait.
    fn patience(&self) -> Patience {
        Patience::of(self.patient.load(Ordering::Relaxed))
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
        self.replace(&old);
        true
    }

    /// Seals what waits for it.
    fn seal(&self) {
        let _sealing = self.sealer.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = self.snapshot().waiting();
        if !waiting.is_empty() {
            self.replace(&waiting);
        }
    }

    /// Puts one sealed set in the place of some that only the caller replaces.
    fn replace(&self, old: &[Set]) {
        let mut new = Set::seal(old, &self.vocabulary);
        let _writing = self.write();
        let snapshot = self.snapshot();
        for old in old {
            match snapshot.sets.iter().find(|set| set.has_rows_of(old)) {
                Some(set) => new.remove(set.gone_since(old)),
                // Everything in it has gone since.
                None => new.remove(old.live_rows().map(|row| row.facts.unit)),
            }
        }
        let others = snapshot.sets.iter().filter(|set| !old.iter().any(|it| it.has_rows_of(set)));
        let mut sets: Vec<Set> = others.cloned().collect();
        if new.live() > 0 {
            sets.push(new);
        }
        self.publish(Snapshot { sets });
    }
}
