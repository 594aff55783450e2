//! The places of the probabilities of pairs of sentences, kept from pass to pass: to search for them takes longer than a pass does
//! otherwise.

/// For each pair of sentences a row per term, from the empty word on, and a column per other term.
#[derive(Default)]
pub(super) struct Places {
    all: Vec<u32>,
    ends: Vec<usize>,
}

impl Places {
    /// Empty, with room for as many of the first pairs as `bytes_max` allows, given the number of places of each.
    pub(super) fn with_room_for(sizes: impl Iterator<Item = usize>, bytes_max: usize) -> Self {
        let (mut pairs, mut total) = (0, 0);
        for size in sizes {
            if size_of::<u32>() * (total + size) > bytes_max {
                break;
            }
            pairs += 1;
            total += size;
        }
        // A vector that grows would take up to three times as much while it is copied.
        Self { all: Vec::with_capacity(total), ends: Vec::with_capacity(pairs) }
    }

    /// Whether there is room for another pair with this many places.
    pub(super) fn has_room_for(&self, size: usize) -> bool {
        self.ends.len() < self.ends.capacity() && self.all.len() + size <= self.all.capacity()
    }

    pub(super) fn push(&mut self, of_pair: &[u32]) {
        self.all.extend_from_slice(of_pair);
        self.ends.push(self.all.len());
    }

    /// The places of a pair, if they are kept.
    pub(super) fn get(&self, number: usize) -> Option<&[u32]> {
        let end = *self.ends.get(number)?;
        let from = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.all.get(from..end)
    }
}
