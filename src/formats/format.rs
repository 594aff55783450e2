//! Defines what all formats share: the list of formats, options, errors, and the traits of readers and encoders.

use std::io;
use std::sync::Arc;

use crate::unit::{Lang, Unit};

use super::event::Event;

/// A format of exchange files. Each is registered once, in `registry.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Translation Memory eXchange, 1.1 to 1.4b.
    Tmx,
    /// XML Localization Interchange File Format 1.2, 2.0 and 2.1, SDLXLIFF and MQXLIFF; written as 2.1.
    Xliff,
    /// One JSON object per line.
    Jsonl,
    /// Gettext message catalogs, PO and POT.
    Po,
    /// Columns separated by tabs, a header first, without quoting.
    Tsv,
    /// Columns separated by commas or semicolons, a header first, quoted as in RFC 4180.
    Csv,
    /// The visible sheets of an Office Open XML workbook, each with a header first.
    Xlsx,
    /// Two plain files with a segment per line; see [`open_pair`](super::open_pair).
    Moses,
}

/// How to read an input.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// Language of the sources to read.
    pub source_lang: Lang,
    /// Language of the targets to read.
    pub target_lang: Lang,
    /// Format; detected from the content when `None`.
    pub format: Option<Format>,
    /// Column of the sources in TSV and CSV.
    pub source_column: Option<String>,
    /// Column of the targets in TSV and CSV.
    pub target_column: Option<String>,
    /// Whether inline tags are kept or only the text is read.
    pub tags: bool,
    /// Whether sources and targets are exchanged, for files whose sides are swapped.
    pub swap: bool,
    /// Whether the languages that a file declares are ignored.
    pub ignore_declared_languages: bool,
    /// How translations that their file calls unfinished are handled.
    pub unfinished: Unfinished,
    /// The name of the input in diagnostics.
    pub file_name: Arc<str>,
}

/// How translations that their file calls unfinished (fuzzy, new, needing work) are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Unfinished {
    /// They are skipped and counted.
    #[default]
    Skip,
    /// They are read, with the state in the attribute [`UNFINISHED_ATTRIBUTE`](crate::unit::UNFINISHED_ATTRIBUTE).
    Keep,
}

impl ReadOptions {
    /// Options that detect everything from the content and keep inline tags.
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

    /// Whether Arabic is one of the languages.
    pub(super) fn wants_arabic(&self) -> bool {
        [&self.source_lang, &self.target_lang].into_iter().any(|lang| lang.primary() == "ar")
    }
}

/// What is written at the beginning of a file.
#[derive(Debug, Clone)]
pub struct FileHeader {
    /// Language of the sources.
    pub source_lang: Lang,
    /// Language of the targets.
    pub target_lang: Lang,
    /// Version of this program.
    pub tool_version: String,
}

/// Reads the units of an input. Ends after the last unit, or where the input breaks, with an event that says so.
pub trait UnitReader: Iterator<Item = std::io::Result<Event>> {
    /// Bytes of the input read so far, before decompression.
    fn bytes_read(&self) -> u64;

    /// The format of the input.
    fn format(&self) -> Format;
}

/// A reader of any format.
pub type BoxedReader<'r> = Box<dyn UnitReader + Send + 'r>;

/// Encodes units in one format. The same units always give the same bytes.
pub(super) trait Encoder {
    /// Appends one unit.
    ///
    /// # Errors
    /// The unit cannot be encoded.
    fn unit(&mut self, unit: &Unit, out: &mut Vec<u8>) -> io::Result<()>;

    /// Appends the end of the file.
    ///
    /// # Errors
    /// The end cannot be encoded.
    fn end(&mut self, out: &mut Vec<u8>) -> io::Result<()>;
}

/// Why an input cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// I/O failed.
    #[error(transparent)]
    Input(#[from] std::io::Error),
    /// The input is empty.
    #[error("the file is empty")]
    Empty,
    /// The format is unknown.
    #[error("unrecognized format: {0}")]
    Unknown(String),
    /// The format is known but not supported: its name, and what to do.
    #[error("this is {0}, which is not read; {1}")]
    Unread(&'static str, &'static str),
    /// A delimited file lacks a column.
    #[error("there is no column '{wanted}' for the {side}; the first line has {}. Name one with --{flag}, or give its number where \
         the file has no header", found.join(", "))]
    NoColumn {
        /// The name of the column.
        wanted: String,
        /// `sources` or `targets`.
        side: &'static str,
        /// The flag that names a column.
        flag: &'static str,
        /// The columns of the file.
        found: Vec<String>,
    },
}
