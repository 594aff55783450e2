//! The content of a segment of TMX: text with inline elements, as tags beside the text.

use std::fmt::Write as _;
use std::io::{self, Cursor, Write};

use crate::formats::io::Source;
use crate::formats::xml::{
    Document, Element, Escaped, Piece, Repair, SegmentBuilder, Stop, TagFields,
    inline as xml_inline,
};
use crate::unit::{DiagnosticCode, InlineTag, Segment, TagKind};

/// Reads the content of the `seg` just begun.
pub(super) fn read_segment(
    document: &mut Document<'_>,
    builder: &mut SegmentBuilder,
) -> Result<(), Stop> {
    let depth = document.depth();
    // Whether each open element is one of the format.
    let mut open = Vec::new();
    loop {
        match document.next()? {
            Piece::Text => builder.text(document.text()),
            Piece::UnknownReference(name) => builder.unknown_reference(&name),
            Piece::Start(child) if child.name == "hi" => {
                let (fields, attributes) = tag_fields(&child, String::new());
                builder.enclose(xml_inline::HIGHLIGHT, fields, &attributes);
                open.push(true);
            }
            Piece::Start(child) => match tag_kind(&child) {
                Some(kind) => read_tag(document, &child, kind, builder)?,
                None => open.extend(document.read_foreign(&child, builder).then_some(false)),
            },
            Piece::StrayEnd => document.read_foreign_end(builder),
            Piece::End if document.depth() < depth => {
                if document.end_is_missing() {
                    let message = "the <seg> has no end tag".to_owned();
                    builder.fail(DiagnosticCode::Malformed, message);
                }
                return Ok(());
            }
            Piece::End if open.pop() == Some(true) => builder.end_enclosed(String::new()),
            Piece::End => document.end_foreign(builder),
        }
    }
}

fn read_tag(
    document: &mut Document<'_>,
    element: &Element,
    kind: TagKind,
    builder: &mut SegmentBuilder,
) -> Result<(), Stop> {
    let code = document.read_code()?;
    let (mut fields, attributes) = tag_fields(element, code);
    let own = if element.name == "ut" { "ut" } else { "" };
    xml_inline::annotate_attributes(&mut fields.code, own, &attributes);
    builder.push(kind, fields);
    Ok(())
}

/// The kind of tag of an inline element of TMX; `None` for any other element.
fn tag_kind(element: &Element) -> Option<TagKind> {
    Some(match element.name.as_ref() {
        "bpt" => TagKind::Open,
        "ept" => TagKind::Close,
        "it" if element.attribute("pos") == Some("end") => TagKind::IsolatedClose,
        "it" => TagKind::IsolatedOpen,
        "ph" | "ut" => TagKind::Standalone,
        _ => return None,
    })
}

/// The fields of a tag by its attributes, and the attributes that the model has no field for.
fn tag_fields(element: &Element, code: String) -> (TagFields, String) {
    let number = |name| {
        let text = element.attribute(name)?;
        // A number in another form would not be written back the same.
        text.parse::<u32>().ok().filter(|number| number.to_string() == text)
    };
    let encloses = element.name == "hi";
    let (pair, match_id) = (if encloses { None } else { number("i") }, number("x"));
    let mut fields = vec!["type"];
    fields.extend((element.name == "it").then_some("pos"));
    fields.extend(pair.map(|_| "i"));
    fields.extend(match_id.map(|_| "x"));
    let attributes = xml_inline::attribute_list(element, &fields);
    let label = element.attribute("type").unwrap_or_default().to_owned();
    (TagFields { pair, match_id, label, code }, attributes)
}

pub(super) fn write_segment(out: &mut impl Write, segment: &Segment) -> io::Result<()> {
    if segment.tags.is_empty() {
        return write!(out, "{}", Escaped(&segment.text));
    }
    let highlights = xml_inline::highlights_nest(segment);
    let mut written = 0;
    for tag in &segment.tags {
        let offset = tag.offset_bytes as usize;
        write!(out, "{}", Escaped(segment.text.get(written..offset).unwrap_or_default()))?;
        written = offset.max(written);
        if highlights && xml_inline::is_highlight(tag) {
            write_highlight(out, tag)?;
        } else {
            write_tag(out, tag)?;
        }
    }
    write!(out, "{}", Escaped(segment.text.get(written..).unwrap_or_default()))
}

fn write_highlight(out: &mut impl Write, tag: &InlineTag) -> io::Result<()> {
    if tag.kind == TagKind::Close {
        return write!(out, "</hi>");
    }
    write!(out, "<hi")?;
    write_numbers(out, None, tag)?;
    write!(out, "{}>", xml_inline::split_code(&tag.code).attributes)
}

