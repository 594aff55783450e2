//! Converts markup in a segment to tags beside the text, and tags back to markup, for every XML format.
//!
//! The code of a tag is kept verbatim. Anything in it beyond characters (a `sub` with text of its own, attributes that the
//! model has no field for, an element that is not the usual one of its kind) is kept in the code as an interlinear annotation:
//! U+FFF9, a name with attributes, U+FFFA, the content, U+FFFB. Native code has no such characters (Unicode reserves them for
//! internal use); code that has them in any other form is written unchanged.

use std::fmt::Write as _;

use crate::limits::{SEGMENT_BYTES_MAX, SEGMENT_TAGS_MAX, TAG_CODE_BYTES_MAX};
use crate::unit::{Cause, InlineTag, Segment, TagKind};

use super::document::{Document, Element, Piece, Stop};
use super::repair::Repair;
use super::text::{Escaped, unescape};

/// Begins an annotation.
const BEGIN: char = '\u{fff9}';
/// Ends the name and the attributes of an annotation.
const CONTENT: char = '\u{fffa}';
/// Ends an annotation.
const END: char = '\u{fffb}';
/// Assigned numbers of pairs begin here, above those of real files.
pub(crate) const ASSIGNED_PAIR_MIN: u32 = 1_000_000;
/// Deepest nesting in a code that is written as elements.
const CODE_DEPTH_MAX: usize = 64;
/// Name of the annotation at the end of a code that holds the attributes of its element.
const ATTRIBUTES: &str = "@";

/// Builds a segment.
#[derive(Default)]
pub(crate) struct SegmentBuilder {
    segment: Segment,
    /// Elements that enclose text, innermost last.
    enclosing: Vec<Enclosing>,
    assigned: u32,
    keep_tags: bool,
    fault: Option<(Cause, String)>,
}

/// An open element around text.
struct Enclosing {
    /// Assigned, because it has no number of its own.
    pair: u32,
    /// The element that is written for it.
    element: &'static str,
    /// The tag that begins it.
    tag: usize,
}

/// The fields of a tag.
#[derive(Debug, Default)]
pub(crate) struct TagFields {
    pub(crate) pair: Option<u32>,
    pub(crate) match_id: Option<u32>,
    pub(crate) label: String,
    pub(crate) code: String,
}

impl SegmentBuilder {
    pub(crate) fn new(keep_tags: bool) -> Self {
        Self { keep_tags, ..Self::default() }
    }

    /// Notes a fault; the first one counts.
    pub(crate) fn fail(&mut self, cause: Cause, message: String) {
        self.fault.get_or_insert((cause, message));
    }

    pub(crate) fn take_fault(&mut self) -> Option<(Cause, String)> {
        self.fault.take()
    }

    pub(crate) fn text(&mut self, text: &str) {
        if self.segment.text.len() + text.len() <= SEGMENT_BYTES_MAX {
            self.segment.text.push_str(text);
        } else {
            self.fail(
                Cause::SegmentTooLong,
                format!("a segment has at most {SEGMENT_BYTES_MAX} bytes; split it"),
            );
        }
    }

    /// Keeps an unknown reference as text and notes the fault.
    pub(crate) fn unknown_reference(&mut self, name: &str) {
        let message = if name.starts_with('#') {
            format!("&{name}; is not a character")
        } else {
            format!("the entity &{name}; is not defined; entities of a DTD are not read")
        };
        self.fail(Cause::Malformed, message);
        self.text("&");
        self.text(name);
        self.text(";");
    }

    /// Begins an element around text; `element` is written for it, or a pair of codes if it is empty.
    pub(crate) fn enclose(
        &mut self,
        element: &'static str,
        mut fields: TagFields,
        attributes: &str,
    ) {
        let pair = ASSIGNED_PAIR_MIN + self.assigned;
        self.assigned += 1;
        self.enclosing.push(Enclosing { pair, element, tag: self.segment.tags.len() });
        fields.pair = Some(pair);
        if !element.is_empty() {
            annotate(&mut fields.code, element, attributes);
        }
        self.push(TagKind::Open, fields);
    }

    /// Ends the innermost element around text.
    pub(crate) fn end_enclosed(&mut self, code: String) {
        if let Some(Enclosing { pair, element, .. }) = self.enclosing.pop() {
            let mut fields = TagFields { pair: Some(pair), code, ..TagFields::default() };
            if !element.is_empty() {
                annotate(&mut fields.code, element, "");
            }
            self.push(TagKind::Close, fields);
        }
    }

    /// Begins foreign markup around text, written as `code`.
    pub(crate) fn enclose_foreign(&mut self, code: String) {
        self.enclose("", TagFields { code, ..TagFields::default() }, "");
    }

