//! Turns input bytes into text: archives, decompression, encodings, lines, and a ceiling on expansion.
//!
//! Knows nothing of formats.

mod budget;
mod charset;
pub(crate) mod decode;
mod lines;
mod zip;

pub(crate) use budget::{Budget, Counted};
pub(crate) use decode::{Source, Text};
pub(crate) use lines::Lines;
pub(crate) use zip::{Archive, Entry};
