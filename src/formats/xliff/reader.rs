//! Reads XLIFF 1.2, 2.0 and 2.1, SDLXLIFF and MQXLIFF.
//!
//! A unit is a segment marked in both sides, or else both sides as a whole. If a file translates in the opposite direction of
//! the memory, its targets become sources.

use std::collections::{BTreeMap, VecDeque};

use crate::formats::declared::{self, Direction};
use crate::formats::event::{Event, ParsedUnit, rejected, validated};
use crate::formats::format::{Format, ReadOptions};
use crate::formats::io::{Source, Text};
use crate::formats::times::parse_time;
use crate::formats::xml::{Document, Element, Piece, Position, Repair, Stop, XmlFormat};
use crate::limits::{FIELD_BYTES_MAX, TAG_DEFINITIONS_MAX, VARIANTS_BYTES_MAX};
use crate::unit::{Diagnostic, DiagnosticCode, Place, Segment, UnitContent};

use super::pairs::{Pair, Translation, join, keep, keep_attributes, unfinished_state};
use super::side::{self as side, Codes};

/// Category of the metadata that holds fields of the model.
pub(crate) const METADATA: &str = "dhakira";

/// Name of the number of the unit in that metadata.
pub(crate) const NUMBER: &str = "id";

/// Name of the context id in that metadata.
pub(crate) const CONTEXT_ID: &str = "context-id";

/// Reads XLIFF.
pub(crate) struct XliffReader<'r> {
    document: Document<'r>,
    options: ReadOptions,
    unit: u64,
    seen_root: bool,
    /// Declared languages of the sides.
    langs: [String; 2],
    direction: Direction,
    original: String,
    codes: Codes,
    /// The place of the first skipped candidate.
    skipped: Option<Position>,
    reported_skipped: bool,
}

impl<'r> XliffReader<'r> {
    pub(crate) fn new(text: Text<'r>, source: Source, options: &ReadOptions) -> Self {
        Self {
            document: Document::new(text, source).of_units(&["trans-unit", "unit"]),
            options: options.clone(),
            unit: 0,
            seen_root: false,
            langs: Default::default(),
            direction: Direction::Forward,
            original: String::new(),
            codes: Codes::default(),
            skipped: None,
            reported_skipped: false,
        }
    }

    /// Reads what an element around units declares; returns an event if their languages are not those of the memory.
    fn begin_file(&mut self, element: &Element) -> Option<Event> {
        if element.attribute("source-language").is_some() {
            // The declarations of the previous file do not apply.
            self.langs = Default::default();
        }
        for (place, names) in
            [(0, ["source-language", "srcLang"]), (1, ["target-language", "trgLang"])]
        {
            if let Some(lang) = names.into_iter().find_map(|name| element.attribute(name)) {
                lang.clone_into(&mut self.langs[place]);
            }
        }
        if element.name == "file" {
            element.attribute("original").unwrap_or_default().clone_into(&mut self.original);
            self.codes = Codes::default();
        }
        let declared = self.langs.each_ref().map(|it| (!it.is_empty()).then_some(it.as_str()));
        match declared::direction(declared, &self.options) {
            Ok(direction) => self.direction = direction,
            Err(what) => {
                let place = self.document.position().place(&self.options.file_name, 0);
                return Some(declared::foreign(place, what));
            }
        }
        None
    }

    fn read_definition(&mut self, element: &Element) -> Result<(), Stop> {
        let depth = self.document.depth();
        let (mut open, mut close) = (String::new(), String::new());
        loop {
            match self.document.next()? {
                Piece::Start(child) if matches!(child.name.as_ref(), "bpt" | "ph" | "st" | "x") => {
                    open = self.document.read_text(FIELD_BYTES_MAX)?;
                }
                Piece::Start(child) if child.name == "ept" => {
                    close = self.document.read_text(FIELD_BYTES_MAX)?;
                }
                Piece::Start(_) => self.document.skip()?,
                Piece::End if self.document.depth() < depth => break,
                _ => {}
            }
        }
        if let Some(id) = element.attribute("id")
            && self.codes.definitions.len() < TAG_DEFINITIONS_MAX
        {
            self.codes.definitions.insert(id.to_owned(), (open, close));
        }
        Ok(())
    }

