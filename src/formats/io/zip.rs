//! What is in this ZIP archive? Its directory and its entries, in bounded memory.
//!
//! Source: APPNOTE.TXT 6.3 (PKWARE). Stored and deflated entries are read; encrypted ones, and archives of more than 4 GiB, are
//! refused.

use std::io::{self, Cursor, Read};
use std::sync::Arc;

use flate2::read::DeflateDecoder;

use crate::limits::{ZIP_BYTES_MAX, ZIP_ENTRIES_MAX};

use super::budget::Budget;

/// Bytes that reveal every kind of packed file.
pub(crate) const MAGIC_BYTES: u64 = 16;
/// How ZIP archives, and so workbooks, begin.
pub(crate) const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

/// An archive in memory.
#[derive(Debug, Clone)]
pub(crate) struct Archive {
    bytes: Arc<[u8]>,
    entries: Vec<Entry>,
    /// Of all entries together: they may be many, and lie over one another.
    budget: Budget,
}

/// A file in an archive.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    encrypted: bool,
    deflated: bool,
    supported: bool,
    checksum: u32,
    packed_bytes: usize,
    header: usize,
}

fn invalid(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

fn number(bytes: &[u8], at: usize, width: usize) -> io::Result<usize> {
    let field = bytes.get(at..at + width).ok_or_else(|| invalid("the ZIP archive is cut short"))?;
    Ok(field.iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte)))
}

impl Archive {
    /// Takes an archive into memory and reads its directory.
    pub(crate) fn read(input: impl Read) -> io::Result<Self> {
        let mut bytes = Vec::new();
        input.take(ZIP_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > ZIP_BYTES_MAX {
            let most = ZIP_BYTES_MAX >> 20;
            return Err(invalid(format!("a ZIP archive of more than {most} MiB; unpack it first")));
        }
        let entries = directory(&bytes)?;
        let budget = Budget::new(Arc::new((bytes.len() as u64).into()));
        Ok(Self { bytes: bytes.into(), entries, budget })
    }

    /// Size of the archive.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// What it may become.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Files, no folders, in the order of the directory.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Names of the files.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// The unpacked content of an entry.
    pub(crate) fn open(&self, entry: &Entry) -> io::Result<Box<dyn Read + Send>> {
        if entry.encrypted || !entry.supported {
            let what = if entry.encrypted { "encrypted" } else { "packed in an unusual way" };
            return Err(invalid(format!(
                "'{}' in the ZIP archive is {what}; unpack it first",
                entry.name
            )));
        }
        let name_bytes = number(&self.bytes, entry.header + 26, 2)?;
        let extra_bytes = number(&self.bytes, entry.header + 28, 2)?;
        let start = entry.header + 30 + name_bytes + extra_bytes;
        if start + entry.packed_bytes > self.bytes.len() {
            return Err(invalid("the ZIP archive is cut short"));
        }
        let mut packed = Cursor::new(Shared(Arc::clone(&self.bytes)));
        packed.set_position(start as u64);
        let packed = packed.take(entry.packed_bytes as u64);
        let unpacked: Box<dyn Read + Send> =
            if entry.deflated { Box::new(DeflateDecoder::new(packed)) } else { Box::new(packed) };
        Ok(Box::new(Checked {
            unpacked,
            hasher: crc32fast::Hasher::new(),
            checksum: entry.checksum,
            budget: self.budget.clone(),
        }))
    }
}

/// Bytes that several readers share.
struct Shared(Arc<[u8]>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn directory(bytes: &[u8]) -> io::Result<Vec<Entry>> {
    // The end record stands last, before a comment of at most 64 KiB.
    let from = bytes.len().saturating_sub(22 + 65_535);
    let end = bytes[from..]
        .windows(4)
        .rposition(|it| it == b"PK\x05\x06")
        .map(|place| from + place)
        .ok_or_else(|| invalid("the ZIP archive has no directory; it is cut short"))?;
    let count = number(bytes, end + 10, 2)?;
    if count > ZIP_ENTRIES_MAX {
        return Err(invalid(format!(
            "{count} files in the ZIP archive; at most {ZIP_ENTRIES_MAX}"
        )));
    }
    let mut at = number(bytes, end + 16, 4)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        if bytes.get(at..at + 4) != Some(b"PK\x01\x02") {
            return Err(invalid("the directory of the ZIP archive is damaged"));
        }
        let flags = number(bytes, at + 8, 2)?;
        let method = number(bytes, at + 10, 2)?;
        let [name_bytes, extra_bytes, comment_bytes] =
            [number(bytes, at + 28, 2)?, number(bytes, at + 30, 2)?, number(bytes, at + 32, 2)?];
        let name = bytes
            .get(at + 46..at + 46 + name_bytes)
            .ok_or_else(|| invalid("the ZIP archive is cut short"))?;
        let name = String::from_utf8_lossy(name).into_owned();
        if !name.ends_with('/') {
            entries.push(Entry {
                name,
                encrypted: flags & 1 != 0,
                deflated: method == 8,
                supported: matches!(method, 0 | 8),
                checksum: u32::try_from(number(bytes, at + 16, 4)?).unwrap_or_default(),
                packed_bytes: number(bytes, at + 20, 4)?,
                header: number(bytes, at + 42, 4)?,
            });
        }
        at += 46 + name_bytes + extra_bytes + comment_bytes;
    }
    Ok(entries)
}

/// Compares the checksum at the end, and stops when far too much comes out.
struct Checked {
    unpacked: Box<dyn Read + Send>,
    hasher: crc32fast::Hasher,
    checksum: u32,
    budget: Budget,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.unpacked.read(buffer)?;
        self.hasher.update(&buffer[..bytes]);
        self.budget.spend(bytes as u64)?;
        if bytes == 0 && !buffer.is_empty() && self.hasher.clone().finalize() != self.checksum {
            return Err(invalid("a file in the ZIP archive fails its checksum"));
        }
        Ok(bytes)
    }
}
