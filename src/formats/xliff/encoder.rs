//! Writes units as XLIFF 2.1.
//!
//! Everything that a unit holds is written. Tags are read back with new numbers, because an id of XLIFF is shared by source and
//! target while TMX has two kinds of numbers.

use std::io::{self, Write};

use crate::formats::format::{Encoder, FileHeader};
use crate::formats::times::time_text;
use crate::formats::xml::Escaped;
use crate::unit::{Context, InlineTag, Segment, TagKind, Unit, UnitContent};

use super::reader::{CONTEXT_ID, METADATA, NUMBER};

/// Encodes units as XLIFF 2.1, a `file` for each run of units of one document.
pub(crate) struct XliffEncoder {
    document: Option<String>,
    files: u64,
    units: u64,
}

impl XliffEncoder {
    /// Appends the beginning of a file.
    pub(crate) fn new(header: &FileHeader, out: &mut Vec<u8>) -> io::Result<Self> {
        writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
        writeln!(
            out,
            r#"<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" xmlns:mda="urn:oasis:names:tc:xliff:metadata:2.0" version="2.1" srcLang="{}" trgLang="{}">"#,
            header.source_lang, header.target_lang
        )?;
        Ok(Self { document: None, files: 0, units: 0 })
    }

    fn begin_file(&mut self, document: &str, out: &mut Vec<u8>) -> io::Result<()> {
        if self.document.as_deref() == Some(document) {
            return Ok(());
        }
        self.end_file(out)?;
        self.files += 1;
        write!(out, r#"<file id="f{}""#, self.files)?;
        if !document.is_empty() {
            write!(out, r#" original="{}""#, Escaped(document))?;
        }
        self.document = Some(document.to_owned());
        writeln!(out, ">")
    }

    fn end_file(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        if self.document.take().is_some() {
            writeln!(out, "</file>")?;
        }
        Ok(())
    }
}

fn metadata(unit: &Unit, out: &mut Vec<u8>) -> io::Result<()> {
    let content = &unit.content;
    // Always written: it tells the reader that this program wrote the metadata.
    let mut fields = vec![(NUMBER.to_owned(), unit.id.to_string())];
    if !content.author.is_empty() {
        fields.push(("author".to_owned(), content.author.clone()));
    }
    for (name, time) in [("created", content.created), ("changed", content.changed)] {
        fields.extend(time.and_then(time_text).map(|text| (name.to_owned(), text)));
    }
    if !content.context_id.is_empty() {
        fields.push((CONTEXT_ID.to_owned(), content.context_id.clone()));
    }
    let Context { previous, next, previous_target, next_target } = content.context;
    for (name, hash) in [
        ("previous", previous),
        ("next", next),
        ("previous-target", previous_target),
        ("next-target", next_target),
    ] {
        fields.extend(hash.map(|hash| (name.to_owned(), format!("{hash:016x}"))));
    }
    for (name, value) in &content.attributes {
        fields.push((format!("attribute:{name}"), value.clone()));
    }
    write!(out, r#"<mda:metadata><mda:metaGroup category="{METADATA}">"#)?;
    for (name, value) in fields {
        let (name, value) = (Escaped(&name), Escaped(&value));
        write!(out, r#"<mda:meta type="{name}">{value}</mda:meta>"#)?;
    }
    writeln!(out, "</mda:metaGroup></mda:metadata>")
}

fn original_data(content: &UnitContent, out: &mut Vec<u8>) -> io::Result<()> {
    let coded = |segment: &Segment| segment.tags.iter().any(|tag| !tag.code.is_empty());
    if !coded(&content.source) && !coded(&content.target) {
        return Ok(());
    }
    write!(out, "<originalData>")?;
    for (side, segment) in [("s", &content.source), ("t", &content.target)] {
        for (number, tag) in segment.tags.iter().enumerate() {
            if !tag.code.is_empty() {
                let code = Escaped(&tag.code);
                write!(out, r#"<data id="{side}{number}">{code}</data>"#)?;
            }
        }
    }
    writeln!(out, "</originalData>")
}

fn write_segment(
    segment: &Segment,
    ids: &[usize],
    side: &str,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let mut written = 0;
    for (number, tag) in segment.tags.iter().enumerate() {
        let offset = tag.offset_bytes as usize;
        let before = segment.text.get(written..offset).unwrap_or_default();
        write!(out, "{}", Escaped(before))?;
        written = offset.max(written);
        let opening = opening(&segment.tags[..number], tag).map(|place| ids[place]);
        write_tag(tag, ids[number], opening, &format!("{side}{number}"), out)?;
    }
    write!(out, "{}", Escaped(segment.text.get(written..).unwrap_or_default()))
}

fn write_tag(
    tag: &InlineTag,
    id: usize,
    opening: Option<usize>,
    data: &str,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    match (tag.kind, opening) {
        (TagKind::Standalone, _) => write!(out, r#"<ph id="{id}""#)?,
        (TagKind::Open, _) => write!(out, r#"<sc id="{id}""#)?,
        (TagKind::IsolatedOpen, _) => write!(out, r#"<sc id="{id}" isolated="yes""#)?,
        (TagKind::Close, Some(start)) => write!(out, r#"<ec startRef="{start}""#)?,
        (TagKind::Close | TagKind::IsolatedClose, _) => {
            write!(out, r#"<ec id="{id}" isolated="yes""#)?;
        }
    }
    if !tag.code.is_empty() {
        write!(out, r#" dataRef="{data}""#)?;
    }
    if !tag.label.is_empty() {
        write!(out, r#" type="other" subType="{}""#, Escaped(&tag.label))?;
    }
    write!(out, "/>")
}

/// The tag that a closing one closes.
fn opening(before: &[InlineTag], tag: &InlineTag) -> Option<usize> {
    let pair = tag.pair?;
    before.iter().rposition(|it| it.kind == TagKind::Open && it.pair == Some(pair))
}

/// The ids of the tags of both sides; matching tags share one.
fn ids(content: &UnitContent) -> (Vec<usize>, Vec<usize>) {
    let sources: Vec<usize> = (1..=content.source.tags.len()).collect();
    let mut free: std::collections::HashMap<_, std::collections::VecDeque<usize>> =
        std::collections::HashMap::new();
    let key = |tag: &InlineTag| (tag.kind, tag.match_id.or(tag.pair), tag.code.clone());
    for (number, tag) in content.source.tags.iter().enumerate() {
        free.entry(key(tag)).or_default().push_back(number + 1);
    }
    let mut next = sources.len();
    let targets = content.target.tags.iter().map(|tag| {
        free.get_mut(&key(tag)).and_then(std::collections::VecDeque::pop_front).unwrap_or_else(
            || {
                next += 1;
                next
            },
        )
    });
    let targets = targets.collect();
    (sources, targets)
}

impl Encoder for XliffEncoder {
    fn unit(&mut self, unit: &Unit, out: &mut Vec<u8>) -> io::Result<()> {
        let content = &unit.content;
        self.begin_file(&content.document, out)?;
        self.units += 1;
        write!(out, r#"<unit id="u{}""#, self.units)?;
        // For other programs; this one reads the metadata.
        if !content.context_id.is_empty() {
            write!(out, r#" name="{}""#, Escaped(&content.context_id))?;
        }
        writeln!(out, ">")?;
        metadata(unit, out)?;
        original_data(content, out)?;
        let (sources, targets) = ids(content);
        write!(out, r#"<segment state="translated"><source xml:space="preserve">"#)?;
        write_segment(&content.source, &sources, "s", out)?;
        write!(out, r#"</source><target xml:space="preserve">"#)?;
        write_segment(&content.target, &targets, "t", out)?;
        writeln!(out, "</target></segment></unit>")
    }

    fn end(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        if self.units == 0 {
            self.begin_file("", out)?;
        }
        self.end_file(out)?;
        writeln!(out, "</xliff>")
    }
}
