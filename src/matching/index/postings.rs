//! An inverted index of sealed rows: for each class, the rows in which it is among the rarest.
//!
//! Rows are sorted by length, so that the length of a posting follows from its row. Classes are numbered by rarity.
//! Knows nothing of queries.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use foldhash::fast::FixedState;

use crate::matching::array_codec::{ArrayReader, ArrayWriter, Element};
use crate::matching::encode::Vocabulary;
use crate::matching::jagged_array::{JaggedArray, length_u32};

use super::prefix::prefix_len;
use super::rows::Rows;
use super::signature::Signatures;

/// Longer segments are not indexed but scanned; no memory has many.
pub(crate) const LENGTH_MAX: usize = u16::MAX as usize;
/// The position of a class among the rarest of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Posting {
    pub(crate) row: u32,
    /// From the highest bits: the place of the token in the row (6 bits), its rank among the tokens of the row,
    /// rarest first (5 bits), and, with the 32 bits of `low`, a [`mark`] for each class of the row (21 bits).
    pub(crate) packed: u32,
    pub(crate) low: u32,
}

/// Postings from which on a class has a directory by length; shorter lists are searched.
const DIRECTORY_MIN: u32 = 48;
const PLACE_BITS: u32 = 6;
const RANK_BITS: u32 = 5;
/// Bits left besides place and rank.
const HIGH_BITS: u32 = 32 - PLACE_BITS - RANK_BITS;
const HIGH: u32 = (1 << HIGH_BITS) - 1;
const MARK_BITS: u32 = 32 + HIGH_BITS;
/// All marks of a posting.
pub(crate) const MARKS: u64 = (1 << MARK_BITS) - 1;

/// The bit of a class among the marks of a posting. Marks rule out most rows without reading them.
pub(crate) fn mark(class: u32) -> u64 {
    // The highest bits of a Fibonacci hash, spread over the marks; signatures use lower ones.
    1 << ((u64::from(class.wrapping_mul(0x9E37_79B1)) * u64::from(MARK_BITS)) >> 32)
}

/// Quantizes places and ranks in rows of one length by dropping low bits. Bounds are quantized in the same way, so
/// that no candidate is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quantizer {
    place_shift: u32,
    rank_shift: u32,
}

impl Quantizer {
    /// For rows of `length` tokens.
    pub(crate) fn of(length: usize) -> Self {
        let bits = |most: usize| usize::BITS - most.saturating_sub(1).leading_zeros();
        Self {
            place_shift: bits(length).saturating_sub(PLACE_BITS),
            rank_shift: bits(prefix_len(length)).saturating_sub(RANK_BITS),
        }
    }

    pub(crate) fn place(self, place: u32) -> u32 {
        place >> self.place_shift
    }

    pub(crate) fn rank(self, rank: u32) -> u32 {
        rank >> self.rank_shift
    }
}

impl Posting {
    fn new(row: usize, place: u16, rank: usize, marks: u64, quantizer: Quantizer) -> Self {
        let place = quantizer.place(place.into()) << (RANK_BITS + HIGH_BITS);
        let rank = quantizer.rank(length_u32(rank)) << HIGH_BITS;
        let [a, b, c, d, high @ ..] = marks.to_le_bytes();
        Self {
            row: length_u32(row),
            packed: place | rank | u32::from_le_bytes(high),
            low: u32::from_le_bytes([a, b, c, d]),
        }
    }

    /// The place, quantized.
    pub(crate) fn place(self) -> u32 {
        self.packed >> (RANK_BITS + HIGH_BITS)
    }

    /// The rank, quantized.
    #[inline]
    pub(crate) fn rank(self) -> u32 {
        (self.packed >> HIGH_BITS) & ((1 << RANK_BITS) - 1)
    }

    #[inline]
    pub(crate) fn marks(self) -> u64 {
        u64::from(self.packed & HIGH) << 32 | u64::from(self.low)
    }
}

impl Element for Posting {
    const BYTES: usize = 12;

    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        (self.row, (self.packed, self.low)).put(out);
    }

    #[inline]
    fn take(bytes: &[u8]) -> Self {
        let (row, (packed, low)) = Element::take(bytes);
        Self { row, packed, low }
    }
}

/// The search structure of rows that are sorted by length.
#[derive(Debug, Default)]
pub(crate) struct Postings {
    /// Each length with its first row; after the last one the end of all rows.
    lengths: Vec<(u32, u32)>,
    /// Rank of a class by its number in the vocabulary; the rarest is 0.
    ranks: HashMap<u32, u32, FixedState>,
    /// Where the postings of each class end.
    ends: Vec<u32>,
    all: Vec<Posting>,
    /// For long lists: each length in a list, and where its postings end, counted from the start of the list.
    directory: JaggedArray<(u32, u32)>,
    signatures: Signatures,
}

