//! Turns an XML document into a stream of events, the same way for all XML formats.
//!
//! Knows nothing of what the elements mean.

use std::collections::VecDeque;
use std::io;

use crate::formats::event::{Event, broken};
use crate::formats::format::{Format, UnitReader};
use crate::unit::{Cause, Diagnostic, Place};

use super::document::{Document, Stop};
use super::input::Position;
use super::repair::Repair;

/// A format whose files are XML.
pub(crate) trait XmlFormat {
    const FORMAT: Format;

    fn document(&self) -> &Document<'_>;

    /// The kinds of repairs since the last call that are new.
    fn new_repairs(&mut self) -> impl Iterator<Item = (Repair, Position)>;

    /// A place in the file, at the current unit.
    fn place(&self, position: Position) -> Place;

    /// Reads one step and queues the events found.
    fn advance(&mut self, queue: &mut VecDeque<Event>) -> Result<(), Stop>;
}

/// Reads the events of a document.
pub(crate) struct XmlUnits<F> {
    format: F,
    queue: VecDeque<Event>,
    ended: bool,
}

impl<F: XmlFormat> XmlUnits<F> {
    pub(crate) fn new(format: F) -> Self {
        Self { format, queue: VecDeque::new(), ended: false }
    }

    fn note_repairs(&mut self) {
        let new: Vec<_> = self.format.new_repairs().collect();
        for (repair, position) in new {
            let message =
                format!("{}; the same applies to the rest of this file", repair.message());
            let place = self.format.place(position);
            let notice = Diagnostic { place, cause: Cause::Malformed, message };
            self.queue.push_back(Event::Notice(notice));
        }
    }
}

impl<F: XmlFormat> Iterator for XmlUnits<F> {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.queue.is_empty() && !self.ended {
            let advanced = self.format.advance(&mut self.queue);
            self.note_repairs();
            let Err(stop) = advanced else { continue };
            self.ended = true;
            match stop {
                Stop::End => {}
                Stop::Broken(what) => {
                    let place = self.format.place(self.format.document().position());
                    self.queue.push_back(broken(place, &what));
                }
                Stop::Input(error) => return Some(Err(error)),
            }
        }
        self.queue.pop_front().map(Ok)
    }
}

impl<F: XmlFormat> UnitReader for XmlUnits<F> {
    fn bytes_read(&self) -> u64 {
        self.format.document().source().bytes_read()
    }

    fn format(&self) -> Format {
        F::FORMAT
    }
}
