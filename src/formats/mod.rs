//! How is it written in files? Units out of TMX, TSV and CSV, and into TMX, as streams.
//!
//! A fault of a unit is a [`Diagnostic`](crate::unit::Diagnostic) beside the units that are good; only the machine's own I/O errors are errors.
//! Memory stays bounded whatever the file holds. Knows nothing of what becomes of a unit.

mod archive_reader;
mod declared;
mod event;
mod io;
mod jsonl;
mod moses;
mod po;
mod script_check;
mod sheet;
mod sniff;
mod times;
mod tmx;
mod xliff;
mod xml;

use std::fmt;
use std::io::{BufRead as _, Cursor, Read, Write};
use std::str::FromStr;
use std::sync::Arc;

use crate::unit::{Invalid, Lang, Unit};

use archive_reader::Several;
use event::{broken, free_name, judge, rejected};
use times::time_text;
use tmx::TmxReader;
use xliff::{XliffReader, XliffWriter};
use xml::XmlUnits;

pub use declared::UNFINISHED_ATTRIBUTE;
pub use event::{Event, ParsedUnit, Rejected};
pub use io::decode::ILLEGAL;
pub use times::parse_time;
pub use tmx::TmxWriter;

/// A format of exchange files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Translation Memory eXchange, 1.1 to 1.4b.
    Tmx,
    /// Columns with tabs between them, a header first, no quoting.
    Tsv,
    /// Columns with commas or semicolons between them, a header first, quoted as in RFC 4180.
    Csv,
    /// XML Localization Interchange File Format 1.2, 2.0 and 2.1, SDLXLIFF and MQXLIFF; written as 2.1.
    Xliff,
    /// Gettext message catalogues, PO and POT.
    Po,
    /// The visible sheets of a workbook of Office Open XML, each with a header first.
    Xlsx,
    /// Two plain files with a segment a line; see [`open_pair`].
    Moses,
    /// One JSON object a line.
    Jsonl,
}

impl Format {
    /// Every format that can be read.
    pub const ALL: [Self; 8] = [
        Self::Tmx,
        Self::Tsv,
        Self::Csv,
        Self::Xliff,
        Self::Po,
        Self::Xlsx,
        Self::Moses,
        Self::Jsonl,
    ];
    /// The formats that can be written, too.
    pub const WRITTEN: [Self; 5] = [Self::Tmx, Self::Tsv, Self::Csv, Self::Jsonl, Self::Xliff];

    /// The name in flags and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tmx => "tmx",
            Self::Tsv => "tsv",
            Self::Csv => "csv",
            Self::Xliff => "xliff",
            Self::Po => "po",
            Self::Xlsx => "xlsx",
            Self::Moses => "moses",
            Self::Jsonl => "jsonl",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            Invalid(format!("'{text}' is not a format; there are {names}"))
        })
    }
}

/// How to read an input.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// Language of the sources wanted.
    pub source_lang: Lang,
    /// Language of the targets wanted.
    pub target_lang: Lang,
    /// Format; found out from the content when `None`.
    pub format: Option<Format>,
    /// Column of the sources in TSV and CSV.
    pub source_column: Option<String>,
    /// Column of the targets in TSV and CSV.
    pub target_column: Option<String>,
    /// Whether inline tags are kept; without them only the text is read.
    pub tags: bool,
    /// Whether sources are taken for targets and targets for sources: for files whose sides are swapped.
    pub swap: bool,
    /// Whether a file is read as it is, whatever it says of its languages.
    pub ignore_declared_languages: bool,
    /// What becomes of translations that their file calls unfinished.
    pub unfinished: Unfinished,
    /// What places call the input.
    pub file_name: Arc<str>,
}

/// What becomes of translations that their file calls unfinished: fuzzy, new, in need of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Unfinished {
    /// They are left out and counted.
    #[default]
    Skip,
    /// They are read, with the state in the attribute [`UNFINISHED_ATTRIBUTE`].
    Keep,
}

