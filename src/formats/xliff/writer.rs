//! Units into XLIFF 2.1.
//!
//! Everything that a unit holds is written; tags come back with numbers that the reader gives, since ids of XLIFF must be the
//! same in source and target and TMX has two kinds of numbers.

use std::io::{self, Write};

use crate::formats::xml::Escaped;
use crate::formats::{FileHeader, UnitWriter, time_text};
use crate::unit::{InlineTag, Segment, TagKind, Unit, UnitContent};

use super::reader::{METADATA, NUMBER};

/// Writes XLIFF 2.1, a `file` for each run of units of one document.
pub(crate) struct XliffWriter<W> {
    out: W,
    document: Option<String>,
    files: u64,
    units: u64,
}

impl<W: Write> XliffWriter<W> {
    pub(crate) fn new(mut out: W, header: &FileHeader) -> io::Result<Self> {
        writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
        writeln!(
            out,
            r#"<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" xmlns:mda="urn:oasis:names:tc:xliff:metadata:2.0" version="2.1" srcLang="{}" trgLang="{}">"#,
            header.source_lang, header.target_lang
        )?;
        Ok(Self { out, document: None, files: 0, units: 0 })
    }

    fn begin_file(&mut self, document: &str) -> io::Result<()> {
        if self.document.as_deref() == Some(document) {
            return Ok(());
        }
        self.end_file()?;
        self.files += 1;
        write!(self.out, r#"<file id="f{}""#, self.files)?;
        if !document.is_empty() {
            write!(self.out, r#" original="{}""#, Escaped(document))?;
        }
        self.document = Some(document.to_owned());
        writeln!(self.out, ">")
    }

    fn end_file(&mut self) -> io::Result<()> {
        if self.document.take().is_some() {
            writeln!(self.out, "</file>")?;
        }
        Ok(())
    }

    fn metadata(&mut self, unit: &Unit) -> io::Result<()> {
        let content = &unit.content;
        // The number is always there: it tells a reader that this program wrote the rest, too.
        let mut fields = vec![(NUMBER.to_owned(), unit.id.to_string())];
        if !content.author.is_empty() {
            fields.push(("author".to_owned(), content.author.clone()));
        }
        for (name, time) in [("created", content.created), ("changed", content.changed)] {
            fields.extend(time.and_then(time_text).map(|text| (name.to_owned(), text)));
        }
        for (name, hash) in [("previous", content.context.previous), ("next", content.context.next)]
        {
            fields.extend(hash.map(|hash| (name.to_owned(), format!("{hash:016x}"))));
        }
        for (name, value) in &content.attributes {
            fields.push((format!("attribute:{name}"), value.clone()));
        }
        write!(self.out, r#"<mda:metadata><mda:metaGroup category="{METADATA}">"#)?;
        for (name, value) in fields {
            let (name, value) = (Escaped(&name), Escaped(&value));
            write!(self.out, r#"<mda:meta type="{name}">{value}</mda:meta>"#)?;
        }
        writeln!(self.out, "</mda:metaGroup></mda:metadata>")
    }

    fn original_data(&mut self, content: &UnitContent) -> io::Result<()> {
        let coded = |segment: &Segment| segment.tags.iter().any(|tag| !tag.code.is_empty());
        if !coded(&content.source) && !coded(&content.target) {
            return Ok(());
        }
        write!(self.out, "<originalData>")?;
        for (side, segment) in [("s", &content.source), ("t", &content.target)] {
            for (number, tag) in segment.tags.iter().enumerate() {
                if !tag.code.is_empty() {
                    let code = Escaped(&tag.code);
                    write!(self.out, r#"<data id="{side}{number}">{code}</data>"#)?;
                }
            }
        }
        writeln!(self.out, "</originalData>")
    }

    fn segment(&mut self, segment: &Segment, ids: &[usize], side: &str) -> io::Result<()> {
        let mut written = 0;
        for (number, tag) in segment.tags.iter().enumerate() {
            let offset = tag.offset_bytes as usize;
            let before = segment.text.get(written..offset).unwrap_or_default();
            write!(self.out, "{}", Escaped(before))?;
            written = offset.max(written);
            let opening = opening(&segment.tags[..number], tag).map(|place| ids[place]);
            self.tag(tag, ids[number], opening, &format!("{side}{number}"))?;
        }
        write!(self.out, "{}", Escaped(segment.text.get(written..).unwrap_or_default()))
    }

    fn tag(
        &mut self,
        tag: &InlineTag,
        id: usize,
        opening: Option<usize>,
        data: &str,
    ) -> io::Result<()> {
        match (tag.kind, opening) {
            (TagKind::Standalone, _) => write!(self.out, r#"<ph id="{id}""#)?,
            (TagKind::Open, _) => write!(self.out, r#"<sc id="{id}""#)?,
            (TagKind::IsolatedOpen, _) => write!(self.out, r#"<sc id="{id}" isolated="yes""#)?,
            (TagKind::Close, Some(start)) => write!(self.out, r#"<ec startRef="{start}""#)?,
            (TagKind::Close | TagKind::IsolatedClose, _) => {
                write!(self.out, r#"<ec id="{id}" isolated="yes""#)?;
            }
        }
        if !tag.code.is_empty() {
            write!(self.out, r#" dataRef="{data}""#)?;
        }
        if !tag.label.is_empty() {
            write!(self.out, r#" type="other" subType="{}""#, Escaped(&tag.label))?;
        }
        write!(self.out, "/>")
    }
}

/// The tag that a closing one closes.
fn opening(before: &[InlineTag], tag: &InlineTag) -> Option<usize> {
    let pair = tag.pair?;
    before.iter().rposition(|it| it.kind == TagKind::Open && it.pair == Some(pair))
}

/// Ids of the tags of both sides: the same for the same tag.
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

impl<W: Write> UnitWriter<W> for XliffWriter<W> {
    fn write(&mut self, unit: &Unit) -> io::Result<()> {
        let content = &unit.content;
        self.begin_file(&content.document)?;
        self.units += 1;
        writeln!(self.out, r#"<unit id="u{}">"#, self.units)?;
        self.metadata(unit)?;
        self.original_data(content)?;
        let (sources, targets) = ids(content);
        write!(self.out, r#"<segment state="translated"><source xml:space="preserve">"#)?;
        self.segment(&content.source, &sources, "s")?;
        write!(self.out, r#"</source><target xml:space="preserve">"#)?;
        self.segment(&content.target, &targets, "t")?;
        writeln!(self.out, "</target></segment></unit>")
    }

    fn finish(mut self: Box<Self>) -> io::Result<W> {
        if self.units == 0 {
            self.begin_file("")?;
        }
        self.end_file()?;
        writeln!(self.out, "</xliff>")?;
        self.out.flush()?;
        Ok(self.out)
    }
}
