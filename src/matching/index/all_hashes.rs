//! A filter of the source hashes of all sets of an index.

use super::hash_filter::HashFilter;
use super::rows::Rows;
use super::sets::Set;

/// Answers for all sets at once whether one may hold a hash: an import creates many sets and asks for each unit.
/// Hashes of removed rows are dropped when the filter is rebuilt.
#[derive(Debug, Default)]
pub(crate) struct AllHashes {
    filter: HashFilter,
    /// Hashes added, and how many the filter is sized for.
    held: usize,
    room: usize,
}

impl AllHashes {
    /// Least size.
    const ROOM_MIN: usize = 1_024;

    /// Adds the hashes of new rows; `sets` are all other sets.
    pub(crate) fn add(&mut self, new: &Rows, sets: &[Set]) {
        self.held += new.len();
        if self.held > self.room || self.room == 0 {
            let others = || sets.iter().map(Set::rows);
            self.held = new.len() + others().map(Rows::len).sum::<usize>();
            self.room = (2 * self.held).max(Self::ROOM_MIN);
            self.filter = HashFilter::of(self.room, others().flat_map(Rows::source_hashes));
        }
        new.source_hashes().for_each(|hash| self.filter.insert(hash));
    }

    /// Whether some row may have the hash; `false` is certain.
    pub(crate) fn may_hold(&self, hash: u64) -> bool {
        self.filter.may_hold(hash)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.filter.bytes()
    }
}
