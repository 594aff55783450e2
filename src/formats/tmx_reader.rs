//! Units out of TMX 1.1 to 1.4b.
//!
//! Source: the TMX 1.4b specification (LISA OSCAR, 2005). Inline elements become tags beside the text; what is known of a
//! `tu` beyond texts becomes fields and attributes of the unit. A variant of the target language gives a unit each.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use crate::limits::{FIELD_BYTES_MAX, SEGMENT_BYTES_MAX, SEGMENT_TAGS_MAX, UNIT_ATTRIBUTES_MAX};
use crate::unit::{
    Cause, Context, Diagnostic, InlineTag, Lang, Place, Segment, TagKind, Timestamp, UnitContent,
};

use super::decode::{Source, Text};
use super::xml::{Document, Element, Piece, Position, Stop};
use super::{Event, Format, ParsedUnit, ReadOptions, UnitReader, judge, parse_time, rejected};

/// Properties that hold a field of the unit.
pub(super) mod property {
    pub(in super::super) const DOCUMENT: &str = "x-document";
    pub(in super::super) const PREVIOUS_HASH: &str = "x-dhakira-previous";
    pub(in super::super) const NEXT_HASH: &str = "x-dhakira-next";
    pub(in super::super) const CREATED_MICROS: &str = "x-dhakira-created";
    pub(in super::super) const CHANGED_MICROS: &str = "x-dhakira-changed";
    /// Before the name of an attribute that would be taken for something else.
    pub(in super::super) const ATTRIBUTE: &str = "x-dhakira-attribute:";
    /// Neighbours as text: memoQ, OmegaT.
    pub(in super::super) const PREVIOUS_TEXT: [&str; 2] = ["x-context-pre", "prev"];
    pub(in super::super) const NEXT_TEXT: [&str; 2] = ["x-context-post", "next"];
    /// The document as OmegaT writes it.
    pub(in super::super) const FILE: &str = "file";
}

/// Reads TMX.
pub(super) struct TmxReader<'r> {
    document: Document<'r>,
    options: ReadOptions,
    queue: VecDeque<Event>,
    unit: u64,
    seen_root: bool,
    ended: bool,
}

/// A `tu` being read.
#[derive(Default)]
struct TranslationUnit {
    attributes: Vec<(String, String)>,
    properties: Vec<(String, String)>,
    notes: Vec<String>,
    variants: Vec<Variant>,
    fault: Option<(Position, Cause, String)>,
}

/// A `tuv` being read.
#[derive(Default)]
struct Variant {
    lang: String,
    attributes: Vec<(String, String)>,
    properties: Vec<(String, String)>,
    notes: Vec<String>,
    segment: Option<Segment>,
}

impl<'r> TmxReader<'r> {
    pub(super) fn new(text: Text<'r>, source: Source, options: &ReadOptions) -> Self {
        Self {
            document: Document::new(text, source),
            options: options.clone(),
            queue: VecDeque::new(),
            unit: 0,
            seen_root: false,
            ended: false,
        }
    }

    /// Reads on until something is in the queue or the document ends.
    fn advance(&mut self) -> Result<(), Stop> {
        let Piece::Start(element) = self.document.next()? else {
            return Ok(());
        };
        if !self.seen_root {
            self.seen_root = true;
            if element.name != "tmx" {
                return Err(Stop::Broken(format!(
                    "this is XML, but <{}> is not TMX: a TMX file begins with <tmx>",
                    element.name
                )));
            }
        }
        if element.name == "tu" {
            self.unit += 1;
            let position = self.document.position();
            let unit = self.read_unit(element)?;
            self.give(unit, position);
        }
        Ok(())
    }

    fn read_unit(&mut self, element: Element) -> Result<TranslationUnit, Stop> {
        let depth = self.document.depth();
        let mut unit = TranslationUnit { attributes: element.attributes, ..Default::default() };
        loop {
            match self.document.next()? {
                Piece::Start(child) => match child.name.as_str() {
                    "tuv" => {
                        let variant = self.read_variant(child, &mut unit.fault)?;
                        unit.variants.push(variant);
                    }
                    "prop" => self.read_property(child, &mut unit.properties)?,
                    "note" => unit.notes.push(self.read_text()?),
                    _ => self.skip()?,
                },
                Piece::End(_) if self.document.depth() < depth => return Ok(unit),
                _ => {}
            }
        }
    }

