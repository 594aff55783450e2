//! What does this XML say, piece by piece? The only file that names quick-xml.
//!
//! Adds what it lacks: places of every piece, ceilings on depth and on the size of a piece, entities as text. Entities of
//! a DTD are never expanded and nothing outside of the input is ever fetched. Knows nothing of TMX.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};
use std::sync::Arc;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Error, Reader};

use crate::limits::{XML_DEPTH_MAX, XML_PIECE_BYTES_MAX};

use crate::unit::Place;

use super::decode::{Source, Text};
use super::inline;

/// A place in the input: 1-based, columns in code points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: u64,
    pub(super) column: u64,
}

impl Position {
    pub(super) fn place(self, file: &Arc<str>, unit: u64) -> Place {
        Place { file: Arc::clone(file), line: self.line, column: self.column, unit }
    }
}

/// The name of an element or an attribute; those that stand in every unit take no memory of their own.
pub(super) type Name = Cow<'static, str>;

/// Attributes of an element: names as written (`xml:lang`), values without entities.
pub(super) type Attributes = Vec<(Name, String)>;

/// A start tag.
#[derive(Debug, Clone, Default)]
pub(super) struct Element {
    /// Without its namespace prefix.
    pub(super) name: Name,
    pub(super) attributes: Attributes,
}

/// Names that large files hold again and again.
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
    // Most are told apart by their length and first letter.
    let first = written.as_bytes().first();
    let usual = USUAL_NAMES.iter().find(|usual| {
        usual.len() == written.len() && usual.as_bytes().first() == first && **usual == written
    });
    usual.map_or_else(|| Cow::Owned(written.to_owned()), |usual| Cow::Borrowed(*usual))
}

impl Element {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// One piece of a document.
#[derive(Debug)]
pub(super) enum Piece {
    /// `<name …>`; `<name …/>` is followed by its end.
    Start(Element),
    /// `</name>`.
    End,
    /// Text, CDATA or a character reference, line ends as one line feed: see [`Document::text`].
    Text,
    /// A reference to an entity that only a DTD could define.
    UnknownEntity(String),
}

/// Why there are no more pieces.
#[derive(Debug)]
pub(super) enum Stop {
    /// The document is at its end.
    End,
    /// The document breaks here.
    Broken(String),
    /// The input could not be read.
    Input(io::Error),
}

/// A document being read.
pub(super) struct Document<'r> {
    reader: Reader<Tracked<'r>>,
    buffer: Vec<u8>,
    open: Vec<Name>,
    /// The end of an empty element that was given out as a start.
    pending_end: bool,
    source: Source,
    at: Position,
    text: String,
}

impl<'r> Document<'r> {
    pub(super) fn new(text: Text<'r>, source: Source) -> Self {
        let mut reader = Reader::from_reader(Tracked {
            text,
            position: Position { line: 1, column: 1 },
            after_return: false,
            piece_bytes: 0,
        });
        // Ends are compared here, where the place is known.
        reader.config_mut().check_end_names = false;
        reader.config_mut().allow_unmatched_ends = true;
        let at = Position { line: 1, column: 1 };
        Self {
            reader,
            buffer: Vec::new(),
            open: Vec::new(),
            pending_end: false,
            source,
            at,
            text: String::new(),
        }
    }

    /// Where the last piece began, or where the document broke.
    pub(super) fn position(&self) -> Position {
        self.at
    }

    /// The text of the last piece of text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// How many elements are open, the one just started included.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// The next piece that says something.
    pub(super) fn next(&mut self) -> Result<Piece, Stop> {
        loop {
            if std::mem::take(&mut self.pending_end) {
                self.open.pop();
                return Ok(Piece::End);
            }
            self.at = self.here();
            self.reader.get_mut().piece_bytes = 0;
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.clear();
            let piece = match self.reader.read_event_into(&mut buffer) {
                Ok(event) => self.piece(event),
                Err(error) => Err(self.stop(&error)),
            };
            self.buffer = buffer;
            if let Some(piece) = piece? {
                return Ok(piece);
            }
        }
    }

