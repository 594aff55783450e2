//! Rows out of a workbook of Office Open XML: the visible sheets that it lists, in its order, each with its own header.
//!
//! Hidden sheets are not read, and that is said: they hold lists for the program, and what is no longer to be seen. Source:
//! ECMA-376 part 1, 18.2 (workbook), 18.3 (worksheets), 18.4 (shared strings) and 18.8 (styles).
//!
//! The crate calamine reads more than this (formulas, other formats), but takes all shared strings into memory, however
//! many, before the first row. This reader goes through the XML piece by piece under the ceilings of all XML here, keeps the
//! shared strings once and within a limit, and counts what the cells become.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;

use crate::formats::io::{Archive, Budget, Source, decode};
use crate::formats::xml::{Document, Element, Piece, Stop};
use crate::formats::{Event, Format, OpenError, ReadOptions, UnitReader, broken};
use crate::limits::{
    FIELD_BYTES_MAX, SEGMENT_BYTES_MAX, SHEET_STRINGS_BYTES_MAX, SHEET_STRINGS_MAX,
};
use crate::unit::{Cause, Diagnostic, Place};

use super::dates::DateStyle;
use super::delimited::DelimitedReader;
use super::worksheet::Sheet;

/// Whether an archive is a workbook.
pub(crate) fn is_workbook(archive: &Archive) -> bool {
    archive.entries().iter().any(|entry| entry.name == WORKBOOK)
}

const WORKBOOK: &str = "xl/workbook.xml";

/// Reads one sheet after the other.
pub(crate) struct Workbook {
    archive: Archive,
    shared: Arc<Shared>,
    /// Names and parts of the sheets that are still to be read.
    sheets: VecDeque<(String, String)>,
    /// Whether places name the sheet.
    several: bool,
    current: Option<DelimitedReader<'static>>,
    /// What is said before the next unit.
    events: VecDeque<Event>,
    options: ReadOptions,
}

/// What all sheets of a workbook use.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The texts of all shared strings, one behind the other, and where each ends.
    strings: String,
    ends: Vec<usize>,
    /// How the cells of each style show dates, if they do.
    pub(crate) dates: Vec<Option<DateStyle>>,
    /// Whether days are counted from 1904.
    pub(crate) is_1904: bool,
    pub(crate) budget: Budget,
}

impl Shared {
    pub(crate) fn string(&self, number: usize) -> Option<&str> {
        let end = *self.ends.get(number)?;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.strings.get(start..end)
    }
}

pub(crate) fn invalid(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

pub(crate) fn stopped(stop: Stop) -> io::Error {
    match stop {
        Stop::Input(error) => error,
        Stop::Broken(what) => invalid(format!("in the workbook: {what}")),
        Stop::End => invalid("in the workbook: a part ends too early"),
    }
}

impl Workbook {
    pub(crate) fn open(archive: Archive, options: &ReadOptions) -> Result<Self, OpenError> {
        let relations = relations(&archive)?;
        let listed = Listed::read(&archive)?;
        let mut sheets = VecDeque::new();
        let mut hidden = Vec::new();
        for sheet in listed.sheets {
            // Charts are sheets without rows.
            let Some(part) = relations.sheets.get(&sheet.relation) else { continue };
            if sheet.is_hidden {
                hidden.push(sheet.name);
            } else {
                sheets.push_back((sheet.name, part.clone()));
            }
        }
        if sheets.is_empty() && hidden.is_empty() {
            sheets = unlisted(&archive);
        }
        let mut shared = Shared {
            is_1904: listed.is_1904,
            budget: archive.budget().clone(),
            dates: read_dates(&archive, &relations.styles)?,
            ..Shared::default()
        };
        read_strings(&archive, &relations.strings, &mut shared)?;
        let mut workbook = Self {
            several: sheets.len() > 1,
            archive,
            shared: Arc::new(shared),
            sheets,
            current: None,
            events: VecDeque::new(),
            options: options.clone(),
        };
        if !hidden.is_empty() {
            let names = hidden.join(", ");
            let what =
                format!("hidden sheets are not read: {names}; show them if they belong to it");
            workbook.tell(options.file_name.clone(), Cause::NotRead, what);
        }
        // The first error says why nothing can be read, unless something can.
        let mut error = None;
        while workbook.current.is_none() {
            match workbook.begin_sheet() {
                Some(Ok(())) => {}
                Some(Err(failed)) => error = error.or(Some(failed)),
                None if hidden.is_empty() => return Err(error.unwrap_or(OpenError::Empty)),
                None => {
                    let what = "all sheets of the workbook are hidden".to_owned();
                    return Err(error.unwrap_or(OpenError::Unknown(what)));
                }
            }
        }
        Ok(workbook)
    }

    /// Opens the next sheet, if there is one; what is wrong with it is said, and handed out.
    fn begin_sheet(&mut self) -> Option<Result<(), OpenError>> {
        let (name, part) = self.sheets.pop_front()?;
        let file_name = if self.several {
            format!("{}/{name}", self.options.file_name).into()
        } else {
            self.options.file_name.clone()
        };
        let options = ReadOptions { file_name, ..self.options.clone() };
        let opened = document(&self.archive, &part).map_err(OpenError::from).and_then(|part| {
            let sheet = Sheet::new(part, Arc::clone(&self.shared));
            let source = Source::of_bytes(self.archive.bytes());
            DelimitedReader::of_rows(Box::new(sheet), source, Format::Xlsx, &options)
        });
        let error = match opened {
            Ok(reader) => {
                self.current = Some(reader);
                return Some(Ok(()));
            }
            Err(error) => error,
        };
        match &error {
            OpenError::Empty => {}
            OpenError::Input(error) => {
                let place = Place { file: options.file_name, ..Place::default() };
                self.events.push_back(broken(place, &error.to_string()));
            }
            other => {
                let what = format!("the sheet '{name}' is not read: {other}");
                self.tell(options.file_name, Cause::MissingColumn, what);
            }
        }
        Some(Err(error))
    }

    fn tell(&mut self, file: Arc<str>, cause: Cause, message: String) {
        let place = Place { file, ..Place::default() };
        self.events.push_back(Event::Notice(Diagnostic { place, cause, message }));
    }
}

impl Iterator for Workbook {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(Ok(event));
            }
            if let Some(event) = self.current.as_mut().and_then(Iterator::next) {
                return Some(event);
            }
            self.current = None;
            // What is wrong with a sheet is among the events.
            drop(self.begin_sheet()?);
        }
    }
}