    /// Ends the innermost element around text, which has no end tag.
    pub(crate) fn leave_open(&mut self) {
        if let Some(enclosing) = self.enclosing.pop()
            && let Some(tag) = self.segment.tags.get_mut(enclosing.tag)
        {
            tag.kind = TagKind::IsolatedOpen;
            tag.pair = None;
        }
    }

    /// Adds foreign markup that encloses nothing, written as `code`.
    pub(crate) fn push_foreign(&mut self, kind: TagKind, code: String) {
        self.push(kind, TagFields { code, ..TagFields::default() });
    }

    pub(crate) fn push(&mut self, kind: TagKind, fields: TagFields) {
        // One too many is enough for validation to reject it.
        if self.segment.tags.len() > SEGMENT_TAGS_MAX {
            return;
        }
        let tag = InlineTag {
            offset_bytes: u32::try_from(self.segment.text.len()).unwrap_or(u32::MAX),
            kind,
            pair: fields.pair,
            match_id: fields.match_id,
            label: fields.label,
            code: fields.code,
        };
        if self.keep_tags {
            self.segment.tags.push(tag);
        } else if self.segment.text.ends_with(|it: char| !it.is_whitespace())
            && tag.is_white_space()
        {
            // The tag separated two words.
            self.text(" ");
        }
    }

    pub(crate) fn finish(self) -> Segment {
        self.segment
    }
}

impl Document<'_> {
    /// The native code in the inline element just begun, with elements inside it as annotations.
    pub(crate) fn read_code(&mut self) -> Result<String, Stop> {
        let depth = self.depth();
        let mut code = String::new();
        loop {
            let piece = self.next()?;
            if self.depth() < depth {
                return Ok(code);
            }
            // One piece too many is enough for validation to reject it.
            let full = code_is_full(&code);
            match piece {
                _ if full => {}
                Piece::Text => code.push_str(self.text()),
                Piece::UnknownReference(name) => code.extend(["&", &name, ";"]),
                Piece::Start(element) => begin_inner(&mut code, &element),
                Piece::End => end_inner(&mut code),
                Piece::StrayEnd => code.push_str(self.written()),
            }
        }
    }

    /// Keeps an element that the format does not have as an inline code; returns whether it encloses text.
    pub(crate) fn read_foreign(&mut self, element: &Element, builder: &mut SegmentBuilder) -> bool {
        self.repaired(Repair::Foreign);
        let code = self.written().to_owned();
        if self.ends_at_once(element) {
            builder.push_foreign(TagKind::Standalone, code);
            return false;
        }
        builder.enclose_foreign(code);
        true
    }

    /// Ends such an element.
    pub(crate) fn end_foreign(&self, builder: &mut SegmentBuilder) {
        if self.end_is_missing() {
            builder.leave_open();
        } else {
            builder.end_enclosed(self.written().to_owned());
        }
    }

    /// Keeps a stray end tag in a segment as an inline code.
    pub(crate) fn read_foreign_end(&self, builder: &mut SegmentBuilder) {
        builder.push_foreign(TagKind::IsolatedClose, self.written().to_owned());
    }
}

/// Formats the attributes of a start tag, each after a space, without those that are kept elsewhere.
pub(crate) fn attribute_list(element: &Element, kept_elsewhere: &[&str]) -> String {
    let mut list = String::new();
    for (name, value) in &element.attributes {
        if !kept_elsewhere.contains(&name.as_ref()) {
            // Writing to a string does not fail.
            let _ = write!(list, " {name}=\"{}\"", Escaped(value));
        }
    }
    list
}

/// Appends an annotation without content to a code.
pub(crate) fn annotate(code: &mut String, name: &str, attributes: &str) {
    code.push(BEGIN);
    code.push_str(name);
    code.push_str(attributes);
    code.push(CONTENT);
    code.push(END);
}

/// Appends attributes that the model has no field for to the code.
pub(crate) fn annotate_attributes(code: &mut String, element: &str, attributes: &str) {
    if !attributes.is_empty() || !element.is_empty() {
        annotate(code, &format!("{ATTRIBUTES}{element}"), attributes);
    }
}

/// Begins an element inside a code.
fn begin_inner(code: &mut String, element: &Element) {
    code.push(BEGIN);
    code.push_str(&element.name);
    code.push_str(&attribute_list(element, &[]));
    code.push(CONTENT);
}

/// Ends an element inside a code.
fn end_inner(code: &mut String) {
    code.push(END);
}

/// Whether a code is so long that validation will reject it.
fn code_is_full(code: &str) -> bool {
    code.len() > TAG_CODE_BYTES_MAX
}

/// A code split into the parts of its start tag and its content.
pub(crate) struct Code<'a> {
    /// The element, if it is not the usual one of its kind.
    pub(crate) element: &'a str,
    /// Attributes, each with a space before it.
    pub(crate) attributes: &'a str,
    /// The native code, with elements inside it as annotations.
    pub(crate) content: &'a str,
}

