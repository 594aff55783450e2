//! How are many short lists kept in little memory? One after the other, with the end of each.

use std::ops::Range;

use super::rows::length_u32;

/// Lists by number.
#[derive(Debug, Clone)]
pub(super) struct Lists<T> {
    all: Vec<T>,
    ends: Vec<u32>,
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self { all: Vec::new(), ends: Vec::new() }
    }
}

impl<T: Copy> Lists<T> {
    /// From all entries and the end of each list; `None` when the ends do not fit.
    pub(super) fn from_parts(all: Vec<T>, ends: Vec<u32>) -> Option<Self> {
        let fits = ends.is_sorted() && ends.last().copied().unwrap_or(0) == length_u32(all.len());
        fits.then_some(Self { all, ends })
    }

    pub(super) fn with_capacity(lists: usize, entries: usize) -> Self {
        Self { all: Vec::with_capacity(entries), ends: Vec::with_capacity(lists) }
    }

    pub(super) fn push(&mut self, list: &[T]) {
        self.all.extend_from_slice(list);
        self.ends.push(length_u32(self.all.len()));
    }

    pub(super) fn shrink_to_fit(&mut self) {
        self.all.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// How many lists.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Where a list stands among all entries.
    #[inline]
    pub(super) fn range(&self, number: usize) -> Range<usize> {
        let start = if number == 0 { 0 } else { self.ends[number - 1] };
        start as usize..self.ends[number] as usize
    }

    #[inline]
    pub(super) fn get(&self, number: usize) -> &[T] {
        &self.all[self.range(number)]
    }

    /// The entries of all lists.
    pub(super) fn all(&self) -> &[T] {
        &self.all
    }

    /// The end of each list.
    pub(super) fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        size_of::<T>() * self.all.capacity() + 4 * self.ends.capacity()
    }
}
