//! What are we talking about? The vocabulary as types: segments, units, memories, languages, diagnostics.
//!
//! Every type with a rule has private fields and one fallible constructor, so a value that exists is a legal one.
//! Knows nothing of text rules, storage, files or protocols.

mod white_space;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits::{LANG_BYTES_MAX, MEMORY_NAME_BYTES_MAX};

pub use white_space::is_white_space_code;

/// A value that breaks the rule of its type: which rule, and what was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

/// A BCP-47 language tag in canonical case: `ar`, `en`, `ar-SA`, `zh-Hant-TW`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Lang(String);

impl Lang {
    /// The tag as written on the wire and in files.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The language without script, region or variant: `ar` of `ar-SA`.
    ///
    /// A tag for private use, `x-…`, is a language as a whole.
    pub fn primary(&self) -> &str {
        if self.0.starts_with("x-") {
            return &self.0;
        }
        self.0.split('-').next().unwrap_or(&self.0)
    }

    /// Whether texts in `other` belong in a place that wants `self`: same primary language, and no two different scripts or
    /// regions. `en` goes with `en-GB` and with `en-US`, which do not go with each other.
    pub fn accepts(&self, other: &Self) -> bool {
        let agree = |a: Option<&str>, b: Option<&str>| a.is_none() || b.is_none() || a == b;
        self.primary() == other.primary()
            && agree(self.script(), other.script())
            && agree(self.region(), other.region())
    }

    fn script(&self) -> Option<&str> {
        self.subtags()
            .find(|part| part.len() == 4 && part.bytes().all(|it| it.is_ascii_alphabetic()))
    }

    fn region(&self) -> Option<&str> {
        let is_region = |part: &&str| match part.len() {
            2 => part.bytes().all(|it| it.is_ascii_alphabetic()),
            3 => part.bytes().all(|it| it.is_ascii_digit()),
            _ => false,
        };
        self.subtags().find(is_region)
    }

    /// What follows the primary language, without extensions.
    fn subtags(&self) -> impl Iterator<Item = &str> {
        self.0.split('-').skip(1).take_while(|part| part.len() > 1)
    }
}

impl FromStr for Lang {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid =
            || Invalid(format!("'{text}' is not a BCP-47 language tag such as ar, en or ar-SA"));
        if text.is_empty() || text.len() > LANG_BYTES_MAX {
            return Err(invalid());
        }
        let mut tag = String::with_capacity(text.len());
        // Files write `ar_SA` about as often as `ar-SA`.
        for (position, part) in text.split(['-', '_']).enumerate() {
            let alphabetic = part.bytes().all(|byte| byte.is_ascii_alphabetic());
            if part.is_empty()
                || part.len() > 8
                || !part.bytes().all(|byte| byte.is_ascii_alphanumeric())
            {
                return Err(invalid());
            }
            if position == 0 {
                let is_private = part.eq_ignore_ascii_case("x") && text.len() > 2;
                if !alphabetic || (part.len() < 2 && !is_private) {
                    return Err(invalid());
                }
                tag.push_str(&part.to_ascii_lowercase());
                continue;
            }
            tag.push('-');
            match part.len() {
                2 if alphabetic => tag.push_str(&part.to_ascii_uppercase()),
                4 if alphabetic => {
                    tag.push_str(&part[..1].to_ascii_uppercase());
                    tag.push_str(&part[1..].to_ascii_lowercase());
                }
                _ => tag.push_str(&part.to_ascii_lowercase()),
            }
        }
        Ok(Self(tag))
    }
}

/// The id of a memory: the `news` of `memories/news`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MemoryName(String);

impl MemoryName {
    /// The bare id, without the `memories/` of the resource name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The AIP resource name, `memories/news`.
    pub fn resource(&self) -> String {
        format!("memories/{}", self.0)
    }
}

impl FromStr for MemoryName {
    type Err = Invalid;

    /// Takes the bare id and the resource name alike.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let id = text.strip_prefix("memories/").unwrap_or(text);
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let starts_well = id.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !starts_well || id.len() > MEMORY_NAME_BYTES_MAX || !id.bytes().all(legal) {
            return Err(Invalid(format!(
                "'{text}' is not a memory name: 1 to {MEMORY_NAME_BYTES_MAX} ASCII letters, digits, '-', '_' or '.', \
                 beginning with a letter or digit"
            )));
        }
        Ok(Self(id.to_owned()))
    }
}

macro_rules! string_newtype {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Invalid> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
    };
}
string_newtype!(Lang);
string_newtype!(MemoryName);

/// The number of a unit inside its memory, given by the store in rising order and never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnitId(pub u64);

impl fmt::Display for UnitId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// A moment: microseconds since 1970-01-01T00:00:00 UTC.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Timestamp {
    /// Microseconds since the Unix epoch; negative before it.
    pub micros: i64,
}

/// How an inline tag stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TagKind {
    /// Begins a pair; the `Close` with the same `pair` ends it.
    Open,
    /// Ends a pair.
    Close,
    /// Stands alone: a line break, an image, a field.
    Standalone,
    /// Begins a pair that ends in another segment.
    IsolatedOpen,
    /// Ends a pair that began in another segment.
    IsolatedClose,
}

/// A piece of markup kept beside the text, at its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InlineTag {
    /// Where it stands: UTF-8 bytes into the text of its segment, on a character boundary.
    pub offset_bytes: u32,
    /// How it stands.
    pub kind: TagKind,
    /// What joins the two halves of a pair inside one segment (TMX `i`).
    pub pair: Option<u32>,
    /// What joins the same tag of source and target (TMX `x`).
    pub match_id: Option<u32>,
    /// What the file calls its type (TMX `type`: `bold`, `link`, …); empty when it does not say.
    pub label: String,
    /// The native code it carries, verbatim; empty when the file has none. What is more than characters in it (an element
    /// such as TMX `sub`, attributes without a field here) stands in it as U+FFF9, name and attributes, U+FFFA, content,
    /// U+FFFB.
    pub code: String,
}

