//! Fills an index with many units at once.

use crate::matching::encode::{EncodedEntry, Encoder};

use super::rows::Rows;
use super::sets::{Set, Snapshot};
use super::shared::Shared;

/// Units on their way into an index, which sees them when all are there.
pub struct Loader<'a> {
    shared: &'a Shared,
    rows: Rows,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Self { shared, rows: Rows::default() }
    }

    /// What makes units ready to be added, for one thread.
    pub fn encoder(&self) -> Encoder<'_> {
        Encoder::new(&self.shared.vocabulary)
    }

    /// Adds units; none may come twice or be in the index already.
    pub fn add(&mut self, entries: impl IntoIterator<Item = EncodedEntry>) {
        entries.into_iter().for_each(|entry| self.rows.push(entry.row()));
    }

    /// Seals them and shows them.
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
