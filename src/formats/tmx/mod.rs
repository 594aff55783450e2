//! Reads TMX 1.1 to 1.4b and writes TMX 1.4b.

mod reader;
mod unit;
mod writer;

pub(crate) use reader::TmxReader;
pub use writer::TmxWriter;