impl ReadOptions {
    /// Everything found out from the content, inline tags kept.
    pub fn new(source_lang: Lang, target_lang: Lang, file_name: impl Into<Arc<str>>) -> Self {
        Self {
            source_lang,
            target_lang,
            format: None,
            source_column: None,
            target_column: None,
            tags: true,
            swap: false,
            ignore_declared_languages: false,
            unfinished: Unfinished::Skip,
            file_name: file_name.into(),
        }
    }
}

/// What the beginning of a file says.
#[derive(Debug, Clone)]
pub struct FileHeader {
    /// Language of the sources.
    pub source_lang: Lang,
    /// Language of the targets.
    pub target_lang: Lang,
    /// Version of this program.
    pub tool_version: String,
}

/// A file being written to `W`, unit by unit: the same bytes for the same units.
pub trait UnitWriter<W> {
    /// Writes one unit.
    ///
    /// # Errors
    /// I/O.
    fn write(&mut self, unit: &Unit) -> std::io::Result<()>;

    /// Writes the end of the file and gives the output back, flushed.
    ///
    /// # Errors
    /// I/O.
    fn finish(self: Box<Self>) -> std::io::Result<W>;
}

/// Begins a file. Hand in a buffered output: writers write in small pieces.
///
/// # Errors
/// I/O; `InvalidInput` for a format that is only read.
pub fn create<'w, W: Write + Send + 'w>(
    format: Format,
    header: &FileHeader,
    out: W,
) -> std::io::Result<Box<dyn UnitWriter<W> + Send + 'w>> {
    match format {
        Format::Tmx => Ok(Box::new(TmxWriter::new(out, header)?)),
        Format::Tsv | Format::Csv => {
            Ok(Box::new(sheet::DelimitedWriter::new(out, format, header)?))
        }
        Format::Jsonl => Ok(Box::new(jsonl::JsonlWriter { out })),
        Format::Xliff => Ok(Box::new(XliffWriter::new(out, header)?)),
        other => {
            let names = Format::WRITTEN.map(Format::name).join(", ");
            let message = format!("{other} is not written; {names} are");
            Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, message))
        }
    }
}

/// Opens a pair of plain files, a segment a line, the same number of lines in both.
///
/// # Errors
/// [`OpenError`].
pub fn open_pair<'r>(
    sources: Box<dyn Read + Send + 'r>,
    targets: Box<dyn Read + Send + 'r>,
    options: &ReadOptions,
) -> Result<Box<dyn UnitReader + Send + 'r>, OpenError> {
    let reader = Box::new(moses::MosesReader::new(sources, targets, options)?);
    Ok(Box::new(script_check::Watched::new(reader, options, None)))
}

/// Opens plain text of any encoding that its first bytes tell, compressed or not, as UTF-8. Bytes that are not legal come out
/// as [`ILLEGAL`].
///
/// # Errors
/// Those of the input.
pub fn open_text<'r>(
    input: Box<dyn Read + Send + 'r>,
) -> std::io::Result<impl std::io::BufRead + Send + 'r> {
    Ok(io::decode::open(input, true, None)?.0)
}

/// An input being read. Ends after the last unit, or where the input breaks (the last event says so).
pub trait UnitReader: Iterator<Item = std::io::Result<Event>> {
    /// Bytes of the input read so far, compressed as it is.
    fn bytes_read(&self) -> u64;

    /// The format that it has.
    fn format(&self) -> Format;
}

