//! Grows a memory of any size from a real one, the same every time.
//!
//! Copies of real segments with one to six words replaced, taken out or put in; words are drawn by their frequency in
//! the real segments.

/// Sources of a grown memory: the real ones first, then copies with changes.
pub(super) struct Grower {
    real: Vec<String>,
    words: Vec<String>,
    random: Random,
}

/// Most words changed in one copy.
const CHANGES_MAX: usize = 6;

impl Grower {
    /// From real segments, with the seed of the changes.
    pub(super) fn new(real: Vec<String>, seed: u64) -> Self {
        let words = real.iter().flat_map(|text| text.split_whitespace()).map(str::to_owned);
        Self { words: words.collect(), real, random: Random::new(seed) }
    }

    /// The segment of a number; numbers must be requested in order.
    pub(super) fn segment(&mut self, number: usize) -> String {
        if let Some(real) = self.real.get(number) {
            return real.clone();
        }
        self.changed_copy()
    }

    /// A copy of a real segment with changes.
    pub(super) fn changed_copy(&mut self) -> String {
        let text = &self.real[self.random.below(self.real.len())];
        let mut copy: Vec<&str> = text.split_whitespace().collect();
        for _ in 0..=self.random.below(CHANGES_MAX) {
            let place = self.random.below(copy.len().max(1));
            let word = &self.words[self.random.below(self.words.len())];
            match self.random.below(3) {
                0 if !copy.is_empty() => copy[place] = word,
                1 if copy.len() > 1 => drop(copy.remove(place)),
                _ => copy.insert(place, word),
            }
        }
        copy.join(" ")
    }
}

/// `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        // The remainder of a 64-bit number: the bias is far below what matters here.
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap_or(0)
    }
}