/// One stretch of text to be translated: plain text, and inline tags at offsets into it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Segment {
    /// The text without markup, as it came: never normalised.
    pub text: String,
    /// In order of offset; tags at one offset in the order in which they stand.
    pub tags: Vec<InlineTag>,
}

impl Segment {
    /// A segment without inline tags.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), tags: Vec::new() }
    }

    /// Where tags stand for white space, in bytes, in order.
    pub fn breaks(&self) -> impl Iterator<Item = usize> + '_ {
        self.tags.iter().filter(|tag| tag.is_white_space()).map(|tag| tag.offset_bytes as usize)
    }
}

/// What stood before and after a segment in its document: hashes of the canonical neighbour texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Context {
    /// Hash of the segment before; `None` when unknown or at the beginning.
    pub previous: Option<u64>,
    /// Hash of the segment after; `None` when unknown or at the end.
    pub next: Option<u64>,
}

/// What a client or a file says of a unit; the rest is given by the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitContent {
    /// The text that was translated.
    pub source: Segment,
    /// Its translation.
    pub target: Segment,
    /// Its neighbours in the document it came from.
    pub context: Context,
    /// The document it came from; empty when unknown.
    pub document: String,
    /// Who wrote or last changed the translation; empty when unknown.
    pub author: String,
    /// When it was first translated; the store's clock fills it in on creation.
    pub created: Option<Timestamp>,
    /// When it was last changed; the store's clock fills it in on every write that does not name it.
    pub changed: Option<Timestamp>,
    /// Everything else that is known of it, by name: `client`, `subject`, a TMX property or note.
    pub attributes: BTreeMap<String, String>,
}

/// The attribute that says under which key its file keeps a unit (gettext's `msgctxt`): one text under two keys is two units.
pub const CONTEXT_KEY_ATTRIBUTE: &str = "msgctxt";

impl UnitContent {
    /// The key under which its file keeps it.
    pub fn context_key(&self) -> Option<&str> {
        self.attributes.get(CONTEXT_KEY_ATTRIBUTE).map(String::as_str)
    }
}

/// A stored translation unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Its number in its memory.
    pub id: UnitId,
    /// 1 when created, one more with each change.
    pub revision: u64,
    /// What it holds. `created` and `changed` are always set in a stored unit.
    pub content: UnitContent,
}

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
pub enum Cause {
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

/// One thing wrong in an input, with its place. A bad unit is data, not a failed import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where.
    pub place: Place,
    /// What kind of fault.
    pub cause: Cause,
    /// What exactly, for a person: names the field, the value and the way out.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, self.message)
    }
}

/// A score in hundredths of a point, 0 to 10,000: integer arithmetic, so every machine orders alike.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
pub struct Score {
    hundredths: u16,
}

impl Score {
    /// The best there is.
    pub const FULL: Self = Self { hundredths: 10_000 };
    /// The least there is.
    pub const ZERO: Self = Self { hundredths: 0 };

    /// From hundredths of a point; `None` above 10,000.
    pub fn from_hundredths(hundredths: u32) -> Option<Self> {
        let hundredths = u16::try_from(hundredths).ok().filter(|&value| value <= 10_000)?;
        Some(Self { hundredths })
    }

    /// From points, 0.0 to 100.0, rounded to the hundredth.
    ///
    /// # Errors
    /// When the value is not a number from 0 to 100.
    pub fn from_points(points: f64) -> Result<Self, Invalid> {
        if !(0.0..=100.0).contains(&points) {
            return Err(Invalid(format!("{points} is not a score: a number from 0 to 100")));
        }
        // In range by the check above.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let hundredths = (points * 100.0).round() as u16;
        Ok(Self { hundredths })
    }

    /// Hundredths of a point, 0 to 10,000.
    pub fn hundredths(self) -> u16 {
        self.hundredths
    }

    /// Points, 0.0 to 100.0.
    pub fn points(self) -> f64 {
        f64::from(self.hundredths) / 100.0
    }

    /// What is left after a deduction; never below zero.
    #[must_use]
    pub fn minus_hundredths(self, hundredths: u32) -> Self {
        let lost = u16::try_from(hundredths).unwrap_or(u16::MAX);
        Self { hundredths: self.hundredths.saturating_sub(lost) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_go_together_without_two_different_regions_or_scripts() {
        let tags = [
            "en",
            "en-GB",
            "en-US",
            "en-001",
            "zh",
            "zh-Hans",
            "zh-Hant",
            "zh-Hant-TW",
            "zh-TW",
            "zh-CN",
            "ar",
            "en-US-u-ca-gregory",
            "sl-rozaj",
        ];
        let apart = [
            ("en-GB", "en-US"),
            ("en-GB", "en-001"),
            ("en-US", "en-001"),
            ("en-GB", "en-US-u-ca-gregory"),
            ("en-001", "en-US-u-ca-gregory"),
            ("zh-Hans", "zh-Hant"),
            ("zh-Hans", "zh-Hant-TW"),
            ("zh-Hant-TW", "zh-CN"),
            ("zh-TW", "zh-CN"),
        ];
        let is_apart = |a, b| apart.contains(&(a, b)) || apart.contains(&(b, a));
        for a in tags {
            for b in tags {
                let (left, right): (Lang, Lang) = (a.parse().unwrap(), b.parse().unwrap());
                let expected = left.primary() == right.primary() && !is_apart(a, b);
                assert_eq!(left.accepts(&right), expected, "{a} and {b}");
            }
        }
    }
}
