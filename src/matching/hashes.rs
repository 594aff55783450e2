//! Is there a row with this source hash? Mostly not: what an import asks for each unit.

use super::rows::Rows;
use super::sets::Set;

/// A Bloom filter of hashes, each with its bits in one word; empty, it holds nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct HashFilter {
    words: Vec<u64>,
}

impl HashFilter {
    /// Bits for each hash: of those that are not there, one in two hundred passes.
    const BITS_PER_HASH: usize = 16;

    /// With room for so many hashes, and these in it.
    pub(super) fn of(room: usize, hashes: impl Iterator<Item = u64>) -> Self {
        let mut filter = Self { words: vec![0; (room * Self::BITS_PER_HASH).div_ceil(64)] };
        hashes.for_each(|hash| filter.insert(hash));
        filter
    }

    /// There must be room for it.
    fn insert(&mut self, hash: u64) {
        let (word, bits) = self.place(hash);
        self.words[word] |= bits;
    }

    pub(super) fn may_hold(&self, hash: u64) -> bool {
        if self.words.is_empty() {
            return false;
        }
        let (word, bits) = self.place(hash);
        self.words[word] & bits == bits
    }

    /// Which word, and the bits in it: the upper half chooses the one, the lower the other.
    fn place(&self, hash: u64) -> (usize, u64) {
        let word = ((hash >> 32) * self.words.len() as u64) >> 32;
        let bits = [0, 6, 12, 18].iter().fold(0, |bits, shift| bits | 1 << ((hash >> shift) & 63));
        (usize::try_from(word).unwrap_or(0), bits)
    }

    pub(super) fn bytes(&self) -> usize {
        8 * self.words.capacity()
    }
}

/// Which hashes some set of an index may hold: one look instead of one in each set, of which there are many while an import
/// goes on. What is gone from the index is forgotten when the room is used up.
#[derive(Debug, Default)]
pub(super) struct AllHashes {
    filter: HashFilter,
    /// Hashes put in, and how many there is room for.
    held: usize,
    room: usize,
}

impl AllHashes {
    /// Room that is made at least.
    const ROOM_MIN: usize = 1_024;

    /// Adds those of new rows; `sets` are all others.
    pub(super) fn add(&mut self, new: &Rows, sets: &[Set]) {
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
    pub(super) fn may_hold(&self, hash: u64) -> bool {
        self.filter.may_hold(hash)
    }

    pub(super) fn bytes(&self) -> usize {
        self.filter.bytes()
    }
}