    fn read_variant(
        &mut self,
        element: Element,
        fault: &mut Option<(Position, Cause, String)>,
    ) -> Result<Variant, Stop> {
        let depth = self.document.depth();
        let lang = element.attribute("xml:lang").or_else(|| element.attribute("lang"));
        let mut variant = Variant {
            lang: lang.unwrap_or_default().to_owned(),
            attributes: element.attributes,
            ..Variant::default()
        };
        loop {
            match self.document.next()? {
                Piece::Start(child) => match child.name.as_str() {
                    "seg" => {
                        let position = self.document.position();
                        let mut builder = SegmentBuilder::default();
                        self.read_segment(&mut builder)?;
                        if let Some((cause, what)) = builder.fault.take() {
                            fault.get_or_insert((position, cause, what));
                        }
                        variant.segment = Some(builder.finish());
                    }
                    "prop" => self.read_property(child, &mut variant.properties)?,
                    "note" => variant.notes.push(self.read_text()?),
                    _ => self.skip()?,
                },
                Piece::End(_) if self.document.depth() < depth => return Ok(variant),
                _ => {}
            }
        }
    }

    fn read_segment(&mut self, builder: &mut SegmentBuilder) -> Result<(), Stop> {
        let depth = self.document.depth();
        loop {
            match self.document.next()? {
                Piece::Text(text) => builder.text(&text),
                Piece::UnknownEntity(name) => builder.fail(
                    Cause::Malformed,
                    format!("the entity &{name}; is not defined; entities of a DTD are not read"),
                ),
                Piece::Start(child) if child.name == "hi" => builder.open(&child, TagKind::Open),
                Piece::End(name) if name == "hi" => builder.close_highlight(),
                Piece::Start(child) => {
                    let code = self.read_code()?;
                    builder.tag(&child, code);
                }
                Piece::End(_) if self.document.depth() < depth => return Ok(()),
                Piece::End(_) => {}
            }
        }
    }

    /// The native code in an inline element, sub-flows and all, as it would stand in the native file.
    fn read_code(&mut self) -> Result<String, Stop> {
        self.read_text()
    }

    fn read_property(
        &mut self,
        element: Element,
        properties: &mut Vec<(String, String)>,
    ) -> Result<(), Stop> {
        let name = element.attribute("type").unwrap_or("prop").to_owned();
        let value = self.read_text()?;
        // One too many is enough for the check to see it.
        if properties.len() <= UNIT_ATTRIBUTES_MAX {
            properties.push((name, value));
        }
        Ok(())
    }

    /// All text inside of the element just begun, up to its end.
    fn read_text(&mut self) -> Result<String, Stop> {
        let depth = self.document.depth();
        let mut text = String::new();
        loop {
            match self.document.next()? {
                // One piece more than may be kept is enough for the check to see it.
                Piece::Text(piece) if text.len() <= FIELD_BYTES_MAX => text.push_str(&piece),
                Piece::UnknownEntity(name) if text.len() <= FIELD_BYTES_MAX => {
                    text.extend(["&", &name, ";"]);
                }
                Piece::End(_) if self.document.depth() < depth => return Ok(text),
                _ => {}
            }
        }
    }

    fn skip(&mut self) -> Result<(), Stop> {
        let depth = self.document.depth();
        while !(matches!(self.document.next()?, Piece::End(_)) && self.document.depth() < depth) {}
        Ok(())
    }

    fn place(&self, position: Position) -> Place {
        Place {
            file: self.options.file_name.clone(),
            line: position.line,
            column: position.column,
            unit: self.unit,
        }
    }

    fn fault(
        &mut self,
        position: Position,
        cause: Cause,
        message: String,
        content: Option<UnitContent>,
    ) {
        let place = self.place(position);
        self.queue.push_back(rejected(Diagnostic { place, cause, message }, content));
    }

    fn broken(&mut self, position: Position, message: String) {
        let place = self.place(position);
        self.queue.push_back(Event::Broken(Diagnostic { place, cause: Cause::Malformed, message }));
    }