    /// All text inside of the element just begun, up to its end; not much more than `bytes_max` of it.
    pub(super) fn read_text(&mut self, bytes_max: usize) -> Result<String, Stop> {
        let depth = self.depth();
        let mut text = String::new();
        loop {
            match self.next()? {
                // One piece more than may be kept is enough for the check to see it.
                Piece::Text if text.len() <= bytes_max => text.push_str(&self.text),
                Piece::UnknownEntity(name) if text.len() <= bytes_max => {
                    text.extend(["&", &name, ";"]);
                }
                Piece::End if self.depth() < depth => return Ok(text),
                _ => {}
            }
        }
    }

    /// The native code in the inline element just begun, elements inside of it annotated.
    pub(super) fn read_code(&mut self) -> Result<String, Stop> {
        let depth = self.depth();
        let mut code = String::new();
        loop {
            let piece = self.next()?;
            if self.depth() < depth {
                return Ok(code);
            }
            // One piece more than may be kept is enough for the check to see it.
            let full = inline::code_is_full(&code);
            match piece {
                _ if full => {}
                Piece::Text => code.push_str(&self.text),
                Piece::UnknownEntity(name) => code.extend(["&", &name, ";"]),
                Piece::Start(element) => inline::begin_inner(&mut code, &element),
                Piece::End => inline::end_inner(&mut code),
            }
        }
    }

    /// Passes over the element just begun.
    pub(super) fn skip(&mut self) -> Result<(), Stop> {
        let depth = self.depth();
        while !(matches!(self.next()?, Piece::End) && self.depth() < depth) {}
        Ok(())
    }

    fn piece(&mut self, event: Event<'_>) -> Result<Option<Piece>, Stop> {
        Ok(Some(match event {
            Event::Start(start) => Piece::Start(self.start(&start)?),
            Event::Empty(start) => {
                let element = self.start(&start)?;
                self.pending_end = true;
                Piece::Start(element)
            }
            Event::End(end) => {
                let name = end.local_name();
                let name = name.as_ref();
                match self.open.pop() {
                    Some(open) if *open == *name => Piece::End,
                    Some(open) => {
                        return Err(Stop::Broken(format!(
                            "</{name}> stands where </{open}> is due"
                        )));
                    }
                    None => return Err(Stop::Broken(format!("</{name}> ends nothing"))),
                }
            }
            Event::Text(text) => self.set_text(&text.xml10_content()),
            Event::CData(text) => self.set_text(&text.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(character)) => self.set_text(character.encode_utf8(&mut [0; 4])),
                Ok(None) => {
                    let name = reference.into_inner();
                    match predefined(name.as_ref()) {
                        Some(text) => self.set_text(text),
                        None => Piece::UnknownEntity(name.as_ref().to_owned()),
                    }
                }
                Err(error) => return Err(Stop::Broken(error.to_string())),
            },
            Event::Eof => {
                return Err(match self.open.pop() {
                    Some(open) => {
                        self.at = self.here();
                        Stop::Broken(format!("the file ends inside of <{open}>"))
                    }
                    None => Stop::End,
                });
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {
                return Ok(None);
            }
        }))
    }

    fn set_text(&mut self, text: &str) -> Piece {
        self.text.clear();
        self.text.push_str(text);
        Piece::Text
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Result<Element, Stop> {
        if self.open.len() >= XML_DEPTH_MAX {
            return Err(Stop::Broken(format!("elements are nested deeper than {XML_DEPTH_MAX}")));
        }
        let name = name(start.local_name().as_ref());
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute =
                attribute.map_err(|error| Stop::Broken(format!("<{name}>: {error}")))?;
            let value = unescape(&attribute.value).map_err(|what| {
                Stop::Broken(format!("<{name} {}>: {what}", attribute.key.as_ref()))
            })?;
            attributes.push((self::name(attribute.key.as_ref()), value));
        }
        self.open.push(name.clone());
        Ok(Element { name, attributes })
    }

