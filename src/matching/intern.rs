//! Which number stands for this value? Values get numbers in the order in which they come and keep them for ever.
//!
//! One writer at a time adds; readers are never held up for longer than one entry of a hash table takes to write, and
//! reading a value by its number takes no lock at all. Knows nothing of what the values mean.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};

use foldhash::fast::RandomState;

/// Numbers for values, both ways.
#[derive(Debug)]
pub(super) struct Interner<T> {
    values: Grow<T>,
    shards: Vec<RwLock<Table>>,
    hasher: RandomState,
    /// Held while a value is added, so that none gets two numbers.
    adding: Mutex<()>,
}

/// Locks of the way from value to number; a power of two.
const SHARDS: usize = 64;

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self {
            values: Grow::default(),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: RandomState::default(),
            adding: Mutex::default(),
        }
    }
}

impl<T: Hash + Eq> Interner<T> {
    /// How many numbers were given out.
    pub(super) fn len(&self) -> u32 {
        self.values.length.load(Ordering::Acquire)
    }

    /// The value of a number that was given out.
    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        self.values.get(number)
    }

    /// Something of every value, in the order of the numbers.
    pub(super) fn values<U>(&self, of: impl Fn(&T) -> U) -> Vec<U> {
        (0..self.len()).filter_map(|number| self.get(number)).map(of).collect()
    }

    /// Gives a value the next number, without locks; whether it had none before.
    pub(super) fn add(&mut self, value: T) -> bool {
        let hash = self.hasher.hash_one(&value);
        let shard = (hash >> 56) as usize % SHARDS;
        let (values, hasher) = (&self.values, &self.hasher);
        let table = self.shards[shard].get_mut().unwrap_or_else(PoisonError::into_inner);
        let is_same = |number| values.get(number).is_some_and(|known| *known == value);
        if table.find(hash, is_same).is_some() {
            return false;
        }
        let number = values.push(value);
        let hash_of = |number| values.get(number).map_or(0, |known| hasher.hash_one(known));
        table.insert(hash, number, hash_of);
        true
    }

    /// The number of a value, if it has one.
    pub(super) fn find<Q: Hash + Eq + ?Sized>(&self, value: &Q) -> Option<u32>
    where
        T: Borrow<Q>,
    {
        let hash = self.hasher.hash_one(value);
        let table = self.shard(hash).read().unwrap_or_else(PoisonError::into_inner);
        table.find(hash, |number| self.get(number).is_some_and(|known| known.borrow() == value))
    }

    /// The number of a value; it gets the next one if it has none.
    pub(super) fn intern<Q: Hash + Eq + ?Sized>(&self, value: &Q, own: impl FnOnce(&Q) -> T) -> u32
    where
        T: Borrow<Q>,
    {
        if let Some(number) = self.find(value) {
            return number;
        }
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = self.find(value) {
            return number;
        }
        let number = self.values.push(own(value));
        let hash = self.hasher.hash_one(value);
        let mut table = self.shard(hash).write().unwrap_or_else(PoisonError::into_inner);
        table.insert(hash, number, |number| {
            self.get(number).map_or(0, |known| self.hasher.hash_one(known.borrow()))
        });
        number
    }

    fn shard(&self, hash: u64) -> &RwLock<Table> {
        // The low bits choose the slot inside.
        &self.shards[(hash >> 56) as usize % SHARDS]
    }
}

/// An open-addressing table of numbers; the values are elsewhere.
#[derive(Debug, Default)]
struct Table {
    /// 1 + number; 0 is empty.
    slots: Vec<u32>,
    used: usize,
}

impl Table {
    fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut slot = truncated(hash) & mask;
        while let Some(number) = self.slots[slot].checked_sub(1) {
            if is(number) {
                return Some(number);
            }
            slot = (slot + 1) & mask;
        }
        None
    }

    fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        if 4 * (self.used + 1) > 3 * self.slots.len() {
            let old = std::mem::take(&mut self.slots);
            self.slots = vec![0; (2 * old.len()).max(16)];
            for entry in old.into_iter().filter(|&entry| entry != 0) {
                self.place(hash_of(entry - 1), entry);
            }
        }
        self.place(hash, number + 1);
        self.used += 1;
    }

    fn place(&mut self, hash: u64, entry: u32) {
        let mask = self.slots.len() - 1;
        let mut slot = truncated(hash) & mask;
        while self.slots[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = entry;
    }
}

fn truncated(hash: u64) -> usize {
    // The table is far smaller than either half.
    #[expect(clippy::cast_possible_truncation)]
    let low = hash as u32;
    low as usize
}

/// A vector that grows at its end while others read it.
#[derive(Debug)]
struct Grow<T> {
    /// Chunk k holds `FIRST_CHUNK << k` values.
    chunks: [OnceLock<Box<[OnceLock<T>]>>; CHUNKS],
    length: AtomicU32,
}

const FIRST_CHUNK_BITS: u32 = 8;
const CHUNKS: usize = (u32::BITS - FIRST_CHUNK_BITS) as usize;

impl<T> Default for Grow<T> {
    fn default() -> Self {
        Self { chunks: std::array::from_fn(|_| OnceLock::new()), length: AtomicU32::new(0) }
    }
}

impl<T> Grow<T> {
    #[inline]
    fn get(&self, number: u32) -> Option<&T> {
        let (chunk, place) = Self::address(number);
        self.chunks.get(chunk)?.get()?.get(place)?.get()
    }

    /// Adds a value; the caller sees to it that nobody else does at the same time.
    fn push(&self, value: T) -> u32 {
        let number = self.length.load(Ordering::Acquire);
        let (chunk, place) = Self::address(number);
        let size = 1_usize << (FIRST_CHUNK_BITS as usize + chunk);
        let values =
            self.chunks[chunk].get_or_init(|| (0..size).map(|_| OnceLock::new()).collect());
        // Empty: numbers are given out once, under the lock of the caller.
        let _ = values[place].set(value);
        self.length.store(number + 1, Ordering::Release);
        number
    }

    #[inline]
    fn address(number: u32) -> (usize, usize) {
        let shifted = u64::from(number) + (1 << FIRST_CHUNK_BITS);
        let bits = shifted.ilog2();
        // Both are below 2^33, and a machine that holds as many values has 64 bits.
        #[expect(clippy::cast_possible_truncation)]
        let address = ((bits - FIRST_CHUNK_BITS) as usize, (shifted - (1 << bits)) as usize);
        address
    }
}

#[cfg(test)]
mod tests {
    use super::Interner;

    #[test]
    fn numbers_are_given_in_order_and_kept() {
        let interner = Interner::<Box<str>>::default();
        for round in 0..2 {
            for number in 0..20_000_u32 {
                let given = interner.intern(format!("v{number}").as_str(), |text| text.into());
                assert_eq!(given, number, "round {round}");
            }
        }
        assert_eq!(interner.len(), 20_000);
        assert_eq!(interner.find("v12345"), Some(12_345));
        assert_eq!(interner.find("v20000"), None);
        assert_eq!(interner.get(777).map(AsRef::as_ref), Some("v777"));
        assert_eq!(interner.get(20_000), None);
    }

    #[test]
    fn readers_and_writers_agree() {
        let interner = Interner::<u64>::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for value in 0..5_000_u64 {
                        let number = interner.intern(&value, |&value| value);
                        assert_eq!(interner.get(number), Some(&value));
                        assert_eq!(interner.find(&value), Some(number));
                    }
                });
            }
        });
        assert_eq!(interner.len(), 5_000);
    }
}
