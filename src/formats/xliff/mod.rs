//! Reads XLIFF 1.2, 2.0 and 2.1 with the variants of common tools, and writes XLIFF 2.1.

mod encoder;
mod pairs;
mod reader;
mod side;

pub(crate) use encoder::XliffEncoder;
pub(crate) use reader::XliffReader;
