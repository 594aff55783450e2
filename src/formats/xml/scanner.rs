//! Scans the tags and texts of an XML document with their places.
//!
//! Adds what quick-xml lacks: places, ceilings on the size of a piece, references as text. Entities of a DTD are never
//! expanded, and nothing outside the input is ever fetched. Violations of XML are repaired with the least change and noted as a
//! [`Repair`]: real files have bare `&` and `<` and missing quotation marks. Knows nothing of which elements are open.

use std::borrow::Cow;
use std::io;

use crate::formats::io::{Source, Text};
use crate::limits::XML_TEXT_BYTES_MAX;

use super::input::{Input, Position};
use super::raw::{Attributes as RawAttributes, BytesStart, Error, Event, RawReader, raw_reader};
use super::repair::{self, Repair, Repairs};
use super::text::{self, Reference, unescape};

/// The name of an element or an attribute; frequent ones are not allocated.
pub(crate) type Name = Cow<'static, str>;

/// Attributes of an element: names as written (`xml:lang`), values without entities.
pub(crate) type Attributes = Vec<(Name, String)>;

/// A start tag.
#[derive(Debug, Clone, Default)]
pub(crate) struct Element {
    /// Without its namespace prefix.
    pub(crate) name: Name,
    pub(crate) attributes: Attributes,
    pub(crate) is_prefixed: bool,
}

/// Frequent names in large files.
const USUAL_NAMES: [&str; 30] = [
    "tu",
    "tuv",
    "seg",
    "prop",
    "xml:lang",
    "lang",
    "type",
    "tuid",
    "creationdate",
    "changedate",
    "creationid",
    "changeid",
    "lastusagedate",
    "usagecount",
    "datatype",
    "segtype",
    "srclang",
    "note",
    "ph",
    "bpt",
    "ept",
    "it",
    "x",
    "i",
    "trans-unit",
    "unit",
    "segment",
    "source",
    "target",
    "id",
];

fn name(written: &str) -> Name {
    // Length and first letter rule out most names.
    let first = written.as_bytes().first();
    let usual = USUAL_NAMES.iter().find(|usual| {
        usual.len() == written.len() && usual.as_bytes().first() == first && **usual == written
    });
    usual.map_or_else(|| Cow::Owned(written.to_owned()), |usual| Cow::Borrowed(*usual))
}

impl Element {
    fn new(qualified: &str, attributes: Attributes) -> Self {
        let local = local_name(qualified);
        Self { name: name(local), attributes, is_prefixed: local.len() < qualified.len() }
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The next stretch of a file.
pub(crate) enum Found {
    Start {
        element: Element,
        is_empty: bool,
    },
    End(Name),
    /// See [`Scanner::text`].
    Text,
    /// An unknown reference: an entity that only a DTD could define, or a number that is not a character.
    UnknownReference(String),
    /// Nothing to return: a comment, a declaration, half of a surrogate pair.
    Nothing,
    /// It begins like markup but is not.
    NotMarkup,
    EndOfFile,
}

/// Why reading ends.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The document is complete.
    End,
    /// The document breaks here.
    Broken(String),
    /// The input could not be read.
    Input(io::Error),
}

/// A document being read.
pub(crate) struct Scanner<'r> {
    reader: RawReader<'r>,
    /// The last stretch of the file, as it is written.
    buffer: Vec<u8>,
    held: Option<Found>,
    /// The first half of a surrogate pair, and its reference as written.
    surrogate: Option<(u16, String)>,
    /// Bytes of text since the last tag.
    text_bytes: usize,
    repairs: Repairs,
    source: Source,
    at: Position,
    text: String,
}

impl<'r> Scanner<'r> {
    pub(crate) fn new(text: Text<'r>, source: Source) -> Self {
        Self {
            reader: raw_reader(Input::new(text)),
            buffer: Vec::new(),
            held: None,
            surrogate: None,
            text_bytes: 0,
            repairs: Repairs::default(),
            source,
            at: Position::START,
            text: String::new(),
        }
    }

    /// Where the last stretch began, or where the document broke.
    pub(crate) fn position(&self) -> Position {
        self.at
    }