impl Postings {
    /// Builds the index of rows that are sorted by length.
    pub(crate) fn new(rows: &Rows, vocabulary: &Vocabulary) -> Self {
        let mut counts: HashMap<u32, u32, FixedState> = HashMap::default();
        let classes: Vec<u32> =
            rows.words().all().iter().map(|&word| vocabulary.numbers(word).class).collect();
        for &class in &classes {
            *counts.entry(class).or_default() += 1;
        }
        let mut rarest: Vec<(u32, u32)> =
            counts.into_iter().map(|(class, count)| (count, class)).collect();
        rarest.sort_unstable();
        let ranks: HashMap<u32, u32, FixedState> = rarest
            .iter()
            .enumerate()
            .map(|(rank, &(_, class))| (class, length_u32(rank)))
            .collect();
        let ranked: Vec<u32> = classes.iter().map(|class| ranks[class]).collect();
        let mut postings = Self { ranks, ..Self::default() };
        postings.set_lengths(rows);
        postings.set_postings(rows, &ranked, &classes);
        let of_row = |row| &classes[rows.words().range(row)];
        postings.signatures = Signatures::new((0..rows.len()).map(of_row));
        postings
    }

    fn set_lengths(&mut self, rows: &Rows) {
        for row in 0..rows.len() {
            let length = length_u32(rows.length(row));
            if self.lengths.last().is_none_or(|&(last, _)| last < length) {
                self.lengths.push((length, length_u32(row)));
            }
        }
        self.lengths.push((u32::MAX, length_u32(rows.len())));
    }

    /// Fills the lists from the ranks and the classes of all words of the rows.
    fn set_postings(&mut self, rows: &Rows, ranked: &[u32], classes: &[u32]) {
        // Counted first, then filled in place: no list is copied.
        let mut ends = vec![0_u32; self.ranks.len()];
        let mut order = Vec::new();
        let indexed = rows.len().min(self.first_row(LENGTH_MAX + 1));
        for row in 0..indexed {
            for &(rank, _) in prefix(&ranked[rows.words().range(row)], &mut order) {
                ends[rank as usize] += 1;
            }
        }
        let mut total = 0;
        for end in &mut ends {
            let count = *end;
            *end = total;
            total += count;
        }
        let starts = ends.clone();
        let size = |class: usize| starts.get(class + 1).unwrap_or(&total) - starts[class];
        let mut directory: Vec<(u32, (u32, u32))> = Vec::new();
        let mut postings = vec![Posting { row: 0, packed: 0, low: 0 }; total as usize];
        // The postings of rows of one length, in order of place.
        let mut of_length: Vec<(u32, Posting)> = Vec::new();
        for pair in self.lengths.windows(2) {
            let (length, first, end) = (pair[0].0 as usize, pair[0].1, pair[1].1);
            let quantizer = Quantizer::of(length);
            of_length.clear();
            for row in first as usize..(end as usize).min(indexed) {
                let range = rows.words().range(row);
                let marks = classes[range.clone()].iter().fold(0, |marks, &it| marks | mark(it));
                let prefix = prefix(&ranked[range], &mut order).iter().enumerate();
                of_length.extend(prefix.map(|(rank, &(class, place))| {
                    (class, Posting::new(row, place, rank, marks, quantizer))
                }));
            }
            of_length.sort_by_key(|(_, posting)| posting.place());
            for &(class, posting) in &of_length {
                let next = &mut ends[class as usize];
                postings[*next as usize] = posting;
                *next += 1;
            }
            of_length.sort_unstable_by_key(|&(class, _)| class);
            for same in of_length.chunk_by(|a, b| a.0 == b.0) {
                let class = same[0].0;
                if size(class as usize) >= DIRECTORY_MIN {
                    let end = ends[class as usize] - starts[class as usize];
                    directory.push((class, (length_u32(length), end)));
                }
            }
        }
        directory.sort_by_key(|&(class, _)| class);
        let mut entries = directory.chunk_by(|a, b| a.0 == b.0).peekable();
        for class in 0..length_u32(starts.len()) {
            let of_class = entries.next_if(|entries| entries[0].0 == class).unwrap_or_default();
            let of_class: Vec<(u32, u32)> = of_class.iter().map(|&(_, entry)| entry).collect();
            self.directory.push(&of_class);
        }
        self.directory.shrink_to_fit();
        // Each start has moved to the end of its list.
        self.ends = ends;
        self.all = postings;
    }

