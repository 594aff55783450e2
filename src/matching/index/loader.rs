//! Loads many units into an index at once.

use crate::matching::encode::{EncodedEntry, Encoder};

use super::rows::Rows;
use super::sets::{Set, Snapshot};
use super::shared::Shared;

/// Collects units; the index shows them when all are there.
pub struct Loader<'a> {
    shared: &'a Shared,
    rows: Rows,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Self { shared, rows: Rows::default() }
    }

    /// Returns an encoder that prepares units on one thread.
    pub fn encoder(&self) -> Encoder<'_> {
        Encoder::new(&self.shared.vocabulary)
    }

    /// Adds units; none may be added twice or be in the index already.
    pub fn add(&mut self, entries: impl IntoIterator<Item = EncodedEntry>) {
        entries.into_iter().for_each(|entry| self.rows.push(entry.row()));
    }

    /// Seals the units and shows them.
    pub fn finish(self) {
        if self.rows.len() == 0 {
            return;
        }
        let shared = self.shared;
        let set = Set::seal(&[Set::open(self.rows)], &shared.vocabulary);
        let _writing = shared.write();
        let mut sets = shared.snapshot().sets.clone();
        shared.hashes().add(set.rows(), &sets);
        sets.push(set);
        shared.publish(Snapshot { sets });
    }
}
