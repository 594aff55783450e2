//! Opens inputs of any format: takes off compression, finds encoding and format, and adds the checks that all formats share.

use std::io::{self, BufRead, Cursor, Read};

use super::archive_reader::ArchiveReader;
use super::expansion_check::ExpansionCheck;
use super::format::{BoxedReader, OpenError, ReadOptions};
use super::io::{Archive, Budget, MAGIC_BYTES, ZIP_MAGIC, decode};
use super::moses::MosesReader;
use super::registry::detect;
use super::script_check::ScriptCheck;
use super::sheet::{Workbook, is_workbook};
use super::unsupported;

/// Opens an input: takes off compression, finds encoding and format.
///
/// # Errors
/// [`OpenError`].
pub fn open<'r>(
    mut input: Box<dyn Read + Send + 'r>,
    options: &ReadOptions,
) -> Result<BoxedReader<'r>, OpenError> {
    let mut magic = Vec::new();
    input.by_ref().take(MAGIC_BYTES).read_to_end(&mut magic)?;
    if options.format.is_none()
        && let Some(unsupported) = unsupported::by_raw_magic(&magic)
    {
        return Err(unsupported);
    }
    let is_archive = magic.starts_with(ZIP_MAGIC);
    let input = Box::new(Cursor::new(magic).chain(input));
    if !is_archive {
        return open_single(input, options, None);
    }
    let archive = Archive::read(input)?;
    if let Some(unsupported) = unsupported::by_archive_entries(archive.names()) {
        return Err(unsupported);
    }
    if !is_workbook(&archive) {
        return Ok(Box::new(ArchiveReader::open(archive, options, open_single)?));
    }
    let budget = archive.budget().clone();
    let reader = Box::new(Workbook::open(archive, options)?);
    let reader = ExpansionCheck::new(reader, budget, options.file_name.clone());
    Ok(Box::new(ScriptCheck::new(Box::new(reader), options, None)))
}

/// Opens an input that is not an archive, or a file of an archive, which shares the budget of the archive.
fn open_single<'r>(
    input: Box<dyn Read + Send + 'r>,
    options: &ReadOptions,
    budget: Option<&Budget>,
) -> Result<BoxedReader<'r>, OpenError> {
    let (mut text, source) = decode::open(input, options.wants_arabic(), budget)?;
    let warning = source.encoding_warning().cloned();
    let budget = source.budget().cloned();
    let format = match options.format {
        Some(format) => format,
        None => detect(text.fill_buf()?, &options.file_name)?,
    };
    let mut reader = format.read(text, source, options)?;
    if let Some(budget) = budget {
        reader = Box::new(ExpansionCheck::new(reader, budget, options.file_name.clone()));
    }
    Ok(Box::new(ScriptCheck::new(reader, options, warning)))
}

/// Opens a pair of plain files with a segment per line and the same number of lines.
///
/// # Errors
/// [`OpenError`].
pub fn open_pair<'r>(
    sources: Box<dyn Read + Send + 'r>,
    targets: Box<dyn Read + Send + 'r>,
    options: &ReadOptions,
) -> Result<BoxedReader<'r>, OpenError> {
    let reader = Box::new(MosesReader::new(sources, targets, options)?);
    Ok(Box::new(ScriptCheck::new(reader, options, None)))
}

/// Opens plain text, compressed or not, in any encoding that its first bytes reveal, as UTF-8. Illegal bytes come out as
/// [`ILLEGAL`](super::ILLEGAL).
///
/// # Errors
/// Those of the input.
pub fn open_text<'r>(input: Box<dyn Read + Send + 'r>) -> io::Result<impl BufRead + Send + 'r> {
    Ok(decode::open(input, true, None)?.0)
}