    /// The rank of a class.
    pub(crate) fn rank(&self, class: u32) -> Option<u32> {
        self.ranks.get(&class).copied()
    }

    /// The first row with at least `length` tokens.
    pub(crate) fn first_row(&self, length: usize) -> usize {
        let at = self.lengths.partition_point(|&(of, _)| (of as usize) < length);
        self.lengths[at.min(self.lengths.len() - 1)].1 as usize
    }

    /// The lengths from `length` on, each with the end of its rows.
    pub(crate) fn lengths_from(&self, length: usize) -> impl Iterator<Item = (u32, u32)> {
        let at = self.lengths.partition_point(|&(of, _)| (of as usize) < length);
        self.lengths[at..].windows(2).map(|pair| (pair[0].0, pair[1].1))
    }

    /// The postings of a class: shortest rows first, then by place.
    pub(crate) fn of(&self, rank: u32) -> &[Posting] {
        let rank = rank as usize;
        let start = if rank == 0 { 0 } else { self.ends[rank - 1] };
        &self.all[start as usize..self.ends[rank] as usize]
    }

    /// Where the postings of each length end in the list of a class; empty for short lists.
    pub(crate) fn directory(&self, rank: u32) -> &[(u32, u32)] {
        self.directory.get(rank as usize)
    }

    pub(crate) fn signatures(&self) -> &Signatures {
        &self.signatures
    }

    pub(crate) fn write(&self, out: &mut ArrayWriter<impl Write>) -> io::Result<()> {
        let mut by_rank: Vec<(u32, u32)> =
            self.ranks.iter().map(|(&class, &rank)| (rank, class)).collect();
        by_rank.sort_unstable();
        out.array(&self.lengths)?;
        out.array::<u32>(&by_rank.into_iter().map(|(_, class)| class).collect::<Vec<_>>())?;
        out.array(&self.ends)?;
        out.array(&self.all)?;
        self.directory.write(out)?;
        self.signatures.write(out)
    }

    pub(crate) fn read(input: &mut ArrayReader<impl Read>) -> io::Result<Self> {
        let lengths = input.array()?;
        let by_rank: Vec<u32> = input.array()?;
        Ok(Self {
            lengths,
            ranks: by_rank.into_iter().zip(0..).collect(),
            ends: input.array()?,
            all: input.array()?,
            directory: JaggedArray::read(input)?,
            signatures: Signatures::read(input)?,
        })
    }

    /// Whether all parts are consistent with these rows.
    pub(crate) fn fits(&self, rows: &Rows) -> bool {
        let (count, classes) = (rows.len(), self.ranks.len());
        let end = (u32::MAX, length_u32(count));
        let lengths = (0..count).map(|row| rows.length(row));
        lengths.is_sorted()
            && self.lengths.is_sorted()
            && self.lengths.last() == Some(&end)
            && self.lengths.iter().all(|&(_, row)| row as usize <= count)
            && self.ends.len() == classes
            && self.ends.is_sorted()
            && self.ends.last().copied().unwrap_or(0) as usize == self.all.len()
            && self.all.iter().all(|posting| (posting.row as usize) < count)
            && self.directory.len() == classes
            && (0..length_u32(classes)).all(|rank| {
                let (list, directory) = (self.of(rank), self.directory(rank));
                directory.is_sorted()
                    && directory.is_sorted_by_key(|&(_, end)| end)
                    && directory.last().is_none_or(|&(_, end)| end as usize == list.len())
            })
            && self.signatures.fits(count)
    }

    /// Size in memory.
    pub(crate) fn bytes(&self) -> usize {
        let ranks = self.ranks.capacity() * (size_of::<(u32, u32)>() + 1);
        8 * self.lengths.capacity()
            + ranks
            + 4 * self.ends.capacity()
            + self.directory.bytes()
            + size_of::<Posting>() * self.all.capacity()
            + self.signatures.bytes()
    }
}

/// The rarest tokens of a row with their places.
fn prefix<'a>(ranked: &[u32], order: &'a mut Vec<(u32, u16)>) -> &'a [(u32, u16)] {
    order.clear();
    let places = 0..=u16::MAX;
    order.extend(ranked.iter().copied().zip(places));
    order.sort_unstable();
    order.truncate(prefix_len(ranked.len()));
    order
}
