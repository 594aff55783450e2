//! Reads a `source` or `target` of XLIFF: its text and tags, as a whole or in marked segments.
//!
//! Sources: XLIFF 1.2 (OASIS, 2008) and 2.1 (OASIS, 2018). Ids of tags become numbers of the model: the id if it
//! is a number, or else one assigned per id of the unit.

use crate::formats::xml::{Document, Element, Piece, SegmentBuilder, Stop, TagFields, inline};
use crate::unit::{Cause, Segment, TagKind};

/// Numbers assigned to ids that are not numbers begin here.
const NAMED_ID_MIN: u32 = 2_000_000;

/// One side of a unit.
#[derive(Debug, Default)]
pub(crate) struct Side {
    /// The text outside marked segments.
    pub(crate) whole: Segment,
    /// Marked segments by their ids.
    pub(crate) marked: Vec<(String, Segment)>,
    pub(crate) fault: Option<(Cause, String)>,
}

/// The codes and ids of a unit.
#[derive(Debug, Default)]
pub(crate) struct Codes {
    /// Native codes by id: `originalData` of 2.x, tag definitions of SDLXLIFF.
    pub(crate) data: Vec<(String, String)>,
    /// Definitions of the whole file: opening (or only) code, closing code.
    pub(crate) definitions: std::collections::HashMap<String, (String, String)>,
    named: Vec<String>,
}

impl Codes {
    /// Forgets the codes and ids of the previous unit.
    pub(crate) fn next_unit(&mut self) {
        self.data.clear();
        self.named.clear();
    }

    fn number(&mut self, id: &str) -> Option<u32> {
        if id.is_empty() {
            return None;
        }
        let own = id.parse::<u32>().ok().filter(|&number| number < inline::ASSIGNED_PAIR_MIN);
        own.or_else(|| {
            let known = self.named.iter().position(|it| it == id).unwrap_or_else(|| {
                self.named.push(id.to_owned());
                self.named.len() - 1
            });
            Some(NAMED_ID_MIN.saturating_add(u32::try_from(known).unwrap_or(u32::MAX)))
        })
    }

    fn data(&self, element: &Element, reference: &str) -> String {
        let id = element.attribute(reference).unwrap_or_default();
        let found = self.data.iter().find(|(it, _)| it == id).map(|(_, code)| code.clone());
        found.or_else(|| element.attribute("equiv").map(str::to_owned)).unwrap_or_default()
    }

    /// The codes of an element of 1.2 that holds none itself.
    fn defined(&self, element: &Element) -> (String, String) {
        let id = element.attribute("id").unwrap_or_default();
        let equivalent =
            || (element.attribute("equiv-text").unwrap_or_default().to_owned(), String::new());
        self.definitions.get(id).cloned().unwrap_or_else(equivalent)
    }
}

/// What to do at the end of an element inside a side.
enum Frame {
    Segment,
    Enclosed(String),
    Foreign,
    Nothing,
}

/// Reads the side just begun.
pub(crate) fn read(
    document: &mut Document<'_>,
    codes: &mut Codes,
    keep_tags: bool,
) -> Result<Side, Stop> {
    let depth = document.depth();
    let mut reader = SideReader {
        codes,
        keep_tags,
        side: Side::default(),
        builder: SegmentBuilder::new(keep_tags),
        outside: None,
        frames: Vec::new(),
    };
    loop {
        match document.next()? {
            Piece::Text => reader.builder.text(document.text()),
            Piece::UnknownReference(name) => reader.builder.unknown_reference(&name),
            Piece::Start(element) => reader.begin(document, element)?,
            Piece::StrayEnd => document.read_foreign_end(&mut reader.builder),
            Piece::End if document.depth() < depth => {
                if document.end_is_missing() {
                    reader.fail_unclosed();
                }
                break;
            }
            Piece::End => reader.end(document),
        }
    }
    let SideReader { mut side, mut builder, .. } = reader;
    side.fault = side.fault.or(builder.take_fault());
    side.whole = builder.finish();
    Ok(side)
}

struct SideReader<'c> {
    codes: &'c mut Codes,
    keep_tags: bool,
    side: Side,
    builder: SegmentBuilder,
    /// The builder of the text around the marked segment being read, and the id of the segment.
    outside: Option<(SegmentBuilder, String)>,
    frames: Vec<Frame>,
}

