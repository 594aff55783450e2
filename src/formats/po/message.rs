//! Parses one message of a Gettext catalog line by line: keywords, strings and comments.

use std::collections::BTreeMap;

use crate::limits::UNIT_BYTES_MAX;
use crate::unit::Cause;

/// The flag of a message that was guessed by a tool or has changed since its translation.
pub(crate) const FUZZY: &str = "fuzzy";

/// The attribute of a message that its program no longer has.
pub(crate) const OBSOLETE: &str = "obsolete";

/// A message being read.
#[derive(Debug, Default)]
pub(crate) struct Message {
    pub(crate) line: u64,
    pub(crate) id: Option<String>,
    pub(crate) plural: Option<String>,
    pub(crate) forms: BTreeMap<usize, String>,
    pub(crate) attributes: BTreeMap<String, String>,
    bytes: usize,
    /// The field that the next quoted line continues.
    field: Field,
    pub(crate) fault: Option<(u64, Cause, String)>,
    /// The attribute that the next string of the previous text continues.
    previous: &'static str,
}

#[derive(Debug, Default, Clone)]
enum Field {
    #[default]
    None,
    Id,
    Plural,
    Form(usize),
    Attribute(String),
}

/// Keywords of the previous text, and the attributes that hold it.
const PREVIOUS: [(&str, &str); 3] = [
    ("msgctxt", "previous-msgctxt"),
    ("msgid", "previous-msgid"),
    ("msgid_plural", "previous-msgid_plural"),
];

/// Most plural forms of a message; languages have six at most.
const FORMS_MAX: usize = 16;

impl Message {
    /// Whether a tool guessed the translation or the message has changed since.
    pub(crate) fn is_fuzzy(&self) -> bool {
        let flags = self.attributes.get("flags").map_or("", String::as_str);
        flags.split([',', '\n']).any(|flag| flag.trim() == FUZZY)
    }

    pub(crate) fn is_obsolete(&self) -> bool {
        self.attributes.contains_key(OBSOLETE)
    }

    pub(crate) fn take(&mut self, line: &str, number: u64) {
        if let Some(comment) = line.strip_prefix('#') {
            return self.comment(comment);
        }
        if line.starts_with('"') {
            return self.text(line, number);
        }
        let end = line.find(|it: char| it.is_whitespace() || it == '"').unwrap_or(line.len());
        let (keyword, rest) = line.split_at(end);
        self.field = match keyword {
            "msgctxt" => Field::Attribute("msgctxt".to_owned()),
            "msgid" => {
                self.id = Some(String::new());
                Field::Id
            }
            "msgid_plural" => {
                self.plural = Some(String::new());
                Field::Plural
            }
            "msgstr" => Field::Form(0),
            other => {
                let form = other
                    .strip_prefix("msgstr[")
                    .and_then(|it| it.strip_suffix(']'))
                    .and_then(|digits| digits.parse().ok())
                    .filter(|&form| form < FORMS_MAX);
                if let Some(form) = form {
                    Field::Form(form)
                } else {
                    let word: String = other.chars().take(40).collect();
                    let what = format!("'{word}' is not a keyword of PO");
                    self.fault.get_or_insert((number, Cause::Malformed, what));
                    Field::None
                }
            }
        };
        self.text(rest.trim(), number);
    }

    pub(crate) fn comment(&mut self, comment: &str) {
        let (name, text) = match comment.chars().next() {
            Some('.') => ("comment", &comment[1..]),
            Some(':') => ("references", &comment[1..]),
            Some(',') => ("flags", &comment[1..]),
            Some('|') => return self.previous(comment[1..].trim()),
            _ => ("note", comment),
        };
        if !text.trim().is_empty() {
            self.append(name, text.trim(), "\n");
        }
    }

    /// Parses a line of the previous text: a keyword and a string, or one more string.
    fn previous(&mut self, piece: &str) {
        let end = piece.find(|it: char| it.is_whitespace() || it == '"').unwrap_or(piece.len());
        let (keyword, rest) = piece.split_at(end);
        if let Some(known) = PREVIOUS.into_iter().find(|(it, _)| *it == keyword) {
            self.previous = known.1;
        }
        let inside = rest.trim().strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        if let Some(text) = inside.filter(|_| !self.previous.is_empty()) {
            self.append(self.previous, &unescape(text).unwrap_or_else(|_| text.to_owned()), "");
        }
    }

    fn append(&mut self, name: &str, text: &str, separator: &str) {
        self.bytes += text.len();
        if self.bytes > UNIT_BYTES_MAX {
            return;
        }
        let value = self.attributes.entry(name.to_owned()).or_default();
        if !value.is_empty() {
            value.push_str(separator);
        }
        value.push_str(text);
    }

    /// Parses a quoted string, or a continuation of one.
    fn text(&mut self, quoted: &str, number: u64) {
        let inside = quoted.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        let text =
            inside.ok_or_else(|| "a quotation mark is missing".to_owned()).and_then(unescape);
        let text = match text {
            Ok(text) => text,
            Err(what) => {
                self.fault.get_or_insert((number, Cause::Malformed, what));
                return;
            }
        };
        self.bytes += text.len();
        if self.bytes > UNIT_BYTES_MAX {
            let what = format!("more than {UNIT_BYTES_MAX} bytes in one message");
            self.fault.get_or_insert((number, Cause::Limit, what));
            return;
        }
        match self.field.clone() {
            Field::Id => self.id.get_or_insert_default().push_str(&text),
            Field::Plural => self.plural.get_or_insert_default().push_str(&text),
            Field::Form(form) => self.forms.entry(form).or_default().push_str(&text),
            Field::Attribute(name) => self.attributes.entry(name).or_default().push_str(&text),
            Field::None => {}
        }
    }
}

/// Whether the first line that is not a comment begins a message.
pub(crate) fn begins_with_message(head: &[u8]) -> bool {
    let begins_message = |line: &[u8]| {
        let line = line.strip_prefix(b"#~").unwrap_or(line).trim_ascii_start();
        [&b"msgid"[..], b"msgctxt"].into_iter().any(|keyword| {
            line.strip_prefix(keyword)
                .is_some_and(|rest| rest.trim_ascii_start().starts_with(b"\""))
        })
    };
    let is_comment = |line: &&[u8]| line.starts_with(b"#") && !line.starts_with(b"#~");
    let mut lines = head.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    lines.find(|line| !line.is_empty() && !is_comment(line)).is_some_and(begins_message)
}

/// Resolves the C escapes of a quoted string.
fn unescape(text: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find(['\\', '"']) {
        plain.push_str(&rest[..place]);
        if rest[place..].starts_with('"') {
            return Err("a quotation mark inside a string lacks its '\\'".to_owned());
        }
        let mut characters = rest[place + 1..].chars();
        let escaped = characters.next().ok_or("a '\\' at the end of a string escapes nothing")?;
        match escaped {
            'n' => plain.push('\n'),
            't' => plain.push('\t'),
            'r' => plain.push('\r'),
            'a' | 'b' | 'f' | 'v' => {}
            '\\' | '"' | '\'' | '?' => plain.push(escaped),
            other => plain.extend(['\\', other]),
        }
        rest = characters.as_str();
    }
    plain.push_str(rest);
    Ok(plain)
}
