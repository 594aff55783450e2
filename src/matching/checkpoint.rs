//! How does an index go into a file, and come back without the texts it was made of? As the arrays that it is, all of
//! them, so that reading them is all there is to do.
//!
//! Knows nothing of files, of versions or of what the index was made from: that is the caller's business.

use std::io::{self, Read, Write};
use std::sync::Arc;

use super::index::{Frozen, MemoryIndex};
use super::lists::Lists;
use super::occurrences::Occurrences;
use super::plain::{Plain, PlainReader, PlainWriter, damaged};
use super::postings::{Posting, Postings};
use super::rows::{RowFacts, Rows};
use super::sets::{Sealed, Set};
use super::vocabulary::Vocabulary;

impl Frozen {
    /// Writes the index as it was when it was frozen.
    ///
    /// # Errors
    /// The writer's.
    pub fn write(&self, out: &mut PlainWriter<impl Write>) -> io::Result<()> {
        // Whatever the sets name was in the vocabulary before them.
        self.vocabulary().write(out)?;
        let sets: Vec<&Set> = self.sets().collect();
        out.array(&[sets.len() as u64])?;
        for set in sets {
            set.rows().write(out)?;
            out.array(set.dead_bits())?;
            out.array(&[u8::from(set.sealed().is_some())])?;
            if let Some(sealed) = set.sealed() {
                sealed.postings.write(out)?;
                write_occurrences(&sealed.source, out)?;
                write_occurrences(&sealed.target, out)?;
            }
        }
        Ok(())
    }
}

impl MemoryIndex {
    /// Reads an index that was written, to the end of the input.
    ///
    /// # Errors
    /// `InvalidData` when it is not what was written, or does not fit together; the reader's.
    pub fn read(mut input: PlainReader<impl Read>) -> io::Result<Self> {
        let input_ref = &mut input;
        let vocabulary = Vocabulary::read(input_ref)?;
        let count = one::<u64>(input_ref)?;
        let mut parts = Vec::new();
        for _ in 0..count {
            let rows = Rows::read(input_ref)?;
            let dead = input_ref.array::<u64>()?;
            let is_sealed = one::<u8>(input_ref)? != 0;
            let sealed = is_sealed.then(|| read_sealed(rows.len(), input_ref)).transpose()?;
            parts.push((rows, dead, sealed));
        }
        // Nothing is looked into before the checksum has said that it is what was written.
        input.finish()?;
        let mut sets = Vec::with_capacity(parts.len());
        let mut waiting = Vec::new();
        for (rows, dead, sealed) in parts {
            let fits = rows.fits(vocabulary.words_len())
                && dead.len() <= rows.len().div_ceil(64)
                && sealed.as_ref().is_none_or(|sealed| sealed.postings.fits(&rows));
            if !fits {
                return Err(damaged("parts that do not fit together"));
            }
            let set = Set::assembled(Arc::new(rows), dead, sealed.map(Arc::new));
            if set.waits() { &mut waiting } else { &mut sets }.push(set);
        }
        if !waiting.is_empty() {
            sets.push(Set::seal(&waiting, &vocabulary));
        }
        if sets.iter().filter(|set| set.is_open()).count() > 1 {
            return Err(damaged("two open sets"));
        }
        Ok(Self::assembled(vocabulary, sets))
    }
}

fn read_sealed(rows: usize, input: &mut PlainReader<impl Read>) -> io::Result<Sealed> {
    Ok(Sealed {
        postings: Postings::read(input)?,
        source: read_occurrences(rows, input)?,
        target: read_occurrences(rows, input)?,
    })
}

fn one<T: Plain + Copy>(input: &mut PlainReader<impl Read>) -> io::Result<T> {
    match *input.array::<T>()?.as_slice() {
        [value] => Ok(value),
        _ => Err(damaged("not one number")),
    }
}

pub(super) fn write_lists<T: Plain + Copy>(
    lists: &Lists<T>,
    out: &mut PlainWriter<impl Write>,
) -> io::Result<()> {
    out.array(lists.all())?;
    out.array(lists.ends())
}

pub(super) fn read_lists<T: Plain + Copy>(
    input: &mut PlainReader<impl Read>,
) -> io::Result<Lists<T>> {
    let (all, ends) = (input.array()?, input.array()?);
    Lists::from_parts(all, ends).ok_or_else(|| damaged("lists that do not end"))
}

fn write_occurrences(
    occurrences: &Occurrences,
    out: &mut PlainWriter<impl Write>,
) -> io::Result<()> {
    out.array(occurrences.words())?;
    write_lists(occurrences.blocks(), out)
}

fn read_occurrences(rows: usize, input: &mut PlainReader<impl Read>) -> io::Result<Occurrences> {
    let (words, blocks) = (input.array()?, read_lists(input)?);
    Occurrences::from_parts(rows, words, blocks)
        .ok_or_else(|| damaged("words in blocks that are not there"))
}

impl Plain for Posting {
    const BYTES: usize = 12;

    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        (self.row, (self.packed, self.low)).put(out);
    }

    #[inline]
    fn take(bytes: &[u8]) -> Self {
        let (row, (packed, low)) = Plain::take(bytes);
        Self { row, packed, low }
    }
}

type FactNumbers = (((u64, u64), (u64, u64)), ((i64, (u32, u32)), ((u32, u32), (u32, u8))));

impl Plain for RowFacts {
    const BYTES: usize = FactNumbers::BYTES;

    #[inline]
    fn put(&self, out: &mut Vec<u8>) {
        let content_hash = self.content_hash.number();
        let hashes = ((self.unit.0, self.source_hash), (content_hash, self.tags));
        let place = (self.changed.micros, self.neighbours.numbers());
        let names = ((self.document, self.author), (self.revision, u8::from(self.unfinished)));
        (hashes, (place, names)).put(out);
    }

    #[inline]
    fn take(bytes: &[u8]) -> Self {
        let (hashes, (place, names)) = FactNumbers::take(bytes);
        let ((unit, source_hash), (content_hash, tags)) = hashes;
        let ((document, author), (revision, unfinished)) = names;
        Self {
            unit: crate::unit::UnitId(unit),
            source_hash,
            content_hash: super::hashes::ContentHash::of_number(content_hash),
            tags,
            changed: crate::unit::Timestamp { micros: place.0 },
            neighbours: super::rows::Neighbours::of_numbers(place.1),
            document,
            author,
            revision,
            unfinished: unfinished != 0,
        }
    }
}