impl SideReader<'_> {
    fn begin(&mut self, document: &mut Document<'_>, element: Element) -> Result<(), Stop> {
        let mut fields = self.fields(&element);
        match element.name.as_ref() {
            "mrk" if element.attribute("mtype") == Some("seg") && self.outside.is_none() => {
                let inner = SegmentBuilder::new(self.keep_tags);
                let id = element.attribute("mid").unwrap_or_default().to_owned();
                self.outside = Some((std::mem::replace(&mut self.builder, inner), id));
                self.frames.push(Frame::Segment);
            }
            "mrk" => {
                let kind = element.attribute("mtype").or_else(|| element.attribute("type"));
                kind.unwrap_or_default().clone_into(&mut fields.label);
                let rest = inline::attribute_list(&element, &["mtype", "type", "id", "mid"]);
                self.builder.enclose(inline::HIGHLIGHT, fields, &rest);
                self.frames.push(Frame::Enclosed(String::new()));
            }
            "g" => {
                let (open, close) = self.codes.defined(&element);
                fields.code = open;
                self.builder.enclose("", fields, "");
                self.frames.push(Frame::Enclosed(close));
            }
            "pc" => {
                fields.code = self.codes.data(&element, "dataRefStart");
                self.builder.enclose("", fields, "");
                self.frames.push(Frame::Enclosed(self.codes.data(&element, "dataRefEnd")));
            }
            "cp" => {
                let hex = element.attribute("hex").unwrap_or_default();
                let character = u32::from_str_radix(hex, 16).ok().and_then(char::from_u32);
                self.builder.text(character.unwrap_or('\u{fffd}').encode_utf8(&mut [0; 4]));
                self.frames.push(Frame::Nothing);
            }
            "sm" | "em" => self.frames.push(Frame::Nothing),
            name => {
                let Some(kind) = kind(name, &element) else {
                    let encloses = document.read_foreign(&element, &mut self.builder);
                    self.frames.extend(encloses.then_some(Frame::Foreign));
                    return Ok(());
                };
                let own = document.read_code()?;
                fields.code = if own.is_empty() { self.code(&element) } else { own };
                if !matches!(kind, TagKind::Standalone) {
                    self.pair(&element, &mut fields);
                }
                self.builder.push(kind, fields);
            }
        }
        Ok(())
    }

    fn fail_unclosed(&mut self) {
        let message = "a segment has no end tag".to_owned();
        self.side.fault.get_or_insert((Cause::Malformed, message));
    }

    fn end(&mut self, document: &Document<'_>) {
        match self.frames.pop() {
            Some(Frame::Enclosed(code)) => self.builder.end_enclosed(code),
            Some(Frame::Foreign) => document.end_foreign(&mut self.builder),
            Some(Frame::Segment) => {
                if document.end_is_missing() {
                    self.fail_unclosed();
                }
                if let Some((outside, id)) = self.outside.take() {
                    let mut inner = std::mem::replace(&mut self.builder, outside);
                    if let Some(fault) = inner.take_fault() {
                        self.side.fault.get_or_insert(fault);
                    }
                    self.side.marked.push((id, inner.finish()));
                }
            }
            Some(Frame::Nothing) | None => {}
        }
    }

    fn fields(&mut self, element: &Element) -> TagFields {
        let named = ["ctype", "subType", "type"].into_iter().find_map(|it| element.attribute(it));
        TagFields {
            pair: None,
            match_id: self.codes.number(element.attribute("id").unwrap_or_default()),
            label: named.unwrap_or_default().to_owned(),
            code: String::new(),
        }
    }

    fn code(&self, element: &Element) -> String {
        match element.attribute("dataRef") {
            Some(_) => self.codes.data(element, "dataRef"),
            None => self.codes.defined(element).0,
        }
    }

    /// Pairs a tag by a reference to the other half, `rid`, or the same id.
    fn pair(&mut self, element: &Element, fields: &mut TagFields) {
        let id = ["startRef", "rid", "id"].into_iter().find_map(|it| element.attribute(it));
        fields.pair = self.codes.number(id.unwrap_or_default());
    }
}

fn kind(name: &str, element: &Element) -> Option<TagKind> {
    let isolated = element.attribute("isolated") == Some("yes");
    Some(match name {
        "x" | "ph" => TagKind::Standalone,
        "it" if matches!(element.attribute("pos"), Some("close" | "end")) => TagKind::IsolatedClose,
        "it" => TagKind::IsolatedOpen,
        "sc" if isolated => TagKind::IsolatedOpen,
        "bx" | "bpt" | "sc" => TagKind::Open,
        "ec" if isolated => TagKind::IsolatedClose,
        "ex" | "ept" | "ec" => TagKind::Close,
        _ => return None,
    })
}
