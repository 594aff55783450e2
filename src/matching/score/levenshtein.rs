//! Computes the edit distance between two sequences of symbols, bit-parallel and with a cut-off.
//!
//! Myers, "A fast bit-vector algorithm for approximate string matching based on dynamic programming" (J. ACM 46,
//! 1999) in the block form of Hyyrö (2003), with Ukkonen's band: only blocks that touch a diagonal within the cut-off
//! are computed. Memory grows with the length of the pattern, not with the number of symbols. Knows nothing of what
//! the symbols are: characters or token classes.

use crate::matching::cancel::{Cancelled, Ticker};

/// Bits of a block.
const BLOCK: usize = 64;

/// A pattern prepared for comparison with many sequences.
#[derive(Debug, Clone, Default)]
pub(crate) struct Matcher {
    length: usize,
    blocks: usize,
    /// Open addressing, a power of two: a symbol and 1 + its row; a row of 0 is an empty slot.
    slots: Vec<(u32, u32)>,
    /// End of each row in `masks`.
    ends: Vec<u32>,
    /// For each row, the blocks that contain its symbol, in order, with a bit for each position.
    masks: Vec<(u32, u64)>,
    /// Working memory of `set`: the last block of each row.
    last_blocks: Vec<u32>,
}

/// State of one block of rows in the current column.
#[derive(Clone, Copy)]
struct Block {
    /// Rows whose value is one more than in the row above.
    up: u64,
    /// Rows whose value is one less.
    down: u64,
    /// Value in the last row of the block.
    score: u32,
}

impl Matcher {
    /// Prepares `pattern`.
    pub(crate) fn new(pattern: &[u32]) -> Self {
        let mut matcher = Self::default();
        matcher.set(pattern);
        matcher
    }

    /// Replaces the pattern and reuses the memory.
    pub(crate) fn set(&mut self, pattern: &[u32]) {
        self.length = pattern.len();
        self.blocks = pattern.len().div_ceil(BLOCK).max(1);
        self.slots.clear();
        self.slots.resize((2 * pattern.len()).next_power_of_two().max(4), (0, 0));
        self.ends.clear();
        let mut last_blocks = std::mem::take(&mut self.last_blocks);
        last_blocks.clear();
        // The masks of each row are counted first, then set in place.
        for (position, &symbol) in pattern.iter().enumerate() {
            let slot = self.slot(symbol);
            if self.slots[slot].1 == 0 {
                self.ends.push(0);
                last_blocks.push(u32::MAX);
                self.slots[slot] = (symbol, number(self.ends.len()));
            }
            let row = self.slots[slot].1 as usize - 1;
            let block = number(position / BLOCK);
            self.ends[row] += u32::from(std::mem::replace(&mut last_blocks[row], block) != block);
        }
        let mut sum = 0;
        for end in &mut self.ends {
            (*end, sum) = (sum, sum + *end);
        }
        self.masks.clear();
        self.masks.resize(sum as usize, (0, 0));
        last_blocks.fill(u32::MAX);
        for (position, &symbol) in pattern.iter().enumerate() {
            let row = self.slots[self.slot(symbol)].1 as usize - 1;
            let block = number(position / BLOCK);
            // The end of a row is where its next mask goes.
            self.ends[row] += u32::from(std::mem::replace(&mut last_blocks[row], block) != block);
            let mask = &mut self.masks[self.ends[row] as usize - 1];
            mask.0 = block;
            mask.1 |= 1 << (position % BLOCK);
        }
        self.last_blocks = last_blocks;
    }

    /// The bits of a symbol in a pattern of one block, where each row has one mask.
    fn mask(&self, symbol: u32) -> u64 {
        let row = self.slots[self.slot(symbol)].1 as usize;
        row.checked_sub(1).map_or(0, |row| self.masks[row].1)
    }

    /// The blocks that contain a symbol, with its bits.
    fn masks_of(&self, symbol: u32) -> &[(u32, u64)] {
        let Some(row) = (self.slots[self.slot(symbol)].1 as usize).checked_sub(1) else {
            return &[];
        };
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.masks[start..self.ends[row] as usize]
    }

