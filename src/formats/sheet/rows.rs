//! Splits a text into rows of fields, quoted as in RFC 4180 and leniently where files break that.
//!
//! A quotation mark ends a quoted field only before a delimiter or the end of a line, so that `"a "b" c"` and `24" wide` are
//! read as they look. A quoted field may span several lines. If a mark is never closed, or only in a later row, the row in
//! which it opens is a fault and the lines after it are read as rows. No line is read more than a few times for this: the
//! search for a closing mark ends at the first line that would open a field itself. Knows nothing of what the columns hold.

use std::collections::VecDeque;
use std::io::{self, BufRead as _};

use memchr::{memchr, memchr2};

use crate::formats::io::{Source, Text};
use crate::formats::script::{Script, script_of};
use crate::limits::DELIMITED_ROW_BYTES_MAX;
use crate::unit::Cause;

/// The fields of one row, and the line on which it begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) line: u64,
    text: String,
    ends: Vec<usize>,
}

impl Row {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.text[start..end])
    }

    fn field(&self, number: usize) -> &str {
        self.fields().nth(number).unwrap_or_default()
    }

    pub(crate) fn clear(&mut self, line: u64) {
        self.line = line;
        self.text.clear();
        self.ends.clear();
    }

    pub(crate) fn push(&mut self, field: &str) {
        self.text.push_str(field);
        self.ends.push(self.text.len());
    }

    fn end_field(&mut self) {
        self.ends.push(self.text.len());
    }
}

/// The result of reading the next row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// A row was read.
    Row,
    /// A row is faulty; its certain part was read.
    Fault(RowFault),
    /// There are no more rows.
    End,
}

/// Why a row is faulty.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RowFault {
    pub(crate) line: u64,
    pub(crate) cause: Cause,
    pub(crate) message: String,
}

/// A source of rows.
pub(crate) trait Rows {
    /// Reads the next row into `row`.
    fn next(&mut self, row: &mut Row) -> io::Result<Taken>;

    /// Sets the shape of rows once it is known; only then can rows inside a quoted field be detected.
    fn expect(&mut self, shape: Shape);
}

/// The shape of the rows of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Number of columns.
    pub(crate) columns: usize,
    /// The columns of both sides with the scripts of their languages, if these differ.
    pub(crate) scripts: Option<[(usize, Script); 2]>,
}

/// How fields are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialect {
    pub(crate) delimiter: u8,
    /// Whether fields may be quoted.
    pub(crate) quoted: bool,
}

/// Rows of a text.
pub(crate) struct TextRows<'r> {
    lines: Lines<'r>,
    dialect: Dialect,
    shape: Option<Shape>,
    /// The lines of the row being read.
    held: Vec<Line>,
}

/// A line of the text and what ended it.
#[derive(Debug)]
struct Line {
    number: u64,
    text: String,
    end: &'static str,
    /// It is too long for a row; its text is cut off.
    too_long: bool,
}

struct Lines<'r> {
    text: Text<'r>,
    source: Source,
    /// Lines to be read again.
    again: VecDeque<Line>,
    number: u64,
    /// The error that ended the text during read-ahead.
    error: Option<io::Error>,
    /// A buffer for the next line.
    spare: Vec<u8>,
}

impl<'r> TextRows<'r> {
    pub(crate) fn new(text: Text<'r>, source: Source, dialect: Dialect) -> Self {
        let lines = Lines {
            text,
            source,
            again: VecDeque::new(),
            number: 0,
            error: None,
            spare: Vec::new(),
        };
        Self { lines, dialect, shape: None, held: Vec::new() }
    }

    /// Reads the row that begins with the held line.
    fn row(&mut self, row: &mut Row) -> Taken {
        let mut parser = Parser::new(self.dialect, row);
        let mut fed = parser.feed(&self.held[0], false);
        let mut bytes = self.held[0].text.len();
        while fed == Fed::Open {
            let next = self.lines.look_ahead();
            let mark = parser.mark;
            let line = match next {
                Some(line) if !line.too_long => line,
                too_long => {
                    if let Some(line) = too_long {
                        self.lines.again.push_front(line);
                    }
                    return self.fault(row, mark, "never closed");
                }
            };
            bytes += line.text.len();
            let number = line.number;
            fed = parser.feed(&line, true);
            self.held.push(line);
            if fed == Fed::Open && bytes > DELIMITED_ROW_BYTES_MAX {
                let what = format!("not closed within {DELIMITED_ROW_BYTES_MAX} bytes");
                return self.fault(row, mark, &what);
            }
            if fed == Fed::Swallows {
                let what =
                    format!("not closed before line {number}, where another field is quoted");
                return self.fault(row, mark, &what);
            }
        }
        if let Some(mark) = parser.open {
            let bare_behind = parser.bare_behind;
            if self.swallows(row, mark, bare_behind) {
                let number = self.held.last().map_or(0, |line| line.number);
                let what = format!("closed only in line {number}, and there are rows between");
                return self.fault(row, mark, &what);
            }
        }
        Taken::Row
    }

