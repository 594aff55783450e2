//! Stores many short lists of small numbers, each number in as many bytes as it needs (LEB128: seven bits a byte, the lowest first).

use std::io::{self, Read, Write};

use super::array_codec::{ArrayReader, ArrayWriter, damaged};
use super::jagged_array::JaggedArray;

/// Lists by number.
#[derive(Debug, Clone, Default)]
pub(crate) struct PackedLists {
    packed: JaggedArray<u8>,
    buffer: Vec<u8>,
}

/// A list, plain or packed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum List<'a> {
    Plain(&'a [u32]),
    Packed(&'a [u8]),
}

/// The bit of a byte that tells that another one follows.
const MORE: u8 = 0x80;

impl PackedLists {
    /// Empty, with room for as much as `others` hold together.
    pub(crate) fn with_room_of<'a>(others: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let lists = others.clone().map(Self::len).sum();
        let bytes = others.map(|it| it.packed.all().len()).sum();
        Self { packed: JaggedArray::with_capacity(lists, bytes), buffer: Vec::new() }
    }

    pub(crate) fn push(&mut self, list: List<'_>) {
        match list {
            List::Packed(bytes) => self.packed.push(bytes),
            List::Plain(numbers) => {
                self.buffer.clear();
                for &number in numbers {
                    put(number, &mut self.buffer);
                }
                self.packed.push(&self.buffer);
            }
        }
    }

    /// Drops what only pushing needs.
    pub(crate) fn shrink_to_fit(&mut self) {
        self.packed.shrink_to_fit();
        self.buffer = Vec::new();
    }

    /// Number of lists.
    pub(crate) fn len(&self) -> usize {
        self.packed.len()
    }

    #[inline]
    pub(crate) fn get(&self, number: usize) -> List<'_> {
        List::Packed(self.packed.get(number))
    }

    pub(crate) fn write(&self, out: &mut ArrayWriter<impl Write>) -> io::Result<()> {
        self.packed.write(out)
    }

    pub(crate) fn read(input: &mut ArrayReader<impl Read>) -> io::Result<Self> {
        let packed = JaggedArray::<u8>::read(input)?;
        let whole = |list: usize| packed.get(list).last().is_none_or(|last| last & MORE == 0);
        if (0..packed.len()).all(whole) {
            Ok(Self { packed, buffer: Vec::new() })
        } else {
            Err(damaged("a list that ends within a number"))
        }
    }

    /// Size in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.packed.bytes() + self.buffer.capacity()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lowest bits are wanted")]
fn put(mut number: u32, out: &mut Vec<u8>) {
    while number >= u32::from(MORE) {
        out.push(number as u8 | MORE);
        number >>= 7;
    }
    out.push(number as u8);
}

impl List<'_> {
    /// Appends the numbers to `out`.
    pub(crate) fn append_to(self, out: &mut Vec<u32>) {
        match self {
            Self::Plain(numbers) => out.extend_from_slice(numbers),
            Self::Packed(bytes) => {
                let (mut number, mut shift) = (0_u32, 0);
                for &byte in bytes {
                    number |= u32::from(byte & !MORE).checked_shl(shift).unwrap_or(0);
                    shift += 7;
                    if byte & MORE == 0 {
                        out.push(number);
                        (number, shift) = (0, 0);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lists_come_back(lists: Vec<Vec<u32>>) {
            let mut packed = PackedLists::default();
            for list in &lists {
                packed.push(List::Plain(list));
            }
            let mut copy = PackedLists::with_room_of(std::iter::once(&packed));
            for number in 0..packed.len() {
                copy.push(packed.get(number));
            }
            let mut writer = ArrayWriter::new(Vec::new());
            copy.write(&mut writer).unwrap();
            let written = writer.finish().unwrap();
            let read = PackedLists::read(&mut ArrayReader::new(&written[..], written.len() as u64)).unwrap();
            for (number, list) in lists.iter().enumerate() {
                let mut numbers = Vec::new();
                read.get(number).append_to(&mut numbers);
                prop_assert_eq!(&numbers, list);
            }
        }
    }

    #[test]
    fn small_numbers_take_few_bytes_and_a_cut_number_is_damage() {
        let mut packed = PackedLists::default();
        packed.push(List::Plain(&[0, 127, 128, 16_383, 16_384, u32::MAX]));
        assert_eq!(packed.packed.all().len(), 1 + 1 + 2 + 2 + 3 + 5);
        let mut writer = ArrayWriter::new(Vec::new());
        let mut cut = JaggedArray::default();
        cut.push(&[1, MORE]);
        cut.write(&mut writer).unwrap();
        let written = writer.finish().unwrap();
        let mut reader = ArrayReader::new(&written[..], written.len() as u64);
        assert!(PackedLists::read(&mut reader).is_err());
    }
}
