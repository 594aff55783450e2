//! Units out of columns: TSV and CSV with a header.
//!
//! TSV is taken as it is, without quoting: memories in the wild hold loose quotation marks. When the header or a first
//! field shows that a spreadsheet quoted its TSV, the file is read as such a one. CSV is RFC 4180, with comma or semicolon.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

use csv::{ByteRecord, ReaderBuilder, Terminator};

use crate::limits::{DELIMITED_ROW_BYTES_MAX, UNIT_ATTRIBUTES_MAX};
use crate::unit::{Cause, Diagnostic, Lang, Place, Segment, UnitContent};

use super::decode::{Source, Text};
use super::delimited_writer::ATTRIBUTES;
use super::{
    Event, Format, OpenError, ParsedUnit, ReadOptions, UnitReader, judge, parse_time, rejected,
};

/// Reads TSV and CSV.
pub(super) struct DelimitedReader<'r> {
    rows: csv::Reader<Bounded<'r>>,
    source: Source,
    format: Format,
    columns: Vec<Column>,
    row: ByteRecord,
    options: ReadOptions,
    unit: u64,
    ended: bool,
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Column {
    Source,
    Target,
    Document,
    Author,
    Created,
    Changed,
    Attributes,
    Attribute(String),
}

impl<'r> DelimitedReader<'r> {
    pub(super) fn new(
        text: Text<'r>,
        source: Source,
        format: Format,
        options: &ReadOptions,
    ) -> Result<Self, OpenError> {
        let mut text = Bounded { text, row_bytes: 0 };
        let head = text.fill_buf()?;
        let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let count = |wanted: u8| line.iter().filter(|&&byte| byte == wanted).count();
        let delimiter = match format {
            Format::Csv if count(b';') > count(b',') => b';',
            Format::Csv | Format::Xlsx => b',',
            _ => b'\t',
        };
        // A header is names of columns: nobody quotes them but a program that quotes everything.
        let quoting = format != Format::Tsv || line.starts_with(b"\"");
        let mut rows = ReaderBuilder::new()
            .delimiter(delimiter)
            .quoting(quoting)
            .flexible(true)
            .has_headers(false)
            .terminator(Terminator::CRLF)
            .from_reader(text);
        let mut header = ByteRecord::new();
        if !rows.read_byte_record(&mut header).map_err(io::Error::from)? {
            return Err(OpenError::Empty);
        }
        let names: Vec<String> =
            header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
        Ok(Self {
            rows,
            source,
            format,
            columns: columns(&names, options)?,
            row: ByteRecord::new(),
            options: options.clone(),
            unit: 0,
            ended: false,
        })
    }

    fn place(&self, line: u64) -> Place {
        Place { file: self.options.file_name.clone(), line, column: 0, unit: self.unit }
    }

    fn fault(&self, line: u64, cause: Cause, message: String, content: UnitContent) -> Event {
        rejected(Diagnostic { place: self.place(line), cause, message }, Some(content))
    }

    fn event(&self) -> Event {
        let line = self.row.position().map_or(0, csv::Position::line);
        let mut content = UnitContent::default();
        let mut seen = (false, false);
        for (column, field) in self.columns.iter().zip(&self.row) {
            // The decoder gives UTF-8 only.
            let text = match std::str::from_utf8(field) {
                Ok(text) => text.to_owned(),
                Err(_) => String::from_utf8_lossy(field).into_owned(),
            };
            match column {
                Column::Source => (content.source, seen.0) = (Segment::plain(text), true),
                Column::Target => (content.target, seen.1) = (Segment::plain(text), true),
                Column::Document => content.document = text,
                Column::Author => content.author = text,
                Column::Created | Column::Changed if text.trim().is_empty() => {}
                Column::Created | Column::Changed => {
                    let Some(time) = parse_time(&text) else {
                        let message = format!(
                            "'{text}' is not a date: write YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ"
                        );
                        return self.fault(line, Cause::BadField, message, content);
                    };
                    let place = match column {
                        Column::Created => &mut content.created,
                        _ => &mut content.changed,
                    };
                    *place = Some(time);
                }
                Column::Attributes => {
                    if !text.is_empty() {
                        match serde_json::from_str::<BTreeMap<String, String>>(&text) {
                            Ok(attributes) => content.attributes.extend(attributes),
                            Err(_) => drop(content.attributes.insert(ATTRIBUTES.to_owned(), text)),
                        }
                    }
                }
                Column::Attribute(_) if text.is_empty() => {}
                Column::Attribute(name) => {
                    content.attributes.insert(name.clone(), text);
                }
            }
        }
        if seen != (true, true) {
            let (found, wanted) = (self.row.len(), self.columns.len());
            let message = format!(
                "{found} columns where the header has {wanted}, so a side is missing; is a delimiter or a quotation \
                 mark lost here?"
            );
            return self.fault(line, Cause::MissingColumn, message, content);
        }
        if self.row.len() > self.columns.len() {
            let message = format!(
                "{} columns where the header has {}; is there a delimiter too many?",
                self.row.len(),
                self.columns.len()
            );
            return self.fault(line, Cause::MissingColumn, message, content);
        }
        let place = self.place(line);
        judge(ParsedUnit { content, place, previous_text: None, next_text: None }, &self.options)
    }
}

