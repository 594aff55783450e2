//! Reads XLIFF 1.2, 2.0 and 2.1 with the variants of common tools, and writes XLIFF 2.1.

mod pairs;
mod reader;
mod side;
mod writer;

pub(crate) use reader::XliffReader;
pub(crate) use writer::XliffWriter;
