//! Turns input bytes into text: archives, decompression, encodings, lines, and a ceiling on expansion.
//!
//! Knows nothing of formats.

mod archive;
mod budget;
mod charset;
pub(crate) mod decode;
mod head;
mod lines;

pub(crate) use archive::{Archive, Entry, MAGIC_BYTES, ZIP_MAGIC};
pub(crate) use budget::Budget;
pub use decode::ILLEGAL;
pub(crate) use decode::{Source, Text};
pub(crate) use head::Head;
pub(crate) use lines::Lines;
