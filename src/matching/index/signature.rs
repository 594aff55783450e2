//! Bit signatures that rule out most candidates: whether two segments can have enough tokens in common.
//!
//! Each class sets a bit chosen by a hash of its number; a bit that only one side has is a token without a partner.
//! 128 bits for segments of up to 28 tokens, 256 up to 64, 512 above: a fixed size would saturate on long segments.

use std::io::{self, Read, Write};

use crate::matching::array_codec::{ArrayReader, ArrayWriter, damaged};

/// Most tokens of segments with 128 and with 256 bits.
const NARROW_TOKENS_MAX: usize = 28;
const MIDDLE_TOKENS_MAX: usize = 64;

/// Signatures of rows that are sorted by length.
#[derive(Debug, Default)]
pub(crate) struct Signatures {
    /// All signatures in a row: those of two words, then of four, then of eight.
    words: Vec<u64>,
    /// Number of rows with two words, and with two or four.
    narrow_rows: usize,
    middle_rows: usize,
}

/// Signatures of a query in all widths.
#[derive(Debug, Clone, Default)]
pub(crate) struct QuerySignature {
    words: [u64; 14],
}

impl Signatures {
    /// Builds the signatures of the classes of rows that are sorted by length.
    pub(crate) fn new<'a>(rows: impl Iterator<Item = &'a [u32]>) -> Self {
        let mut signatures = Self::default();
        for classes in rows {
            let width = width(classes.len());
            signatures.narrow_rows += usize::from(width <= 2);
            signatures.middle_rows += usize::from(width <= 4);
            let start = signatures.words.len();
            signatures.words.resize(start + width, 0);
            set(&mut signatures.words[start..], classes.iter().copied());
        }
        signatures.words.shrink_to_fit();
        signatures
    }

    /// Number of bits that only the query has and that only the row has: at least as many tokens of each have no
    /// partner.
    #[inline]
    pub(crate) fn missing(&self, query: &QuerySignature, row: usize) -> (u32, u32) {
        if row < self.narrow_rows {
            missing(&query.words[..2], &self.words[2 * row..2 * row + 2])
        } else if row < self.middle_rows {
            let start = 2 * self.narrow_rows + 4 * (row - self.narrow_rows);
            missing(&query.words[2..6], &self.words[start..start + 4])
        } else {
            let start = 2 * self.narrow_rows
                + 4 * (self.middle_rows - self.narrow_rows)
                + 8 * (row - self.middle_rows);
            missing(&query.words[6..], &self.words[start..start + 8])
        }
    }

    pub(crate) fn write(&self, out: &mut ArrayWriter<impl Write>) -> io::Result<()> {
        out.array(&[self.narrow_rows as u64, self.middle_rows as u64])?;
        out.array(&self.words)
    }

    pub(crate) fn read(input: &mut ArrayReader<impl Read>) -> io::Result<Self> {
        let counts: Vec<u64> = input.array()?;
        let count = |place: usize| {
            let count = counts.get(place).and_then(|&count| usize::try_from(count).ok());
            count.ok_or_else(|| damaged("no count of signatures"))
        };
        Ok(Self { narrow_rows: count(0)?, middle_rows: count(1)?, words: input.array()? })
    }

    /// Whether there is one for each of `rows` rows.
    pub(crate) fn fits(&self, rows: usize) -> bool {
        let (narrow, middle) = (self.narrow_rows, self.middle_rows);
        narrow <= middle
            && middle <= rows
            && self.words.len() == 2 * narrow + 4 * (middle - narrow) + 8 * (rows - middle)
    }

    /// Size in memory.
    pub(crate) fn bytes(&self) -> usize {
        8 * self.words.capacity()
    }
}

impl QuerySignature {
    /// Builds the signatures of the query's known classes.
    pub(crate) fn new(classes: impl Iterator<Item = u32> + Clone) -> Self {
        let mut words = [0; 14];
        set(&mut words[..2], classes.clone());
        set(&mut words[2..6], classes.clone());
        set(&mut words[6..], classes);
        Self { words }
    }
}

fn width(tokens: usize) -> usize {
    if tokens <= NARROW_TOKENS_MAX {
        2
    } else if tokens <= MIDDLE_TOKENS_MAX {
        4
    } else {
        8
    }
}

fn set(words: &mut [u64], classes: impl Iterator<Item = u32>) {
    for class in classes {
        // Fibonacci hashing; the high bits are mixed best.
        let hash = (class.wrapping_mul(0x9E37_79B1) >> 16) as usize % (64 * words.len());
        words[hash / 64] |= 1 << (hash % 64);
    }
}

#[inline]
fn missing(query: &[u64], row: &[u64]) -> (u32, u32) {
    let pairs = query.iter().zip(row);
    pairs.fold((0, 0), |(of_query, of_row), (q, r)| {
        (of_query + (q & !r).count_ones(), of_row + (r & !q).count_ones())
    })
}