    /// The text of the last stretch of text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The last tag as it is written.
    pub(crate) fn written(&self) -> &str {
        std::str::from_utf8(&self.buffer).unwrap_or_default()
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Notes a repair at the last stretch.
    pub(crate) fn repaired(&mut self, repair: Repair) {
        self.repairs.note(repair, self.at);
    }

    /// The kinds of repairs that are new since the last call, with the place of the first one.
    pub(crate) fn new_repairs(&mut self) -> impl Iterator<Item = (Repair, Position)> + '_ {
        self.repairs.drain()
    }

    /// Resets the parser, which would otherwise keep every element without an end; also the only way to continue after one of
    /// its errors.
    pub(crate) fn restart(&mut self) {
        let nothing = raw_reader(Input::new(Box::new(io::empty())));
        let input = std::mem::replace(&mut self.reader, nothing).into_inner();
        self.reader = raw_reader(input);
    }

    /// The next stretch of the file.
    pub(crate) fn find(&mut self) -> Result<Found, Stop> {
        if let Some(found) = self.held.take() {
            return Ok(found);
        }
        self.at = self.here();
        self.reader.get_mut().begin_piece();
        let mut half = self.surrogate.take();
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let event = self.reader.read_event_into(&mut buffer);
        let found = event.map(|event| self.found(event, &mut half));
        self.buffer = buffer;
        let found = match found {
            Ok(Found::NotMarkup) => self.repair_markup()?,
            Ok(found) => found,
            Err(error) => self.recover(&error)?,
        };
        // A lone surrogate is an unknown reference, and comes before what was found.
        match half {
            None => Ok(found),
            Some((_, name)) => {
                self.held = Some(found);
                Ok(Found::UnknownReference(name))
            }
        }
    }

