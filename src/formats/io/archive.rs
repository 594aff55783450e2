//! Reads ZIP archives in bounded memory.
//!
//! The crate `rawzip` finds the directory and walks its records one at a time, so that the ceilings hold before memory is
//! taken; the crate `zip` takes memory for every record first. Stored and deflated files are read, encrypted ones are refused.

use std::io::{self, Cursor, Read};
use std::sync::Arc;

use flate2::read::DeflateDecoder;
use rawzip::{CompressionMethod, ErrorKind, ZipArchive, ZipArchiveEntryWayfinder, ZipSliceArchive};

use crate::limits::{ZIP_BYTES_MAX, ZIP_ENTRIES_MAX};

use super::budget::Budget;

/// Bytes that reveal every kind of packed file.
pub(crate) const MAGIC_BYTES: u64 = 16;
/// How ZIP archives, and so workbooks, begin.
pub(crate) const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

/// An archive in memory.
#[derive(Debug, Clone)]
pub(crate) struct Archive {
    archive: ZipSliceArchive<Arc<[u8]>>,
    entries: Vec<Entry>,
    /// One for all entries: there may be many, and they may overlap.
    budget: Budget,
}

/// A file in an archive.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    is_encrypted: bool,
    compression: CompressionMethod,
    location: ZipArchiveEntryWayfinder,
}

fn invalid(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

fn damaged(error: rawzip::Error) -> io::Error {
    invalid(match error.kind() {
        ErrorKind::Eof => "the ZIP archive is cut short",
        ErrorKind::MissingEndOfCentralDirectory => {
            "the ZIP archive has no directory; it is cut short"
        }
        _ => "the directory of the ZIP archive is damaged",
    })
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
        let budget = Budget::new(Arc::new((bytes.len() as u64).into()));
        let archive = ZipArchive::from_slice(Arc::from(bytes)).map_err(damaged)?;
        let entries = entries(&archive)?;
        Ok(Self { archive, entries, budget })
    }

    /// Size of the archive.
    pub(crate) fn bytes(&self) -> u64 {
        self.archive.get_ref().len() as u64
    }

    /// The budget that all its files share.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Files without folders, in the order of the directory.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Names of the files.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// The unpacked content of an entry.
    pub(crate) fn open(&self, entry: &Entry) -> io::Result<Box<dyn Read + Send>> {
        let refused = |what: &str| {
            invalid(format!("'{}' in the ZIP archive is {what}; unpack it first", entry.name))
        };
        if entry.is_encrypted {
            return Err(refused("encrypted"));
        }
        let found = self.archive.get_entry(entry.location).map_err(damaged)?;
        let (start, end) = found.compressed_data_range();
        let mut packed = Cursor::new(Arc::clone(self.archive.get_ref()));
        packed.set_position(start);
        let packed = packed.take(end - start);
        let unpacked: Box<dyn Read + Send> = match entry.compression {
            CompressionMethod::STORE => Box::new(packed),
            CompressionMethod::DEFLATE => Box::new(DeflateDecoder::new(packed)),
            _ => return Err(refused("packed in an unusual way")),
        };
        Ok(Box::new(Checked {
            unpacked,
            hasher: crc32fast::Hasher::new(),
            checksum: found.claim_verifier().crc,
            budget: self.budget.clone(),
        }))
    }
}

fn entries(archive: &ZipSliceArchive<Arc<[u8]>>) -> io::Result<Vec<Entry>> {
    let too_many = |count: u64| {
        (count > ZIP_ENTRIES_MAX as u64).then(|| {
            invalid(format!("{count} files in the ZIP archive; at most {ZIP_ENTRIES_MAX}"))
        })
    };
    let declared = archive.entries_hint();
    if let Some(error) = too_many(declared) {
        return Err(error);
    }
    let (mut entries, mut count) = (Vec::new(), 0);
    let mut records = archive.entries();
    while let Some(record) = records.next_entry().map_err(damaged)? {
        count += 1;
        if let Some(error) = too_many(count) {
            return Err(error);
        }
        if !record.is_dir() {
            entries.push(Entry {
                name: String::from_utf8_lossy(record.file_path().as_ref()).into_owned(),
                is_encrypted: record.flags().is_encrypted(),
                compression: record.compression_method(),
                location: record.wayfinder(),
            });
        }
    }
    if count < declared {
        return Err(invalid("the directory of the ZIP archive is damaged"));
    }
    Ok(entries)
}

/// Charges unpacked bytes to the budget, and compares the checksum at the end.
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