    fn here(&mut self) -> Position {
        self.reader.get_mut().position
    }

    fn stop(&mut self, error: &Error) -> Stop {
        match error {
            Error::Io(cause) if self.source.failed() => {
                Stop::Input(io::Error::new(cause.kind(), cause.to_string()))
            }
            Error::Io(cause) => {
                self.at = self.here();
                Stop::Broken(cause.to_string())
            }
            other => Stop::Broken(other.to_string()),
        }
    }
}

/// The five entities that need no declaration.
fn predefined(name: &str) -> Option<&'static str> {
    Some(match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => return None,
    })
}

/// The value of an attribute: references resolved, white space as XML 1.0 §3.3.3 has it.
pub(super) fn unescape(raw: &str) -> Result<String, String> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(place) = rest.find(['&', '\t', '\n', '\r']) {
        text.push_str(&rest[..place]);
        rest = &rest[place..];
        if !rest.starts_with('&') {
            let newline = if rest.starts_with("\r\n") { 2 } else { 1 };
            text.push(' ');
            rest = &rest[newline..];
            continue;
        }
        let end = rest.find(';').ok_or("an '&' without its ';'")?;
        let name = &rest[1..end];
        match name.strip_prefix('#') {
            Some(number) => {
                let code = match number.strip_prefix('x') {
                    Some(digits) => u32::from_str_radix(digits, 16),
                    None => number.parse(),
                };
                let character = code.ok().and_then(char::from_u32);
                text.push(character.ok_or_else(|| format!("&{name}; is no character"))?);
            }
            None => text.push_str(
                predefined(name).ok_or_else(|| format!("the entity &{name}; is not defined"))?,
            ),
        }
        rest = &rest[end + 1..];
    }
    text.push_str(rest);
    Ok(text)
}

/// Knows where it is, and how much it gave for one piece.
struct Tracked<'r> {
    text: Text<'r>,
    position: Position,
    after_return: bool,
    piece_bytes: usize,
}

/// Moves a position past some bytes.
fn advance(position: &mut Position, after_return: &mut bool, bytes: &[u8]) {
    // Counting one thing at a time takes a few instructions for many bytes.
    let count = |bytes: &[u8], is: fn(u8) -> bool| bytes.iter().filter(|&&it| is(it)).count();
    let Some(&last) = bytes.last() else { return };
    if *after_return || count(bytes, |it| it == b'\r') > 0 {
        return advance_bytewise(position, after_return, bytes);
    }
    let feeds = count(bytes, |it| it == b'\n');
    let mut line = bytes;
    if feeds > 0 {
        position.line += feeds as u64;
        position.column = 1;
        let start = bytes.iter().rposition(|&it| it == b'\n').map_or(0, |feed| feed + 1);
        line = &bytes[start..];
    }
    position.column += count(line, |it| !matches!(it, 0x80..=0xbf)) as u64;
    *after_return = last == b'\r';
}

/// The same one byte after the other, whatever the line ends are.
fn advance_bytewise(position: &mut Position, after_return: &mut bool, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'\n' if *after_return => {}
            b'\n' | b'\r' => *position = Position { line: position.line + 1, column: 1 },
            // Continuation bytes of UTF-8 are not characters of their own.
            0x80..=0xbf => {}
            _ => position.column += 1,
        }
        *after_return = byte == b'\r';
    }
}

impl Read for Tracked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let bytes = available.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&available[..bytes]);
        self.consume(bytes);
        Ok(bytes)
    }
}

impl BufRead for Tracked<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.piece_bytes > XML_PIECE_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a tag or a text is longer than {XML_PIECE_BYTES_MAX} bytes"),
            ));
        }
        self.text.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        // What is consumed was filled before, so this does not read.
        if let Ok(available) = self.text.fill_buf() {
            let passed = &available[..bytes.min(available.len())];
            advance(&mut self.position, &mut self.after_return, passed);
        }
        self.piece_bytes += bytes;
        self.text.consume(bytes);
    }
}