fn columns(names: &[String], options: &ReadOptions) -> Result<Vec<Column>, OpenError> {
    let find = |wanted: &Option<String>, lang: &Lang, word: &str| -> Option<usize> {
        let position = |name: &str| names.iter().position(|it| it.eq_ignore_ascii_case(name));
        if let Some(wanted) = wanted {
            return position(wanted);
        }
        let same_lang = |it: &String| it.parse::<Lang>().is_ok_and(|it| lang.accepts(&it));
        position(lang.as_str())
            .or_else(|| position(lang.primary()))
            .or_else(|| names.iter().position(same_lang))
            .or_else(|| position(word))
    };
    let missing = |wanted: &Option<String>, lang: &Lang, side, flag| OpenError::NoColumn {
        wanted: wanted.clone().unwrap_or_else(|| lang.to_string()),
        side,
        flag,
        found: names.to_vec(),
    };
    let source = find(&options.source_column, &options.source_lang, "source").ok_or_else(|| {
        missing(&options.source_column, &options.source_lang, "sources", "source-column")
    })?;
    let target = find(&options.target_column, &options.target_lang, "target")
        .filter(|&target| target != source)
        .ok_or_else(|| {
            missing(&options.target_column, &options.target_lang, "targets", "target-column")
        })?;
    let mut taken: Vec<Column> = Vec::new();
    for (position, name) in names.iter().enumerate() {
        let column = match name.to_ascii_lowercase().as_str() {
            _ if position == source => Column::Source,
            _ if position == target => Column::Target,
            "document" | "doc" => Column::Document,
            "author" => Column::Author,
            "created" | "date" => Column::Created,
            "changed" => Column::Changed,
            ATTRIBUTES => Column::Attributes,
            "id" => Column::Attribute("tuid".to_owned()),
            "" => Column::Attribute(format!("column {}", position + 1)),
            _ => Column::Attribute(name.clone()),
        };
        // A second column of one name is kept beside the first.
        let column = if taken.contains(&column) {
            Column::Attribute(format!("{name}.{}", position + 1))
        } else {
            column
        };
        taken.push(column);
    }
    if taken.len() > UNIT_ATTRIBUTES_MAX {
        return Err(OpenError::Unknown(format!("{} columns", taken.len())));
    }
    Ok(taken)
}

impl Iterator for DelimitedReader<'_> {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        self.rows.get_mut().row_bytes = 0;
        let mut row = std::mem::take(&mut self.row);
        let read = self.rows.read_byte_record(&mut row);
        self.row = row;
        match read {
            Ok(true) => {
                self.unit += 1;
                Some(Ok(self.event()))
            }
            Ok(false) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                if self.source.failed() {
                    return Some(Err(error.into()));
                }
                let line = self.rows.position().line();
                let message =
                    format!("{error}; everything before this place was read, nothing after it");
                let place = self.place(line);
                Some(Ok(Event::Broken(Diagnostic { place, cause: Cause::Malformed, message })))
            }
        }
    }
}

impl UnitReader for DelimitedReader<'_> {
    fn bytes_read(&self) -> u64 {
        self.source.bytes_read()
    }

    fn format(&self) -> Format {
        self.format
    }
}

/// Stops when one row is longer than any row may be: a quotation mark that is never closed.
struct Bounded<'r> {
    text: Text<'r>,
    row_bytes: usize,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.row_bytes > DELIMITED_ROW_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "a row longer than {DELIMITED_ROW_BYTES_MAX} bytes begins before this place; is a quotation mark \
                     never closed?"
                ),
            ));
        }
        let bytes = self.text.read(buffer)?;
        self.row_bytes += bytes;
        Ok(bytes)
    }
}

impl BufRead for Bounded<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.text.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.text.consume(bytes);
    }
}
