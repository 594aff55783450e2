//! Writes units as TSV without quoting and as CSV (RFC 4180).
//!
//! Both hold texts, document, author, dates and context id, and the attributes as a JSON object in the column `attributes`. They
//! hold no inline tags and no neighbours. In TSV, tabs and line ends become spaces.

use std::io::{self, Write};

use crate::formats::format::{Encoder, FileHeader, Format};
use crate::formats::times::time_text;
use crate::unit::{Unit, UnitContent};

/// Name of the column that holds attributes as a JSON object.
pub(crate) const ATTRIBUTES: &str = "attributes";

/// Name of the column that holds the context id.
pub(crate) const CONTEXT_ID: &str = "context_id";

/// Encodes units as TSV or CSV.
pub(crate) struct DelimitedEncoder {
    quoted: bool,
}

impl DelimitedEncoder {
    /// Appends the header.
    pub(crate) fn new(format: Format, header: &FileHeader, out: &mut Vec<u8>) -> io::Result<Self> {
        let quoted = format == Format::Csv;
        let (source, target) = if header.source_lang.primary() == header.target_lang.primary() {
            ("source", "target")
        } else {
            (header.source_lang.as_str(), header.target_lang.as_str())
        };
        let fields = ["document", "author", "created", "changed", ATTRIBUTES, CONTEXT_ID];
        let names = [&[source, target], &fields[..]].concat();
        let separator = if quoted { "," } else { "\t" };
        writeln!(out, "{}", names.join(separator))?;
        Ok(Self { quoted })
    }

    fn field(&self, text: &str, out: &mut Vec<u8>) -> io::Result<()> {
        let special: &[char] = &['\t', '\n', '\r'];
        if !self.quoted {
            let mut pieces = text.split(special);
            out.write_all(pieces.next().unwrap_or_default().as_bytes())?;
            for piece in pieces {
                out.write_all(b" ")?;
                out.write_all(piece.as_bytes())?;
            }
            return Ok(());
        }
        if !text.contains([',', ';', '"', '\n', '\r', '\t']) {
            return out.write_all(text.as_bytes());
        }
        write!(out, "\"{}\"", text.replace('"', "\"\""))
    }
}

fn attributes(content: &UnitContent) -> io::Result<String> {
    if content.attributes.is_empty() {
        return Ok(String::new());
    }
    Ok(serde_json::to_string(&content.attributes)?)
}

impl Encoder for DelimitedEncoder {
    fn unit(&mut self, unit: &Unit, out: &mut Vec<u8>) -> io::Result<()> {
        let content = &unit.content;
        let time = |time: Option<_>| time.and_then(time_text).unwrap_or_default();
        let fields = [
            content.source.text.as_str(),
            &content.target.text,
            &content.document,
            &content.author,
            &time(content.created),
            &time(content.changed),
            &attributes(content)?,
            &content.context_id,
        ];
        for (position, field) in fields.into_iter().enumerate() {
            if position > 0 {
                out.write_all(if self.quoted { b"," } else { b"\t" })?;
            }
            self.field(field, out)?;
        }
        out.write_all(b"\n")
    }

    fn end(&mut self, _: &mut Vec<u8>) -> io::Result<()> {
        Ok(())
    }
}
