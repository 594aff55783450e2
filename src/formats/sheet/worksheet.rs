//! Reads the rows of a sheet, with shared strings and dates resolved.

use std::io;
use std::sync::Arc;

use crate::formats::xml::{Document, Element, Piece, Stop};
use crate::limits::{DELIMITED_ROW_BYTES_MAX, SEGMENT_BYTES_MAX, SHEET_COLUMNS_MAX};
use crate::unit::Cause;

use super::package::stopped;
use super::rows::{Row, RowFault, Rows, Shape, Taken};
use super::shared::{Shared, unescaped};

/// The rows of a sheet that are not empty.
pub(crate) struct Sheet {
    document: Document<'static>,
    shared: Arc<Shared>,
    cells: Vec<Cell>,
    line: u64,
    /// Columns of the header.
    columns: usize,
}

/// The content of a cell; shared strings are not copied until they are needed.
#[derive(Debug, Clone, Default)]
enum Cell {
    #[default]
    Empty,
    Own(String),
    Shared(usize),
}

impl Sheet {
    pub(crate) fn new(document: Document<'static>, shared: Arc<Shared>) -> Self {
        Self { document, shared, cells: Vec::new(), line: 0, columns: 0 }
    }

    /// Reads the cells of the next row; `false` at the end.
    fn read(&mut self) -> Result<bool, Stop> {
        self.cells.clear();
        loop {
            match self.document.next() {
                Ok(Piece::Start(element)) if element.name == "row" => {
                    let number = element.attribute("r").and_then(|number| number.parse().ok());
                    self.line = number.unwrap_or(0).max(self.line + 1);
                    break;
                }
                Ok(_) => {}
                Err(Stop::End) => return Ok(false),
                Err(stop) => return Err(stop),
            }
        }
        let depth = self.document.depth();
        loop {
            match self.document.next()? {
                Piece::Start(cell) if cell.name == "c" => {
                    let column = column(&cell).unwrap_or(self.cells.len());
                    let content = self.cell(&cell)?;
                    if column < SHEET_COLUMNS_MAX {
                        let length = self.cells.len().max(column + 1);
                        self.cells.resize(length, Cell::Empty);
                        self.cells[column] = content;
                    }
                }
                Piece::End if self.document.depth() < depth => return Ok(true),
                _ => {}
            }
        }
    }

    fn cell(&mut self, cell: &Element) -> Result<Cell, Stop> {
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
                // Formulas and phonetic hints are not part of the text.
                Piece::Start(it) if matches!(it.name.as_ref(), "f" | "rPh") => {
                    self.document.skip()?;
                }
                Piece::End if self.document.depth() < depth => break,
                _ => {}
            }
        }
        if text.is_empty() {
            return Ok(Cell::Empty);
        }
        Ok(match cell.attribute("t") {
            Some("s") => text.trim().parse().map_or(Cell::Empty, Cell::Shared),
            // An error such as `#N/A` is not a text.
            Some("e") => Cell::Empty,
            Some("b") => Cell::Own(if text.trim() == "0" { "FALSE" } else { "TRUE" }.to_owned()),
            Some("inlineStr" | "str") => Cell::Own(unescaped(text)),
            None | Some("n") => Cell::Own(self.number(cell, text)),
            Some(_) => Cell::Own(text),
        })
    }

    /// Formats dates as dates; keeps other numbers.
    fn number(&self, cell: &Element, text: String) -> String {
        let style = cell.attribute("s").map_or(Some(0), |style| style.parse::<usize>().ok());
        let style = style.and_then(|style| self.shared.dates.get(style).copied().flatten());
        style.and_then(|style| style.write(text.trim(), self.shared.is_1904)).unwrap_or(text)
    }
}

impl Shared {
    fn text<'a>(&'a self, cell: &'a Cell) -> &'a str {
        match cell {
            Cell::Empty => "",
            Cell::Own(text) => text,
            Cell::Shared(number) => self.string(*number).unwrap_or_default(),
        }
    }
}

impl Rows for Sheet {
    fn next(&mut self, row: &mut Row) -> io::Result<Taken> {
        loop {
            self.shared.budget.spend_row()?;
            if !self.read().map_err(stopped)? {
                return Ok(Taken::End);
            }
            let shared = &self.shared;
            let filled = self.cells.iter().rposition(|cell| !shared.text(cell).is_empty());
            let Some(last) = filled else { continue };
            // A few bytes can refer to a long shared text many times.
            let bytes: usize = self.cells.iter().map(|cell| shared.text(cell).len()).sum();
            shared.budget.spend(bytes as u64)?;
            row.clear(self.line);
            if bytes > DELIMITED_ROW_BYTES_MAX {
                let message = format!(
                    "a row of {bytes} bytes; at most {DELIMITED_ROW_BYTES_MAX}, which two segments at their longest need"
                );
                return Ok(Taken::Fault(RowFault {
                    line: self.line,
                    cause: Cause::Limit,
                    message,
                }));
            }
            // Files may omit empty cells at the end of a row.
            let length = self.columns.max(last + 1);
            self.cells.resize(length.max(self.cells.len()), Cell::Empty);
            self.cells[..length].iter().for_each(|cell| row.push(shared.text(cell)));
            return Ok(Taken::Row);
        }
    }

    fn expect(&mut self, shape: Shape) {
        self.columns = shape.columns;
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