impl UnitReader for Workbook {
    fn bytes_read(&self) -> u64 {
        self.archive.bytes()
    }

    fn format(&self) -> Format {
        Format::Xlsx
    }
}

/// Where the parts of a workbook are.
struct Relations {
    sheets: HashMap<String, String>,
    strings: String,
    styles: String,
}

fn relations(archive: &Archive) -> io::Result<Relations> {
    let mut found = Relations {
        sheets: HashMap::new(),
        strings: "xl/sharedStrings.xml".to_owned(),
        styles: "xl/styles.xml".to_owned(),
    };
    each_element(archive, "xl/_rels/workbook.xml.rels", &mut |_, element| {
        let (Some(id), Some(target)) = (element.attribute("Id"), element.attribute("Target"))
        else {
            return;
        };
        let part = target.strip_prefix('/').map_or_else(|| format!("xl/{target}"), str::to_owned);
        let kind = element.attribute("Type").unwrap_or_default();
        match kind.rsplit('/').next() {
            Some("worksheet") => drop(found.sheets.insert(id.to_owned(), part)),
            Some("sharedStrings") => found.strings = part,
            Some("styles") => found.styles = part,
            _ => {}
        }
    })?;
    Ok(found)
}

/// What the main part says.
#[derive(Default)]
struct Listed {
    sheets: Vec<ListedSheet>,
    is_1904: bool,
}

struct ListedSheet {
    name: String,
    relation: String,
    is_hidden: bool,
}

impl Listed {
    fn read(archive: &Archive) -> io::Result<Self> {
        let mut listed = Self::default();
        each_element(archive, WORKBOOK, &mut |_, element| match element.name.as_ref() {
            "workbookPr" => {
                listed.is_1904 = matches!(element.attribute("date1904"), Some("1" | "true"));
            }
            "sheet" => {
                // Its prefix is the one that the file gives to relationships.
                let mut attributes = element.attributes.iter();
                let Some((_, relation)) = attributes.find(|(name, _)| name.ends_with(":id")) else {
                    return;
                };
                listed.sheets.push(ListedSheet {
                    name: element.attribute("name").unwrap_or_default().to_owned(),
                    relation: relation.clone(),
                    is_hidden: matches!(element.attribute("state"), Some("hidden" | "veryHidden")),
                });
            }
            _ => {}
        })?;
        Ok(listed)
    }
}

/// The sheets of a workbook that lists none, in the order of their numbers.
fn unlisted(archive: &Archive) -> VecDeque<(String, String)> {
    let names = archive.entries().iter().map(|entry| &entry.name);
    let number =
        |part: &str| Some(part.strip_prefix("xl/worksheets/")?.strip_suffix(".xml")?.to_owned());
    let sheets = names.filter_map(|part| Some((number(part)?, part.clone())));
    let mut sheets: Vec<(String, String)> =
        sheets.filter(|(name, _)| !name.contains('/')).collect();
    // `sheet10` comes after `sheet9`.
    sheets.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
    sheets.into()
}

