//! Ends a reader at the event with which its packed file expands beyond the ceiling.

use std::io;
use std::sync::Arc;

use crate::unit::Place;

use super::event::{Event, broken};
use super::format::{BoxedReader, Format, UnitReader};
use super::io::Budget;

/// Charges each event of a reader to the budget of its file.
pub(super) struct ExpansionCheck<'r> {
    reader: BoxedReader<'r>,
    budget: Budget,
    file: Arc<str>,
    ended: bool,
}

impl<'r> ExpansionCheck<'r> {
    pub(super) fn new(reader: BoxedReader<'r>, budget: Budget, file: Arc<str>) -> Self {
        Self { reader, budget, file, ended: false }
    }
}

impl Iterator for ExpansionCheck<'_> {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let event = self.reader.next()?;
        let Err(error) = self.budget.spend_row() else { return Some(event) };
        self.ended = true;
        let mut place = Place { file: Arc::clone(&self.file), ..Place::default() };
        if let Ok(Event::Unit(unit)) = &event {
            place = unit.place.clone();
        } else if let Ok(other) = &event
            && let Some(diagnostic) = other.diagnostic()
        {
            place = diagnostic.place.clone();
        }
        Some(Ok(broken(place, &error.to_string())))
    }
}

impl UnitReader for ExpansionCheck<'_> {
    fn bytes_read(&self) -> u64 {
        self.reader.bytes_read()
    }

    fn format(&self) -> Format {
        self.reader.format()
    }
}