/// Text as XML writes it, in elements and in attributes, so that it is read back to the character. What XML cannot hold
/// (it may stand in a rejected unit) becomes U+FFFD.
pub(super) struct Escaped<'a>(pub(super) &'a str);

/// The first byte of U+FFFE and U+FFFF, and of many characters that XML can hold.
const NONCHARACTER: u8 = 0xef;

/// Whether a byte may begin what is written in another way. Without a branch, so that many are looked at together.
#[expect(clippy::needless_bitwise_bool)]
fn is_special(byte: u8) -> bool {
    (byte < b' ')
        | (byte == b'&')
        | (byte == b'<')
        | (byte == b'>')
        | (byte == b'"')
        | (byte == NONCHARACTER)
}

/// Where the first special byte stands, from a place on.
fn next_special(bytes: &[u8], from: usize) -> Option<usize> {
    const TOGETHER: usize = 32;
    let mut place = from;
    while let Some(some) = bytes.get(place..place + TOGETHER)
        && !some.iter().fold(false, |found, &byte| found | is_special(byte))
    {
        place += TOGETHER;
    }
    bytes[place..].iter().position(|&byte| is_special(byte)).map(|ahead| place + ahead)
}

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (text, bytes) = (self.0, self.0.as_bytes());
        let (mut written, mut seen) = (0, 0);
        while let Some(place) = next_special(bytes, seen) {
            let (instead, length) = match bytes[place] {
                b'&' => ("&amp;", 1),
                b'<' => ("&lt;", 1),
                b'>' => ("&gt;", 1),
                b'"' => ("&quot;", 1),
                b'\t' => ("&#9;", 1),
                b'\n' => ("&#10;", 1),
                b'\r' => ("&#13;", 1),
                NONCHARACTER if !matches!(bytes[place + 1..], [0xbf, 0xbe | 0xbf, ..]) => {
                    seen = place + 1;
                    continue;
                }
                NONCHARACTER => ("\u{fffd}", 3),
                _ => ("\u{fffd}", 1),
            };
            out.write_str(&text[written..place])?;
            out.write_str(instead)?;
            written = place + length;
            seen = written;
        }
        out.write_str(&text[written..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_counting_one_by_one() {
        let text = "a\u{633}\n\r\nb\rc\u{644}\u{627}\n\nxyz\r\r\nq\u{1f600}w";
        let start = Position { line: 1, column: 1 };
        for size in 1..text.len() {
            let (mut fast, mut slow) = ((start, false), (start, false));
            for piece in text.as_bytes().chunks(size) {
                advance(&mut fast.0, &mut fast.1, piece);
                advance_bytewise(&mut slow.0, &mut slow.1, piece);
                assert_eq!(fast, slow, "pieces of {size}");
            }
            assert_eq!(slow.0, Position { line: 8, column: 4 });
        }
    }

    #[test]
    fn what_is_escaped_is_what_it_would_be_one_character_after_the_other() {
        let one = |character: char| match character {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            '\t' | '\n' | '\r' => format!("&#{};", u32::from(character)),
            '\u{fffe}' | '\u{ffff}' | '\0'..' ' => "\u{fffd}".to_owned(),
            other => other.to_string(),
        };
        let characters = "\u{ffff}a&\u{fffe}<\u{fefb}>\u{fffd}\"'\t\u{0}\u{1f}\r\n\u{633}\u{1f600}\u{efff} \u{7f}";
        let all: Vec<char> = characters.chars().collect();
        for plain in [0, 1, 31, 32, 33, 70] {
            let plain = "x".repeat(plain);
            for from in 0..all.len() {
                for to in from..=all.len() {
                    let text: String = all[from..to].iter().collect();
                    let slow: String = all[from..to].iter().map(|&it| one(it)).collect();
                    let (text, slow) =
                        (format!("{plain}{text}{plain}"), format!("{plain}{slow}{plain}"));
                    assert_eq!(Escaped(&text).to_string(), slow);
                }
            }
        }
    }
}
