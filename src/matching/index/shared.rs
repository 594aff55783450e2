//! What do the threads of an index share? The snapshot that is shown, and how the next one takes its place.
//!
//! Knows nothing of changes, and not when it is time to seal or to merge.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::matching::encode::Vocabulary;

use super::all_hashes::AllHashes;
use super::sets::{Patience, Set, Snapshot};

/// What is there of an index, for whoever asks, changes or merges.
pub(crate) struct Shared {
    pub(crate) vocabulary: Vocabulary,
    current: RwLock<Arc<Snapshot>>,
    /// Of all rows that are shown, and of some that are gone.
    hashes: Mutex<AllHashes>,
    /// Held by whoever makes the next snapshot.
    writer: Mutex<()>,
    /// Whether a thread is merging.
    pub(crate) merging: AtomicBool,
    /// Whether a thread is there that seals what waits.
    pub(crate) sealing: AtomicBool,
    /// Held by whoever seals.
    sealer: Mutex<()>,
    /// Whether rows may wait long, as whoever changed the index last has said.
    pub(crate) patient: AtomicBool,
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

impl Shared {
    /// With nothing in it but a vocabulary.
    pub(crate) fn over(vocabulary: Vocabulary) -> Self {
        Self { vocabulary, ..Self::default() }
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn hashes(&self) -> MutexGuard<'_, AllHashes> {
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many rows may wait.
    pub(crate) fn patience(&self) -> Patience {
        Patience::of(self.patient.load(Ordering::Relaxed))
    }

    pub(crate) fn write(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn publish(&self, snapshot: Snapshot) {
        let new = Arc::new(snapshot);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, new);
        // Giving a large set back takes long: after the lock.
        drop(current);
        drop(old);
    }

    /// Merges sealed sets of one size, if there are enough. Writers go on meanwhile; what they take out of the old sets is
    /// taken out of the new one before it is shown.
    pub(crate) fn merge(&self) -> bool {
        let snapshot = self.snapshot();
        let Some(old) = snapshot.to_merge() else { return false };
        self.replace(&old);
        true
    }

    /// Seals what waits for it.
    pub(crate) fn seal(&self) {
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
