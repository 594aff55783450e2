//! Reads Gettext message catalogs (PO and POT).

mod message;
mod plural;
mod reader;

pub(crate) use message::begins_with_message;
pub(crate) use reader::PoReader;
