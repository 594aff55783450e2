//! What is wrong with an input, and where in it?

use std::fmt;
use std::sync::Arc;

/// A value that breaks the rule of its type: which rule, and what was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ValidationError(pub String);

/// Where in an input something stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The file as the user named it; empty for input that has no name.
    pub file: Arc<str>,
    /// 1-based; 0 when the input has no lines (a gRPC batch).
    pub line: u64,
    /// 1-based, in Unicode code points; 0 when unknown.
    pub column: u64,
    /// 1-based number of the unit in its input; 0 when the input broke outside of any unit.
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
pub enum DiagnosticCode {
    /// The file breaks the rules of its format from this place on; what came before is good.
    Malformed,
    /// Bytes that are not legal in the encoding of the input.
    Encoding,
    /// No text in the source language.
    MissingSource,
    /// No text in the target language.
    MissingTarget,
    /// A side is empty or only white space.
    EmptySegment,
    /// A side is longer than a segment may be.
    SegmentTooLong,
    /// A character that no text holds (NUL and other C0 controls).
    ControlCharacter,
    /// A line with too few columns.
    MissingColumn,
    /// A field beside the texts (date, offset, attribute) that breaks its rule.
    BadField,
    /// A side is not in its language, by its script.
    WrongLanguage,
    /// The sides look swapped, by their scripts.
    SwappedSides,
    /// A file says that it is in another encoding than it is.
    DeclaredEncoding,
    /// A part of a file that is left out as a whole, such as a hidden sheet.
    NotRead,
    /// A file says that it is in other languages than the memory.
    DeclaredLanguage,
    /// A file says that a translation is not finished.
    Unfinished,
    /// Something beyond a limit of this server other than the length of a segment.
    Limit,
}

impl DiagnosticCode {
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

/// One thing wrong in an input, with its place. A bad unit is data, not a failed import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where.
    pub place: Place,
    /// What kind of fault.
    pub cause: DiagnosticCode,
    /// What exactly, for a person: names the field, the value and the way out.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, self.message)
    }
}
