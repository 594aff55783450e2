//! Stores many short lists in two allocations: all entries in a row, and the end of each list.

use std::io::{self, Read, Write};
use std::ops::Range;

use super::array_codec::{ArrayReader, ArrayWriter, Element, damaged};

/// Lists by number.
#[derive(Debug, Clone)]
pub(crate) struct JaggedArray<T> {
    all: Vec<T>,
    ends: Vec<u32>,
}

impl<T> Default for JaggedArray<T> {
    fn default() -> Self {
        Self { all: Vec::new(), ends: Vec::new() }
    }
}

impl<T: Copy> JaggedArray<T> {
    /// Builds the array from all entries and the end of each list; `None` when the ends do not fit.
    pub(crate) fn from_parts(all: Vec<T>, ends: Vec<u32>) -> Option<Self> {
        let fits = ends.is_sorted() && ends.last().copied().unwrap_or(0) == length_u32(all.len());
        fits.then_some(Self { all, ends })
    }

    pub(crate) fn with_capacity(lists: usize, entries: usize) -> Self {
        Self { all: Vec::with_capacity(entries), ends: Vec::with_capacity(lists) }
    }

    pub(crate) fn push(&mut self, list: &[T]) {
        self.all.extend_from_slice(list);
        self.ends.push(length_u32(self.all.len()));
    }

    pub(crate) fn shrink_to_fit(&mut self) {
        self.all.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// Number of lists.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Range of a list among all entries.
    #[inline]
    pub(crate) fn range(&self, number: usize) -> Range<usize> {
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        start as usize..self.ends[number] as usize
    }

    #[inline]
    pub(crate) fn get(&self, number: usize) -> &[T] {
        &self.all[self.range(number)]
    }

    /// The entries of all lists.
    pub(crate) fn all(&self) -> &[T] {
        &self.all
    }

    /// Size in memory.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<T>() * self.all.capacity() + 4 * self.ends.capacity()
    }
}

impl<T: Element + Copy> JaggedArray<T> {
    pub(crate) fn write(&self, out: &mut ArrayWriter<impl Write>) -> io::Result<()> {
        out.array(&self.all)?;
        out.array(&self.ends)
    }

    pub(crate) fn read(input: &mut ArrayReader<impl Read>) -> io::Result<Self> {
        let (all, ends) = (input.array()?, input.array()?);
        Self::from_parts(all, ends).ok_or_else(|| damaged("the ends of an array of lists"))
    }
}

/// Converts a count. Counts inside one set of rows stay far below 2³², because sets are sealed long before.
pub(crate) fn length_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
