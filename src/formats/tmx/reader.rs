//! Reads TMX 1.1 to 1.4b.
//!
//! Source: the TMX 1.4b specification (LISA OSCAR, 2005). Inline elements become tags beside the text; attributes, properties
//! and notes become fields and attributes of the unit. Each pair of variants in the two languages is a unit.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::formats::event::{Event, rejected, validated};
use crate::formats::format::{Format, ReadOptions};
use crate::formats::io::{Source, Text};
use crate::formats::xml::{
    Document, Element, Piece, Position, Repair, SegmentBuilder, Stop, XmlFormat,
};
use crate::limits::{FIELD_BYTES_MAX, UNIT_ATTRIBUTES_MAX, VARIANTS_BYTES_MAX, VARIANTS_MAX};
use crate::unit::{Diagnostic, DiagnosticCode, Lang, Place, UnitContent};

use super::inline::read_segment;
use super::unit::{TranslationUnit, Variant};

/// Reads TMX.
pub(crate) struct TmxReader<'r> {
    document: Document<'r>,
    options: ReadOptions,
    unit: u64,
    seen_root: bool,
    /// The languages met so far.
    langs: Vec<NamedLang>,
}

/// A language as a file writes it.
#[derive(Clone)]
struct NamedLang {
    name: Arc<str>,
    /// The language tag, if it is one.
    lang: Option<Arc<Lang>>,
    is_wanted: bool,
}

/// Most languages that a message names, and most that are remembered.
const LANGS_NAMED_MAX: usize = 20;

impl<'r> TmxReader<'r> {
    pub(crate) fn new(text: Text<'r>, source: Source, options: &ReadOptions) -> Self {
        Self {
            document: Document::new(text, source).of_units(&["tu"]),
            options: options.clone(),
            unit: 0,
            seen_root: false,
            langs: Vec::new(),
        }
    }

    fn lang(&mut self, name: &str) -> NamedLang {
        if let Some(known) = self.langs.iter().find(|known| *known.name == *name) {
            return known.clone();
        }
        let lang = name.parse::<Lang>().ok();
        let fits = |wanted: &Lang| lang.as_ref().is_some_and(|lang| wanted.accepts(lang));
        let is_wanted = fits(&self.options.source_lang) || fits(&self.options.target_lang);
        let named = NamedLang { name: name.into(), lang: lang.map(Arc::new), is_wanted };
        if self.langs.len() < LANGS_NAMED_MAX {
            self.langs.push(named.clone());
        }
        named
    }

    fn read_unit(&mut self, unit: &mut TranslationUnit) -> Result<(), Stop> {
        let depth = self.document.depth();
        loop {
            match self.document.next()? {
                Piece::Start(child) => match child.name.as_ref() {
                    "tuv" => self.read_variant(child, unit)?,
                    "prop" => self.read_property(&child, &mut unit.properties)?,
                    "note" => unit.note(self.document.read_text(FIELD_BYTES_MAX)?),
                    _ => self.document.skip()?,
                },
                Piece::End if self.document.depth() < depth => return Ok(()),
                _ => {}
            }
        }
    }

    fn read_variant(&mut self, element: Element, unit: &mut TranslationUnit) -> Result<(), Stop> {
        let depth = self.document.depth();
        let name = element.attribute("xml:lang").or_else(|| element.attribute("lang"));
        let NamedLang { name, lang, is_wanted } = self.lang(name.unwrap_or_default());
        if unit.langs.len() < LANGS_NAMED_MAX {
            unit.langs.push(name);
        }
        if !is_wanted {
            return self.document.skip();
        }
        let mut variant = Variant { lang, attributes: element.attributes, ..Variant::default() };
        loop {
            match self.document.next()? {
                Piece::Start(child) => match child.name.as_ref() {
                    "seg" => {
                        let position = self.document.position();
                        let mut builder = SegmentBuilder::new(self.options.tags);
                        read_segment(&mut self.document, &mut builder)?;
                        if let Some((cause, what)) = builder.take_fault() {
                            unit.fault.get_or_insert((position, cause, what));
                        }
                        let segment = builder.finish();
                        unit.bytes += segment.text.len();
                        variant.segment = Some(segment);
                    }
                    "prop" => self.read_property(&child, &mut variant.properties)?,
                    "note" => variant.note(self.document.read_text(FIELD_BYTES_MAX)?),
                    _ => self.document.skip()?,
                },
                Piece::End if self.document.depth() < depth => break,
                _ => {}
            }
        }
        if unit.variants.len() < VARIANTS_MAX && unit.bytes <= VARIANTS_BYTES_MAX {
            unit.variants.push(variant);
        } else {
            let message = format!(
                "more than {VARIANTS_MAX} variants or {VARIANTS_BYTES_MAX} bytes in one unit; split it"
            );
            unit.fault.get_or_insert((self.document.position(), DiagnosticCode::Limit, message));
        }
        Ok(())
    }

