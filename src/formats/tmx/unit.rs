//! Converts a TMX `tu` with its variants, attributes, properties and notes to units of the model.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::formats::declared;
use crate::formats::event::{ParsedUnit, free_name};
use crate::formats::format::ReadOptions;
use crate::formats::times::parse_time;
use crate::formats::xml::{Attributes, Name, Position};
use crate::limits::UNIT_ATTRIBUTES_MAX;
use crate::unit::{Context, DiagnosticCode, Lang, Place, Segment, Timestamp, UnitContent};

/// Properties that hold a field of the unit.
pub(crate) mod property {
    pub(crate) const DOCUMENT: &str = "x-document";
    pub(crate) const PREVIOUS_HASH: &str = "x-dhakira-previous";
    pub(crate) const NEXT_HASH: &str = "x-dhakira-next";
    pub(crate) const PREVIOUS_TARGET_HASH: &str = "x-dhakira-previous-target";
    pub(crate) const NEXT_TARGET_HASH: &str = "x-dhakira-next-target";
    /// The key under which a tool keeps the unit. Not Trados' `x-Context`, which holds numbers of the neighbours.
    pub(crate) const CONTEXT_ID: &str = "x-context";
    /// Its other names, in lower case.
    pub(crate) const CONTEXT_ID_ALIASES: [&str; 3] =
        ["x-contextid", "x-context-id", "tmgr:context"];
    pub(crate) const CREATED_MICROS: &str = "x-dhakira-created";
    pub(crate) const CHANGED_MICROS: &str = "x-dhakira-changed";
    /// Prefix for the name of an attribute that would otherwise be taken for a field.
    pub(crate) const ATTRIBUTE: &str = "x-dhakira-attribute:";
    /// Neighbouring texts, as memoQ and OmegaT write them.
    pub(crate) const PREVIOUS_TEXT: [&str; 2] = ["x-context-pre", "prev"];
    pub(crate) const NEXT_TEXT: [&str; 2] = ["x-context-post", "next"];
    /// The document, as OmegaT writes it.
    pub(crate) const FILE: &str = "file";
    /// The document, as t5memory writes it; its `tmgr:context` is the context id.
    pub(crate) const T5MEMORY_DOCUMENT: &str = "tmgr:docname";

    /// Whether a property of this name holds the context id.
    pub(crate) fn is_context_id(name: &str) -> bool {
        name == CONTEXT_ID || CONTEXT_ID_ALIASES.contains(&name.to_ascii_lowercase().as_str())
    }
}

/// Attributes of `tu` and `tuv` that become attributes of the unit.
pub(crate) const KEPT: [&str; 9] = [
    "creationtool",
    "creationtoolversion",
    "datatype",
    "lastusagedate",
    "o-encoding",
    "o-tmf",
    "segtype",
    "srclang",
    "usagecount",
];
/// Attributes that hold the exact language of a side, if it differs from that of the memory.
pub(crate) const SIDE_LANGS: [&str; 2] = ["source-lang", "target-lang"];

/// A `tu` being read.
#[derive(Default)]
pub(crate) struct TranslationUnit {
    pub(crate) attributes: Attributes,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) notes: Vec<String>,
    /// The variants in the two languages.
    pub(crate) variants: Vec<Variant>,
    /// Languages of all variants, for messages.
    pub(crate) langs: Vec<Arc<str>>,
    /// Bytes of text in the variants.
    pub(crate) bytes: usize,
    pub(crate) fault: Option<(Position, DiagnosticCode, String)>,
}

/// A `tuv` being read.
#[derive(Clone, Default)]
pub(crate) struct Variant {
    pub(crate) lang: Option<Arc<Lang>>,
    pub(crate) attributes: Attributes,
    pub(crate) properties: Vec<(String, String)>,
    pub(crate) notes: Vec<String>,
    pub(crate) segment: Option<Segment>,
}

impl Variant {
    pub(crate) fn note(&mut self, note: String) {
        note_in(&mut self.notes, note);
    }
}

fn note_in(notes: &mut Vec<String>, note: String) {
    // One too many is enough for validation to reject it.
    if notes.len() <= UNIT_ATTRIBUTES_MAX {
        notes.push(note);
    }
}

impl TranslationUnit {
    pub(crate) fn note(&mut self, note: String) {
        note_in(&mut self.notes, note);
    }

    /// The variants with text in a language: in exactly that language if there are any, or else in regions of it.
    ///
    /// Where both languages are the same in two regions, the region must match exactly or be absent.
    pub(crate) fn indexes(&self, wanted: &Lang, other: &Lang) -> Vec<usize> {
        let with = |fit: &dyn Fn(&Lang) -> bool| -> Vec<usize> {
            let fits = |variant: &Variant| {
                variant.segment.is_some() && variant.lang.as_deref().is_some_and(fit)
            };
            (0..self.variants.len()).filter(|&it| fits(&self.variants[it])).collect()
        };
        let in_particular = wanted.as_str() != wanted.primary();
        if wanted.primary() == other.primary() {
            return with(&|lang| declared::fits(lang, wanted, other));
        }
        if !in_particular {
            return with(&|lang| wanted.accepts(lang));
        }
        let exact = with(&|lang| lang == wanted);
        if exact.is_empty() { with(&|lang| wanted.accepts(lang)) } else { exact }
    }

