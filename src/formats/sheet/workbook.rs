//! Reads the visible sheets of an Office Open XML workbook, in its order, each with a header of its own.
//!
//! Hidden sheets are skipped with a notice: they hold lists for programs and obsolete content. Sources:
//! ECMA-376 part 1, 18.2 (workbook), 18.3 (worksheets), 18.4 (shared strings) and 18.8 (styles).
//!
//! The crate `calamine` reads more (formulas, other formats), but has no ceilings: it unpacks all shared strings before the
//! first row, and reserves memory for as many as the file declares. This reader streams the XML within the ceilings of all XML
//! here, limits the shared strings, and charges the cells to the budget of the file.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;

use crate::formats::event::{Event, broken};
use crate::formats::format::{Format, OpenError, ReadOptions, UnitReader};
use crate::formats::io::{Archive, Source};
use crate::unit::{Cause, Diagnostic, Place};

use super::dates::DateStyle;
use super::delimited::DelimitedReader;
use super::package::{document, each_element};
use super::shared::{Shared, read_strings};
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
    /// Names and parts of the sheets not read yet.
    sheets: VecDeque<(String, String)>,
    /// Whether places name the sheet: there are several.
    several: bool,
    current: Option<DelimitedReader<'static>>,
    /// Events before the next unit.
    events: VecDeque<Event>,
    options: ReadOptions,
}

impl Workbook {
    pub(crate) fn open(archive: Archive, options: &ReadOptions) -> Result<Self, OpenError> {
        let relations = relations(&archive)?;
        let listed = Listed::read(&archive)?;
        let mut sheets = VecDeque::new();
        let mut hidden = Vec::new();
        for sheet in listed.sheets {
            // Charts are listed as sheets but have no rows.
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
            workbook.notice(options.file_name.clone(), Cause::NotRead, what);
        }
        // If no sheet can be read, the first error says why.
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

    /// Opens the next sheet, if there is one. An error is also queued as an event.
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
                self.notice(options.file_name, Cause::MissingColumn, what);
            }
        }
        Some(Err(error))
    }

    fn notice(&mut self, file: Arc<str>, cause: Cause, message: String) {
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
            // An error is among the events.
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

/// The content of the main part.
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
                // Files choose the prefix of the relationship namespace.
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

/// The date style of each cell style.
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