    /// The slot of a symbol, or the empty slot where it would go.
    fn slot(&self, symbol: u32) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = (symbol.wrapping_mul(0x9E37_79B1) >> 7) as usize & mask;
        while self.slots[slot].1 != 0 && self.slots[slot].0 != symbol {
            slot = (slot + 1) & mask;
        }
        slot
    }

    /// The edit distance to `text`, or `None` when it is above `most`.
    pub(crate) fn distance(
        &self,
        text: &[u32],
        most: u32,
        ticker: &mut Ticker<'_>,
    ) -> Result<Option<u32>, Cancelled> {
        if self.length.abs_diff(text.len()) > most as usize {
            return Ok(None);
        }
        if self.length == 0 || text.is_empty() {
            return Ok(u32::try_from(self.length.max(text.len())).ok());
        }
        if self.blocks == 1 {
            ticker.tick(text.len())?;
            Ok(self.distance_short(text, most))
        } else {
            self.distance_long(text, most, ticker)
        }
    }

    /// For a pattern of one block.
    fn distance_short(&self, text: &[u32], most: u32) -> Option<u32> {
        let last = 1_u64 << (self.length - 1);
        let mut block = Block { up: !0, down: 0, score: u32::try_from(self.length).ok()? };
        let mut left = u32::try_from(text.len()).ok()?;
        for &symbol in text {
            block.advance(self.mask(symbol), 1, last);
            left -= 1;
            // Each remaining column lowers the value by one at best.
            if block.score > most.saturating_add(left) {
                return None;
            }
        }
        (block.score <= most).then_some(block.score)
    }

    fn distance_long(
        &self,
        text: &[u32],
        most: u32,
        ticker: &mut Ticker<'_>,
    ) -> Result<Option<u32>, Cancelled> {
        let most_rows = most as usize;
        let height = |block: usize| {
            if block + 1 == self.blocks { self.length - block * BLOCK } else { BLOCK }
        };
        let mut blocks: Vec<Block> = Vec::with_capacity(self.blocks);
        let mut first = 0;
        for (column, &symbol) in text.iter().enumerate() {
            // Rows within the band of this column: column − most to column + most, counted from 0.
            let wanted = (column.saturating_add(most_rows) / BLOCK + 1).min(self.blocks);
            while blocks.len() < wanted {
                let above = blocks.last().map_or(column, |block| block.score as usize);
                // Values below the band are unknown; one more for each row is never too low.
                let score = number(above + height(blocks.len()));
                blocks.push(Block { up: !0, down: 0, score });
            }
            first = first.max(column.saturating_sub(most_rows) / BLOCK).min(blocks.len() - 1);
            ticker.tick(blocks.len() - first)?;
            let masks = self.masks_of(symbol);
            let from = masks.partition_point(|&(block, _)| (block as usize) < first);
            let mut masks = masks[from..].iter().peekable();
            // Values above the band too: one more for each column is never too low.
            let mut carry = 1;
            for (at, block) in blocks.iter_mut().enumerate().skip(first) {
                let mask = masks.next_if(|mask| mask.0 as usize == at).map_or(0, |mask| mask.1);
                carry = block.advance(mask, carry, 1 << (height(at) - 1));
            }
        }
        let whole = blocks.last().filter(|_| blocks.len() == self.blocks);
        Ok(whole.map(|block| block.score).filter(|&score| score <= most))
    }
}

fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Block {
    /// Advances by one column. `carry` is the difference to the previous column in the row above the block; returns
    /// the difference in its last row.
    #[inline]
    fn advance(&mut self, mask: u64, carry: i32, last: u64) -> i32 {
        let mut equal = mask;
        let vertical = equal | self.down;
        if carry < 0 {
            equal |= 1;
        }
        let diagonal = ((equal & self.up).wrapping_add(self.up) ^ self.up) | equal;
        let mut right_up = self.down | !(diagonal | self.up);
        let mut right_down = self.up & diagonal;
        let mut out = 0;
        if right_up & last != 0 {
            self.score += 1;
            out = 1;
        }
        if right_down & last != 0 {
            self.score -= 1;
            out = -1;
        }
        right_up <<= 1;
        right_down <<= 1;
        if carry < 0 {
            right_down |= 1;
        } else if carry > 0 {
            right_up |= 1;
        }
        self.up = right_down | !(vertical | right_up);
        self.down = right_up & vertical;
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Matcher;
    use crate::matching::cancel::{NEVER, Ticker};
    use crate::matching::score::random_edits::edited;

    fn distance(a: &[u32], b: &[u32], most: u32) -> Option<u32> {
        Matcher::new(a).distance(b, most, &mut Ticker::new(NEVER)).unwrap()
    }

    /// The textbook recurrence.
    fn naive(a: &[u32], b: &[u32]) -> u32 {
        let mut row: Vec<u32> = (0..=b.len() as u32).collect();
        for (i, x) in a.iter().enumerate() {
            let mut diagonal = row[0];
            row[0] = i as u32 + 1;
            for (j, y) in b.iter().enumerate() {
                let best = (diagonal + u32::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
                diagonal = std::mem::replace(&mut row[j + 1], best);
            }
        }
        row[b.len()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1500))]
        #[test]
        fn agrees_with_the_recurrence_at_every_cut_off((a, b) in edited(0_u32..40, 0..300, 30), most in 0_u32..40) {
            let truth = naive(&a, &b);
            prop_assert_eq!(distance(&a, &b, u32::MAX), Some(truth));
            prop_assert_eq!(distance(&a, &b, most), Some(truth).filter(|&truth| truth <= most));
            prop_assert_eq!(distance(&a, &b, truth), Some(truth));
            prop_assert_eq!(distance(&b, &a, most), Some(truth).filter(|&truth| truth <= most));
        }

        #[test]
        fn agrees_on_unrelated_sequences(a in prop::collection::vec(0_u32..9, 0..200), b in prop::collection::vec(0_u32..9, 0..200), most in 0_u32..200) {
            let truth = naive(&a, &b);
            prop_assert_eq!(distance(&a, &b, most), Some(truth).filter(|&truth| truth <= most));
        }
    }

    #[test]
    fn a_pattern_of_different_symbols_takes_memory_in_proportion() {
        let pattern: Vec<u32> = (0..50_000).collect();
        let matcher = Matcher::new(&pattern);
        assert_eq!(matcher.masks.len(), pattern.len());
        assert_eq!(distance(&pattern, &pattern[3..], 10), Some(3));
    }
}