    /// The readable part in the two languages; a side may be empty.
    pub(crate) fn rest(&self, options: &ReadOptions) -> UnitContent {
        let (source_lang, target_lang) = (&options.source_lang, &options.target_lang);
        let source = self.indexes(source_lang, target_lang).first().copied();
        let target = self
            .indexes(target_lang, source_lang)
            .into_iter()
            .find(|&target| Some(target) != source);
        let variant = |index: Option<usize>| index.map(|it| self.variants[it].clone());
        let sides = [source, target].map(|index| variant(index).unwrap_or_default());
        self.shared().join(sides, Place::default(), options).content
    }

    /// The part that all units of a `tu` share, without variants.
    fn shared(&self) -> Self {
        Self {
            attributes: self.attributes.clone(),
            properties: self.properties.clone(),
            notes: self.notes.clone(),
            ..Self::default()
        }
    }

    /// A copy with only these two variants.
    pub(crate) fn pair(&self, source: usize, target: usize) -> Self {
        let variants = [source, target].map(|index| self.variants[index].clone()).into();
        Self { variants, ..self.shared() }
    }

    /// The unit of two variants. Moves the content of the `tu`, because most have only two.
    pub(crate) fn parsed(
        mut self,
        source: usize,
        target: usize,
        place: Place,
        options: &ReadOptions,
    ) -> ParsedUnit {
        let sides = [source, target].map(|index| std::mem::take(&mut self.variants[index]));
        self.join(sides, place, options)
    }

    fn join(
        self,
        [source, target]: [Variant; 2],
        place: Place,
        options: &ReadOptions,
    ) -> ParsedUnit {
        let mut fields = Fields::default();
        fields.attributes_of([target.attributes, self.attributes, source.attributes]);
        for (lang, wanted, name) in [
            (source.lang, &options.source_lang, SIDE_LANGS[0]),
            (target.lang, &options.target_lang, SIDE_LANGS[1]),
        ] {
            if let Some(lang) = lang.filter(|lang| **lang != *wanted) {
                fields.attribute(name, lang.to_string());
            }
        }
        for (name, value) in
            self.properties.into_iter().chain(source.properties).chain(target.properties)
        {
            fields.property(&name, value);
        }
        for note in self.notes.into_iter().chain(source.notes).chain(target.notes) {
            fields.attribute("note", note);
        }
        ParsedUnit {
            content: UnitContent {
                source: source.segment.unwrap_or_default(),
                target: target.segment.unwrap_or_default(),
                context: fields.context,
                document: fields.document,
                author: fields.author,
                created: fields.created,
                changed: fields.changed,
                attributes: fields.attributes,
                context_id: fields.context_id,
            },
            place,
            previous_text: fields.previous_text,
            next_text: fields.next_text,
        }
    }
}

/// The fields of a unit by attributes and properties.
#[derive(Default)]
struct Fields {
    context: Context,
    document: String,
    author: String,
    created: Option<Timestamp>,
    changed: Option<Timestamp>,
    attributes: BTreeMap<String, String>,
    context_id: String,
    previous_text: Option<String>,
    next_text: Option<String>,
}

impl Fields {
    /// Adds the attributes of the elements that make up the unit, in order of precedence; different values are all kept.
    fn attributes_of(&mut self, lists: [Attributes; 3]) {
        let mut taken: Vec<(Name, String)> = Vec::new();
        for (name, value) in lists.into_iter().flatten() {
            let known = name == "tuid" || is_kept(&name);
            if !known || taken.iter().any(|(it, of_it)| *it == name && *of_it == value) {
                continue;
            }
            let first = !taken.iter().any(|(it, _)| *it == name);
            let is_date = first && matches!(name.as_ref(), "creationdate" | "changedate");
            let time = if is_date { parse_time(&value) } else { None };
            match name.as_ref() {
                "creationdate" if time.is_some() => self.created = time,
                "changedate" if time.is_some() => self.changed = time,
                "changeid" if first => self.author.clone_from(&value),
                name => self.attribute(name, value.clone()),
            }
            taken.push((name, value));
        }
        // The creator is the author unless the unit was changed.
        if !taken.iter().any(|(name, _)| name == "changeid")
            && let Some(id) = self.attributes.remove("creationid")
        {
            self.author = id;
        }
    }

    fn property(&mut self, name: &str, value: String) {
        let hash = |value: &str| u64::from_str_radix(value.trim(), 16).ok();
        let micros = |value: &str| value.trim().parse().ok().map(|micros| Timestamp { micros });
        match name {
            property::DOCUMENT => self.document = value,
            property::FILE | property::T5MEMORY_DOCUMENT if self.document.is_empty() => {
                self.document = value;
            }
            property::PREVIOUS_HASH => self.context.previous = hash(&value),
            property::NEXT_HASH => self.context.next = hash(&value),
            property::PREVIOUS_TARGET_HASH => self.context.previous_target = hash(&value),
            property::NEXT_TARGET_HASH => self.context.next_target = hash(&value),
            name if property::is_context_id(name) && self.context_id.is_empty() => {
                self.context_id = value;
            }
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

    /// Adds a value under a name, or a numbered one if it is taken.
    fn attribute(&mut self, name: &str, value: String) {
        self.attributes.insert(free_name(&self.attributes, name), value);
    }
}

fn is_kept(name: &str) -> bool {
    KEPT.contains(&name)
        || matches!(name, "creationdate" | "changedate" | "creationid" | "changeid")
}
