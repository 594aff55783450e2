//! Which source hashes may some set of an index hold?

use super::hash_filter::HashFilter;
use super::rows::Rows;
use super::sets::Set;

/// Which hashes some set of an index may hold: one look instead of one in each set, of which there are many while an import
/// goes on. What is gone from the index is forgotten when the room is used up.
#[derive(Debug, Default)]
pub(crate) struct AllHashes {
    filter: HashFilter,
    /// Hashes put in, and how many there is room for.
    held: usize,
    room: usize,
}

impl AllHashes {
    /// Room that is made at least.
    const ROOM_MIN: usize = 1_024;

    /// Adds those of new rows; `sets` are all others.
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

    /// Whether a row may have it; if not, none has.
    pub(crate) fn may_hold(&self, hash: u64) -> bool {
        self.filter.may_hold(hash)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.filter.bytes()
    }
}
