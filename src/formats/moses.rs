//! Units out of a Moses pair: two plain files, a segment a line, line *n* of one translates line *n* of the other.

use std::io::Read;
use std::io::{self, BufRead};

use crate::limits::DELIMITED_ROW_BYTES_MAX;
use crate::unit::{Cause, Diagnostic, Place, Segment, UnitContent};

use super::decode::{self, Source, Text};
use super::{Event, Format, OpenError, ParsedUnit, ReadOptions, UnitReader, judge};

/// Reads both files in step.
pub(super) struct MosesReader<'r> {
    sides: [Side<'r>; 2],
    options: ReadOptions,
    line: u64,
    ended: bool,
}

struct Side<'r> {
    text: Text<'r>,
    source: Source,
}

impl<'r> MosesReader<'r> {
    pub(super) fn new(
        sources: Box<dyn Read + Send + 'r>,
        targets: Box<dyn Read + Send + 'r>,
        options: &ReadOptions,
    ) -> Result<Self, OpenError> {
        let open = |input| -> Result<Side<'r>, OpenError> {
            let (text, source) = decode::open(input)?;
            Ok(Side { text, source })
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
            (Err(error), _) if self.sides[0].source.failed() => return Err(error),
            (_, Err(error)) if self.sides[1].source.failed() => return Err(error),
            (Err(error), _) | (_, Err(error)) => {
                return Ok(Some(self.broken(Cause::Malformed, error.to_string())));
            }
        };
        Ok(match lines {
            (None, None) => None,
            (Some(source), Some(target)) => Some(judge(
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
                &self.options,
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

impl Side<'_> {
    /// The next line without its end.
    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        let bytes = Read::take(&mut self.text, DELIMITED_ROW_BYTES_MAX as u64)
            .read_until(b'\n', &mut line)?;
        if bytes == 0 {
            return Ok(None);
        }
        if bytes == DELIMITED_ROW_BYTES_MAX && !line.ends_with(b"\n") {
            let message = format!("a line longer than {DELIMITED_ROW_BYTES_MAX} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let ends: &[u8] = if line.ends_with(b"\r\n") { b"\r\n" } else { b"\n" };
        line.truncate(line.strip_suffix(ends).map_or(line.len(), <[u8]>::len));
        // The decoder gives UTF-8 only.
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
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
        self.sides.iter().map(|side| side.source.bytes_read()).sum()
    }

    fn format(&self) -> Format {
        Format::Moses
    }
}