fn write_tag(out: &mut impl Write, tag: &InlineTag) -> io::Result<()> {
    let (name, position) = match tag.kind {
        TagKind::Open => ("bpt", ""),
        TagKind::Close => ("ept", ""),
        TagKind::Standalone => ("ph", ""),
        TagKind::IsolatedOpen => ("it", r#" pos="begin""#),
        TagKind::IsolatedClose => ("it", r#" pos="end""#),
    };
    let mut code = xml_inline::split_code(&tag.code);
    let taken = |attribute: &str| code.attributes.contains(&format!(" {attribute}=\""));
    let repeated = taken("type")
        || (taken("pos") && name == "it")
        || (taken("i") && !is_not_a_model_number(code.attributes, "i", tag.pair))
        || (taken("x") && !is_not_a_model_number(code.attributes, "x", tag.match_id));
    if repeated || (!code.element.is_empty() && (code.element, name) != ("ut", "ph")) {
        code = xml_inline::Code { element: "", attributes: "", content: &tag.code };
    }
    let name = if code.element.is_empty() { name } else { code.element };
    write!(out, "<{name}{position}")?;
    write_numbers(out, tag.pair, tag)?;
    write!(out, "{}>", code.attributes)?;
    xml_inline::write_content(out, code.content)?;
    write!(out, "</{name}>")
}

/// Whether an attribute is kept with the code because the model cannot hold its number.
fn is_not_a_model_number(attributes: &str, name: &str, field: Option<u32>) -> bool {
    let value = attributes.split_once(&format!(" {name}=\"")).map_or("", |(_, rest)| rest);
    let value = value.split('"').next().unwrap_or_default();
    let number = value.parse::<u32>().ok().filter(|number| number.to_string() == value);
    field.is_none() && number.is_none()
}

fn write_numbers(out: &mut impl Write, pair: Option<u32>, tag: &InlineTag) -> io::Result<()> {
    for (attribute, number) in [("i", pair), ("x", tag.match_id)] {
        if let Some(number) = number {
            write!(out, r#" {attribute}="{number}""#)?;
        }
    }
    if !tag.label.is_empty() {
        write!(out, r#" type="{}""#, Escaped(&tag.label))?;
    }
    Ok(())
}

/// The segment of a text with inline elements of TMX; other elements become tags with the element as their code.
///
/// # Errors
/// What is wrong with the markup.
pub fn read_markup(markup: &str) -> Result<Segment, String> {
    let whole = format!("<seg>{markup}</seg>");
    let source = Source::of_bytes(whole.len() as u64);
    let mut document = Document::new(Box::new(Cursor::new(whole)), source);
    let mut builder = SegmentBuilder::new(true);
    let broken = |stop| match stop {
        Stop::End => "it ends inside an element".to_owned(),
        Stop::Broken(what) => what,
        Stop::Input(error) => error.to_string(),
    };
    document.next().map_err(broken)?;
    read_segment(&mut document, &mut builder).map_err(broken)?;
    match document.next() {
        Err(Stop::End) => {}
        Err(stop) => return Err(broken(stop)),
        Ok(_) => return Err("it holds an end tag without a start tag".to_owned()),
    }
    let mut repairs = document.new_repairs().map(|(repair, _)| repair);
    if let Some(repair) = repairs.find(|it| *it != Repair::Foreign) {
        return Err(repair.message().to_owned());
    }
    if let Some((_, fault)) = builder.take_fault() {
        return Err(fault);
    }
    Ok(builder.finish())
}

/// The text of a segment with inline elements of TMX, where the tag with a number is written as `element` returns, if it does.
pub fn write_markup(segment: &Segment, element: impl Fn(usize) -> Option<String>) -> String {
    let mut markup = String::new();
    let mut written = 0;
    for (number, tag) in segment.tags.iter().enumerate() {
        let offset = (tag.offset_bytes as usize).max(written);
        // Writing to a string does not fail.
        let _ =
            write!(markup, "{}", Escaped(segment.text.get(written..offset).unwrap_or_default()));
        written = offset;
        markup += &element(number).unwrap_or_else(|| tag_markup(tag));
    }
    let _ = write!(markup, "{}", Escaped(segment.text.get(written..).unwrap_or_default()));
    markup
}

/// A tag as an element of TMX.
fn tag_markup(tag: &InlineTag) -> String {
    let mut markup = Vec::new();
    // Writing to memory does not fail.
    let _ = write_tag(&mut markup, tag);
    let markup = String::from_utf8(markup).unwrap_or_default();
    // An element without content, and without a `>` in an attribute.
    match markup.split_once("></") {
        Some((start, end)) if !start.contains('>') && !end.contains('<') => format!("{start}/>"),
        _ => markup,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_read_and_written_back() {
        for markup in [
            "plain &amp; simple",
            "a <bpt i=\"1\" x=\"1\"/>bold<ept i=\"1\"/> word<ph x=\"2\"/>",
            "<bpt i=\"1\" type=\"bold\">&lt;b></bpt>x<ept i=\"1\">&lt;/b></ept>",
            "<ph>a<sub>b</sub></ph>",
            "1 &lt; 2",
        ] {
            let segment = read_markup(markup).unwrap();
            let again = write_markup(&segment, |_| None);
            assert_eq!(read_markup(&again).unwrap(), segment, "{markup} -> {again}");
        }
        let segment = read_markup("a<bpt i=\"1\"/>b<ept i=\"1\"></ept>").unwrap();
        assert_eq!(write_markup(&segment, |_| None), "a<bpt i=\"1\"/>b<ept i=\"1\"/>");
        assert_eq!(segment.text, "ab");
    }

    #[test]
    fn other_elements_are_kept_as_they_are() {
        let segment =
            read_markup("in <t5:n id=\"1\" r=\"09eI\" n=\"5\"/> days <x id=\"2\"/>").unwrap();
        let codes: Vec<&str> = segment.tags.iter().map(|tag| tag.code.as_str()).collect();
        assert_eq!(codes, ["<t5:n id=\"1\" r=\"09eI\" n=\"5\"/>", "<x id=\"2\"/>"]);
        assert_eq!(segment.text, "in  days ");
        let as_they_are = write_markup(&segment, |number| Some(segment.tags[number].code.clone()));
        assert_eq!(read_markup(&as_they_are).unwrap(), segment);
    }

    #[test]
    fn broken_markup_is_refused() {
        for markup in [
            "a <b",
            "a & b",
            "<ph",
            "<bpt i=\"1\">",
            "x</seg><seg>y",
            "</ph>",
            "&nothing;",
            "<g>",
            "a</seg>b",
            "</seg>",
        ] {
            assert!(read_markup(markup).is_err(), "{markup}: {:?}", read_markup(markup));
        }
    }
}