    /// Reads to the end of the unit; each segment of 2.x and each pair of 1.2 is added to `pairs`.
    fn read_unit(
        &mut self,
        unit: &mut Translation,
        old: bool,
        position: Position,
    ) -> Result<(), Stop> {
        let depth = self.document.depth();
        if old {
            unit.pairs.push(Pair { position: Some(position), ..Pair::default() });
        }
        let mut category = String::new();
        loop {
            let child = match self.document.next()? {
                Piece::Start(child) => child,
                Piece::End if self.document.depth() < depth => return Ok(()),
                _ => continue,
            };
            match child.name.as_ref() {
                "segment" => {
                    let mut pair =
                        Pair { position: Some(self.document.position()), ..Pair::default() };
                    keep_attributes(&child, &mut pair.attributes);
                    if unit.bytes <= VARIANTS_BYTES_MAX {
                        unit.pairs.push(pair);
                    }
                }
                // Of 1.2, of 2.x, of memoQ.
                "alt-trans" | "match" | "insertedmatch" => self.read_alternative(&child, unit)?,
                "source" | "target" | "seg-source" => self.read_side(unit, &child)?,
                "note" => {
                    let note = self.document.read_text(FIELD_BYTES_MAX)?;
                    keep(&mut unit.attributes, "note", note);
                }
                "data" => {
                    let code = self.document.read_text(FIELD_BYTES_MAX)?;
                    let id = child.attribute("id").unwrap_or_default().to_owned();
                    if self.codes.data.len() < TAG_DEFINITIONS_MAX {
                        self.codes.data.push((id, code));
                    }
                }
                "metaGroup" => {
                    child.attribute("category").unwrap_or_default().clone_into(&mut category);
                }
                "meta" => {
                    let value = self.document.read_text(FIELD_BYTES_MAX)?;
                    let name = child.attribute("type").unwrap_or("meta");
                    let name = if category == METADATA {
                        format!("{METADATA}:{name}")
                    } else {
                        name.to_owned()
                    };
                    keep(&mut unit.attributes, &name, value);
                }
                // A segment of SDLXLIFF, described apart from its text.
                "seg" => {
                    let id = child.attribute("id").unwrap_or_default().to_owned();
                    if let Some(state) = child.attribute("conf") {
                        keep(&mut unit.attributes, &format!("sdl:{id}"), state.to_owned());
                    }
                    if let Some(origin) = child.attribute("origin") {
                        keep(&mut unit.attributes, &format!("sdl:origin:{id}"), origin.to_owned());
                    }
                }
                "notes" | "originalData" | "metadata" | "matches" | "seg-defs" => {}
                // Extensions may hold sources and targets that are not those of the unit: terms, earlier versions.
                _ => self.document.skip()?,
            }
        }
    }

    /// Reads a candidate, which is a unit if it has its own source; otherwise its source is unknown.
    fn read_alternative(&mut self, element: &Element, unit: &mut Translation) -> Result<(), Stop> {
        let mut pair = Pair { position: Some(self.document.position()), ..Pair::default() };
        keep_attributes(element, &mut pair.attributes);
        // Every candidate has one; its own says more than the name of its element.
        pair.attributes.entry("origin".to_owned()).or_insert_with(|| element.name.to_string());
        self.read_alternative_sides(&mut pair)?;
        match &pair.sides {
            [Some(source), Some(target)] => {
                unit.bytes += source.whole.text.len() + target.whole.text.len();
                if unit.bytes <= VARIANTS_BYTES_MAX {
                    unit.pairs.push(pair);
                }
            }
            _ => self.skipped = self.skipped.or(pair.position),
        }
        Ok(())
    }

