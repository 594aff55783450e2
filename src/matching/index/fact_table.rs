//! The facts of rows: those in which most rows differ side by side, each of the others in a column of its own.

use std::io::{self, Read, Write};

use crate::matching::array_codec::{ArrayReader, ArrayWriter, Element};
use crate::matching::column::Column;
use crate::matching::encode::{ContentHash, Neighbours, RowFacts};
use crate::unit::{Timestamp, UnitId};

/// Facts by row.
#[derive(Debug, Clone, Default)]
pub(crate) struct FactTable {
    keys: Vec<Keys>,
    changed_micros: Column<i64>,
    tags: Column<u64>,
    neighbours: Column<(u32, u32)>,
    target_neighbours: Column<(u32, u32)>,
    documents: Column<u32>,
    authors: Column<u32>,
    revisions: Column<u32>,
    unfinished: Column<u8>,
}

/// What finds a row and compares it with another one, in one cache line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys {
    pub(crate) unit: UnitId,
    pub(crate) source_hash: u64,
    content_hash: ContentHash,
}

impl Element for Keys {
    const BYTES: usize = 24;

    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        (self.unit.0, (self.source_hash, self.content_hash.number())).put(out);
    }

    #[inline]
    fn take(bytes: &[u8]) -> Self {
        let (unit, (source_hash, content_hash)) = Element::take(bytes);
        Self { unit: UnitId(unit), source_hash, content_hash: ContentHash::of_number(content_hash) }
    }
}

impl FactTable {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        Self { keys: Vec::with_capacity(rows), ..Self::default() }
    }

    pub(crate) fn push(&mut self, facts: &RowFacts) {
        let RowFacts { unit, source_hash, content_hash, .. } = *facts;
        self.keys.push(Keys { unit, source_hash, content_hash });
        self.changed_micros.push(facts.changed.micros);
        self.tags.push(facts.tags);
        self.neighbours.push(facts.neighbours.numbers());
        self.target_neighbours.push(facts.target_neighbours.numbers());
        self.documents.push(facts.document);
        self.authors.push(facts.author);
        self.revisions.push(facts.revision);
        self.unfinished.push(facts.unfinished.into());
    }

    /// The same facts in the smallest form.
    pub(crate) fn packed(mut self) -> Self {
        self.keys.shrink_to_fit();
        Self {
            keys: self.keys,
            changed_micros: self.changed_micros.packed(),
            tags: self.tags.packed(),
            neighbours: self.neighbours.packed(),
            target_neighbours: self.target_neighbours.packed(),
            documents: self.documents.packed(),
            authors: self.authors.packed(),
            revisions: self.revisions.packed(),
            unfinished: self.unfinished.packed(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    #[inline]
    pub(crate) fn keys(&self, row: usize) -> &Keys {
        &self.keys[row]
    }

    pub(crate) fn all_keys(&self) -> &[Keys] {
        &self.keys
    }

    pub(crate) fn get(&self, row: usize) -> RowFacts {
        let Keys { unit, source_hash, content_hash } = self.keys[row];
        RowFacts {
            unit,
            source_hash,
            content_hash,
            tags: self.tags.get(row),
            changed: Timestamp { micros: self.changed_micros.get(row) },
            neighbours: Neighbours::from_numbers(self.neighbours.get(row)),
            target_neighbours: Neighbours::from_numbers(self.target_neighbours.get(row)),
            document: self.documents.get(row),
            author: self.authors.get(row),
            revision: self.revisions.get(row),
            unfinished: self.unfinished.get(row) != 0,
        }
    }

    pub(crate) fn write(&self, out: &mut ArrayWriter<impl Write>) -> io::Result<()> {
        out.array(&self.keys)?;
        self.changed_micros.write(out)?;
        self.tags.write(out)?;
        self.neighbours.write(out)?;
        self.target_neighbours.write(out)?;
        self.documents.write(out)?;
        self.authors.write(out)?;
        self.revisions.write(out)?;
        self.unfinished.write(out)
    }

    pub(crate) fn read(input: &mut ArrayReader<impl Read>) -> io::Result<Self> {
        let keys = input.array::<Keys>()?;
        let rows = keys.len();
        Ok(Self {
            keys,
            changed_micros: Column::read(rows, input)?,
            tags: Column::read(rows, input)?,
            neighbours: Column::read(rows, input)?,
            target_neighbours: Column::read(rows, input)?,
            documents: Column::read(rows, input)?,
            authors: Column::read(rows, input)?,
            revisions: Column::read(rows, input)?,
            unfinished: Column::read(rows, input)?,
        })
    }

    /// Size in memory.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Keys>() * self.keys.capacity()
            + self.changed_micros.bytes()
            + self.tags.bytes()
            + self.neighbours.bytes()
            + self.target_neighbours.bytes()
            + self.documents.bytes()
            + self.authors.bytes()
            + self.revisions.bytes()
            + self.unfinished.bytes()
    }
}
