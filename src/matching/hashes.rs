//! Is there a row with this source hash, and may its unit be the same one? Mostly not: what an import asks for each unit.

use super::rows::{Neighbours, Rows};
use super::sets::Set;

/// Hashes of a unit's sides, and of the key of its context.
///
/// 40 bits for the sides: they only have to tell apart the translations of one source. 24 bits for the key, 0 without one:
/// a false equal costs one look at the unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(u64);

impl ContentHash {
    const KEY_BITS: u32 = 24;

    /// From a hash of both sides, and one of the key of the context if there is one.
    pub fn new(sides: u64, key: Option<u64>) -> Self {
        let key = key.map_or(0, |hash| (hash >> (u64::BITS - Self::KEY_BITS)).max(1));
        Self((sides >> Self::KEY_BITS << Self::KEY_BITS) | key)
    }

    /// The same sides, under another key.
    #[must_use]
    pub fn with_key(self, key: Option<u64>) -> Self {
        Self::new(self.0, key)
    }

    pub(super) fn of_number(number: u64) -> Self {
        Self(number)
    }

    pub(super) fn number(self) -> u64 {
        self.0
    }

    fn sides(self) -> u64 {
        self.0 >> Self::KEY_BITS
    }

    fn key(self) -> u32 {
        // 24 bits of it are left.
        #[expect(clippy::cast_possible_truncation)]
        let key = (self.0 as u32) & ((1 << Self::KEY_BITS) - 1);
        key
    }
}

/// What is known of a stored unit before it is read: enough to tell it from almost all others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Hash of the canonical source and its tags.
    pub source_hash: u64,
    pub(super) content_hash: ContentHash,
    pub(super) neighbours: Neighbours,
}

impl Identity {
    /// One number for source and target: units with the same one differ in context at most.
    pub fn pair(self) -> u64 {
        self.source_hash.rotate_left(ContentHash::KEY_BITS) ^ self.content_hash.sides()
    }

    /// The same unit with another content.
    #[must_use]
    pub fn with_content(self, content_hash: ContentHash) -> Self {
        Self { content_hash, ..self }
    }

    /// Whether this may be a repetition of a stored unit: the same sides, and nothing known of the context that is not known
    /// of the stored one. It is true of every repetition, and seldom of anything else.
    pub fn may_repeat(self, stored: Self) -> bool {
        let covered = |new: u32, stored: u32| new == 0 || new == stored;
        self.pair() == stored.pair()
            && self.context().into_iter().zip(stored.context()).all(|(a, b)| covered(a, b))
    }

    /// Whether both may be translations of one place: the same source, and nothing known of both contexts that differs.
    pub fn may_share_place(self, other: Self) -> bool {
        let agree = |a: u32, b: u32| a == 0 || b == 0 || a == b;
        self.source_hash == other.source_hash
            && self.context().into_iter().zip(other.context()).all(|(a, b)| agree(a, b))
    }

    /// Everything known of the context, 0 where nothing is.
    pub(super) fn context(self) -> [u32; 3] {
        let Neighbours { previous, next } = self.neighbours;
        [previous, next, self.content_hash.key()]
    }
}

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