/// Splits a code; without valid attributes at its end, all of it is content.
pub(crate) fn split_code(code: &str) -> Code<'_> {
    let whole = Code { element: "", attributes: "", content: code };
    let Some(inside) = code.strip_suffix(END).and_then(|rest| rest.strip_suffix(CONTENT)) else {
        return whole;
    };
    let Some((content, annotation)) = inside.rsplit_once(BEGIN) else { return whole };
    let Some(annotation) = annotation.strip_prefix(ATTRIBUTES) else { return whole };
    let name_end = annotation.find(' ').unwrap_or(annotation.len());
    let (element, attributes) = annotation.split_at(name_end);
    let known = matches!(element, "" | "ut" | "hi");
    if !known || !attributes_are_legal(attributes) || annotation.contains([CONTENT, END]) {
        return whole;
    }
    Code { element, attributes, content }
}

/// Whether a list of attributes survives being written and read.
fn attributes_are_legal(list: &str) -> bool {
    let mut rest = list;
    let mut names: Vec<&str> = Vec::new();
    while !rest.is_empty() {
        let Some((name, value)) = rest
            .strip_prefix(' ')
            .and_then(|rest| rest.split_once("=\""))
            .and_then(|(name, rest)| {
                rest.split_once('"').map(|(value, after)| ((name, value), after))
            })
            .map(|(pair, after)| {
                rest = after;
                pair
            })
        else {
            return false;
        };
        let same = Escaped(&unescape(value)).to_string() == value;
        if !is_name(name) || names.contains(&name) || !same {
            return false;
        }
        names.push(name);
    }
    true
}

/// Whether a name survives being written and read.
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b':'))
}

/// Writes the content of a code as XML.
pub(crate) fn write_content(out: &mut impl std::io::Write, content: &str) -> std::io::Result<()> {
    let annotated = content.contains(BEGIN);
    if !annotated || !is_well_formed(content) {
        return write!(out, "{}", Escaped(content));
    }
    let mut open: Vec<&str> = Vec::new();
    let mut rest = content;
    while let Some(place) = rest.find([BEGIN, END]) {
        write!(out, "{}", Escaped(&rest[..place]))?;
        rest = &rest[place..];
        if let Some(after) = rest.strip_prefix(END) {
            write!(out, "</{}>", open.pop().unwrap_or_default())?;
            rest = after;
        } else if let Some((start, after)) = rest[BEGIN.len_utf8()..].split_once(CONTENT) {
            write!(out, "<{start}>")?;
            open.push(start.split(' ').next().unwrap_or(start));
            rest = after;
        }
    }
    write!(out, "{}", Escaped(rest))
}

/// Whether the annotations nest and survive being written and read as elements.
fn is_well_formed(content: &str) -> bool {
    let (mut depth, mut rest) = (0_usize, content);
    while let Some(place) = rest.find([BEGIN, CONTENT, END]) {
        rest = &rest[place..];
        if let Some(after) = rest.strip_prefix(END) {
            if depth == 0 {
                return false;
            }
            depth -= 1;
            rest = after;
            continue;
        }
        let Some((start, after)) =
            rest.strip_prefix(BEGIN).and_then(|rest| rest.split_once(CONTENT))
        else {
            return false;
        };
        let name_end = start.find(' ').unwrap_or(start.len());
        let (name, attributes) = start.split_at(name_end);
        depth += 1;
        if depth > CODE_DEPTH_MAX
            || !is_name(name)
            || name.contains(':')
            || !attributes_are_legal(attributes)
        {
            return false;
        }
        rest = after;
    }
    depth == 0
}

/// Whether the highlights of a segment survive being written and read as elements around text.
pub(crate) fn highlights_nest(segment: &Segment) -> bool {
    let (mut open, mut next) = (Vec::new(), ASSIGNED_PAIR_MIN);
    for tag in segment.tags.iter().filter(|tag| is_highlight(tag)) {
        match tag.kind {
            TagKind::Open if tag.pair == Some(next) => {
                open.push(next);
                next += 1;
            }
            TagKind::Close if tag.pair.is_some() && tag.pair == open.pop() => {
                let code = split_code(&tag.code);
                if !code.attributes.is_empty() || !tag.label.is_empty() || tag.match_id.is_some() {
                    return false;
                }
            }
            _ => return false,
        }
    }
    open.is_empty()
}

/// Whether a tag is the start or end of an element that only marks text (TMX `hi`, XLIFF `mrk`).
pub(crate) fn is_highlight(tag: &InlineTag) -> bool {
    let code = split_code(&tag.code);
    code.element == "hi" && code.content.is_empty()
}

/// The annotation of highlights.
pub(crate) const HIGHLIGHT: &str = "@hi";