/// How the cells of each style show dates.
fn read_dates(archive: &Archive, part: &str) -> io::Result<Vec<Option<DateStyle>>> {
    let mut codes: HashMap<u32, Option<DateStyle>> = HashMap::new();
    let mut dates = Vec::new();
    each_element(archive, part, &mut |parent, element| {
        let Some(id) = element.attribute("numFmtId").and_then(|id| id.parse().ok()) else { return };
        match (parent, element.name.as_ref()) {
            (_, "numFmt") => {
                let code = element.attribute("formatCode").unwrap_or_default();
                codes.insert(id, DateStyle::of_code(code));
            }
            ("cellXfs", "xf") => {
                let known = codes.get(&id).copied();
                dates.push(known.unwrap_or_else(|| DateStyle::built_in(id)));
            }
            _ => {}
        }
    })?;
    Ok(dates)
}

fn read_strings(archive: &Archive, part: &str, shared: &mut Shared) -> io::Result<()> {
    if !has(archive, part) {
        return Ok(());
    }
    let mut document = document(archive, part)?;
    loop {
        match document.next() {
            Ok(Piece::Start(element)) if element.name == "si" => {
                read_string(&mut document, &mut shared.strings).map_err(stopped)?;
                shared.ends.push(shared.strings.len());
            }
            Ok(_) => {}
            Err(Stop::End) => return Ok(()),
            Err(stop) => return Err(stopped(stop)),
        }
        if shared.ends.len() > SHEET_STRINGS_MAX || shared.strings.len() > SHEET_STRINGS_BYTES_MAX {
            let most = SHEET_STRINGS_BYTES_MAX >> 20;
            return Err(invalid(format!(
                "more than {SHEET_STRINGS_MAX} strings or {most} MiB of them in the workbook; save it as CSV"
            )));
        }
    }
}

fn read_string(document: &mut Document<'static>, strings: &mut String) -> Result<(), Stop> {
    let (depth, start) = (document.depth(), strings.len());
    loop {
        match document.next()? {
            Piece::Start(it) if it.name == "t" => {
                let piece = document.read_text(SEGMENT_BYTES_MAX)?;
                if strings.len() - start <= SEGMENT_BYTES_MAX + FIELD_BYTES_MAX {
                    strings.push_str(&unescaped(piece));
                }
            }
            // How a word is read is not the text.
            Piece::Start(it) if it.name == "rPh" => document.skip()?,
            Piece::End if document.depth() < depth => return Ok(()),
            _ => {}
        }
    }
}

/// A text with what XML cannot hold, written as `_x000D_`, put in.
pub(crate) fn unescaped(text: String) -> String {
    if !text.contains("_x") {
        return text;
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("_x") {
        let code = rest.get(at + 2..at + 6).filter(|_| rest.as_bytes().get(at + 6) == Some(&b'_'));
        let hex = code.filter(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let character =
            hex.and_then(|it| u32::from_str_radix(it, 16).ok()).and_then(char::from_u32);
        let (piece, taken) = match character {
            Some(character) => (Some(character), 7),
            None => (None, 2),
        };
        plain.push_str(&rest[..at]);
        match piece {
            Some(character) => plain.push(character),
            None => plain.push_str("_x"),
        }
        rest = &rest[at + taken..];
    }
    plain.push_str(rest);
    plain
}

fn has(archive: &Archive, part: &str) -> bool {
    archive.entries().iter().any(|entry| entry.name == part)
}

fn document(archive: &Archive, part: &str) -> io::Result<Document<'static>> {
    let entry = archive.entries().iter().find(|entry| entry.name == part);
    let entry = entry.ok_or_else(|| invalid(format!("the workbook has no part '{part}'")))?;
    // The archive counts what comes out of it.
    let (text, source) = decode::open(archive.open(entry)?, false, Some(archive.budget()))?;
    Ok(Document::new(text, source))
}

/// Shows each element of a part, with the name of the one that it is in; a part that is not there has none.
fn each_element(
    archive: &Archive,
    part: &str,
    look: &mut dyn FnMut(&str, &Element),
) -> io::Result<()> {
    if !has(archive, part) {
        return Ok(());
    }
    let mut document = document(archive, part)?;
    let mut open = Vec::new();
    loop {
        match document.next() {
            Ok(Piece::Start(element)) => {
                look(
                    open.last().map_or("", |name: &crate::formats::xml::Name| name.as_ref()),
                    &element,
                );
                open.push(element.name);
            }
            Ok(Piece::End) => drop(open.pop()),
            Ok(_) => {}
            Err(Stop::End) => return Ok(()),
            Err(stop) => return Err(stopped(stop)),
        }
    }
}
