//! Writes the files that are imported.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use crate::formats::{self, FileHeader, Format};
use crate::unit::{Lang, Unit, UnitContent, UnitId};

/// Units, and bytes of their texts.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::bench) struct Size {
    pub(in crate::bench) units: usize,
    pub(in crate::bench) text_bytes: usize,
}

/// Writes units as TMX.
pub(in crate::bench) fn write_tmx(
    path: &Path,
    [source_lang, target_lang]: [&Lang; 2],
    contents: impl Iterator<Item = UnitContent>,
) -> anyhow::Result<()> {
    let header = FileHeader {
        source_lang: source_lang.clone(),
        target_lang: target_lang.clone(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut out = formats::create(Format::Tmx, &header, file)?;
    for (number, content) in (1..).zip(contents) {
        out.write(&Unit::new(UnitId(number), 1, content))?;
    }
    out.finish()?.flush()?;
    Ok(())
}

/// Writes units as plain TSV: document, source, target.
pub(in crate::bench) fn write_tsv(
    path: &Path,
    [source_lang, target_lang]: [&Lang; 2],
    contents: impl Iterator<Item = UnitContent>,
) -> anyhow::Result<Size> {
    let mut size = Size::default();
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    writeln!(out, "document\t{source_lang}\t{target_lang}")?;
    let flat = |text: &str| text.replace(['\t', '\n', '\r'], " ");
    for content in contents {
        let UnitContent { source, target, document, .. } = content;
        size.units += 1;
        size.text_bytes += source.text.len() + target.text.len();
        writeln!(out, "{}\t{}\t{}", flat(&document), flat(&source.text), flat(&target.text))?;
    }
    out.flush()?;
    Ok(size)
}
