//! Lists for each word the blocks of rows that contain it: small, and precise enough to skip most rows.

use std::io::{self, Read, Write};

use crate::matching::array_codec::{ArrayReader, ArrayWriter, damaged};
use crate::matching::encode::Side;
use crate::matching::jagged_array::JaggedArray;

use super::rows::Rows;

/// Least rows in a block. Smaller blocks are more precise and take more memory.
const BLOCK_ROWS_MIN: usize = 16;
/// Blocks are numbered in 16 bits.
const BLOCKS_MAX: usize = 1 << 16;

/// The blocks of each word on one side of a set of rows.
#[derive(Debug, Default)]
pub(crate) struct Occurrences {
    block_rows: usize,
    /// The words that occur, in order, and the blocks of each.
    words: Vec<u32>,
    blocks: JaggedArray<u16>,
}

/// A set of blocks.
#[derive(Debug, Clone)]
pub(crate) struct BlockSet(Vec<u64>);

impl Occurrences {
    /// Builds the lists from one side of rows.
    pub(crate) fn of(rows: &Rows, side: Side) -> Self {
        match side {
            Side::Source => Self::new(rows.len(), |row, out| {
                out.extend_from_slice(rows.words().get(row));
            }),
            Side::Target => Self::new(rows.len(), |row, out| rows.target().get(row).append_to(out)),
        }
    }

    /// Builds the lists from the words that `append_words` appends for each row.
    fn new(rows: usize, append_words: impl Fn(usize, &mut Vec<u32>)) -> Self {
        let block_rows = block_rows(rows);
        let mut ends: Vec<u32> = Vec::new();
        // The distinct words of each block.
        let mut distinct = JaggedArray::default();
        let mut block: Vec<u32> = Vec::new();
        for start in (0..rows).step_by(block_rows) {
            block.clear();
            (start..rows.min(start + block_rows)).for_each(|row| append_words(row, &mut block));
            block.sort_unstable();
            block.dedup();
            let largest = block.last().map_or(0, |&word| word as usize + 1);
            if largest > ends.len() {
                ends.resize(largest, 0);
            }
            for &word in &block {
                ends[word as usize] += 1;
            }
            distinct.push(&block);
        }
        let numbered = ends.iter().zip(0_u32..);
        let words: Vec<u32> =
            numbered.filter(|&(&count, _)| count > 0).map(|(_, word)| word).collect();
        let mut total = 0;
        for end in &mut ends {
            (*end, total) = (total, total + *end);
        }
        let mut all = vec![0_u16; total as usize];
        for (number, block) in (0..=u16::MAX).zip(0..distinct.len()) {
            for &word in distinct.get(block) {
                let next = &mut ends[word as usize];
                all[*next as usize] = number;
                *next += 1;
            }
        }
        // Each start has moved to the end of its list.
        let ends = words.iter().map(|&word| ends[word as usize]).collect();
        Self { block_rows, words, blocks: JaggedArray::from_parts(all, ends).unwrap_or_default() }
    }

    pub(crate) fn write(&self, out: &mut ArrayWriter<impl Write>) -> io::Result<()> {
        out.array(&self.words)?;
        self.blocks.write(out)
    }

    /// Reads the lists of one side of a set of `rows` rows.
    pub(crate) fn read(rows: usize, input: &mut ArrayReader<impl Read>) -> io::Result<Self> {
        let (words, blocks) = (input.array::<u32>()?, JaggedArray::<u16>::read(input)?);
        let block_rows = block_rows(rows);
        let end = rows.div_ceil(block_rows);
        let fits = words.len() == blocks.len()
            && words.is_sorted()
            && blocks.all().iter().all(|&block| usize::from(block) < end);
        if fits {
            Ok(Self { block_rows, words, blocks })
        } else {
            Err(damaged("words in blocks that do not exist"))
        }
    }

    /// Rows of each block except the last.
    pub(crate) fn block_rows(&self) -> usize {
        self.block_rows
    }

    /// The blocks in which any of some words occurs.
    pub(crate) fn with_any(&self, words: &[u32], rows: usize) -> BlockSet {
        let mut found = vec![0_u64; rows.div_ceil(self.block_rows).div_ceil(64)];
        for word in words {
            let Ok(at) = self.words.binary_search(word) else { continue };
            for &block in self.blocks.get(at) {
                found[usize::from(block) / 64] |= 1 << (block % 64);
            }
        }
        BlockSet(found)
    }

    /// Size in memory.
    pub(crate) fn bytes(&self) -> usize {
        4 * self.words.capacity() + self.blocks.bytes()
    }
}

impl BlockSet {
    pub(crate) fn intersect(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine &= theirs);
    }

    /// The first block at or after a number.
    pub(crate) fn next_from(&self, block: usize) -> Option<usize> {
        let mut at = block / 64;
        let mut bits = self.0.get(at)? & (u64::MAX << (block % 64));
        while bits == 0 {
            at += 1;
            bits = *self.0.get(at)?;
        }
        Some(64 * at + bits.trailing_zeros() as usize)
    }
}

fn block_rows(rows: usize) -> usize {
    BLOCK_ROWS_MIN.max(rows.div_ceil(BLOCKS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_of_a_word_is_known_and_no_other() {
        let mut rows = JaggedArray::default();
        for row in 0..125_u32 {
            rows.push(&[row % 7, 100 + row / 16, 100 + row / 16]);
        }
        rows.push(&[]);
        let append = |row: usize, out: &mut Vec<u32>| out.extend_from_slice(rows.get(row));
        let occurrences = Occurrences::new(rows.len(), append);
        for word in 0..120 {
            let found = occurrences.with_any(&[word], rows.len());
            for block in 0..8 {
                let here = (block * 16..(block * 16 + 16).min(rows.len()))
                    .any(|row| rows.get(row).contains(&word));
                assert_eq!(
                    found.next_from(block) == Some(block),
                    here,
                    "word {word} block {block}"
                );
            }
            assert_eq!(found.next_from(8), None);
        }
        assert_eq!(occurrences.words.len(), 7 + 8);
    }
}
