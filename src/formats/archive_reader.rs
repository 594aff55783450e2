//! All the files of a ZIP archive as one input.

use std::io;
use std::sync::Arc;

use crate::formats::io::{Archive, Entry};
use crate::unit::{Cause, Diagnostic, Place};

use super::{Event, Format, OpenError, ReadOptions, UnitReader, open_single};

/// Reads one file after the other; places name the file inside of the archive.
pub(super) struct Several {
    archive: Archive,
    entries: std::vec::IntoIter<Entry>,
    options: ReadOptions,
    current: Box<dyn UnitReader + Send>,
    bytes: u64,
}

impl Several {
    pub(super) fn open(archive: Archive, options: &ReadOptions) -> Result<Self, OpenError> {
        let is_text = |entry: &&Entry| {
            let name = entry.name.rsplit('/').next().unwrap_or_default();
            !name.starts_with('.') && !entry.name.starts_with("__MACOSX/")
        };
        let entries: Vec<Entry> = archive.entries().iter().filter(is_text).cloned().collect();
        let mut entries = entries.into_iter();
        let first = entries.next().ok_or(OpenError::Empty)?;
        let current = open_entry(&archive, &first, options)?;
        let bytes = archive.bytes();
        Ok(Self { archive, entries, options: options.clone(), current, bytes })
    }
}

fn open_entry(
    archive: &Archive,
    entry: &Entry,
    options: &ReadOptions,
) -> Result<Box<dyn UnitReader + Send>, OpenError> {
    let inner = inner_options(entry, options);
    open_single(archive.open(entry)?, &inner, Some(archive.budget()))
}

fn inner_options(entry: &Entry, options: &ReadOptions) -> ReadOptions {
    ReadOptions {
        file_name: format!("{}/{}", options.file_name, entry.name).into(),
        ..options.clone()
    }
}

impl Iterator for Several {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.current.next() {
                // What fails in memory is the archive, not the machine.
                Some(Err(error)) => {
                    self.current = Box::new(Nothing(self.current.format()));
                    return Some(Ok(unread(self.options.file_name.clone(), &error.to_string())));
                }
                None => {}
                event => return event,
            }
            let entry = self.entries.next()?;
            match open_entry(&self.archive, &entry, &self.options) {
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
    Event::Broken(Diagnostic { place, cause: Cause::Malformed, message })
}

impl UnitReader for Several {
    fn bytes_read(&self) -> u64 {
        self.bytes
    }

    fn format(&self) -> Format {
        self.current.format()
    }
}

/// Stands for a file that could not be read on.
struct Nothing(Format);

impl Iterator for Nothing {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

impl UnitReader for Nothing {
    fn bytes_read(&self) -> u64 {
        0
    }

    fn format(&self) -> Format {
        self.0
    }
}
