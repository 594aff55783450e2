//! Reads Gettext message catalogs: PO and POT.
//!
//! A message with plural forms gives a unit per form. Context, flags, comments and the previous text of a fuzzy message are
//! kept as attributes; obsolete messages are units with the attribute `obsolete`.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use crate::formats::declared::{self, Direction};
use crate::formats::event::{Event, ParsedUnit, broken, rejected, validated};
use crate::formats::format::{Format, ReadOptions, UnitReader};
use crate::formats::io::{Lines, Source, Text};
use crate::formats::times::parse_time;
use crate::limits::DELIMITED_ROW_BYTES_MAX;
use crate::unit::{Cause, Diagnostic, Place, Segment, UnitContent};

use super::message::{FUZZY, Message, OBSOLETE};
use super::plural::form_of;

/// Reads PO.
pub(crate) struct PoReader<'r> {
    lines: Lines<'r>,
    options: ReadOptions,
    queue: VecDeque<Event>,
    message: Message,
    line: u64,
    unit: u64,
    ended: bool,
    header: Header,
}

/// The header: the message with the empty id.
#[derive(Debug, Default)]
struct Header {
    /// Language of the translations, as it is written.
    lang: String,
    /// Language of the messages, for which PO itself has no field.
    source_lang: String,
    direction: Direction,
    author: String,
    changed: Option<crate::unit::Timestamp>,
    /// Number of the plural form that is the singular.
    singular: usize,
}

impl<'r> PoReader<'r> {
    pub(crate) fn new(text: Text<'r>, source: Source, options: &ReadOptions) -> Self {
        Self {
            lines: Lines::new(text, source, DELIMITED_ROW_BYTES_MAX),
            options: options.clone(),
            queue: VecDeque::new(),
            message: Message::default(),
            line: 0,
            unit: 0,
            ended: false,
            header: Header::default(),
        }
    }

    fn take(&mut self, line: &str) {
        let line = line.trim();
        if line.is_empty() {
            return self.queue_message();
        }
        let (line, obsolete) = match line.strip_prefix("#~") {
            Some(rest) => (rest.trim_start(), true),
            None => (line, false),
        };
        // `#~|` holds the previous text of an obsolete message, as `#|` does for others.
        let is_previous = obsolete && line.starts_with('|');
        let is_comment = is_previous || line.starts_with('#');
        let begins = line.starts_with("msgctxt")
            || (line.starts_with("msgid") && !line.starts_with("msgid_plural"))
            || (is_comment && !self.message.forms.is_empty());
        let in_comments = self.message.id.is_none();
        let after_context =
            line.starts_with("msgid") && self.message.attributes.contains_key("msgctxt");
        if begins && !in_comments && !(after_context && self.message.id.is_none()) {
            self.queue_message();
        }
        if self.message.line == 0 {
            self.message.line = self.line;
        }
        if obsolete {
            self.message.attributes.insert(OBSOLETE.to_owned(), "true".to_owned());
        }
        if is_previous {
            self.message.comment(line);
        } else {
            self.message.take(line, self.line);
        }
    }

    /// Queues the units of the message that ends here.
    fn queue_message(&mut self) {
        let message = std::mem::take(&mut self.message);
        let Some(id) = message.id.clone() else {
            if message.fault.is_some() {
                self.unit += 1;
                self.reject(&message, String::new(), String::new());
            }
            return;
        };
        let is_header = id.is_empty() && !message.attributes.contains_key("msgctxt");
        if is_header && message.fault.is_none() {
            self.header = Header::read(message.forms.get(&0).map_or("", String::as_str));
            match self.header.direction(&self.options) {
                Ok(direction) => self.header.direction = direction,
                Err(what) => {
                    self.ended = true;
                    self.queue.push_back(declared::foreign(self.place(message.line), what));
                }
            }
            return;
        }
        if message.fault.is_some() || message.forms.is_empty() {
            self.unit += 1;
            let form = message.forms.get(&0).cloned().unwrap_or_default();
            self.reject(&message, id, form);
            return;
        }
        for (&form, text) in &message.forms {
            self.unit += 1;
            let source = match &message.plural {
                Some(plural) if form != self.header.singular || message.forms.len() == 1 => plural,
                _ => &id,
            };
            let mut attributes = message.attributes.clone();
            if message.plural.is_some() {
                attributes.insert("plural-form".to_owned(), form.to_string());
            }
            let mut content = self.content(source, text, attributes);
            let place = self.place(message.line);
            let mut skipped = None;
            if message.is_fuzzy() && !text.is_empty() {
                // An obsolete message will never be finished, so it is stored with its state.
                if message.is_obsolete() {
                    declared::mark_unfinished(&mut content, FUZZY);
                } else {
                    skipped = declared::unfinished(&mut content, FUZZY, &place, &self.options);
                }
            }
            if let Some(event) = skipped {
                self.queue.push_back(event);
            } else if text.is_empty() {
                let what = "the message is not translated: its msgstr is empty".to_owned();
                self.fault(message.line, Cause::MissingTarget, what, content);
            } else {
                let parsed = ParsedUnit { content, place, previous_text: None, next_text: None };
                self.queue.push_back(validated(parsed, self.options.swap));
            }
        }
    }

