//! Which source hashes may be here? A Bloom filter.

/// A Bloom filter of hashes, each with its bits in one word; empty, it holds nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct HashFilter {
    words: Vec<u64>,
}

impl HashFilter {
    /// Bits for each hash: of those that are not there, one in two hundred passes.
    const BITS_PER_HASH: usize = 16;

    /// With room for so many hashes, and these in it.
    pub(crate) fn of(room: usize, hashes: impl Iterator<Item = u64>) -> Self {
        let mut filter = Self { words: vec![0; (room * Self::BITS_PER_HASH).div_ceil(64)] };
        hashes.for_each(|hash| filter.insert(hash));
        filter
    }

    /// There must be room for it.
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

    /// Which word, and the bits in it: the upper half chooses the one, the lower the other.
    fn place(&self, hash: u64) -> (usize, u64) {
        let word = ((hash >> 32) * self.words.len() as u64) >> 32;
        let bits = [0, 6, 12, 18].iter().fold(0, |bits, shift| bits | 1 << ((hash >> shift) & 63));
        (usize::try_from(word).unwrap_or(0), bits)
    }

    pub(crate) fn bytes(&self) -> usize {
        8 * self.words.capacity()
    }
}
