//! Writes units as TMX 1.4b.
//!
//! What TMX has no place for (context hashes, parts of a second) becomes properties, so that a unit is read back unchanged.

use std::io::{self, Write};

use crate::formats::format::{Encoder, FileHeader};
use crate::formats::times::parse_time;
use crate::formats::xml::Escaped;
use crate::unit::{
    Context, LAST_USE_ATTRIBUTE, Lang, Timestamp, USE_COUNT_ATTRIBUTE, Unit, UnitContent,
};

use super::inline::write_segment;
use super::unit::{KEPT, SIDE_LANGS, property};

/// Encodes units as TMX.
pub(crate) struct TmxEncoder {
    source_lang: Lang,
    target_lang: Lang,
}

impl Encoder for TmxEncoder {
    fn unit(&mut self, unit: &Unit, out: &mut Vec<u8>) -> io::Result<()> {
        let content = &unit.content;
        write!(out, "<tu")?;
        if let Some(id) = content.attributes.get("tuid") {
            write!(out, r#" tuid="{}""#, Escaped(id))?;
        }
        for (name, time) in [("creationdate", content.created), ("changedate", content.changed)] {
            if let Some(date) = time.and_then(tmx_date) {
                write!(out, r#" {name}="{date}""#)?;
            }
        }
        if !content.author.is_empty() {
            write!(out, r#" changeid="{}""#, Escaped(&content.author))?;
        }
        for (name, value) in content.attributes.iter().filter(|(name, _)| is_own(content, name)) {
            write!(out, r#" {name}="{}""#, Escaped(value))?;
        }
        write_usage(unit, out)?;
        writeln!(out, ">")?;
        notes(content, out)?;
        self.properties(content, out)?;
        let [source_lang, target_lang] = self.side_langs(content);
        for (lang, segment) in [(source_lang, &content.source), (target_lang, &content.target)] {
            write!(out, r#"<tuv xml:lang="{lang}"><seg>"#)?;
            write_segment(out, segment)?;
            writeln!(out, "</seg></tuv>")?;
        }
        writeln!(out, "</tu>")
    }

    fn end(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        writeln!(out, "</body>")?;
        writeln!(out, "</tmx>")
    }
}

impl TmxEncoder {
    /// Appends the beginning of a file.
    pub(crate) fn new(header: &FileHeader, out: &mut Vec<u8>) -> io::Result<Self> {
        writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
        writeln!(out, r#"<tmx version="1.4">"#)?;
        writeln!(
            out,
            r#"<header creationtool="dhakira" creationtoolversion="{}" segtype="sentence" o-tmf="dhakira" adminlang="en" srclang="{}" datatype="plaintext"/>"#,
            Escaped(&header.tool_version),
            header.source_lang,
        )?;
        writeln!(out, "<body>")?;
        Ok(Self {
            source_lang: header.source_lang.clone(),
            target_lang: header.target_lang.clone(),
        })
    }

    /// The exact languages of the sides.
    fn side_langs(&self, content: &UnitContent) -> [Lang; 2] {
        let side =
            |name, lang: &Lang| side_lang(content, name, lang).unwrap_or_else(|| lang.clone());
        [side(SIDE_LANGS[0], &self.source_lang), side(SIDE_LANGS[1], &self.target_lang)]
    }

    fn properties(&self, content: &UnitContent, out: &mut Vec<u8>) -> io::Result<()> {
        if !content.document.is_empty() {
            write_property(property::DOCUMENT, &content.document, out)?;
        }
        for (name, time) in [
            (property::CREATED_MICROS, content.created),
            (property::CHANGED_MICROS, content.changed),
        ] {
            if let Some(time) = time.filter(|&time| loses_in_tmx(time)) {
                write_property(name, &time.micros.to_string(), out)?;
            }
        }
        if !content.context_id.is_empty() {
            write_property(property::CONTEXT_ID, &content.context_id, out)?;
        }
        let Context { previous, next, previous_target, next_target } = content.context;
        for (name, hash) in [
            (property::PREVIOUS_HASH, previous),
            (property::NEXT_HASH, next),
            (property::PREVIOUS_TARGET_HASH, previous_target),
            (property::NEXT_TARGET_HASH, next_target),
        ] {
            if let Some(hash) = hash {
                write_property(name, &format!("{hash:016x}"), out)?;
            }
        }
        for (key, value) in &content.attributes {
            let lang = [&self.source_lang, &self.target_lang]
                .into_iter()
                .zip(SIDE_LANGS)
                .any(|(lang, name)| key == name && side_lang(content, name, lang).is_some());
            if key == "tuid" || lang || is_own(content, key) || is_note(content, key) {
                continue;
            }
            // An attribute stands for the context id if the unit has none, and becomes one.
            let is_context_id = key == property::CONTEXT_ID && content.context_id.is_empty();
            if reads_back(key) || is_context_id {
                write_property(key, value, out)?;
            } else {
                write_property(&format!("{}{key}", property::ATTRIBUTE), value, out)?;
            }
        }
        Ok(())
    }
}

/// Writes the usage, unless attributes have its names.
fn write_usage(unit: &Unit, out: &mut Vec<u8>) -> io::Result<()> {
    let attributes = &unit.content.attributes;
    if unit.usage.count > 0 && !attributes.contains_key(USE_COUNT_ATTRIBUTE) {
        write!(out, r#" {USE_COUNT_ATTRIBUTE}="{}""#, unit.usage.count)?;
    }
    if let Some(date) = unit.usage.last.and_then(tmx_date)
        && !attributes.contains_key(LAST_USE_ATTRIBUTE)
    {
        write!(out, r#" {LAST_USE_ATTRIBUTE}="{date}""#)?;
    }
    Ok(())
}

fn notes(content: &UnitContent, out: &mut Vec<u8>) -> io::Result<()> {
    let notes = content.attributes.iter().filter(|(key, _)| is_note(content, key));
    for (_, note) in in_number_order(notes) {
        writeln!(out, "<note>{}</note>", Escaped(note))?;
    }
    Ok(())
}

fn write_property(name: &str, value: &str, out: &mut Vec<u8>) -> io::Result<()> {
    writeln!(out, r#"<prop type="{}">{}</prop>"#, Escaped(name), Escaped(value))
}

/// The language of a side if it differs from the language of the file and is read back.
fn side_lang(content: &UnitContent, name: &str, wanted: &Lang) -> Option<Lang> {
    let text = content.attributes.get(name)?;
    let lang: Lang = text.parse().ok()?;
    (lang.as_str() == text && lang != *wanted && wanted.accepts(&lang)).then_some(lang)
}

/// Whether an attribute of the unit is written as one of `tu`.
fn is_own(content: &UnitContent, key: &str) -> bool {
    KEPT.contains(&key) || (key == "creationid" && !content.author.is_empty())
}

/// Whether an attribute is one of `note`, `note.2`, `note.3`, … without a gap, as the reader numbers them.
fn is_note(content: &UnitContent, key: &str) -> bool {
    match key.strip_prefix("note") {
        Some("") => true,
        Some(rest) => {
            let number = rest.strip_prefix('.').and_then(|digits| digits.parse::<u64>().ok());
            number.is_some_and(|number| {
                rest == format!(".{number}")
                    && number >= 2
                    && (2..number)
                        .all(|before| content.attributes.contains_key(&format!("note.{before}")))
                    && content.attributes.contains_key("note")
            })
        }
        None => false,
    }
}

/// Sorts `note.10` after `note.9`, because the reader numbers notes by their order.
fn in_number_order<'a>(
    notes: impl Iterator<Item = (&'a String, &'a String)>,
) -> Vec<(&'a String, &'a String)> {
    let mut notes: Vec<_> = notes.collect();
    notes.sort_by_key(|(key, _)| key.len());
    notes
}

/// Whether a property of this name is read back as an attribute of the same name.
fn reads_back(key: &str) -> bool {
    let reserved = [
        property::DOCUMENT,
        property::FILE,
        property::T5MEMORY_DOCUMENT,
        property::PREVIOUS_HASH,
        property::NEXT_HASH,
        property::PREVIOUS_TARGET_HASH,
        property::NEXT_TARGET_HASH,
        property::CREATED_MICROS,
        property::CHANGED_MICROS,
    ];
    let is_field = reserved.contains(&key)
        || property::PREVIOUS_TEXT.contains(&key)
        || property::NEXT_TEXT.contains(&key)
        || property::is_context_id(key)
        || key.starts_with(property::ATTRIBUTE)
        // Some readers trim and collapse white space in attribute values.
        || key.contains(char::is_whitespace);
    !is_field
}

/// Formats a time as `YYYYMMDDThhmmssZ`; `None` for times outside its range.
///
/// Digit by digit, because a general formatter took a tenth of the time of a large export.
fn tmx_date(time: Timestamp) -> Option<String> {
    let time = jiff::Timestamp::from_microsecond(time.micros).ok()?;
    let time = jiff::tz::TimeZone::UTC.to_datetime(time);
    let year = u32::try_from(time.year()).ok()?;
    let mut date = String::with_capacity("YYYYMMDDThhmmssZ".len());
    for part in [year / 100, year % 100] {
        push_two_digits(&mut date, part);
    }
    for part in [time.month(), time.day()] {
        push_two_digits(&mut date, part.unsigned_abs().into());
    }
    date.push('T');
    for part in [time.hour(), time.minute(), time.second()] {
        push_two_digits(&mut date, part.unsigned_abs().into());
    }
    date.push('Z');
    Some(date)
}

fn push_two_digits(text: &mut String, number: u32) {
    let digits = [number / 10 % 10, number % 10];
    text.extend(digits.into_iter().filter_map(|digit| char::from_digit(digit, 10)));
}

/// Whether a TMX date loses part of a time.
fn loses_in_tmx(time: Timestamp) -> bool {
    time.micros % 1_000_000 != 0 || tmx_date(time).and_then(|date| parse_time(&date)) != Some(time)
}
