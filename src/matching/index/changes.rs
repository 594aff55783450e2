//! Applies changes to an index: readers see all changes of a batch or none.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::matching::encode::{EncodedEntry, IndexEntry, Token};
use crate::unit::UnitId;

use super::background::{self, AtStart};
use super::rows::Rows;
use super::sets::{Set, Snapshot};
use super::shared::Shared;

/// One change of an index.
#[derive(Debug, Clone)]
pub enum IndexChange {
    /// A new unit, or an old one with new content.
    Put(IndexEntry),
    /// The same, already encoded by [`MemoryIndex::encoder`](crate::matching::MemoryIndex::encoder) of the same
    /// index.
    PutEncoded(EncodedEntry),
    /// Removes a unit; unknown units are ignored.
    Remove(UnitId),
}

impl Shared {
    pub(crate) fn apply(self: &Arc<Self>, changes: &[IndexChange], at_start: AtStart) {
        let mut last: BTreeMap<UnitId, &IndexChange> = BTreeMap::new();
        for change in changes {
            let unit = match change {
                IndexChange::Put(entry) => entry.unit,
                IndexChange::PutEncoded(entry) => entry.unit(),
                IndexChange::Remove(unit) => *unit,
            };
            last.insert(unit, change);
        }
        if last.is_empty() {
            return;
        }
        let writing = self.write();
        let vocabulary = &self.vocabulary;
        let mut rows = Rows::default();
        for change in last.values() {
            match change {
                IndexChange::Put(entry) => {
                    let number = |token: Token<'_>| vocabulary.intern_word(token);
                    rows.push(EncodedEntry::new(entry, vocabulary, number).row());
                }
                IndexChange::PutEncoded(entry) => rows.push(entry.row()),
                IndexChange::Remove(_) => {}
            }
        }
        let rows = rows.sorted();
        let mut sets = self.snapshot().sets.clone();
        for set in &mut sets {
            set.remove(last.keys().copied());
        }
        sets.retain(|set| set.live() > 0);
        if rows.len() > 0 {
            self.hashes().add(&rows, &sets);
            let new = Set::open(rows);
            // At most one set is open; sets that may be being sealed are left alone.
            let open = sets.iter().position(|set| set.is_open() && new.is_open());
            let new = match open.map(|at| sets.remove(at)) {
                Some(open) => Set::open(Rows::collect(open.live_rows().chain(new.live_rows()))),
                None => new,
            };
            sets.push(new);
        }
        let snapshot = Snapshot { sets };
        let waiting_rows = snapshot.waiting_rows();
        self.publish(snapshot);
        drop(writing);
        if waiting_rows > self.seal_policy().rows_max {
            self.seal();
            background::merge(self, at_start);
        } else if waiting_rows > 0 {
            background::seal(self, at_start);
        } else {
            background::merge(self, at_start);
        }
    }
}
