//! Reads an XML document as a stream of pieces: starts and ends of elements, and text.
//!
//! Missing and stray end tags are repaired within the unit that they are in, so that such a fault costs no more than one unit.
//! Depth has a ceiling. Knows nothing of single formats.

use crate::formats::io::{Source, Text};
use crate::limits::XML_DEPTH_MAX;

use super::input::Position;
use super::repair::{self, Repair};
use super::scanner::{Found, Scanner};

pub(crate) use super::scanner::{Attributes, Element, Name, Stop};

/// One piece of a document.
#[derive(Debug)]
pub(crate) enum Piece {
    /// `<name …>`; `<name …/>` is followed by its end.
    Start(Element),
    /// `</name>`, or the end of an element that has none: see [`Document::end_is_missing`].
    End,
    /// `</name>` where no such element is open.
    StrayEnd,
    /// Text, CDATA or a character reference, line ends as one line feed: see [`Document::text`].
    Text,
    /// An unknown reference: an entity that only a DTD could define, or a number that is not a character.
    UnknownReference(String),
}

/// A document being read.
pub(crate) struct Document<'r> {
    scanner: Scanner<'r>,
    open: Vec<Name>,
    /// Names of elements that never nest: a start tag ends the previous one.
    units: &'static [&'static str],
    /// How many elements enclose the open unit.
    unit_depth: Option<usize>,
    /// Whether the end of an empty element is due.
    pending_end: bool,
    /// Elements without an end tag that end before `held`.
    missing_ends: usize,
    end_is_missing: bool,
    held: Option<Found>,
}

impl<'r> Document<'r> {
    pub(crate) fn new(text: Text<'r>, source: Source) -> Self {
        Self {
            scanner: Scanner::new(text, source),
            open: Vec::new(),
            units: &[],
            unit_depth: None,
            pending_end: false,
            missing_ends: 0,
            end_is_missing: false,
            held: None,
        }
    }

    /// Sets the names of elements that never nest: where one begins, the previous one has ended with everything open in it, and
    /// no end tag inside ends an element around it.
    pub(crate) fn of_units(self, units: &'static [&'static str]) -> Self {
        Self { units, ..self }
    }

    /// Where the last piece began, or where the document broke.
    pub(crate) fn position(&self) -> Position {
        self.scanner.position()
    }

    /// The text of the last [`Piece::Text`].
    pub(crate) fn text(&self) -> &str {
        self.scanner.text()
    }

    /// The last tag as it is written, valid until the next piece.
    pub(crate) fn written(&self) -> &str {
        self.scanner.written()
    }

    /// Whether the element that ended last has no end tag of its own.
    pub(crate) fn end_is_missing(&self) -> bool {
        self.end_is_missing
    }

    pub(crate) fn source(&self) -> &Source {
        self.scanner.source()
    }

    /// How many elements are open, the one just started included.
    pub(crate) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Notes a repair at the last piece.
    pub(crate) fn repaired(&mut self, repair: Repair) {
        self.scanner.repaired(repair);
    }

    /// The kinds of repairs since the last call that are new, each with its first place.
    pub(crate) fn new_repairs(&mut self) -> impl Iterator<Item = (Repair, Position)> + '_ {
        self.scanner.new_repairs()
    }

    /// The next piece.
    pub(crate) fn next(&mut self) -> Result<Piece, Stop> {
        if std::mem::take(&mut self.pending_end) {
            return Ok(self.close(false));
        }
        if self.missing_ends > 0 {
            self.missing_ends -= 1;
            return Ok(self.close(true));
        }
        loop {
            let found = match self.held.take() {
                Some(found) => found,
                None => self.scanner.find()?,
            };
            return Ok(match found {
                Found::Start { element, is_empty } => self.start(element, is_empty),
                Found::End(name) => self.end(name),
                Found::Text => Piece::Text,
                Found::UnknownReference(name) => Piece::UnknownReference(name),
                Found::Nothing | Found::NotMarkup => continue,
                Found::EndOfFile => {
                    return Err(match self.open.pop() {
                        Some(open) => Stop::Broken(format!("the file ends inside <{open}>")),
                        None => Stop::End,
                    });
                }
            });
        }
    }

    /// All text inside the element just begun, up to its end, cut off soon after `bytes_max`.
    pub(crate) fn read_text(&mut self, bytes_max: usize) -> Result<String, Stop> {
        let depth = self.depth();
        let mut text = String::new();
        loop {
            match self.next()? {
                // One piece too many is enough for validation to reject it.
                Piece::Text if text.len() <= bytes_max => text.push_str(self.scanner.text()),
                Piece::UnknownReference(name) if text.len() <= bytes_max => {
                    text.extend(["&", &name, ";"]);
                }
                Piece::End if self.depth() < depth => return Ok(text),
                _ => {}
            }
        }
    }

    /// Skips the element just begun.
    pub(crate) fn skip(&mut self) -> Result<(), Stop> {
        let depth = self.depth();
        while !(matches!(self.next()?, Piece::End) && self.depth() < depth) {}
        Ok(())
    }

    /// Ends the element just begun if it is empty or a void element of HTML; returns whether it did.
    pub(crate) fn ends_at_once(&mut self, element: &Element) -> bool {
        let ends = self.pending_end || repair::is_void(&element.name);
        if ends {
            if !std::mem::take(&mut self.pending_end) {
                self.scanner.restart();
            }
            self.close(false);
        }
        ends
    }

    fn start(&mut self, element: Element, is_empty: bool) -> Piece {
        let is_unit = self.units.contains(&element.name.as_ref()) && !element.is_prefixed;
        if is_unit && let Some(depth) = self.unit_depth {
            let open = self.open.len() - depth;
            return self.close_before(open, Found::Start { element, is_empty });
        }
        let is_deep = self.open.len() >= XML_DEPTH_MAX;
        if is_deep {
            self.repaired(Repair::Depth);
            self.scanner.restart();
        }
        if is_unit {
            self.unit_depth = Some(self.open.len());
        }
        self.open.push(element.name.clone());
        self.pending_end = is_empty || is_deep;
        Piece::Start(element)
    }

    fn end(&mut self, name: Name) -> Piece {
        // No end tag inside a unit ends an element around it.
        let floor = self.unit_depth.unwrap_or_default();
        match self.open[floor..].iter().rev().position(|open| *open == name) {
            Some(0) => self.close(false),
            Some(inner) => self.close_before(inner, Found::End(name)),
            None => {
                self.repaired(Repair::StrayEnd);
                self.scanner.restart();
                Piece::StrayEnd
            }
        }
    }

    /// Ends elements that have no end tag, then returns to what was found.
    fn close_before(&mut self, elements: usize, found: Found) -> Piece {
        self.repaired(Repair::Unclosed);
        self.scanner.restart();
        self.held = Some(found);
        self.missing_ends = elements.saturating_sub(1);
        self.close(true)
    }

    fn close(&mut self, end_is_missing: bool) -> Piece {
        self.end_is_missing = end_is_missing;
        self.open.pop();
        if self.unit_depth == Some(self.open.len()) {
            self.unit_depth = None;
        }
        Piece::End
    }
}