    /// Puts the units of a `tu`, or what is wrong with it, into the queue.
    fn give(&mut self, mut unit: TranslationUnit, position: Position) {
        if let Some((position, cause, message)) = unit.fault.take() {
            let content = unit.rest(&self.options);
            self.fault(position, cause, message, Some(content));
            return;
        }
        let (source_lang, target_lang) =
            (self.options.source_lang.clone(), self.options.target_lang.clone());
        let Some(source) = unit.take(&source_lang) else {
            self.missing(position, Cause::MissingSource, &source_lang, unit);
            return;
        };
        let mut found = false;
        while let Some(target) = unit.take(&target_lang) {
            found = true;
            let parsed = unit.parsed(&source, target, self.place(position));
            self.queue.push_back(judge(parsed));
        }
        if !found {
            unit.variants.push(source);
            self.missing(position, Cause::MissingTarget, &target_lang, unit);
        }
    }

    fn missing(
        &mut self,
        position: Position,
        cause: Cause,
        wanted: &Lang,
        mut unit: TranslationUnit,
    ) {
        let langs: Vec<&str> = unit.variants.iter().map(|variant| variant.lang.as_str()).collect();
        let langs = if langs.is_empty() { "nothing".to_owned() } else { langs.join(", ") };
        let flag = match cause {
            Cause::MissingSource => "--source-lang",
            _ => "--target-lang",
        };
        let message =
            format!("no text in '{wanted}', only in {langs}; {flag} chooses another language");
        let content = unit.rest(&self.options);
        self.fault(position, cause, message, Some(content));
    }
}

impl TranslationUnit {
    /// The first variant with text in a language: that very language, or another region of it.
    fn take(&mut self, wanted: &Lang) -> Option<Variant> {
        let parsed: Vec<Option<Lang>> = self
            .variants
            .iter()
            .map(|variant| variant.segment.as_ref().and(variant.lang.parse().ok()))
            .collect();
        let fits = |fit: &dyn Fn(&Lang) -> bool| {
            parsed.iter().position(|lang| lang.as_ref().is_some_and(fit))
        };
        let place = fits(&|lang| lang == wanted).or_else(|| fits(&|lang| wanted.accepts(lang)))?;
        Some(self.variants.remove(place))
    }

    /// What there is of it in the languages wanted; a side may be empty.
    fn rest(&mut self, options: &ReadOptions) -> UnitContent {
        let source = self.take(&options.source_lang).unwrap_or_default();
        let target = self.take(&options.target_lang).unwrap_or_default();
        self.parsed(&source, target, Place::default()).content
    }

    fn parsed(&self, source: &Variant, target: Variant, place: Place) -> ParsedUnit {
        let mut fields = Fields::default();
        let attribute = |name: &str| {
            let find = |from: &[(String, String)]| {
                from.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
            };
            find(&target.attributes).or_else(|| find(&self.attributes))
        };
        if let Some((_, id)) = self.attributes.iter().find(|(key, _)| key == "tuid") {
            fields.attribute("tuid", id.clone());
        }
        fields.created = attribute("creationdate").and_then(|time| parse_time(&time));
        fields.changed = attribute("changedate").and_then(|time| parse_time(&time));
        fields.author =
            attribute("changeid").or_else(|| attribute("creationid")).unwrap_or_default();
        for properties in [&self.properties, &source.properties, &target.properties] {
            for (name, value) in properties {
                fields.property(name, value.clone());
            }
        }
        for note in self.notes.iter().chain(&source.notes).chain(&target.notes) {
            fields.attribute("note", note.clone());
        }
        ParsedUnit {
            content: UnitContent {
                source: source.segment.clone().unwrap_or_default(),
                target: target.segment.unwrap_or_default(),
                context: fields.context,
                document: fields.document,
                author: fields.author,
                created: fields.created,
                changed: fields.changed,
                attributes: fields.attributes,
            },
            place,
            previous_text: fields.previous_text,
            next_text: fields.next_text,
        }
    }
}

/// What properties say of a unit.
#[derive(Default)]
struct Fields {
    context: Context,
    document: String,
    author: String,
    created: Option<Timestamp>,
    changed: Option<Timestamp>,
    attributes: BTreeMap<String, String>,
    previous_text: Option<String>,
    next_text: Option<String>,
}

