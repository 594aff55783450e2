//! Registers every format once: name, file extensions, how it is recognized, read and written.
//!
//! A new format is a module of its own, a variant of [`Format`], and an entry of [`FORMATS`].

use std::fmt;
use std::io;
use std::str::FromStr;

use crate::unit::ValidationError;

use super::format::{BoxedReader, Encoder, FileHeader, Format, OpenError, ReadOptions};
use super::io::{Head, Source, Text};
use super::jsonl::{JsonlEncoder, JsonlReader};
use super::po::{self, PoReader};
use super::sheet::{DelimitedEncoder, DelimitedReader};
use super::tmx::{TmxEncoder, TmxReader};
use super::unsupported;
use super::xliff::{XliffEncoder, XliffReader};
use super::xml::XmlUnits;

type Read = for<'r> fn(Text<'r>, Source, &ReadOptions) -> Result<BoxedReader<'r>, OpenError>;
type Encode = fn(&FileHeader, &mut Vec<u8>) -> io::Result<Box<dyn Encoder + Send>>;

/// What is known of a format.
struct Registration {
    format: Format,
    /// The name in flags and messages.
    name: &'static str,
    /// Extensions of its files, lower-case.
    extensions: &'static [&'static str],
    /// Whether a decoded text begins like a file of this format.
    recognizes: fn(&Head<'_>) -> bool,
    /// Reads decoded text, or says why a single text is not enough.
    read: Result<Read, &'static str>,
    /// Appends the beginning of a file and returns the encoder of its units; `None` for a format that is only read.
    encode: Option<Encode>,
}

/// All formats. The first one that recognizes a file reads it, so formats with unmistakable beginnings come first.
///
/// In the order of the variants of [`Format`].
static FORMATS: [Registration; 8] = [
    Registration {
        format: Format::Tmx,
        name: "tmx",
        extensions: &["tmx"],
        // The root element may come after a long comment.
        recognizes: |head| head.is_xml() && head.root().is_none_or(|root| root == "tmx"),
        read: Ok(|text, source, options| {
            Ok(Box::new(XmlUnits::new(TmxReader::new(text, source, options))))
        }),
        encode: Some(|header, out| Ok(Box::new(TmxEncoder::new(header, out)?))),
    },
    Registration {
        format: Format::Xliff,
        name: "xliff",
        extensions: &["xlf", "xliff", "sdlxliff", "mqxliff", "mxliff"],
        recognizes: |head| head.root() == Some("xliff"),
        read: Ok(|text, source, options| {
            Ok(Box::new(XmlUnits::new(XliffReader::new(text, source, options))))
        }),
        encode: Some(|header, out| Ok(Box::new(XliffEncoder::new(header, out)?))),
    },
    Registration {
        format: Format::Jsonl,
        name: "jsonl",
        extensions: &["jsonl"],
        recognizes: |head| head.text().starts_with(b"{"),
        read: Ok(|text, source, options| Ok(Box::new(JsonlReader::new(text, source, options)))),
        encode: Some(|_, _| Ok(Box::new(JsonlEncoder))),
    },
    Registration {
        format: Format::Po,
        name: "po",
        extensions: &["po", "pot"],
        recognizes: |head| po::begins_with_message(head.text()),
        read: Ok(|text, source, options| Ok(Box::new(PoReader::new(text, source, options)))),
        encode: None,
    },
    Registration {
        format: Format::Tsv,
        name: "tsv",
        extensions: &["tsv"],
        recognizes: |head| is_delimited(head, b"\t"),
        read: Ok(|text, source, options| {
            Ok(Box::new(DelimitedReader::new(text, source, Format::Tsv, options)?))
        }),
        encode: Some(|header, out| Ok(Box::new(DelimitedEncoder::new(Format::Tsv, header, out)?))),
    },
    Registration {
        format: Format::Csv,
        name: "csv",
        extensions: &["csv"],
        recognizes: |head| is_delimited(head, b",;"),
        read: Ok(|text, source, options| {
            Ok(Box::new(DelimitedReader::new(text, source, Format::Csv, options)?))
        }),
        encode: Some(|header, out| Ok(Box::new(DelimitedEncoder::new(Format::Csv, header, out)?))),
    },
    Registration {
        format: Format::Xlsx,
        name: "xlsx",
        extensions: &["xlsx"],
        recognizes: |_| false,
        read: Err("this is not a workbook"),
        encode: None,
    },
    Registration {
        format: Format::Moses,
        name: "moses",
        extensions: &[],
        recognizes: |_| false,
        read: Err("a Moses pair is two files; give both"),
        encode: None,
    },
];

fn is_delimited(head: &Head<'_>, delimiters: &[u8]) -> bool {
    !head.is_xml()
        && !head.is_binary()
        && !unsupported::is_wordfast(head)
        && head.line().iter().any(|byte| delimiters.contains(byte))
}

