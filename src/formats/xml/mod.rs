//! Reads XML leniently within ceilings: elements, text, places, repairs, and inline markup as tags.

mod document;
pub(crate) mod inline;
mod input;
mod raw;
mod repair;
mod scanner;
mod text;
mod units;

pub(crate) use document::{Attributes, Document, Element, Name, Piece, Stop};
pub(crate) use inline::{SegmentBuilder, TagFields};
pub(crate) use input::Position;
pub(crate) use repair::Repair;
pub(crate) use text::Escaped;
pub(crate) use units::{XmlFormat, XmlUnits};
