//! How does an XML document become a stream of units? The course that all XML formats share: read on until there is
//! something to give, and say where the document breaks.
//!
//! Knows nothing of what the elements mean.

use std::collections::VecDeque;
use std::io;

use crate::unit::Place;

use super::xml::{Document, Position, Stop};
use super::{Event, Format, UnitReader, broken};

/// A format whose files are XML.
pub(super) trait XmlFormat {
    const FORMAT: Format;

    fn document(&self) -> &Document<'_>;

    /// A place in the file, at the unit that is being read.
    fn place(&self, position: Position) -> Place;

    /// Reads one step on; what it finds goes into the queue.
    fn advance(&mut self, queue: &mut VecDeque<Event>) -> Result<(), Stop>;
}

/// The units of a document.
pub(super) struct XmlUnits<F> {
    format: F,
    queue: VecDeque<Event>,
    ended: bool,
}

impl<F: XmlFormat> XmlUnits<F> {
    pub(super) fn new(format: F) -> Self {
        Self { format, queue: VecDeque::new(), ended: false }
    }
}

impl<F: XmlFormat> Iterator for XmlUnits<F> {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.queue.is_empty() && !self.ended {
            let Err(stop) = self.format.advance(&mut self.queue) else { continue };
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