    fn reject(&mut self, message: &Message, id: String, form: String) {
        let (line, cause, what) = message.fault.clone().unwrap_or_else(|| {
            let what = "the message has no msgstr".to_owned();
            (message.line, Cause::MissingTarget, what)
        });
        let content = self.content(&id, &form, message.attributes.clone());
        self.fault(line, cause, what, content);
    }

    fn fault(&mut self, line: u64, cause: Cause, message: String, content: UnitContent) {
        let place = self.place(line);
        self.queue.push_back(rejected(Diagnostic { place, cause, message }, Some(content)));
    }

    fn content(&self, id: &str, form: &str, attributes: BTreeMap<String, String>) -> UnitContent {
        let (source, target) = match self.header.direction {
            Direction::Forward => (id, form),
            Direction::Reversed => (form, id),
        };
        UnitContent {
            source: Segment::plain(source),
            target: Segment::plain(target),
            author: self.header.author.clone(),
            changed: self.header.changed,
            attributes,
            ..UnitContent::default()
        }
    }

    fn place(&self, line: u64) -> Place {
        Place { file: self.options.file_name.clone(), line, column: 1, unit: self.unit }
    }
}

impl Header {
    fn read(text: &str) -> Self {
        let mut header = Self::default();
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match name.trim() {
                "Language" => {
                    value.split(['@', '.']).next().unwrap_or_default().clone_into(&mut header.lang);
                }
                "X-Source-Language" => value.clone_into(&mut header.source_lang),
                "Last-Translator" if !value.starts_with("FULL NAME") => {
                    value.clone_into(&mut header.author);
                }
                "PO-Revision-Date" => header.changed = po_time(value),
                "Plural-Forms" => {
                    let form = form_of(value, 1).and_then(|form| usize::try_from(form).ok());
                    header.singular = form.unwrap_or_default();
                }
                _ => {}
            }
        }
        header
    }

    /// The direction of the file. By the convention of gettext, messages are in English unless declared otherwise; that is
    /// enough to recognize the opposite direction, but not to reject a file.
    fn direction(&self, options: &ReadOptions) -> Result<Direction, String> {
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        let (source, lang) = (given(&self.source_lang), given(&self.lang));
        let declared = declared::direction([source.as_deref(), lang.as_deref()], options);
        match (declared, source) {
            (Err(what), None) => {
                declared::direction([Some("en"), lang.as_deref()], options).map_err(|_| what)
            }
            (declared, _) => declared,
        }
    }
}

/// `2020-01-31 23:59+0300`.
fn po_time(text: &str) -> Option<crate::unit::Timestamp> {
    let (date, rest) = text.split_once(' ')?;
    let (time, zone) = rest.split_at_checked(5)?;
    let zone = zone.split_at_checked(3).map_or_else(String::new, |(hours, minutes)| {
        format!("{hours}:{}", minutes.trim_start_matches(':'))
    });
    parse_time(&format!("{date}T{time}:00{}", if zone.is_empty() { "Z" } else { &zone }))
}

impl Iterator for PoReader<'_> {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.queue.is_empty() && !self.ended {
            self.line += 1;
            match self.lines.line() {
                Ok(Some(line)) => self.take(&line),
                Ok(None) => {
                    self.ended = true;
                    self.queue_message();
                }
                Err(error) if self.lines.source().failed() => {
                    self.ended = true;
                    return Some(Err(error));
                }
                Err(error) => {
                    self.ended = true;
                    self.queue_message();
                    let place = self.place(self.line);
                    self.queue.push_back(broken(place, &error.to_string()));
                }
            }
        }
        self.queue.pop_front().map(Ok)
    }
}

impl UnitReader for PoReader<'_> {
    fn bytes_read(&self) -> u64 {
        self.lines.source().bytes_read()
    }

    fn format(&self) -> Format {
        Format::Po
    }
}
