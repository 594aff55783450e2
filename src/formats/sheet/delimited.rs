//! Reads units from the columns of TSV, CSV and workbooks, named by a header or by number.
//!
//! TSV is read without quoting, because real files hold loose quotation marks, unless its header is quoted: then the program
//! that wrote it quoted everything. CSV follows RFC 4180, with commas or semicolons.

use std::collections::BTreeMap;
use std::io;

use crate::formats::event::{Event, ParsedUnit, broken, rejected, validated};
use crate::formats::format::{Format, OpenError, ReadOptions, UnitReader};
use crate::formats::io::{Source, Text};
use crate::formats::script::{Script, script, script_of};
use crate::formats::times::parse_time;
use crate::limits::UNIT_ATTRIBUTES_MAX;
use crate::unit::{Diagnostic, DiagnosticCode, Lang, Place, Segment, UnitContent};

use super::delimited_encoder::{ATTRIBUTES, CONTEXT_ID};
use super::rows::{Dialect, Row, RowFault, Rows, Shape, Taken, TextRows};

/// Reads units from rows.
pub(crate) struct DelimitedReader<'r> {
    rows: Box<dyn Rows + Send + 'r>,
    source: Source,
    format: Format,
    columns: Vec<Column>,
    row: Row,
    /// Whether the current row is the first one of a file without a header, and not yet returned.
    first_is_unit: bool,
    options: ReadOptions,
    unit: u64,
    ended: bool,
    /// A warning before the first unit.
    notice: Option<&'static str>,
}

/// The warning for a file without a header.
const NO_HEADER: &str = "the columns are named by number, and the first line does not name any, so it is read as a unit like the others";

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
    ContextId,
    Attribute(String),
}

impl<'r> DelimitedReader<'r> {
    pub(crate) fn new(
        mut text: Text<'r>,
        source: Source,
        format: Format,
        options: &ReadOptions,
    ) -> Result<Self, OpenError> {
        let head = text.fill_buf()?;
        let line = head.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let count = |wanted: u8| line.iter().filter(|&&byte| byte == wanted).count();
        let delimiter = match format {
            Format::Csv if count(b';') > count(b',') => b';',
            Format::Csv => b',',
            _ => b'\t',
        };
        // Only a program that quotes everything quotes the names of columns.
        let quoted = format != Format::Tsv || line.starts_with(b"\"");
        let rows = TextRows::new(text, source.clone(), Dialect { delimiter, quoted });
        Self::of_rows(Box::new(rows), source, format, options)
    }

    /// Reads units from rows of any origin.
    pub(crate) fn of_rows(
        mut rows: Box<dyn Rows + Send + 'r>,
        source: Source,
        format: Format,
        options: &ReadOptions,
    ) -> Result<Self, OpenError> {
        let mut row = Row::default();
        match rows.next(&mut row)? {
            Taken::Row => {}
            Taken::Fault(RowFault { line, message, .. }) => {
                return Err(OpenError::Unknown(format!("line {line}: {message}")));
            }
            Taken::End => return Err(OpenError::Empty),
        }
        let names: Vec<String> = row.fields().map(|name| name.trim().to_owned()).collect();
        let (sides, first_is_unit) = sides(&names, options)?;
        let columns = columns(&names, sides, first_is_unit)?;
        let scripts = scripts(options);
        rows.expect(Shape {
            columns: columns.len(),
            scripts: scripts.map(|[source, target]| [(sides.0, source), (sides.1, target)]),
        });
        Ok(Self {
            rows,
            source,
            format,
            columns,
            row,
            first_is_unit,
            options: options.clone(),
            unit: 0,
            ended: false,
            notice: first_is_unit.then_some(NO_HEADER),
        })
    }

    fn place(&self, line: u64) -> Place {
        Place { file: self.options.file_name.clone(), line, column: 0, unit: self.unit }
    }

    fn fault(
        &self,
        line: u64,
        cause: DiagnosticCode,
        message: String,
        content: UnitContent,
    ) -> Event {
        rejected(Diagnostic { place: self.place(line), cause, message }, Some(content))
    }

    /// The unit of the current row, or its fault.
    fn event(&self, fault: Option<RowFault>) -> Event {
        let line = self.row.line;
        let mut content = UnitContent::default();
        let mut seen = (false, false);
        for (column, field) in self.columns.iter().zip(self.row.fields()) {
            let text = field.to_owned();
            match column {
                Column::Source => (content.source, seen.0) = (Segment::plain(text), true),
                Column::Target => (content.target, seen.1) = (Segment::plain(text), true),
                Column::Document => content.document = text,
                Column::Author => content.author = text,
                Column::Created | Column::Changed if text.trim().is_empty() => {}
                Column::Created | Column::Changed => {
                    let time = parse_time(&text);
                    if time.is_none() && fault.is_none() {
                        let message = format!(
                            "'{text}' is not a date: write YYYY-MM-DD or YYYY-MM-DDThh:mm:ssZ"
                        );
                        return self.fault(line, DiagnosticCode::BadField, message, content);
                    }
                    let place = match column {
                        Column::Created => &mut content.created,
                        _ => &mut content.changed,
                    };
                    *place = time;
                }
                Column::ContextId => content.context_id = text,
                Column::Attributes => add_attributes(text, &mut content.attributes),
                Column::Attribute(_) if text.is_empty() => {}
                Column::Attribute(name) => {
                    content.attributes.insert(name.clone(), text);
                }
            }
        }
        if let Some(RowFault { line, cause, message }) = fault {
            return self.fault(line, cause, message, content);
        }
        if seen != (true, true) {
            let (found, wanted) = (self.row.len(), self.columns.len());
            let columns = if found == 1 { "column" } else { "columns" };
            let message = format!(
                "{found} {columns} where the header has {wanted}, so a side is missing; is a delimiter or a quotation \
                 mark lost here?"
            );
            return self.fault(line, DiagnosticCode::MissingColumn, message, content);
        }
        if self.format == Format::Xlsx {
            // A cell right of the table is in its own column, whatever comes before it.
            for (position, field) in self.row.fields().enumerate().skip(self.columns.len()) {
                if !field.is_empty() {
                    content.attributes.insert(column_name(position), field.to_owned());
                }
            }
        } else if self.row.len() > self.columns.len() {
            let message = format!(
                "{} columns where the header has {}; is there a delimiter too many?",
                self.row.len(),
                self.columns.len()
            );
            return self.fault(line, DiagnosticCode::MissingColumn, message, content);
        }
        let place = self.place(line);
        validated(
            ParsedUnit { content, place, previous_text: None, next_text: None },
            self.options.swap,
        )
    }
}

