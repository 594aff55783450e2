//! Writes an index as its arrays, and reads it back without the texts it was built from.
//!
//! Knows nothing of files or versions: those are up to the caller.

use std::io::{self, Read, Write};
use std::sync::Arc;

use crate::matching::array_codec::{ArrayReader, ArrayWriter, Element, damaged};
use crate::matching::encode::Vocabulary;

use super::occurrences::Occurrences;
use super::postings::Postings;
use super::rows::Rows;
use super::sets::{Sealed, Set, Snapshot};
use super::shared::Shared;

/// A snapshot of an index.
pub struct Frozen {
    shared: Arc<Shared>,
    snapshot: Arc<Snapshot>,
}

impl Frozen {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), snapshot: shared.snapshot() }
    }

    /// Writes the snapshot.
    ///
    /// # Errors
    ///
    /// Errors of the writer.
    pub fn write(&self, out: &mut ArrayWriter<impl Write>) -> io::Result<()> {
        // The vocabulary first: it already holds everything that the sets refer to.
        self.shared.vocabulary.write(out)?;
        out.array(&[self.snapshot.sets.len() as u64])?;
        for set in &self.snapshot.sets {
            set.rows().write(out)?;
            out.array(set.tombstone_bits())?;
            out.array(&[u8::from(set.sealed().is_some())])?;
            if let Some(sealed) = set.sealed() {
                sealed.postings.write(out)?;
                sealed.source.write(out)?;
                sealed.target.write(out)?;
            }
        }
        Ok(())
    }
}

/// Reads an index to the end of the input.
///
/// # Errors
///
/// `InvalidData` when the input is damaged or its parts are inconsistent; errors of the reader.
pub(crate) fn read(mut input: ArrayReader<impl Read>) -> io::Result<(Vocabulary, Vec<Set>)> {
    let input_ref = &mut input;
    let vocabulary = Vocabulary::read(input_ref)?;
    let count = one::<u64>(input_ref)?;
    let mut parts = Vec::new();
    for _ in 0..count {
        let rows = Rows::read(input_ref)?;
        let tombstones = input_ref.array::<u64>()?;
        let is_sealed = one::<u8>(input_ref)? != 0;
        let sealed = is_sealed.then(|| read_sealed(rows.len(), input_ref)).transpose()?;
        parts.push((rows, tombstones, sealed));
    }
    // Values are used only after the checksum is verified.
    input.finish()?;
    let mut sets = Vec::with_capacity(parts.len());
    let mut waiting = Vec::new();
    for (rows, tombstones, sealed) in parts {
        let fits = rows.fits(vocabulary.words_len())
            && tombstones.len() <= rows.len().div_ceil(64)
            && sealed.as_ref().is_none_or(|sealed| sealed.postings.fits(&rows));
        if !fits {
            return Err(damaged("parts that do not fit together"));
        }
        let set = Set::assembled(Arc::new(rows), tombstones, sealed.map(Arc::new));
        if set.needs_sealing() { &mut waiting } else { &mut sets }.push(set);
    }
    if !waiting.is_empty() {
        sets.push(Set::seal(&waiting, &vocabulary));
    }
    if sets.iter().filter(|set| set.is_open()).count() > 1 {
        return Err(damaged("two open sets"));
    }
    Ok((vocabulary, sets))
}

fn read_sealed(rows: usize, input: &mut ArrayReader<impl Read>) -> io::Result<Sealed> {
    Ok(Sealed {
        postings: Postings::read(input)?,
        source: Occurrences::read(rows, input)?,
        target: Occurrences::read(rows, input)?,
    })
}

fn one<T: Element + Copy>(input: &mut ArrayReader<impl Read>) -> io::Result<T> {
    match *input.array::<T>()?.as_slice() {
        [value] => Ok(value),
        _ => Err(damaged("not one number")),
    }
}