    /// Whether a quoted field has swallowed rows: some of its lines are complete rows, and the row has single marks inside, a
    /// wrong number of columns, or texts in the scripts of both languages in its last column.
    fn swallows(&self, row: &Row, mark: Mark, bare_behind: bool) -> bool {
        let Some(shape) = self.shape.filter(|shape| shape.columns > 1) else { return false };
        // The last line belongs to the field only if the field is the last column.
        let closes_last = mark.column + 1 == row.len();
        let lines = self.held.iter().filter(|line| line.number > mark.line);
        let count = lines.clone().count() - usize::from(!closes_last);
        let mut behind = lines.take(count);
        let row_of = |line: &Line| {
            let mut row = Row::default();
            let fed = Parser::new(self.dialect, &mut row).feed(line, false);
            (fed == Fed::Complete && row.len() == shape.columns).then_some(row)
        };
        if bare_behind || row.len() != shape.columns {
            return behind.any(|line| row_of(line).is_some());
        }
        let Some(scripts) = shape.scripts.filter(|_| closes_last) else { return false };
        // A text in the other column is evidence; one without letters is not.
        let fits = |row: Row| {
            let mut texts = scripts.iter().map(|&(at, it)| (at, script_of(row.field(at)), it));
            texts.clone().all(|(_, script, wanted)| script.is_none_or(|it| it == wanted))
                && texts.any(|(at, script, _)| at != mark.column && script.is_some())
        };
        behind.all(|line| row_of(line).is_some_and(fits))
    }

    /// Reports the row up to the line of the open mark as faulty; the lines after it are read again.
    fn fault(&mut self, row: &mut Row, mark: Mark, what: &str) -> Taken {
        let kept = usize::try_from(mark.line - self.held[0].number).unwrap_or(0);
        let mut parser = Parser::new(self.dialect, row);
        for (number, line) in self.held[..=kept].iter().enumerate() {
            parser.feed(line, number > 0);
        }
        row.end_field();
        for line in self.held.drain(kept + 1..).rev() {
            self.lines.again.push_front(line);
        }
        let message = format!(
            "the quotation mark that opens column {} is {what}; this row is left out, and the lines after it are read as rows: \
             close the mark, or double it if it belongs to the text",
            mark.column + 1
        );
        Taken::Fault(RowFault { line: mark.line, cause: Cause::Malformed, message })
    }
}

impl Rows for TextRows<'_> {
    fn next(&mut self, row: &mut Row) -> io::Result<Taken> {
        loop {
            let Some(line) = self.lines.next()? else { return Ok(Taken::End) };
            row.clear(line.number);
            if line.too_long {
                let message = format!(
                    "a row longer than {DELIMITED_ROW_BYTES_MAX} bytes; it is left out, and what comes after it is read"
                );
                let fault = RowFault { line: line.number, cause: Cause::Limit, message };
                self.lines.spare(line);
                return Ok(Taken::Fault(fault));
            }
            if line.text.is_empty() {
                self.lines.spare(line);
                continue;
            }
            if !self.dialect.quoted || memchr(b'"', line.text.as_bytes()).is_none() {
                split(&line.text, self.dialect.delimiter, row);
                self.lines.spare(line);
                return Ok(Taken::Row);
            }
            self.held.clear();
            self.held.push(line);
            return Ok(self.row(row));
        }
    }

    fn expect(&mut self, shape: Shape) {
        self.shape = Some(shape);
    }
}

fn split(text: &str, delimiter: u8, row: &mut Row) {
    row.text.reserve(text.len());
    let mut rest = text;
    while let Some(at) = memchr(delimiter, rest.as_bytes()) {
        row.push(&rest[..at]);
        rest = &rest[at + 1..];
    }
    row.push(rest);
}

