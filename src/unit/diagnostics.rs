//! Errors in an input, with their places.

use std::fmt;
use std::sync::Arc;

/// A value that breaks the rule of its type: the rule, and the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

/// A place in an input.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The file as named by the user; empty for unnamed input.
    pub file: Arc<str>,
    /// From 1; 0 when the input has no lines (a gRPC batch).
    pub line: u64,
    /// From 1, in Unicode code points; 0 when unknown.
    pub column: u64,
    /// Number of the unit in its input, from 1; 0 for errors outside any unit.
    pub unit: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if !self.file.is_empty() {
            out.write_str(&self.file)?;
            separator = ":";
        }
        if self.line > 0 {
            write!(out, "{separator}{}", self.line)?;
            separator = ":";
            if self.column > 0 {
                write!(out, ":{}", self.column)?;
            }
        }
        if self.unit > 0 && self.line == 0 {
            let space = if separator.is_empty() { "" } else { " " };
            write!(out, "{space}unit {}", self.unit)?;
        }
        Ok(())
    }
}

/// What is wrong with a piece of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// The file breaks the rules of its format from here on; what came before is valid.
    Malformed,
    /// Bytes that are invalid in the encoding of the input.
    Encoding,
    /// No text in the source language.
    MissingSource,
    /// No text in the target language.
    MissingTarget,
    /// A side is empty or only white space.
    EmptySegment,
    /// A side is longer than a segment may be.
    SegmentTooLong,
    /// A character that texts may not contain (NUL and other C0 controls).
    ControlCharacter,
    /// A line with too few columns.
    MissingColumn,
    /// An invalid field besides the texts (date, offset, attribute).
    BadField,
    /// A side is not in its language, judging by its script.
    WrongLanguage,
    /// The sides seem to be swapped, judging by their scripts.
    SwappedSides,
    /// A file declares another encoding than it has.
    DeclaredEncoding,
    /// A part of a file that is skipped as a whole, such as a hidden sheet.
    NotRead,
    /// A file declares other languages than those of the memory.
    DeclaredLanguage,
    /// A file marks a translation as unfinished.
    Unfinished,
    /// A limit of the server other than the length of a segment.
    Limit,
}

impl Cause {
    /// A stable name for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed => "MALFORMED",
            Self::Encoding => "ENCODING",
            Self::MissingSource => "MISSING_SOURCE",
            Self::MissingTarget => "MISSING_TARGET",
            Self::EmptySegment => "EMPTY_SEGMENT",
            Self::SegmentTooLong => "SEGMENT_TOO_LONG",
            Self::ControlCharacter => "CONTROL_CHARACTER",
            Self::MissingColumn => "MISSING_COLUMN",
            Self::BadField => "BAD_FIELD",
            Self::WrongLanguage => "WRONG_LANGUAGE",
            Self::SwappedSides => "SWAPPED_SIDES",
            Self::DeclaredEncoding => "DECLARED_ENCODING",
            Self::NotRead => "NOT_READ",
            Self::DeclaredLanguage => "DECLARED_LANGUAGE",
            Self::Unfinished => "UNFINISHED",
            Self::Limit => "LIMIT",
        }
    }
}

/// An error in an input with its place. An invalid unit is data, not a failed import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The place.
    pub place: Place,
    /// The kind of error.
    pub cause: Cause,
    /// Details for the user: names the field, the value and the way out.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, self.message)
    }
}
