//! Interns values: assigns numbers in order of arrival and keeps them for ever.
//!
//! Writers add one at a time. A reader waits only while a grown table replaces the old one, and reads a value by its
//! number without a lock.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};

use foldhash::fast::RandomState;

/// A two-way map between values and numbers.
#[derive(Debug)]
pub(crate) struct Interner<T> {
    values: Grow<T>,
    shards: Vec<RwLock<Table>>,
    hasher: RandomState,
    /// Locked while a value is added, so that no value gets two numbers; holds the used slots of each shard.
    adding: Mutex<[usize; SHARDS]>,
}

/// Locks of the map from value to number; a power of two.
const SHARDS: usize = 64;

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self {
            values: Grow::default(),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: RandomState::default(),
            adding: Mutex::new([0; SHARDS]),
        }
    }
}

impl<T: Hash + Eq> Interner<T> {
    /// Number of values.
    pub(crate) fn len(&self) -> u32 {
        self.values.length.load(Ordering::Acquire)
    }

    /// The value of a number.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        self.values.get(number)
    }

    /// Maps every value, in order of the numbers.
    pub(crate) fn values<U>(&self, of: impl Fn(&T) -> U) -> Vec<U> {
        (0..self.len()).filter_map(|number| self.get(number)).map(of).collect()
    }

    /// The number of a value, if it has one.
    pub(crate) fn find<Q: Hash + Eq + ?Sized>(&self, value: &Q) -> Option<u32>
    where
        T: Borrow<Q>,
    {
        self.find_hashed(self.hasher.hash_one(value), value)
    }

    fn find_hashed<Q: Eq + ?Sized>(&self, hash: u64, value: &Q) -> Option<u32>
    where
        T: Borrow<Q>,
    {
        let table = self.shards[shard(hash)].read().unwrap_or_else(PoisonError::into_inner);
        table.find(hash, |number| self.get(number).is_some_and(|known| known.borrow() == value))
    }

    /// The number of a value; a new value gets the next one.
    pub(crate) fn intern<Q: Hash + Eq + ?Sized>(&self, value: &Q, own: impl FnOnce(&Q) -> T) -> u32
    where
        T: Borrow<Q>,
    {
        let hash = self.hasher.hash_one(value);
        if let Some(number) = self.find_hashed(hash, value) {
            return number;
        }
        let mut used = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = self.find_hashed(hash, value) {
            return number;
        }
        let number = self.values.push(own(value));
        let used = &mut used[shard(hash)];
        let place = &self.shards[shard(hash)];
        let table = place.read().unwrap_or_else(PoisonError::into_inner);
        *used += 1;
        if 4 * *used > 3 * table.slots.len() {
            let grown = table.grown(|number| {
                self.get(number).map_or(0, |known| self.hasher.hash_one(known.borrow()))
            });
            grown.place(hash, number);
            drop(table);
            let mut table = place.write().unwrap_or_else(PoisonError::into_inner);
            let old = std::mem::replace(&mut *table, grown);
            drop(table);
            drop(old);
        } else {
            table.place(hash, number);
        }
        number
    }
}

fn shard(hash: u64) -> usize {
    // The low bits choose the slot.
    (hash >> 56) as usize % SHARDS
}

/// An open-addressing table of numbers; the values are elsewhere. One thread adds while others read.
#[derive(Debug, Default)]
struct Table {
    /// 1 + number; 0 is empty.
    slots: Box<[AtomicU32]>,
}

impl Table {
    fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut slot = truncated(hash) & mask;
        // The value was written before its number.
        while let Some(number) = self.slots[slot].load(Ordering::Acquire).checked_sub(1) {
            if is(number) {
                return Some(number);
            }
            slot = (slot + 1) & mask;
        }
        None
    }

    /// A table of twice the size with the same numbers.
    fn grown(&self, hash_of: impl Fn(u32) -> u64) -> Self {
        let size = (2 * self.slots.len()).max(16);
        let grown = Self { slots: (0..size).map(|_| AtomicU32::new(0)).collect() };
        for slot in &self.slots {
            if let Some(number) = slot.load(Ordering::Acquire).checked_sub(1) {
                grown.place(hash_of(number), number);
            }
        }
        grown
    }

    /// Adds a number to a table with room; the caller ensures that only one thread does.
    fn place(&self, hash: u64, number: u32) {
        let mask = self.slots.len() - 1;
        let mut slot = truncated(hash) & mask;
        while self.slots[slot].load(Ordering::Relaxed) != 0 {
            slot = (slot + 1) & mask;
        }
        self.slots[slot].store(number + 1, Ordering::Release);
    }
}

fn truncated(hash: u64) -> usize {
    // The table is far smaller than either half.
    #[expect(clippy::cast_possible_truncation)]
    let low = hash as u32;
    low as usize
}

/// A vector that one thread appends to while others read.
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

    /// Appends a value; the caller ensures that only one thread does.
    fn push(&self, value: T) -> u32 {
        let number = self.length.load(Ordering::Acquire);
        let (chunk, place) = Self::address(number);
        let size = 1_usize << (FIRST_CHUNK_BITS as usize + chunk);
        let values =
            self.chunks[chunk].get_or_init(|| (0..size).map(|_| OnceLock::new()).collect());
        // The cell is empty: numbers are assigned once, under the caller's lock.
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
