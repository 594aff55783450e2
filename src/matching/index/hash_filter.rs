//! A Bloom filter of 64-bit hashes.

/// All bits of a hash are in one word, so that a look-up touches one cache line.
#[derive(Debug, Clone, Default)]
pub(crate) struct HashFilter {
    words: Vec<u64>,
}

impl HashFilter {
    /// One in two hundred absent hashes passes.
    const BITS_PER_HASH: usize = 16;

    /// Builds a filter with room for `room` hashes that holds `hashes`.
    pub(crate) fn of(room: usize, hashes: impl Iterator<Item = u64>) -> Self {
        let mut filter = Self { words: vec![0; (room * Self::BITS_PER_HASH).div_ceil(64)] };
        hashes.for_each(|hash| filter.insert(hash));
        filter
    }

    /// Inserts a hash; the filter must have room.
    pub(crate) fn insert(&mut self, hash: u64) {
        let (word, bits) = self.place(hash);
        self.words[word] |= bits;
    }

    pub(crate) fn may_hold(&self, hash: u64) -> bool {
        if self.words.is_empty() {
            return false;
        }
        let (word, bits) = self.place(hash);
        self.words[word] & bits == bits
    }

    /// The upper half of a hash chooses the word, the lower half the bits in it.
    fn place(&self, hash: u64) -> (usize, u64) {
        let word = ((hash >> 32) * self.words.len() as u64) >> 32;
        let bits = [0, 6, 12, 18].iter().fold(0, |bits, shift| bits | 1 << ((hash >> shift) & 63));
        (usize::try_from(word).unwrap_or(0), bits)
    }

    pub(crate) fn bytes(&self) -> usize {
        8 * self.words.capacity()
    }
}
