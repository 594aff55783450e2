//! Reads the XML parts of an Office Open XML package.

use std::io;

use crate::formats::io::{Archive, decode};
use crate::formats::xml::{Document, Element, Name, Piece, Stop};

pub(crate) fn invalid(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

pub(crate) fn stopped(stop: Stop) -> io::Error {
    match stop {
        Stop::Input(error) => error,
        Stop::Broken(what) => invalid(format!("in the workbook: {what}")),
        Stop::End => invalid("in the workbook: a part ends too early"),
    }
}

pub(super) fn has(archive: &Archive, part: &str) -> bool {
    archive.entries().iter().any(|entry| entry.name == part)
}

pub(super) fn document(archive: &Archive, part: &str) -> io::Result<Document<'static>> {
    let entry = archive.entries().iter().find(|entry| entry.name == part);
    let entry = entry.ok_or_else(|| invalid(format!("the workbook has no part '{part}'")))?;
    // The archive charges unpacked bytes itself.
    let (text, source) = decode::open(archive.open(entry)?, false, Some(archive.budget()))?;
    Ok(Document::new(text, source))
}

/// Visits each element of a part with the name of its parent; a missing part has none.
pub(super) fn each_element(
    archive: &Archive,
    part: &str,
    look: &mut dyn FnMut(&str, &Element),
) -> io::Result<()> {
    if !has(archive, part) {
        return Ok(());
    }
    let mut document = document(archive, part)?;
    let mut open = Vec::new();
    loop {
        match document.next() {
            Ok(Piece::Start(element)) => {
                look(open.last().map_or("", |name: &Name| name.as_ref()), &element);
                open.push(element.name);
            }
            Ok(Piece::End) => drop(open.pop()),
            Ok(_) => {}
            Err(Stop::End) => return Ok(()),
            Err(stop) => return Err(stopped(stop)),
        }
    }
}