    fn read_property(
        &mut self,
        element: &Element,
        properties: &mut Vec<(String, String)>,
    ) -> Result<(), Stop> {
        let name = element.attribute("type").unwrap_or("prop").to_owned();
        let value = self.document.read_text(FIELD_BYTES_MAX)?;
        // One too many is enough for validation to reject it.
        if properties.len() <= UNIT_ATTRIBUTES_MAX {
            properties.push((name, value));
        }
        Ok(())
    }

    fn fault(
        &self,
        position: Position,
        cause: DiagnosticCode,
        message: String,
        content: UnitContent,
    ) -> Event {
        let place = self.place(position);
        rejected(Diagnostic { place, cause, message }, Some(content))
    }

    /// Queues the units of a `tu`, or its fault.
    fn queue_units(
        &self,
        mut unit: TranslationUnit,
        position: Position,
        queue: &mut VecDeque<Event>,
    ) {
        if let Some((position, cause, message)) = unit.fault.take() {
            let content = unit.rest(&self.options);
            queue.push_back(self.fault(position, cause, message, content));
            return;
        }
        let (source_lang, target_lang) = (&self.options.source_lang, &self.options.target_lang);
        let sources = unit.indexes(source_lang, target_lang);
        let targets = unit.indexes(target_lang, source_lang);
        if sources.is_empty() || targets.iter().all(|target| sources == [*target]) {
            let (cause, wanted) = if sources.is_empty() {
                (DiagnosticCode::MissingSource, source_lang)
            } else {
                (DiagnosticCode::MissingTarget, target_lang)
            };
            queue.push_back(self.missing(position, cause, wanted, &unit));
            return;
        }
        let options = &self.options;
        if let (&[source], &[target]) = (sources.as_slice(), targets.as_slice()) {
            let parsed = unit.parsed(source, target, self.place(position), options);
            queue.push_back(validated(parsed, options.swap));
            return;
        }
        for &source in &sources {
            for &target in targets.iter().filter(|&&target| target != source) {
                let parsed = unit.pair(source, target).parsed(0, 1, self.place(position), options);
                queue.push_back(validated(parsed, options.swap));
            }
        }
    }

    /// Queues the readable part of the unit in which the file breaks, so that it can be corrected.
    fn queue_broken(
        &self,
        unit: &TranslationUnit,
        position: Position,
        stop: &Stop,
        queue: &mut VecDeque<Event>,
    ) {
        if !matches!(stop, Stop::Input(_)) && !unit.variants.is_empty() {
            let content = unit.rest(&self.options);
            let message = "the file breaks inside this unit".to_owned();
            queue.push_back(self.fault(position, DiagnosticCode::Malformed, message, content));
        }
    }

    fn missing(
        &self,
        position: Position,
        cause: DiagnosticCode,
        wanted: &Lang,
        unit: &TranslationUnit,
    ) -> Event {
        let langs =
            if unit.langs.is_empty() { "nothing".to_owned() } else { unit.langs.join(", ") };
        let flag = match cause {
            DiagnosticCode::MissingSource => "--source-lang",
            _ => "--target-lang",
        };
        let message =
            format!("no text in '{wanted}', only in {langs}; {flag} chooses another language");
        self.fault(position, cause, message, unit.rest(&self.options))
    }
}

impl XmlFormat for TmxReader<'_> {
    const FORMAT: Format = Format::Tmx;

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
            let mut unit = TranslationUnit { attributes: element.attributes, ..Default::default() };
            match self.read_unit(&mut unit) {
                Ok(()) => self.queue_units(unit, position, queue),
                Err(stop) => {
                    self.queue_broken(&unit, position, &stop, queue);
                    return Err(stop);
                }
            }
        }
        Ok(())
    }
}
