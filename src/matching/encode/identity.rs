//! Decides by hashes whether a new unit repeats or replaces a stored one, without reading it.

use crate::unit::Context;

/// Hashes of a unit's two sides and of its context key.
///
/// 40 bits for the sides distinguish the translations of one source. 24 bits for the key, 0 for none; a collision
/// costs one read of a unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(u64);

impl ContentHash {
    const KEY_BITS: u32 = 24;

    /// From a hash of both sides, and a hash of the context key if there is one.
    pub fn new(sides: u64, key: Option<u64>) -> Self {
        let key = key.map_or(0, |hash| (hash >> (u64::BITS - Self::KEY_BITS)).max(1));
        Self((sides >> Self::KEY_BITS << Self::KEY_BITS) | key)
    }

    /// The same sides under another key.
    #[must_use]
    pub fn with_key(self, key: Option<u64>) -> Self {
        Self::new(self.0, key)
    }

    pub(crate) fn of_number(number: u64) -> Self {
        Self(number)
    }

    pub(crate) fn number(self) -> u64 {
        self.0
    }

    fn sides(self) -> u64 {
        self.0 >> Self::KEY_BITS
    }

    pub(crate) fn key(self) -> u32 {
        // 24 bits remain.
        #[expect(clippy::cast_possible_truncation)]
        let key = (self.0 as u32) & ((1 << Self::KEY_BITS) - 1);
        key
    }
}

/// Distinguishes a stored unit from nearly all others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// Hash of the canonical source and its tags.
    pub source_hash: u64,
    pub(crate) content_hash: ContentHash,
    pub(crate) neighbours: Neighbours,
}

impl Identity {
    /// One number for source and target: units with the same number differ at most in context.
    pub fn pair(self) -> u64 {
        self.source_hash.rotate_left(ContentHash::KEY_BITS) ^ self.content_hash.sides()
    }

    /// The same unit with other content.
    #[must_use]
    pub fn with_content(self, content_hash: ContentHash) -> Self {
        Self { content_hash, ..self }
    }

    /// Whether this may repeat a stored unit: the sides are equal, and every known part of this context equals the
    /// stored one. True for every repetition, rarely for anything else.
    pub fn may_repeat(self, stored: Self) -> bool {
        let covered = |new: u32, stored: u32| new == 0 || new == stored;
        self.pair() == stored.pair()
            && self.context().into_iter().zip(stored.context()).all(|(a, b)| covered(a, b))
    }

    /// Whether both may be translations of one place: the sources are equal, and no part of the context that is known
    /// of both differs.
    pub fn may_share_place(self, other: Self) -> bool {
        let agree = |a: u32, b: u32| a == 0 || b == 0 || a == b;
        self.source_hash == other.source_hash
            && self.context().into_iter().zip(other.context()).all(|(a, b)| agree(a, b))
    }

    /// All parts of the context; 0 for unknown.
    pub(crate) fn context(self) -> [u32; 3] {
        let Neighbours { previous, next } = self.neighbours;
        [previous, next, self.content_hash.key()]
    }
}

/// The neighbours of a segment, 32 bits of each hash; 0 for none. A collision, one in four billion, can only rank one
/// exact match before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Neighbours {
    pub(crate) previous: u32,
    pub(crate) next: u32,
}

/// Both halves of a hash, and never the value that means none.
#[expect(clippy::cast_possible_truncation)]
fn short(hash: Option<u64>) -> u32 {
    hash.map_or(0, |hash| ((hash ^ (hash >> 32)) as u32).max(1))
}

impl Neighbours {
    /// The neighbouring sources.
    pub(crate) fn sources(context: Context) -> Self {
        Self { previous: short(context.previous), next: short(context.next) }
    }

    /// The neighbouring targets.
    pub(crate) fn targets(context: Context) -> Self {
        Self { previous: short(context.previous_target), next: short(context.next_target) }
    }

    pub(crate) fn numbers(self) -> (u32, u32) {
        (self.previous, self.next)
    }

    pub(crate) fn from_numbers((previous, next): (u32, u32)) -> Self {
        Self { previous, next }
    }
}

/// How a new unit may relate to stored units with its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// The new unit may repeat the stored one, see [`Identity::may_repeat`].
    Repeats,
    /// The new unit may replace the stored one, see [`Identity::may_share_place`].
    Places,
}

/// A set of parts of a context, one bit each.
type Parts = usize;

const ALL_PARTS: Parts = 0b111;

impl Identity {
    /// The keys under which a stored unit is found: one for each subset of the known parts of its context, so that a
    /// lookup that knows only some parts takes one step.
    pub fn stored_keys(self, question: Question) -> impl Iterator<Item = u64> {
        let known = self.known();
        let tag = match question {
            Question::Repeats => self.pair(),
            Question::Places => known as u64,
        };
        (0..=ALL_PARTS)
            .filter(move |parts| parts & !known == 0)
            .map(move |parts| self.key(tag, parts))
    }

    /// The key of all units that this one may repeat: the texts are equal, and so is every part of the context known
    /// of this one.
    pub fn repeats_key(self) -> u64 {
        self.key(self.pair(), self.known())
    }

    /// The keys of all units that this one may replace: one for each set of parts that may be known of a stored unit.
    pub fn place_keys(self) -> impl Iterator<Item = u64> {
        let known = self.known();
        (0..=ALL_PARTS).map(move |stored| self.key(stored as u64, stored & known))
    }

    /// Number of parts in which the contexts of two units agree.
    pub fn agreement(self, other: Self) -> usize {
        let pairs = self.context().into_iter().zip(other.context());
        pairs.filter(|(a, b)| *a != 0 && a == b).count()
    }

    fn known(self) -> Parts {
        let bits = self.context().into_iter().enumerate();
        bits.fold(0, |parts, (bit, part)| parts | (usize::from(part != 0) << bit))
    }

    /// Hashes some parts of the context. A known part is never 0, so the set of parts need not be hashed.
    fn key(self, tag: u64, parts: Parts) -> u64 {
        let mix = |hash: u64, value: u32| {
            let mixed = (hash ^ u64::from(value)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            mixed ^ (mixed >> 32)
        };
        let chosen = self.context().into_iter().enumerate();
        let chosen = chosen.map(|(bit, part)| if parts >> bit & 1 == 1 { part } else { 0 });
        // The tag is mixed first: small tags would cancel out against the bits in which two parts differ.
        mix(chosen.fold(mix(tag, 0), mix), 0)
    }
}
