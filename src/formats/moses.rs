//! Reads a Moses pair: two plain files with a segment per line, where line *n* of one translates line *n* of the other.

use std::io::{self, Read};

use crate::limits::DELIMITED_ROW_BYTES_MAX;
use crate::unit::{Cause, Diagnostic, Place, Segment, UnitContent};

use super::event::{Event, ParsedUnit, validated};
use super::format::{Format, OpenError, ReadOptions, UnitReader};
use super::io::{Lines, decode};

/// Reads both files in step.
pub(super) struct MosesReader<'r> {
    sides: [Lines<'r>; 2],
    options: ReadOptions,
    line: u64,
    ended: bool,
}

impl<'r> MosesReader<'r> {
    pub(super) fn new(
        sources: Box<dyn Read + Send + 'r>,
        targets: Box<dyn Read + Send + 'r>,
        options: &ReadOptions,
    ) -> Result<Self, OpenError> {
        let open = |input| -> Result<Lines<'r>, OpenError> {
            let (text, source) = decode::open(input, options.wants_arabic(), None)?;
            Ok(Lines::new(text, source, DELIMITED_ROW_BYTES_MAX))
        };
        Ok(Self {
            sides: [open(sources)?, open(targets)?],
            options: options.clone(),
            line: 0,
            ended: false,
        })
    }

    fn place(&self) -> Place {
        Place { file: self.options.file_name.clone(), line: self.line, column: 0, unit: self.line }
    }

    fn broken(&mut self, cause: Cause, message: String) -> Event {
        self.ended = true;
        Event::Broken(Diagnostic { place: self.place(), cause, message })
    }

    fn advance(&mut self) -> io::Result<Option<Event>> {
        self.line += 1;
        let [source, target] = &mut self.sides;
        let lines = (source.line(), target.line());
        let lines = match lines {
            (Ok(source), Ok(target)) => (source, target),
            (Err(error), _) if self.sides[0].source().failed() => return Err(error),
            (_, Err(error)) if self.sides[1].source().failed() => return Err(error),
            (Err(error), _) | (_, Err(error)) => {
                return Ok(Some(self.broken(Cause::Malformed, error.to_string())));
            }
        };
        Ok(match lines {
            (None, None) => None,
            (Some(source), Some(target)) => Some(validated(
                ParsedUnit {
                    content: UnitContent {
                        source: Segment::plain(source),
                        target: Segment::plain(target),
                        ..UnitContent::default()
                    },
                    place: self.place(),
                    previous_text: None,
                    next_text: None,
                },
                self.options.swap,
            )),
            (source, _) => {
                let shorter = if source.is_none() { "sources" } else { "targets" };
                Some(self.broken(
                    Cause::Malformed,
                    format!(
                        "the file of the {shorter} ends before the other, so lines may belong to wrong ones before this \
                         place; compare the files"
                    ),
                ))
            }
        })
    }
}

impl Iterator for MosesReader<'_> {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let event = self.advance().transpose();
        self.ended |= !matches!(event, Some(Ok(_)));
        event
    }
}

impl UnitReader for MosesReader<'_> {
    fn bytes_read(&self) -> u64 {
        self.sides.iter().map(|side| side.source().bytes_read()).sum()
    }

    fn format(&self) -> Format {
        Format::Moses
    }
}