    fn read_alternative_sides(&mut self, pair: &mut Pair) -> Result<(), Stop> {
        let depth = self.document.depth();
        loop {
            match self.document.next()? {
                Piece::Start(child) => {
                    let place = match child.name.as_ref() {
                        "source" => 0,
                        "target" => 1,
                        _ => {
                            self.document.skip()?;
                            continue;
                        }
                    };
                    pair.sides[place] =
                        Some(side::read(&mut self.document, &mut self.codes, self.options.tags)?);
                }
                Piece::End if self.document.depth() < depth => return Ok(()),
                _ => {}
            }
        }
    }

    fn read_side(&mut self, unit: &mut Translation, element: &Element) -> Result<(), Stop> {
        let read = side::read(&mut self.document, &mut self.codes, self.options.tags)?;
        unit.bytes += read.whole.text.len()
            + read.marked.iter().map(|(_, segment)| segment.text.len()).sum::<usize>();
        // Alternatives follow the pair they belong to.
        let own = |pair: &&mut Pair| !pair.attributes.contains_key("origin");
        let Some(pair) = unit.pairs.iter_mut().rev().find(own) else { return Ok(()) };
        match element.name.as_ref() {
            "source" => pair.sides[0] = Some(read),
            "seg-source" => pair.cut = Some(read),
            _ => {
                keep_attributes(element, &mut pair.attributes);
                pair.sides[1] = Some(read);
            }
        }
        Ok(())
    }

    /// The notice about skipped candidates, once per file.
    fn notice(&mut self) -> Option<Event> {
        let position = self.skipped.filter(|_| !self.reported_skipped)?;
        self.reported_skipped = true;
        let message = "a candidate (alt-trans, match) without a source and a target of its own is skipped here, as are the \
                       others of this file";
        Some(Event::Notice(Diagnostic {
            place: self.place(position),
            cause: DiagnosticCode::MissingSource,
            message: message.to_owned(),
        }))
    }

    fn queue_units(&mut self, unit: Translation, queue: &mut VecDeque<Event>) {
        for pair in unit.pairs {
            let position = pair.position.unwrap_or(Position { line: 0, column: 0 });
            let [source, target] = pair.sides;
            let (source, target) = (source.unwrap_or_default(), target.unwrap_or_default());
            let fault = source.fault.clone().or_else(|| target.fault.clone());
            let source = pair.cut.filter(|cut| !cut.marked.is_empty()).unwrap_or(source);
            // The state of a unit does not apply to a candidate, which may be a finished translation.
            let is_own = !pair.attributes.contains_key("origin");
            let of_unit = is_own.then_some(&unit.attributes);
            let mut stated = [Some(&pair.attributes), of_unit].into_iter().flatten();
            let stated = stated.find_map(unfinished_state).map(str::to_owned);
            for (id, source, target) in join(source, target) {
                self.unit += 1;
                let mut unfinished = stated.clone();
                let mut attributes = unit.attributes.clone();
                attributes.retain(|name, _| !name.starts_with("sdl:"));
                attributes.extend(pair.attributes.clone());
                if let Some(state) = unit.attributes.get(&format!("sdl:{id}")) {
                    attributes.insert("state".to_owned(), state.clone());
                    let work = declared::is_unfinished_state(state).then(|| state.clone());
                    unfinished = unfinished.or(work);
                }
                if let Some(origin) = unit.attributes.get(&format!("sdl:origin:{id}")) {
                    attributes.entry("origin".to_owned()).or_insert_with(|| origin.clone());
                }
                if !id.is_empty() {
                    attributes.insert("segment".to_owned(), id);
                }
                let stated = (unfinished, fault.clone());
                let event = self.event(position, (source, target), attributes, stated);
                queue.push_back(event);
            }
        }
    }

