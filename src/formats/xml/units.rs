//! How does an XML document become a stream of units? The course that all XML formats share: read on until there is
//! something to give, and say where the document breaks.
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

    /// The kinds of repairs that are new since the last call.
    fn new_repairs(&mut self) -> impl Iterator<Item = (Repair, Position)>;

    /// A place in the file, at the unit that is being read.
    fn place(&self, position: Position) -> Place;

    /// Reads one step on; what it finds goes into the queue.
    fn advance(&mut self, queue: &mut VecDeque<Event>) -> Result<(), Stop>;
}

/// The units of a document.
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
            let message = format!("{}; the same in the rest of this file", repair.message());
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