/// Finds the format of a decoded text by its beginning.
///
/// # Errors
/// The text is empty, or in no format that can be read.
pub(super) fn detect(head: &[u8], file_name: &str) -> Result<Format, OpenError> {
    if let Some(unsupported) = unsupported::by_magic(head) {
        return Err(unsupported);
    }
    let head = Head::new(head);
    if head.text().is_empty() {
        return Err(OpenError::Empty);
    }
    let found = FORMATS.iter().find(|it| (it.recognizes)(&head));
    found.map(|it| it.format).ok_or_else(|| unsupported::explain(&head, file_name))
}

impl Format {
    fn registration(self) -> &'static Registration {
        &FORMATS[self as usize]
    }

    /// Every format that can be read.
    pub fn all() -> impl Iterator<Item = Self> {
        FORMATS.iter().map(|it| it.format)
    }

    /// The formats that can be written, too.
    pub fn written() -> impl Iterator<Item = Self> {
        FORMATS.iter().filter(|it| it.encode.is_some()).map(|it| it.format)
    }

    /// The format whose files have this extension.
    pub fn of_extension(extension: &str) -> Option<Self> {
        let extension = extension.to_ascii_lowercase();
        let found = FORMATS.iter().find(|it| it.extensions.contains(&extension.as_str()));
        found.map(|it| it.format)
    }

    /// Extensions of the files of this format, lower-case.
    pub fn extensions(self) -> &'static [&'static str] {
        self.registration().extensions
    }

    /// The name in flags and messages.
    pub fn name(self) -> &'static str {
        self.registration().name
    }

    /// The names of the formats that can be written, for messages.
    pub fn written_names() -> String {
        Self::written().map(Self::name).collect::<Vec<_>>().join(", ")
    }

    /// Reads decoded text in this format.
    pub(super) fn read<'r>(
        self,
        text: Text<'r>,
        source: Source,
        options: &ReadOptions,
    ) -> Result<BoxedReader<'r>, OpenError> {
        match self.registration().read {
            Ok(read) => read(text, source, options),
            Err(what) => Err(OpenError::Unknown(what.to_owned())),
        }
    }

    /// Appends the beginning of a file and returns the encoder of its units.
    pub(super) fn encode(
        self,
        header: &FileHeader,
        out: &mut Vec<u8>,
    ) -> io::Result<Box<dyn Encoder + Send>> {
        let Some(encode) = self.registration().encode else {
            let message = format!("{self} is not written; {} are", Self::written_names());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        };
        encode(header, out)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = ValidationError;

    fn from_str(text: &str) -> Result<Self, ValidationError> {
        Self::all().find(|format| format.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::all().map(Self::name).collect();
            ValidationError(format!("'{text}' is not a format; there are {}", names.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_is_registered_once() {
        for (place, format) in Format::all().enumerate() {
            assert_eq!(format.name().parse::<Format>().ok(), Some(format));
            assert_eq!(format as usize, place);
            for extension in format.extensions() {
                assert_eq!(Format::of_extension(&extension.to_uppercase()), Some(format));
            }
        }
        let unknown = "docx".parse::<Format>().unwrap_err().to_string();
        assert!(unknown.contains("'docx' is not a format; there are tmx, "), "{unknown}");
    }

    #[test]
    fn readable_formats_are_detected_by_their_beginning() {
        for (head, expected) in [
            ("  <xliff>", Format::Xliff),
            ("<!-- xliff --><tmx>", Format::Tmx),
            ("{\"source\":1}", Format::Jsonl),
            ("# c\n\nmsgid \"\"", Format::Po),
            ("ar\ten\n", Format::Tsv),
            ("ar;en\n", Format::Csv),
        ] {
            assert_eq!(detect(head.as_bytes(), "a").unwrap(), expected, "{head}");
        }
    }

    #[test]
    fn unsupported_formats_are_refused_by_their_name() {
        for (head, file, named) in [
            ("<?xml version='1.0'?><TRADOStag Version='2.0'>", "a.xml", "TTX"),
            ("<txml locale='en'>", "a", "TXML"),
            ("<TS version='2.1'>", "a", "Qt Linguist"),
            ("<html>", "a", "HTML"),
            ("<elsewhere>", "a", "<elsewhere>"),
            ("SQLite format 3\0...", "a.sdltm", "SDLTM"),
            ("%PDF-1.7", "a", "PDF"),
            ("{\\rtf1", "a", "RTF"),
            (
                "%20240101~120000\t%User ID,A\t%TU=00000001\t%EN-US\t%Wordfast TM",
                "a.txt",
                "Wordfast",
            ),
            ("\u{1}\0\u{2}", "dir.x/a.tmw", "TMW"),
        ] {
            let message = detect(head.as_bytes(), file).unwrap_err().to_string();
            assert!(message.contains(named), "{message}");
        }
    }
}
