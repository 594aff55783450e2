//! Holds what all sheets of a workbook share: strings, date styles, the expansion budget.

use std::io;

use crate::formats::io::{Archive, Budget};
use crate::formats::xml::{Document, Piece, Stop};
use crate::limits::{
    FIELD_BYTES_MAX, SEGMENT_BYTES_MAX, SHEET_STRINGS_BYTES_MAX, SHEET_STRINGS_MAX,
};

use super::dates::DateStyle;
use super::package::{document, has, invalid, stopped};

/// What all sheets of a workbook use.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The texts of all shared strings, concatenated, and where each ends.
    pub(super) strings: String,
    pub(super) ends: Vec<usize>,
    /// The date style of each cell style, if it has one.
    pub(crate) dates: Vec<Option<DateStyle>>,
    /// Whether days are counted from 1904 instead of 1900.
    pub(crate) is_1904: bool,
    pub(crate) budget: Budget,
}

impl Shared {
    pub(crate) fn string(&self, number: usize) -> Option<&str> {
        let end = *self.ends.get(number)?;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.strings.get(start..end)
    }
}

pub(super) fn read_strings(archive: &Archive, part: &str, shared: &mut Shared) -> io::Result<()> {
    if !has(archive, part) {
        return Ok(());
    }
    let mut document = document(archive, part)?;
    loop {
        match document.next() {
            Ok(Piece::Start(element)) if element.name == "si" => {
                read_string(&mut document, &mut shared.strings).map_err(stopped)?;
                shared.ends.push(shared.strings.len());
            }
            Ok(_) => {}
            Err(Stop::End) => return Ok(()),
            Err(stop) => return Err(stopped(stop)),
        }
        if shared.ends.len() > SHEET_STRINGS_MAX || shared.strings.len() > SHEET_STRINGS_BYTES_MAX {
            let most = SHEET_STRINGS_BYTES_MAX >> 20;
            return Err(invalid(format!(
                "more than {SHEET_STRINGS_MAX} strings or {most} MiB of them in the workbook; save it as CSV"
            )));
        }
    }
}

fn read_string(document: &mut Document<'static>, strings: &mut String) -> Result<(), Stop> {
    let (depth, start) = (document.depth(), strings.len());
    loop {
        match document.next()? {
            Piece::Start(it) if it.name == "t" => {
                let piece = document.read_text(SEGMENT_BYTES_MAX)?;
                if strings.len() - start <= SEGMENT_BYTES_MAX + FIELD_BYTES_MAX {
                    strings.push_str(&unescaped(piece));
                }
            }
            // Phonetic hints are not part of the text.
            Piece::Start(it) if it.name == "rPh" => document.skip()?,
            Piece::End if document.depth() < depth => return Ok(()),
            _ => {}
        }
    }
}

/// Replaces escapes such as `_x000D_` by the characters that XML cannot hold.
pub(crate) fn unescaped(text: String) -> String {
    if !text.contains("_x") {
        return text;
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("_x") {
        let code = rest.get(at + 2..at + 6).filter(|_| rest.as_bytes().get(at + 6) == Some(&b'_'));
        let hex = code.filter(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let character =
            hex.and_then(|it| u32::from_str_radix(it, 16).ok()).and_then(char::from_u32);
        let (piece, taken) = match character {
            Some(character) => (Some(character), 7),
            None => (None, 2),
        };
        plain.push_str(&rest[..at]);
        match piece {
            Some(character) => plain.push(character),
            None => plain.push_str("_x"),
        }
        rest = &rest[at + taken..];
    }
    plain.push_str(rest);
    plain
}
