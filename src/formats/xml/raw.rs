//! Wraps quick-xml, which no other file names.

use quick_xml::escape::resolve_html5_entity;
use quick_xml::reader::Reader;

use super::input::Input;

pub(super) use quick_xml::errors::Error;
pub(super) use quick_xml::events::attributes::Attributes;
pub(super) use quick_xml::events::{BytesStart, Event};

pub(super) type RawReader<'r> = Reader<Input<'r>>;

/// A reader that leaves the nesting of elements and stray `&` to its caller, who knows their places.
pub(super) fn raw_reader(input: Input<'_>) -> RawReader<'_> {
    let mut reader = Reader::from_reader(input);
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    reader
}

/// The characters of an entity of HTML.
pub(super) fn html_entity(name: &str) -> Option<&'static str> {
    resolve_html5_entity(name)
}