impl Fields {
    fn property(&mut self, name: &str, value: String) {
        let hash = |value: &str| u64::from_str_radix(value.trim(), 16).ok();
        let micros = |value: &str| value.trim().parse().ok().map(|micros| Timestamp { micros });
        match name {
            property::DOCUMENT => self.document = value,
            property::FILE if self.document.is_empty() => self.document = value,
            property::PREVIOUS_HASH => self.context.previous = hash(&value),
            property::NEXT_HASH => self.context.next = hash(&value),
            property::CREATED_MICROS => self.created = micros(&value).or(self.created),
            property::CHANGED_MICROS => self.changed = micros(&value).or(self.changed),
            name if property::PREVIOUS_TEXT.contains(&name) => self.previous_text = Some(value),
            name if property::NEXT_TEXT.contains(&name) => self.next_text = Some(value),
            name => match name.strip_prefix(property::ATTRIBUTE) {
                Some(name) => {
                    self.attributes.insert(name.to_owned(), value);
                }
                None => self.attribute(name, value),
            },
        }
    }

    /// Keeps a value under a name; a second one of the same name under `name.2`, and so on.
    fn attribute(&mut self, name: &str, value: String) {
        let mut key = name.to_owned();
        let mut number = 1;
        while self.attributes.contains_key(&key) {
            number += 1;
            key = format!("{name}.{number}");
        }
        self.attributes.insert(key, value);
    }
}

/// A segment being put together.
#[derive(Default)]
struct SegmentBuilder {
    segment: Segment,
    /// Pairs made up for highlights, which have no number of their own.
    highlights: Vec<u32>,
    next_highlight: u32,
    fault: Option<(Cause, String)>,
}

/// Numbers of made-up pairs begin here, above those of real files.
const HIGHLIGHT_PAIR_MIN: u32 = 1_000_000;

impl SegmentBuilder {
    fn fail(&mut self, cause: Cause, message: String) {
        self.fault.get_or_insert((cause, message));
    }

    fn text(&mut self, text: &str) {
        if self.segment.text.len() + text.len() <= SEGMENT_BYTES_MAX {
            self.segment.text.push_str(text);
        } else {
            self.fail(
                Cause::SegmentTooLong,
                format!("a segment has at most {SEGMENT_BYTES_MAX} bytes; split it"),
            );
        }
    }

    fn open(&mut self, element: &Element, kind: TagKind) {
        let pair = HIGHLIGHT_PAIR_MIN + self.next_highlight;
        self.next_highlight += 1;
        self.highlights.push(pair);
        self.push(kind, Some(pair), element, String::new());
    }

    fn close_highlight(&mut self) {
        if let Some(pair) = self.highlights.pop() {
            self.push(TagKind::Close, Some(pair), &Element::default(), String::new());
        }
    }

    fn tag(&mut self, element: &Element, code: String) {
        let kind = match element.name.as_str() {
            "bpt" => TagKind::Open,
            "ept" => TagKind::Close,
            "it" if element.attribute("pos") == Some("end") => TagKind::IsolatedClose,
            "it" => TagKind::IsolatedOpen,
            "ph" | "ut" => TagKind::Standalone,
            name => {
                self.fail(Cause::Malformed, format!("<{name}> cannot stand in a segment"));
                return;
            }
        };
        let pair = element.attribute("i").and_then(|number| number.parse().ok());
        self.push(kind, pair, element, code);
    }

    fn push(&mut self, kind: TagKind, pair: Option<u32>, element: &Element, code: String) {
        // One too many is enough for the check to see it.
        if self.segment.tags.len() > SEGMENT_TAGS_MAX {
            return;
        }
        self.segment.tags.push(InlineTag {
            offset_bytes: u32::try_from(self.segment.text.len()).unwrap_or(u32::MAX),
            kind,
            pair,
            match_id: element.attribute("x").and_then(|number| number.parse().ok()),
            label: element.attribute("type").unwrap_or_default().to_owned(),
            code,
        });
    }

    fn finish(self) -> Segment {
        self.segment
    }
}

impl Iterator for TmxReader<'_> {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.queue.is_empty() && !self.ended {
            match self.advance() {
                Ok(()) => {}
                Err(Stop::End) => self.ended = true,
                Err(Stop::Broken(what)) => {
                    self.ended = true;
                    let position = self.document.position();
                    self.broken(
                        position,
                        format!("{what}; everything before this place was read, nothing after it"),
                    );
                }
                Err(Stop::Input(error)) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        self.queue.pop_front().map(Ok)
    }
}

impl UnitReader for TmxReader<'_> {
    fn bytes_read(&self) -> u64 {
        self.document.source().bytes_read()
    }

    fn format(&self) -> Format {
        Format::Tmx
    }
}
