//! Reads all files of a ZIP archive as one input.

use std::io::{self, Read};
use std::sync::Arc;

use crate::unit::{Diagnostic, DiagnosticCode, Place};

use super::event::Event;
use super::format::{BoxedReader, Format, OpenError, ReadOptions, UnitReader};
use super::io::{Archive, Budget, Entry};

/// Opens one file of an archive.
type OpenFile = fn(
    Box<dyn Read + Send>,
    &ReadOptions,
    Option<&Budget>,
) -> Result<BoxedReader<'static>, OpenError>;

/// Reads one file after the other; places name the file inside the archive.
pub(super) struct ArchiveReader {
    archive: Archive,
    open_file: OpenFile,
    entries: std::vec::IntoIter<Entry>,
    options: ReadOptions,
    current: BoxedReader<'static>,
    bytes: u64,
}

impl ArchiveReader {
    pub(super) fn open(
        archive: Archive,
        options: &ReadOptions,
        open_file: OpenFile,
    ) -> Result<Self, OpenError> {
        let is_text = |entry: &&Entry| {
            let name = entry.name.rsplit('/').next().unwrap_or_default();
            !name.starts_with('.') && !entry.name.starts_with("__MACOSX/")
        };
        let entries: Vec<Entry> = archive.entries().iter().filter(is_text).cloned().collect();
        let mut entries = entries.into_iter();
        let first = entries.next().ok_or(OpenError::Empty)?;
        let current = open_entry(&archive, &first, options, open_file)?;
        let bytes = archive.bytes();
        Ok(Self { archive, open_file, entries, options: options.clone(), current, bytes })
    }
}

fn open_entry(
    archive: &Archive,
    entry: &Entry,
    options: &ReadOptions,
    open_file: OpenFile,
) -> Result<BoxedReader<'static>, OpenError> {
    let inner = inner_options(entry, options);
    open_file(archive.open(entry)?, &inner, Some(archive.budget()))
}

fn inner_options(entry: &Entry, options: &ReadOptions) -> ReadOptions {
    ReadOptions {
        file_name: format!("{}/{}", options.file_name, entry.name).into(),
        ..options.clone()
    }
}

impl Iterator for ArchiveReader {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.current.next() {
                // The archive is in memory, so the error is the archive's, not the machine's.
                Some(Err(error)) => {
                    self.current = Box::new(EmptyReader(self.current.format()));
                    return Some(Ok(unread(self.options.file_name.clone(), &error.to_string())));
                }
                None => {}
                event => return event,
            }
            let entry = self.entries.next()?;
            match open_entry(&self.archive, &entry, &self.options, self.open_file) {
                Ok(reader) => self.current = reader,
                Err(error) => {
                    let file = inner_options(&entry, &self.options).file_name;
                    return Some(Ok(unread(file, &error.to_string())));
                }
            }
        }
    }
}

fn unread(file: Arc<str>, message: &str) -> Event {
    let place = Place { file, ..Place::default() };
    let message = format!("this file of the archive is not read: {message}");
    Event::Broken(Diagnostic { place, cause: DiagnosticCode::Malformed, message })
}

impl UnitReader for ArchiveReader {
    fn bytes_read(&self) -> u64 {
        self.bytes
    }

    fn format(&self) -> Format {
        self.current.format()
    }
}

/// Replaces the reader of a file that broke.
struct EmptyReader(Format);

impl Iterator for EmptyReader {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

impl UnitReader for EmptyReader {
    fn bytes_read(&self) -> u64 {
        0
    }

    fn format(&self) -> Format {
        self.0
    }
}
