//! Rows out of a workbook of Office Open XML, as the lines of a CSV file.
//!
//! The first sheet counts. Source: ECMA-376 part 1, 18.3 (worksheets) and 18.4 (shared strings). Formats of cells are not
//! looked at: a date is the number that the sheet holds.

use std::collections::VecDeque;
use std::io::{self, Read};

use crate::limits::{
    FIELD_BYTES_MAX, SEGMENT_BYTES_MAX, SHEET_COLUMNS_MAX, SHEET_STRINGS_BYTES_MAX,
    SHEET_STRINGS_MAX,
};

use super::decode;
use super::xml::{Document, Element, Piece, Stop};
use super::zip::{Archive, Entry};

/// The first sheet and the strings of a workbook.
pub(super) struct Sheet {
    document: Document<'static>,
    strings: Vec<String>,
    ready: VecDeque<u8>,
    columns: usize,
    ended: bool,
}

fn invalid(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

fn stopped(stop: Stop) -> io::Error {
    match stop {
        Stop::Input(error) => error,
        Stop::Broken(what) => invalid(format!("in the workbook: {what}")),
        Stop::End => invalid("in the workbook: a part ends too early"),
    }
}

/// Whether an archive is a workbook.
pub(super) fn is_workbook(archive: &Archive) -> bool {
    archive.entries().iter().any(|entry| entry.name == "xl/workbook.xml")
}

impl Sheet {
    pub(super) fn open(archive: &Archive) -> io::Result<Self> {
        // `sheet10` comes after `sheet9`.
        let first = archive
            .entries()
            .iter()
            .filter(|entry| {
                entry.name.starts_with("xl/worksheets/")
                    && entry.name.rsplit_once('.').is_some_and(|(_, ending)| ending == "xml")
            })
            .min_by_key(|entry| (entry.name.len(), &entry.name))
            .ok_or_else(|| invalid("the workbook has no sheet"))?;
        let document = part(archive, first)?;
        let strings = archive.entries().iter().find(|entry| entry.name == "xl/sharedStrings.xml");
        let strings = match strings {
            Some(entry) => read_strings(part(archive, entry)?)?,
            None => Vec::new(),
        };
        Ok(Self { document, strings, ready: VecDeque::new(), columns: 0, ended: false })
    }

    /// Reads on to the end of a row, and makes a line of it.
    fn row(&mut self) -> Result<(), Stop> {
        loop {
            match self.document.next() {
                Ok(Piece::Start(element)) if element.name == "row" => break,
                Ok(_) => {}
                Err(Stop::End) => {
                    self.ended = true;
                    return Ok(());
                }
                Err(stop) => return Err(stop),
            }
        }
        let depth = self.document.depth();
        let mut cells: Vec<String> = Vec::new();
        loop {
            match self.document.next()? {
                Piece::Start(cell) if cell.name == "c" => {
                    let column = column(&cell).unwrap_or(cells.len());
                    let text = self.cell(&cell)?;
                    if column < SHEET_COLUMNS_MAX {
                        cells.resize(cells.len().max(column + 1), String::new());
                        cells[column] = text;
                    }
                }
                Piece::End if self.document.depth() < depth => break,
                _ => {}
            }
        }
        // Empty cells at the end of a row are not in the file.
        self.columns = if self.columns == 0 { cells.len() } else { self.columns };
        cells.resize(cells.len().max(self.columns), String::new());
        for (position, cell) in cells.iter().enumerate() {
            if position > 0 {
                self.ready.push_back(b',');
            }
            let quoted = format!("\"{}\"", cell.replace('"', "\"\""));
            self.ready.extend(quoted.into_bytes());
        }
        self.ready.push_back(b'\n');
        Ok(())
    }

    fn cell(&mut self, cell: &Element) -> Result<String, Stop> {
        let depth = self.document.depth();
        let mut text = String::new();
        loop {
            match self.document.next()? {
                Piece::Start(it) if matches!(it.name.as_ref(), "v" | "t") => {
                    let piece = self.document.read_text(SEGMENT_BYTES_MAX)?;
                    if text.len() <= SEGMENT_BYTES_MAX {
                        text.push_str(&piece);
                    }
                }
                // Formulas and how a word is read are not the text.
                Piece::Start(it) if matches!(it.name.as_ref(), "f" | "rPh") => {
                    self.document.skip()?;
                }
                Piece::End if self.document.depth() < depth => break,
                _ => {}
            }
        }
        if cell.attribute("t") == Some("s") {
            let string =
                text.trim().parse().ok().and_then(|number: usize| self.strings.get(number));
            return Ok(string.cloned().unwrap_or_default());
        }
        Ok(text)
    }
}

fn part(archive: &Archive, entry: &Entry) -> io::Result<Document<'static>> {
    let (text, source) = decode::open(archive.open(entry)?, false)?;
    Ok(Document::new(text, source))
}

fn read_strings(mut document: Document<'static>) -> io::Result<Vec<String>> {
    let (mut strings, mut bytes) = (Vec::new(), 0);
    loop {
        match document.next() {
            Ok(Piece::Start(element)) if element.name == "si" => {
                let string = read_string(&mut document).map_err(stopped)?;
                bytes += string.len();
                strings.push(string);
            }
            Ok(_) => {}
            Err(Stop::End) => return Ok(strings),
            Err(stop) => return Err(stopped(stop)),
        }
        if strings.len() > SHEET_STRINGS_MAX || bytes > SHEET_STRINGS_BYTES_MAX {
            let most = SHEET_STRINGS_BYTES_MAX >> 20;
            return Err(invalid(format!(
                "more than {SHEET_STRINGS_MAX} strings or {most} MiB of them in the workbook; save it as CSV"
            )));
        }
    }
}

fn read_string(document: &mut Document<'static>) -> Result<String, Stop> {
    let depth = document.depth();
    let mut text = String::new();
    loop {
        match document.next()? {
            Piece::Start(it) if it.name == "t" => {
                let piece = document.read_text(SEGMENT_BYTES_MAX)?;
                if text.len() <= SEGMENT_BYTES_MAX + FIELD_BYTES_MAX {
                    text.push_str(&piece);
                }
            }
            Piece::Start(it) if it.name == "rPh" => document.skip()?,
            Piece::End if document.depth() < depth => return Ok(text),
            _ => {}
        }
    }
}

/// The column of `BC12`, from 0.
fn column(cell: &Element) -> Option<usize> {
    let letters = cell.attribute("r")?.bytes().take_while(u8::is_ascii_uppercase);
    let number = letters.fold(0_usize, |sum, letter| {
        sum.saturating_mul(26).saturating_add(usize::from(letter - b'A') + 1)
    });
    number.checked_sub(1)
}

impl Read for Sheet {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() && !self.ended {
            self.row().map_err(stopped)?;
        }
        self.ready.read(buffer)
    }
}