impl Lines<'_> {
    fn next(&mut self) -> io::Result<Option<Line>> {
        if let Some(line) = self.again.pop_front() {
            return Ok(Some(line));
        }
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        self.read()
    }

    /// The next line. An error counts as the end and is returned after the lines read so far.
    fn look_ahead(&mut self) -> Option<Line> {
        let next = self.next();
        next.unwrap_or_else(|error| {
            self.error = Some(error);
            None
        })
    }

    /// Reuses the memory of a line.
    fn spare(&mut self, line: Line) {
        self.spare = line.text.into_bytes();
    }

    fn read(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = std::mem::take(&mut self.spare);
        bytes.clear();
        let (mut too_long, mut end) = (false, "");
        loop {
            let buffer = self.text.fill_buf()?;
            if buffer.is_empty() {
                break;
            }
            let found = memchr2(b'\n', b'\r', buffer);
            let taken = found.unwrap_or(buffer.len());
            too_long |= bytes.len() + taken > DELIMITED_ROW_BYTES_MAX;
            if !too_long {
                bytes.extend_from_slice(&buffer[..taken]);
            }
            let Some(at) = found else {
                self.text.consume(taken);
                continue;
            };
            end = if buffer[at] == b'\n' { "\n" } else { "\r" };
            self.text.consume(at + 1);
            if end == "\r" && self.text.fill_buf()?.first() == Some(&b'\n') {
                self.text.consume(1);
                end = "\r\n";
            }
            break;
        }
        if bytes.is_empty() && end.is_empty() && !too_long {
            return Ok(None);
        }
        self.number += 1;
        self.source.spend_row()?;
        // The decoder yields valid UTF-8.
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        };
        Ok(Some(Line { number: self.number, text, end, too_long }))
    }
}

/// Parses lines into a row, field by field.
struct Parser<'a> {
    dialect: Dialect,
    row: &'a mut Row,
    /// The mark of the last field that spans several lines.
    open: Option<Mark>,
    in_quotes: bool,
    /// The mark that is open.
    mark: Mark,
    /// Whether a field has single marks after its first line that do not end it.
    bare_behind: bool,
    /// The line end inside the field, not yet appended.
    line_end: &'static str,
}

/// Where a quotation mark opens a field.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    line: u64,
    column: usize,
}

/// The state of a row after one more line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fed {
    Complete,
    /// A field is open at the end of the line.
    Open,
    /// A field is open at the beginning of the line, and a quoted field seems to begin on it.
    Swallows,
}

impl<'a> Parser<'a> {
    fn new(dialect: Dialect, row: &'a mut Row) -> Self {
        row.clear(row.line);
        let mark = Mark::default();
        Self { dialect, row, open: None, in_quotes: false, mark, bare_behind: false, line_end: "" }
    }

    fn feed(&mut self, line: &Line, continues: bool) -> Fed {
        let (text, bytes) = (line.text.as_str(), line.text.as_bytes());
        let ends = |at: usize| bytes.get(at).is_none_or(|&it| it == self.dialect.delimiter);
        self.row.text.push_str(self.line_end);
        self.line_end = "";
        let mut at = 0;
        loop {
            if self.in_quotes {
                let Some(marks) = memchr(b'"', &bytes[at..]).map(|found| at + found) else {
                    self.row.text.push_str(&text[at..]);
                    self.open = Some(self.mark);
                    self.line_end = line.end;
                    return Fed::Open;
                };
                self.row.text.push_str(&text[at..marks]);
                let count = run(&bytes[marks..]);
                at = marks + count;
                let doubled = &text[marks..marks + count / 2];
                self.row.text.push_str(doubled);
                if count.is_multiple_of(2) {
                    continue;
                }
                if !ends(at) {
                    let behind = self.mark.line < line.number;
                    let begins = marks == 0 || bytes[marks - 1] == self.dialect.delimiter;
                    if continues && behind && begins {
                        return Fed::Swallows;
                    }
                    self.bare_behind |= behind;
                    self.row.text.push('"');
                    continue;
                }
                self.in_quotes = false;
            } else {
                let count = run(&bytes[at..]);
                let quotes = count % 2 == 1 || (count > 0 && ends(at + count));
                if quotes {
                    // In a field of an even number of marks only, one is at each end.
                    let inside = count.div_ceil(2) - 1;
                    self.row.text.push_str(&text[at..at + inside]);
                    at += count;
                    if count % 2 == 1 {
                        self.in_quotes = true;
                        self.mark = Mark { line: line.number, column: self.row.len() };
                        continue;
                    }
                } else {
                    let rest = &bytes[at..];
                    let length = memchr(self.dialect.delimiter, rest).unwrap_or(rest.len());
                    self.row.text.push_str(&text[at..at + length]);
                    at += length;
                }
            }
            self.row.end_field();
            if at == bytes.len() {
                return Fed::Complete;
            }
            at += 1;
        }
    }
}

/// The number of quotation marks at the beginning.
fn run(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|&&byte| byte == b'"').count()
}
