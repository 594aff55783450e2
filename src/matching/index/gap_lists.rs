//! The unusual gaps of rows, in four bytes each where places and numbers allow it.

use std::io::{self, Read, Write};

use crate::matching::array_codec::{ArrayReader, ArrayWriter, damaged};
use crate::matching::encode::{Gaps, UnusualGap, narrow};
use crate::matching::jagged_array::JaggedArray;

/// Gaps by row.
#[derive(Debug, Clone)]
pub(crate) enum GapLists {
    Narrow(JaggedArray<u32>),
    Wide(JaggedArray<UnusualGap>),
}

impl Default for GapLists {
    fn default() -> Self {
        Self::Narrow(JaggedArray::default())
    }
}

impl GapLists {
    /// Empty, with room for as much as `others` hold together.
    pub(crate) fn with_room_of<'a>(others: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let entries = |it: &Self| match it {
            Self::Narrow(gaps) => gaps.all().len(),
            Self::Wide(gaps) => gaps.all().len(),
        };
        let lists = others.clone().map(Self::len).sum();
        Self::Narrow(JaggedArray::with_capacity(lists, others.map(entries).sum()))
    }

    pub(crate) fn push(&mut self, gaps: Gaps<'_>) {
        if let Self::Narrow(lists) = self {
            match gaps {
                Gaps::Narrow(gaps) => return lists.push(gaps),
                Gaps::Wide(wide) => {
                    let narrowed: Option<Vec<u32>> = wide.iter().copied().map(narrow).collect();
                    if let Some(narrowed) = narrowed {
                        return lists.push(&narrowed);
                    }
                }
            }
            self.widen();
        }
        if let Self::Wide(lists) = self {
            lists.push(&gaps.iter().collect::<Vec<_>>());
        }
    }

    fn widen(&mut self) {
        let mut wide = JaggedArray::default();
        for row in 0..self.len() {
            wide.push(&self.get(row).iter().collect::<Vec<_>>());
        }
        *self = Self::Wide(wide);
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Narrow(gaps) => gaps.len(),
            Self::Wide(gaps) => gaps.len(),
        }
    }

    #[inline]
    pub(crate) fn get(&self, row: usize) -> Gaps<'_> {
        match self {
            Self::Narrow(gaps) => Gaps::Narrow(gaps.get(row)),
            Self::Wide(gaps) => Gaps::Wide(gaps.get(row)),
        }
    }

    pub(crate) fn shrink_to_fit(&mut self) {
        match self {
            Self::Narrow(gaps) => gaps.shrink_to_fit(),
            Self::Wide(gaps) => gaps.shrink_to_fit(),
        }
    }

    pub(crate) fn write(&self, out: &mut ArrayWriter<impl Write>) -> io::Result<()> {
        match self {
            Self::Narrow(gaps) => {
                out.array(&[0_u8])?;
                gaps.write(out)
            }
            Self::Wide(gaps) => {
                out.array(&[1_u8])?;
                gaps.write(out)
            }
        }
    }

    pub(crate) fn read(input: &mut ArrayReader<impl Read>) -> io::Result<Self> {
        match input.array::<u8>()?.as_slice() {
            [0] => JaggedArray::read(input).map(Self::Narrow),
            [1] => JaggedArray::read(input).map(Self::Wide),
            _ => Err(damaged("gaps of an unknown kind")),
        }
    }

    /// Size in memory.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Narrow(gaps) => gaps.bytes(),
            Self::Wide(gaps) => gaps.bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wide_gap_widens_all() {
        let rows: [&[UnusualGap]; 4] = [&[(1, 2), (3, 4)], &[], &[(7, 70_000)], &[(2, 2)]];
        let mut lists = GapLists::default();
        for (count, row) in (1..).zip(rows) {
            lists.push(Gaps::Wide(row));
            assert_eq!(matches!(lists, GapLists::Narrow(_)), count < 3);
        }
        let mut copy = GapLists::with_room_of(std::iter::once(&lists));
        (0..lists.len()).for_each(|row| copy.push(lists.get(row)));
        let mut writer = ArrayWriter::new(Vec::new());
        copy.write(&mut writer).unwrap();
        let written = writer.finish().unwrap();
        let read =
            GapLists::read(&mut ArrayReader::new(&written[..], written.len() as u64)).unwrap();
        for (number, row) in rows.iter().enumerate() {
            assert_eq!(read.get(number).iter().collect::<Vec<_>>(), *row);
        }
    }
}
