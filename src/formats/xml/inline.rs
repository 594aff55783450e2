//! How does markup in a segment become tags beside the text, and tags markup again? The same for every XML format.
//!
//! The code of a tag is kept verbatim. What is more than characters in it — a `sub` with text of its own, attributes that
//! the model has no field for, the element when it is not the usual one of its kind — stands in the code as an interlinear
//! annotation: U+FFF9, a name with attributes, U+FFFA, the content, U+FFFB. Native code has no such characters (Unicode
//! reserves them for the inside of programs), and code that has them otherwise is written as it is.

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
/// Numbers of made-up pairs begin here, above those of real files.
pub(crate) const MADE_UP_PAIR_MIN: u32 = 1_000_000;
/// Deepest nesting inside of a code that is written as elements.
const CODE_DEPTH_MAX: usize = 64;
/// Name of the annotation at the end of a code that holds attributes of its element.
const ATTRIBUTES: &str = "@";

/// A segment being put together.
#[derive(Default)]
pub(crate) struct SegmentBuilder {
    segment: Segment,
    /// Elements that enclose text, innermost last.
    enclosing: Vec<Enclosing>,
    made_up: u32,
    keep_tags: bool,
    fault: Option<(Cause, String)>,
}

/// An open element around text.
struct Enclosing {
    /// Made up, because it has no number of its own.
    pair: u32,
    /// How it is written again.
    element: &'static str,
    /// The tag that begins it.
    tag: usize,
}

/// What is said of a tag.
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

    /// Notes what is wrong; the first one counts.
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

    /// A reference that stands for nothing.
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

    /// Begins an element around text; `element` is how it is written again, empty for one that pairs of codes stand for.
    pub(crate) fn enclose(
        &mut self,
        element: &'static str,
        mut fields: TagFields,
        attributes: &str,
    ) {
        let pair = MADE_UP_PAIR_MIN + self.made_up;
        self.made_up += 1;
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

    /// Begins markup around text that the format does not have; `code` is how it is written.
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

    /// Markup that the format does not have and that encloses nothing; `code` is how it is written.
    pub(crate) fn push_foreign(&mut self, kind: TagKind, code: String) {
        self.push(kind, TagFields { code, ..TagFields::default() });
    }

    pub(crate) fn push(&mut self, kind: TagKind, fields: TagFields) {
        // One too many is enough for the check to see it.
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
            // The words beside it are two even without it.
            self.text(" ");
        }
    }

    pub(crate) fn finish(self) -> Segment {
        self.segment
    }
}

impl Document<'_> {
    /// The native code in the inline element just begun, elements inside of it annotated.
    pub(crate) fn read_code(&mut self) -> Result<String, Stop> {
        let depth = self.depth();
        let mut code = String::new();
        loop {
            let piece = self.next()?;
            if self.depth() < depth {
                return Ok(code);
            }
            // One piece more than may be kept is enough for the check to see it.
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

    /// An element in a segment that the format does not have becomes an inline code; whether it encloses text.
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

    /// The end of such an element, when it has just been given out.
    pub(crate) fn end_foreign(&self, builder: &mut SegmentBuilder) {
        if self.end_is_missing() {
            builder.leave_open();
        } else {
            builder.end_enclosed(self.written().to_owned());
        }
    }

    /// An end tag in a segment that ends nothing.
    pub(crate) fn read_foreign_end(&self, builder: &mut SegmentBuilder) {
        builder.push_foreign(TagKind::IsolatedClose, self.written().to_owned());
    }
}

/// Attributes as they stand in a start tag, a space before each, without those that are told otherwise.
pub(crate) fn attribute_list(element: &Element, told: &[&str]) -> String {
    let mut list = String::new();
    for (name, value) in &element.attributes {
        if !told.contains(&name.as_ref()) {
            // Writing to a string does not fail.
            let _ = write!(list, " {name}=\"{}\"", Escaped(value));
        }
    }
    list
}

/// Puts an annotation without content at the end of a code.
pub(crate) fn annotate(code: &mut String, name: &str, attributes: &str) {
    code.push(BEGIN);
    code.push_str(name);
    code.push_str(attributes);
    code.push(CONTENT);
    code.push(END);
}

/// Attributes that the model has no field for go to the end of the code.
pub(crate) fn annotate_attributes(code: &mut String, element: &str, attributes: &str) {
    if !attributes.is_empty() || !element.is_empty() {
        annotate(code, &format!("{ATTRIBUTES}{element}"), attributes);
    }
}

/// An element inside of a code begins.
fn begin_inner(code: &mut String, element: &Element) {
    code.push(BEGIN);
    code.push_str(&element.name);
    code.push_str(&attribute_list(element, &[]));
    code.push(CONTENT);
}

/// An element inside of a code ends.
fn end_inner(code: &mut String) {
    code.push(END);
}

/// Whether no more of a code needs to be kept: the check will see that it is too long.
fn code_is_full(code: &str) -> bool {
    code.len() > TAG_CODE_BYTES_MAX
}

/// A code taken apart: what belongs into the start tag, and the content.
pub(crate) struct Code<'a> {
    /// The element, when it is not the usual one of its kind.
    pub(crate) element: &'a str,
    /// Attributes, each with a space before it.
    pub(crate) attributes: &'a str,
    /// The native code, elements inside of it as annotations.
    pub(crate) content: &'a str,
}

/// Takes a code apart; one that has no legal attributes at its end is content as a whole.
pub(crate) fn take_apart(code: &str) -> Code<'_> {
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

/// Whether a list of attributes, written and read, is the very list.
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

/// A name that is read back as it was written.
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b':'))
}

/// The content of a code as XML.
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

/// Whether annotations nest and are elements that are read back as they are written.
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

/// Whether the highlights of a segment can be written as elements around text, so that they are read back alike.
pub(crate) fn highlights_nest(segment: &Segment) -> bool {
    let (mut open, mut next) = (Vec::new(), MADE_UP_PAIR_MIN);
    for tag in segment.tags.iter().filter(|tag| is_highlight(tag)) {
        match tag.kind {
            TagKind::Open if tag.pair == Some(next) => {
                open.push(next);
                next += 1;
            }
            TagKind::Close if tag.pair.is_some() && tag.pair == open.pop() => {
                let code = take_apart(&tag.code);
                if !code.attributes.is_empty() || !tag.label.is_empty() || tag.match_id.is_some() {
                    return false;
                }
            }
            _ => return false,
        }
    }
    open.is_empty()
}

/// Whether a tag is an end of an element that only marks text (TMX `hi`, XLIFF `mrk`).
pub(crate) fn is_highlight(tag: &InlineTag) -> bool {
    let code = take_apart(&tag.code);
    code.element == "hi" && code.content.is_empty()
}

/// How highlights are annotated.
pub(crate) const HIGHLIGHT: &str = "@hi";
