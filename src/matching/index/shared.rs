//! The state that the threads of an index share: the current snapshot, and how the next one replaces it.
//!
//! Does not decide when to seal or to merge.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::matching::encode::Vocabulary;

use super::all_hashes::AllHashes;
use super::sets::{SealPolicy, Set, Snapshot};

/// Shared by readers, writers and background threads.
pub(crate) struct Shared {
    pub(crate) vocabulary: Vocabulary,
    current: RwLock<Arc<Snapshot>>,
    /// Hashes of all rows of the snapshot, and of some that were removed.
    hashes: Mutex<AllHashes>,
    /// Locked while a snapshot is replaced.
    writer: Mutex<()>,
    /// Set while a thread merges.
    pub(crate) merging: AtomicBool,
    /// Set while a thread seals.
    pub(crate) sealing: AtomicBool,
    /// Locked while rows are sealed.
    sealer: Mutex<()>,
    /// Whether the last change was made in bulk mode.
    pub(crate) in_bulk: AtomicBool,
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
            in_bulk: AtomicBool::new(false),
        }
    }
}

impl Shared {
    /// Starts with a vocabulary and no rows.
    pub(crate) fn over(vocabulary: Vocabulary) -> Self {
        Self { vocabulary, ..Self::default() }
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn hashes(&self) -> MutexGuard<'_, AllHashes> {
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When rows are sealed at the moment.
    pub(crate) fn seal_policy(&self) -> SealPolicy {
        SealPolicy::of(self.in_bulk.load(Ordering::Relaxed))
    }

    pub(crate) fn write(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn publish(&self, snapshot: Snapshot) {
        let new = Arc::new(snapshot);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *current, new);
        // Dropping a large set takes long: after the lock.
        drop(current);
        drop(old);
    }

    /// Merges sealed sets of one size, if there are enough. Writers continue meanwhile; what they remove from the old
    /// sets is removed from the new one before it is shown.
    pub(crate) fn merge(&self) -> bool {
        let snapshot = self.snapshot();
        let Some(old) = snapshot.to_merge() else { return false };
        self.replace(&old);
        true
    }

    /// Seals the sets that need it.
    pub(crate) fn seal(&self) {
        let _sealing = self.sealer.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = self.snapshot().waiting();
        if !waiting.is_empty() {
            self.replace(&waiting);
        }
    }

    /// Replaces some sets by one sealed set; only the caller replaces them.
    fn replace(&self, old: &[Set]) {
        let mut new = Set::seal(old, &self.vocabulary);
        let _writing = self.write();
        let snapshot = self.snapshot();
        for old in old {
            match snapshot.sets.iter().find(|set| set.has_rows_of(old)) {
                Some(set) => new.remove(set.gone_since(old)),
                // All of it was removed meanwhile.
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