    fn event(
        &self,
        position: Position,
        (source, target): (Segment, Segment),
        attributes: BTreeMap<String, String>,
        (unfinished, fault): (Option<String>, Option<(DiagnosticCode, String)>),
    ) -> Event {
        let place = self.place(position);
        let untranslated = target.text.is_empty() && !source.text.is_empty();
        let (source, target) = match self.direction {
            Direction::Forward => (source, target),
            Direction::Reversed => (target, source),
        };
        let mut content = self.content(source, target, attributes);
        if self.direction == Direction::Reversed {
            content.context = content.context.swapped();
        }
        if let Some(state) = unfinished.filter(|_| !untranslated && fault.is_none())
            && let Some(event) = declared::unfinished(&mut content, &state, &place, &self.options)
        {
            return event;
        }
        let fault = fault.or_else(|| {
            untranslated.then(|| {
                (
                    DiagnosticCode::MissingTarget,
                    "the unit is not translated: it has no target".to_owned(),
                )
            })
        });
        match fault {
            Some((cause, message)) => rejected(Diagnostic { place, cause, message }, Some(content)),
            None => validated(
                ParsedUnit { content, place, previous_text: None, next_text: None },
                self.options.swap,
            ),
        }
    }

    fn content(
        &self,
        source: Segment,
        target: Segment,
        attributes: BTreeMap<String, String>,
    ) -> UnitContent {
        let mut content = UnitContent {
            source,
            target,
            document: self.original.clone(),
            ..UnitContent::default()
        };
        let number = format!("{METADATA}:{NUMBER}");
        let own = attributes.contains_key(&number);
        for (name, value) in attributes {
            // What this program wrote has its fields in the metadata and nowhere else.
            if name == number || (own && !name.starts_with(METADATA)) {
                continue;
            }
            let hash = || u64::from_str_radix(&value, 16).ok();
            match name.strip_prefix(METADATA).and_then(|name| name.strip_prefix(':')) {
                Some("author") => content.author = value,
                Some("created") => content.created = parse_time(&value),
                Some("changed") => content.changed = parse_time(&value),
                Some("previous") => content.context.previous = hash(),
                Some("next") => content.context.next = hash(),
                Some("previous-target") => content.context.previous_target = hash(),
                Some("next-target") => content.context.next_target = hash(),
                Some(CONTEXT_ID) => content.context_id = value,
                Some(name) => {
                    let name = name.strip_prefix("attribute:").unwrap_or(name).to_owned();
                    content.attributes.insert(name, value);
                }
                None => match (name.as_str(), parse_time(&value)) {
                    // Of 1.2, of 2.x.
                    ("resname" | "name", _) if content.context_id.is_empty() => {
                        content.context_id = value;
                    }
                    // Of memoQ.
                    ("mq:lastchanginguser", _) => content.author = value,
                    ("mq:lastchangedtimestamp", Some(time)) => content.changed = Some(time),
                    _ => drop(content.attributes.insert(name, value)),
                },
            }
        }
        content
    }
}

impl XmlFormat for XliffReader<'_> {
    const FORMAT: Format = Format::Xliff;

    fn document(&self) -> &Document<'_> {
        &self.document
    }

    fn new_repairs(&mut self) -> impl Iterator<Item = (Repair, Position)> {
        self.document.new_repairs()
    }

    fn place(&self, position: Position) -> Place {
        position.place(&self.options.file_name, self.unit)
    }

    fn advance(&mut self, queue: &mut VecDeque<Event>) -> Result<(), Stop> {
        let Piece::Start(element) = self.document.next()? else { return Ok(()) };
        if !self.seen_root {
            self.seen_root = true;
            if element.name != "xliff" {
                let message = format!("this is XML, but <{}> is not <xliff>", element.name);
                return Err(Stop::Broken(message));
            }
        }
        match element.name.as_ref() {
            "xliff" | "file" => {
                if let Some(event) = self.begin_file(&element) {
                    queue.push_back(event);
                    self.document.skip()?;
                }
            }
            // A tag definition of SDLXLIFF.
            "tag" => self.read_definition(&element)?,
            "trans-unit" | "unit" => {
                self.codes.next_unit();
                let mut translation = Translation::default();
                keep_attributes(&element, &mut translation.attributes);
                let position = self.document.position();
                self.read_unit(&mut translation, element.name == "trans-unit", position)?;
                self.queue_units(translation, queue);
                queue.extend(self.notice());
            }
            "alt-trans" | "skl" | "internal-file" | "reference" => self.document.skip()?,
            _ => {}
        }
        Ok(())
    }
}
