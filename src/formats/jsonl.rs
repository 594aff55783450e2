//! Reads and writes units as JSON lines: one object per line, with everything that a unit holds.

use std::io::{self, Write as _};

use serde_json::{Map, Value, json};

use crate::limits::JSON_LINE_BYTES_MAX;
use crate::unit::{
    Context, Diagnostic, DiagnosticCode, InlineTag, LAST_USE_ATTRIBUTE, Place, Segment, TagKind,
    Timestamp, USE_COUNT_ATTRIBUTE, Unit, UnitContent,
};

use super::event::{Event, ParsedUnit, broken, rejected, validated};
use super::format::{Encoder, Format, ReadOptions, UnitReader};
use super::io::{Lines, Source, Text};
use super::times::{parse_time, time_text};

/// Names of the kinds of tags.
const KINDS: [(TagKind, &str); 5] = [
    (TagKind::Open, "open"),
    (TagKind::Close, "close"),
    (TagKind::Standalone, "standalone"),
    (TagKind::IsolatedOpen, "isolated_open"),
    (TagKind::IsolatedClose, "isolated_close"),
];

/// Names of the fields of a unit's usage.
const USE_COUNT: &str = "use_count";
const LAST_USE: &str = "last_use";

/// Reads JSON lines.
pub(super) struct JsonlReader<'r> {
    lines: Lines<'r>,
    options: ReadOptions,
    line: u64,
    unit: u64,
    ended: bool,
}

impl<'r> JsonlReader<'r> {
    pub(super) fn new(text: Text<'r>, source: Source, options: &ReadOptions) -> Self {
        let lines = Lines::new(text, source, JSON_LINE_BYTES_MAX);
        Self { lines, options: options.clone(), line: 0, unit: 0, ended: false }
    }

    fn event(&self, line: &str) -> Event {
        let place = |column| Place {
            file: self.options.file_name.clone(),
            line: self.line,
            column,
            unit: self.unit,
        };
        let object: Map<String, Value> = match serde_json::from_str(line) {
            Ok(object) => object,
            Err(error) => {
                let message = format!("this line is not a JSON object: {error}");
                let place = place(error.column() as u64);
                return rejected(
                    Diagnostic { place, cause: DiagnosticCode::Malformed, message },
                    None,
                );
            }
        };
        match content(object, &self.options) {
            Ok(content) => validated(
                ParsedUnit { content, place: place(1), previous_text: None, next_text: None },
                self.options.swap,
            ),
            Err((cause, message, content)) => {
                rejected(Diagnostic { place: place(1), cause, message }, Some(*content))
            }
        }
    }
}

type Fault = (DiagnosticCode, String, Box<UnitContent>);

fn content(object: Map<String, Value>, options: &ReadOptions) -> Result<UnitContent, Fault> {
    let mut content = UnitContent::default();
    let mut seen = [false; 2];
    let langs = [options.source_lang.as_str(), options.target_lang.as_str()];
    for (key, value) in object {
        let read = match key.as_str() {
            "source" => read_text(value).map(|it| (content.source.text, seen[0]) = (it, true)),
            "target" => read_text(value).map(|it| (content.target.text, seen[1]) = (it, true)),
            it if it == langs[0] => {
                read_text(value).map(|it| (content.source.text, seen[0]) = (it, true))
            }
            it if it == langs[1] => {
                read_text(value).map(|it| (content.target.text, seen[1]) = (it, true))
            }
            "source_tags" if options.tags => read_tags(&value).map(|it| content.source.tags = it),
            "target_tags" if options.tags => read_tags(&value).map(|it| content.target.tags = it),
            "source_tags" | "target_tags" | "id" | "revision" => Some(()),
            "document" => read_text(value).map(|it| content.document = it),
            "author" => read_text(value).map(|it| content.author = it),
            "created" => read_time(&value).map(|it| content.created = Some(it)),
            "changed" => read_time(&value).map(|it| content.changed = Some(it)),
            "previous" => read_hash(&value).map(|it| content.context.previous = Some(it)),
            "next" => read_hash(&value).map(|it| content.context.next = Some(it)),
            "previous_target" => {
                read_hash(&value).map(|it| content.context.previous_target = Some(it))
            }
            "next_target" => read_hash(&value).map(|it| content.context.next_target = Some(it)),
            "context_id" => {
                content.context_id = plain(value);
                Some(())
            }
            USE_COUNT => value.as_u64().map(|count| {
                content.attributes.insert(USE_COUNT_ATTRIBUTE.to_owned(), count.to_string());
            }),
            LAST_USE => read_time(&value).and_then(time_text).map(|time| {
                content.attributes.insert(LAST_USE_ATTRIBUTE.to_owned(), time);
            }),
            "attributes" => match value {
                Value::Object(map) => {
                    content.attributes.extend(map.into_iter().map(|(key, it)| (key, plain(it))));
                    Some(())
                }
                _ => None,
            },
            _ => {
                content.attributes.insert(key.clone(), plain(value));
                Some(())
            }
        };
        if read.is_none() {
            let message = format!("the value of '{key}' is not what that field holds");
            return Err((DiagnosticCode::BadField, message, Box::new(content)));
        }
    }
    for (seen, side, cause) in [
        (seen[0], "source", DiagnosticCode::MissingSource),
        (seen[1], "target", DiagnosticCode::MissingTarget),
    ] {
        if !seen {
            let message = format!("the object has no '{side}'");
            return Err((cause, message, Box::new(content)));
        }
    }
    Ok(content)
}

fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn read_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn read_time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => parse_time(text),
        other => other.as_i64().map(|micros| Timestamp { micros }),
    }
}

fn read_hash(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?, 16).ok()
}

fn read_tags(value: &Value) -> Option<Vec<InlineTag>> {
    value.as_array()?.iter().map(read_tag).collect()
}

fn read_tag(value: &Value) -> Option<InlineTag> {
    let number = |name| -> Option<Option<u32>> {
        match value.get(name) {
            None | Some(Value::Null) => Some(None),
            Some(number) => Some(Some(u32::try_from(number.as_u64()?).ok()?)),
        }
    };
    let text = |name| value.get(name).map_or(Some(""), Value::as_str).map(str::to_owned);
    let kind = value.get("kind")?.as_str()?;
    Some(InlineTag {
        offset_bytes: number("offset_bytes")??,
        kind: KINDS.iter().find(|(_, name)| *name == kind)?.0,
        pair: number("pair")?,
        match_id: number("match_id")?,
        label: text("label")?,
        code: text("code")?,
    })
}

impl Iterator for JsonlReader<'_> {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            self.line += 1;
            match self.lines.line() {
                Ok(Some(line)) if line.trim().is_empty() => {}
                Ok(Some(line)) => {
                    self.unit += 1;
                    return Some(Ok(self.event(&line)));
                }
                Ok(None) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    if self.lines.source().failed() {
                        return Some(Err(error));
                    }
                    let file = self.options.file_name.clone();
                    let place = Place { file, line: self.line, column: 0, unit: self.unit };
                    return Some(Ok(broken(place, &error.to_string())));
                }
            }
        }
        None
    }
}

impl UnitReader for JsonlReader<'_> {
    fn bytes_read(&self) -> u64 {
        self.lines.source().bytes_read()
    }

    fn format(&self) -> Format {
        Format::Jsonl
    }
}

/// Encodes units as JSON lines.
pub(super) struct JsonlEncoder;

impl Encoder for JsonlEncoder {
    fn unit(&mut self, unit: &Unit, out: &mut Vec<u8>) -> io::Result<()> {
        let content = &unit.content;
        let mut object = Map::new();
        let mut set = |key: &str, value: Value| drop(object.insert(key.to_owned(), value));
        set("source", json!(content.source.text));
        set("target", json!(content.target.text));
        for (key, segment) in [("source_tags", &content.source), ("target_tags", &content.target)] {
            if !segment.tags.is_empty() {
                set(key, tags(segment));
            }
        }
        for (key, text) in [
            ("document", &content.document),
            ("author", &content.author),
            ("context_id", &content.context_id),
        ] {
            if !text.is_empty() {
                set(key, json!(text));
            }
        }
        for (key, time) in [("created", content.created), ("changed", content.changed)] {
            if let Some(time) = time {
                set(key, time_value(time));
            }
        }
        let Context { previous, next, previous_target, next_target } = content.context;
        for (key, hash) in [
            ("previous", previous),
            ("next", next),
            ("previous_target", previous_target),
            ("next_target", next_target),
        ] {
            if let Some(hash) = hash {
                set(key, json!(format!("{hash:016x}")));
            }
        }
        if unit.usage.count > 0 {
            set(USE_COUNT, json!(unit.usage.count));
        }
        if let Some(last) = unit.usage.last {
            set(LAST_USE, time_value(last));
        }
        if !content.attributes.is_empty() {
            set("attributes", json!(content.attributes));
        }
        serde_json::to_writer(&mut *out, &object)?;
        out.write_all(b"\n")
    }

    fn end(&mut self, _: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }
}

/// RFC 3339 if the time survives it exactly, microseconds since 1970 otherwise.
fn time_value(time: Timestamp) -> Value {
    time_text(time)
        .filter(|text| parse_time(text) == Some(time))
        .map_or_else(|| json!(time.micros), Value::String)
}

fn tags(segment: &Segment) -> Value {
    let tag = |tag: &InlineTag| {
        let kind = KINDS.iter().find(|(kind, _)| *kind == tag.kind).map_or("", |(_, name)| name);
        let mut object = Map::new();
        object.insert("offset_bytes".to_owned(), json!(tag.offset_bytes));
        object.insert("kind".to_owned(), json!(kind));
        for (name, number) in [("pair", tag.pair), ("match_id", tag.match_id)] {
            if let Some(number) = number {
                object.insert(name.to_owned(), json!(number));
            }
        }
        for (name, text) in [("label", &tag.label), ("code", &tag.code)] {
            if !text.is_empty() {
                object.insert(name.to_owned(), json!(text));
            }
        }
        Value::Object(object)
    };
    Value::Array(segment.tags.iter().map(tag).collect())
}
