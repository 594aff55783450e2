//! Reads rows and columns (TSV, CSV, workbooks of Office Open XML), and writes TSV and CSV.

mod dates;
mod delimited;
mod delimited_encoder;
mod package;
mod rows;
mod shared;
mod workbook;
mod worksheet;

pub(crate) use delimited::DelimitedReader;
pub(crate) use delimited_encoder::DelimitedEncoder;
pub(crate) use workbook::{Workbook, is_workbook};