/// Adds the attributes of a JSON object; a text that is not one becomes an attribute itself.
fn add_attributes(text: String, attributes: &mut BTreeMap<String, String>) {
    if text.is_empty() {
        return;
    }
    match serde_json::from_str::<BTreeMap<String, String>>(&text) {
        Ok(object) => attributes.extend(object),
        Err(_) => drop(attributes.insert(ATTRIBUTES.to_owned(), text)),
    }
}

/// The columns of sources and targets, and whether the first row is a unit, which columns given by number allow.
fn sides(names: &[String], options: &ReadOptions) -> Result<((usize, usize), bool), OpenError> {
    let position = |name: &str| names.iter().position(|it| it.eq_ignore_ascii_case(name));
    let find = |wanted: &Option<String>, lang: &Lang, word: &str| -> Option<(usize, bool)> {
        if let Some(wanted) = wanted {
            let number = || wanted.parse::<usize>().ok()?.checked_sub(1);
            let by_number = || number().filter(|&it| it < names.len()).map(|it| (it, true));
            return position(wanted).map(|it| (it, false)).or_else(by_number);
        }
        let same_lang = |it: &String| it.parse::<Lang>().is_ok_and(|it| lang.accepts(&it));
        position(lang.as_str())
            .or_else(|| position(lang.primary()))
            .or_else(|| names.iter().position(same_lang))
            .or_else(|| position(word))
            .map(|it| (it, false))
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
        .filter(|target| target.0 != source.0)
        .ok_or_else(|| {
            missing(&options.target_column, &options.target_lang, "targets", "target-column")
        })?;
    let sides = (source.0, target.0);
    Ok((sides, source.1 && target.1 && !is_header(names, sides, options)))
}

/// Whether the first row is a header: both columns are named by language or side, or one is in another script than the texts
/// of its column.
fn is_header(names: &[String], sides: (usize, usize), options: &ReadOptions) -> bool {
    let (source, target) = (&names[sides.0], &names[sides.1]);
    let is_name = |name: &String, lang: &Lang, word: &str| {
        name.eq_ignore_ascii_case(word) || name.parse::<Lang>().is_ok_and(|it| lang.accepts(&it))
    };
    let is_named = is_name(source, &options.source_lang, "source")
        && is_name(target, &options.target_lang, "target");
    let in_other_script = |scripts: [Script; 2]| {
        let texts = [source, target].into_iter().zip(scripts);
        texts.into_iter().any(|(text, script)| script_of(text).is_some_and(|it| it != script))
    };
    is_named || scripts(options).is_some_and(in_other_script)
}

/// The scripts of the columns of sources and targets, if they differ.
fn scripts(options: &ReadOptions) -> Option<[Script; 2]> {
    let scripts = script(&options.source_lang).zip(script(&options.target_lang))?;
    let scripts = if options.swap { (scripts.1, scripts.0) } else { scripts };
    (scripts.0 != scripts.1).then(|| scripts.into())
}

fn columns(
    names: &[String],
    (source, target): (usize, usize),
    unnamed: bool,
) -> Result<Vec<Column>, OpenError> {
    let mut taken: Vec<Column> = Vec::new();
    for (position, name) in names.iter().enumerate() {
        let column = match name.to_ascii_lowercase().as_str() {
            _ if position == source => Column::Source,
            _ if position == target => Column::Target,
            _ if unnamed => Column::Attribute(column_name(position)),
            "document" | "doc" => Column::Document,
            "author" => Column::Author,
            "created" | "date" => Column::Created,
            "changed" => Column::Changed,
            ATTRIBUTES => Column::Attributes,
            CONTEXT_ID | "context id" => Column::ContextId,
            "id" => Column::Attribute("tuid".to_owned()),
            "" => Column::Attribute(column_name(position)),
            _ => Column::Attribute(name.clone()),
        };
        // A second column of the same name is kept, too.
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

/// The name of a column without one.
fn column_name(position: usize) -> String {
    format!("column {}", position + 1)
}

impl Iterator for DelimitedReader<'_> {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        if let Some(message) = self.notice.take() {
            let (place, message) = (self.place(self.row.line), message.to_owned());
            let cause = DiagnosticCode::MissingColumn;
            return Some(Ok(Event::Notice(Diagnostic { place, cause, message })));
        }
        let taken = if std::mem::take(&mut self.first_is_unit) {
            Ok(Taken::Row)
        } else {
            self.rows.next(&mut self.row)
        };
        self.unit += 1;
        match taken {
            Ok(Taken::Row) => Some(Ok(self.event(None))),
            Ok(Taken::Fault(fault)) => Some(Ok(self.event(Some(fault)))),
            Ok(Taken::End) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                self.unit -= 1;
                if self.source.failed() {
                    return Some(Err(error));
                }
                Some(Ok(broken(self.place(self.row.line), &error.to_string())))
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