    fn found(&mut self, event: Event<'_>, half: &mut Option<(u16, String)>) -> Found {
        match event {
            Event::Start(start) => self.tag(&start, false),
            Event::Empty(start) => self.tag(&start, true),
            Event::End(end) => self.end_tag(end.name().as_ref()),
            Event::Text(text) => {
                if text.starts_with('&') {
                    self.repaired(Repair::Ampersand);
                }
                self.set_text(&text.xml10_content())
            }
            Event::CData(text) => self.set_text(&text.xml10_content()),
            Event::GeneralRef(reference) => self.reference(&reference.into_inner(), half),
            Event::Eof => {
                self.at = self.here();
                Found::EndOfFile
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => Found::Nothing,
        }
    }

    fn set_text(&mut self, text: &str) -> Found {
        self.text.clear();
        self.text.push_str(text);
        Found::Text
    }

    fn reference(&mut self, name: &str, half: &mut Option<(u16, String)>) -> Found {
        match Reference::of(name) {
            Reference::Character(character) => self.set_text(character.encode_utf8(&mut [0; 4])),
            Reference::Predefined(text) => self.set_text(text),
            Reference::Html(text) => {
                self.repaired(Repair::Entity);
                self.set_text(text)
            }
            Reference::Surrogate(code) => {
                let joined = half.as_ref().and_then(|(high, _)| text::joined(*high, code));
                if let Some(character) = joined {
                    *half = None;
                    self.repaired(Repair::Surrogates);
                    return self.set_text(character.encode_utf8(&mut [0; 4]));
                }
                self.surrogate = Some((code, name.to_owned()));
                Found::Nothing
            }
            Reference::Unknown => Found::UnknownReference(name.to_owned()),
            Reference::None => {
                self.repaired(Repair::Ampersand);
                self.set_text(&format!("&{name};"))
            }
        }
    }

    fn tag(&mut self, start: &BytesStart<'_>, is_empty: bool) -> Found {
        let written: &str = start;
        let qualified = start.name();
        if !repair::is_name(qualified.as_ref()) {
            return Found::NotMarkup;
        }
        let attributes = match attributes(start.attributes().with_checks(false)) {
            Some(attributes) => attributes,
            None if written.contains('<') => return Found::NotMarkup,
            None => {
                self.repaired(Repair::Tag);
                readable_attributes(written, qualified.as_ref())
            }
        };
        self.text_bytes = 0;
        Found::Start { element: Element::new(qualified.as_ref(), attributes), is_empty }
    }

    fn end_tag(&mut self, written: &str) -> Found {
        let qualified = written.trim_end();
        if !repair::is_name(qualified) {
            return Found::NotMarkup;
        }
        self.text_bytes = 0;
        Found::End(name(local_name(qualified)))
    }

    /// Repairs what begins like markup but is not: it is cut to a tag, or its `<` is read as text. The rest is read again.
    fn repair_markup(&mut self) -> Result<Found, Stop> {
        let buffer = std::mem::take(&mut self.buffer);
        let tag = repair::cut_tag(&buffer);
        let (kept, back) = match tag {
            Some(tag) => buffer.split_at(tag.len()),
            // The buffer is empty when the file ends after a `<`.
            None => (&b"<"[..], buffer.get(1..).unwrap_or_default()),
        };
        let in_budget = self.reader.get_mut().give_back(kept, back);
        self.restart();
        let found = if let Some(tag) = tag {
            self.repaired(Repair::Tag);
            self.text_bytes = 0;
            cut_tag(tag)
        } else {
            self.repaired(Repair::LessThan);
            self.set_text("<")
        };
        self.buffer = kept.to_vec();
        if in_budget {
            return Ok(found);
        }
        Err(Stop::Broken("the file has too many faults in its markup to be read".to_owned()))
    }

    /// Continues after an error of quick-xml, where possible.
    fn recover(&mut self, error: &Error) -> Result<Found, Stop> {
        match error {
            Error::Io(cause) if self.source.failed() => {
                Err(Stop::Input(io::Error::new(cause.kind(), cause.to_string())))
            }
            Error::Io(_) if self.reader.get_mut().is_full() => {
                if self.buffer.first().is_none_or(|&first| first == b'<') {
                    self.repair_markup()
                } else {
                    self.long_text()
                }
            }
            Error::Io(cause) => {
                self.at = self.here();
                Err(Stop::Broken(cause.to_string()))
            }
            Error::Syntax(_) => self.repair_markup(),
            // A document type without a name, which has been skipped.
            Error::IllFormed(_) => Ok(Found::Nothing),
            other => Err(Stop::Broken(other.to_string())),
        }
    }

    /// Returns the beginning of a text that is too long for one piece.
    fn long_text(&mut self) -> Result<Found, Stop> {
        self.text_bytes += self.buffer.len();
        if self.text_bytes > XML_TEXT_BYTES_MAX {
            return Err(Stop::Broken(format!("a text is longer than {XML_TEXT_BYTES_MAX} bytes")));
        }
        let buffer = std::mem::take(&mut self.buffer);
        let whole = match std::str::from_utf8(&buffer) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let (kept, back) = buffer.split_at(whole);
        let in_budget = self.reader.get_mut().give_back(kept, back);
        self.restart();
        if !in_budget || whole == 0 {
            return Err(Stop::Broken("a text is not legal in its encoding".to_owned()));
        }
        let text = std::str::from_utf8(kept).unwrap_or_default();
        Ok(self.set_text(&text.replace("\r\n", "\n").replace('\r', "\n")))
    }

    fn here(&mut self) -> Position {
        self.reader.get_mut().position()
    }
}

/// The attributes of a well-formed tag.
fn attributes(raw: &mut RawAttributes<'_>) -> Option<Attributes> {
    let mut attributes = Vec::new();
    for attribute in raw {
        let attribute = attribute.ok()?;
        attributes.push((name(attribute.key.as_ref()), unescape(&attribute.value)));
    }
    Some(attributes)
}

/// The readable attributes of a malformed tag, with or without quotation marks and values.
fn readable_attributes(tag: &str, qualified: &str) -> Attributes {
    RawAttributes::html(tag, qualified.len())
        .filter_map(Result::ok)
        .map(|it| (name(it.key.as_ref()), unescape(&it.value)))
        .collect()
}

fn local_name(qualified: &str) -> &str {
    qualified.split_once(':').map_or(qualified, |(_, local)| local)
}

/// Parses a tag that was cut out of longer markup, with its `<` and `>`.
fn cut_tag(tag: &str) -> Found {
    let inside = tag.strip_prefix('<').and_then(|it| it.strip_suffix('>')).unwrap_or_default();
    if let Some(qualified) = inside.strip_prefix('/') {
        return Found::End(name(local_name(repair::tag_name(qualified))));
    }
    let content = inside.strip_suffix('/').unwrap_or(inside);
    let qualified = repair::tag_name(content);
    let element = Element::new(qualified, readable_attributes(content, qualified));
    Found::Start { element, is_empty: content.len() < inside.len() }
}
