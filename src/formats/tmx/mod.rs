//! Reads TMX 1.1 to 1.4b and writes TMX 1.4b.

mod encoder;
mod reader;
mod unit;

pub(crate) use encoder::TmxEncoder;
pub(crate) use reader::TmxReader;
