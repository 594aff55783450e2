//! Reads TMX 1.1 to 1.4b and writes TMX 1.4b.

mod encoder;
mod inline;
mod reader;
mod unit;

pub(crate) use encoder::TmxEncoder;
pub use inline::{read_markup, write_markup};
pub(crate) use reader::TmxReader;
