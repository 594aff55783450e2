//! Reads Gettext message catalogs (PO and POT).

mod message;
mod plural;
mod reader;

pub(crate) use reader::PoReader;
