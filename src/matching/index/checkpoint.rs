//! How does an index go into a file, and come back without the texts it was made of? As the arrays that it is, all of
//! them, so that reading them is all there is to do.
//!
//! Knows nothing of files, of versions or of what the index was made from: that is the caller's business.

use std::io::{self, Read, Write};
use std::sync::Arc;

use crate::matching::array_codec::{ArrayReader, ArrayWriter, Element, damaged};
use crate::matching::encode::Vocabulary;

use super::occurrences::Occurrences;
use super::postings::Postings;
use super::rows::Rows;
use super::sets::{Sealed, Set, Snapshot};
use super::shared::Shared;

/// An index at one moment.
pub struct Frozen {
    shared: Arc<Shared>,
    snapshot: Arc<Snapshot>,
}

impl Frozen {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), snapshot: shared.snapshot() }
    }

    /// Writes the index as it was when it was frozen.
    ///
    /// # Errors
    /// The writer's.
    pub fn write(&self, out: &mut ArrayWriter<impl Write>) -> io::Result<()> {
        // Whatever the sets name was in the vocabulary before them.
        self.shared.vocabulary.write(out)?;
        out.array(&[self.snapshot.sets.len() as u64])?;
        for set in &self.snapshot.sets {
            set.rows().write(out)?;
            out.array(set.dead_bits())?;
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

/// Reads an index that was written, to the end of the input.
///
/// # Errors
/// `InvalidData` when it is not what was written, or does not fit together; the reader's.
pub(crate) fn read(mut input: ArrayReader<impl Read>) -> io::Result<(Vocabulary, Vec<Set>)> {
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