/// Why an input cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The machine could not read it.
    #[error(transparent)]
    Input(#[from] std::io::Error),
    /// It has no text.
    #[error("the file is empty")]
    Empty,
    /// It is in no format that is known.
    #[error("unrecognized format: {0}")]
    Unknown(String),
    /// It is in a format that is known and not read.
    #[error("this is {0}, which is not read; {1}")]
    Unread(&'static str, &'static str),
    /// A delimited file without the columns wanted.
    #[error("there is no column '{wanted}' for the {side}; the first line has {}. Name one with --{flag}, or give its number where \
         the file has no header", found.join(", "))]
    NoColumn {
        /// What was looked for.
        wanted: String,
        /// `sources` or `targets`.
        side: &'static str,
        /// The flag that names a column.
        flag: &'static str,
        /// The columns there are.
        found: Vec<String>,
    },
}

/// Opens an input: takes off compression, finds encoding and format.
///
/// # Errors
/// [`OpenError`].
pub fn open<'r>(
    mut input: Box<dyn Read + Send + 'r>,
    options: &ReadOptions,
) -> Result<Box<dyn UnitReader + Send + 'r>, OpenError> {
    let mut magic = Vec::new();
    input.by_ref().take(MAGIC_BYTES).read_to_end(&mut magic)?;
    if options.format.is_none()
        && let Some(unread) = sniff::unread_bytes(&magic)
    {
        return Err(unread);
    }
    let is_archive = magic.starts_with(ZIP_MAGIC);
    let input = Box::new(Cursor::new(magic).chain(input));
    if !is_archive {
        return open_single(input, options, None);
    }
    let archive = io::Archive::read(input)?;
    if let Some(unread) = sniff::unread_archive(archive.entries().iter().map(|it| &*it.name)) {
        return Err(unread);
    }
    if !sheet::is_workbook(&archive) {
        return Ok(Box::new(Several::open(archive, options)?));
    }
    let budget = archive.budget().clone();
    let reader = Box::new(sheet::Workbook::open(archive, options)?);
    let reader = io::Counted::new(reader, budget, options.file_name.clone());
    Ok(Box::new(script_check::Watched::new(Box::new(reader), options, None)))
}

/// Bytes that tell every kind of packed file.
const MAGIC_BYTES: u64 = 16;
/// How ZIP archives, and so workbooks, begin.
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

/// Opens an input that is not an archive, or a file of one, which shares what the archive may become.
fn open_single<'r>(
    input: Box<dyn Read + Send + 'r>,
    options: &ReadOptions,
    budget: Option<&io::Budget>,
) -> Result<Box<dyn UnitReader + Send + 'r>, OpenError> {
    let (mut text, source) = io::decode::open(input, wants_arabic(options), budget)?;
    let notice = source.notice().cloned();
    let budget = source.budget().cloned();
    let format = match options.format {
        Some(format) => format,
        None => sniff::format(text.fill_buf()?, &options.file_name)?,
    };
    let reader: Box<dyn UnitReader + Send + 'r> = match format {
        Format::Tmx => Box::new(XmlUnits::new(TmxReader::new(text, source, options))),
        Format::Tsv | Format::Csv => {
            let reader = sheet::DelimitedReader::new(text, source, format, options)?;
            Box::new(reader)
        }
        Format::Xliff => Box::new(XmlUnits::new(XliffReader::new(text, source, options))),
        Format::Po => Box::new(po::PoReader::new(text, source, options)),
        Format::Jsonl => Box::new(jsonl::JsonlReader::new(text, source, options)),
        Format::Xlsx => return Err(OpenError::Unknown("this is no workbook".to_owned())),
        Format::Moses => {
            let message = "a Moses pair is two files; give both".to_owned();
            return Err(OpenError::Unknown(message));
        }
    };
    let file = options.file_name.clone();
    let reader = match budget {
        Some(budget) => Box::new(io::Counted::new(reader, budget, file)),
        None => reader,
    };
    Ok(Box::new(script_check::Watched::new(reader, options, notice)))
}

/// Whether Arabic is one of the languages.
fn wants_arabic(options: &ReadOptions) -> bool {
    [&options.source_lang, &options.target_lang].into_iter().any(|lang| lang.primary() == "ar")
}
