//! Reads rows and columns (TSV, CSV, workbooks of Office Open XML), and writes TSV and CSV.

mod dates;
mod delimited;
mod delimited_writer;
mod rows;
mod workbook;
mod worksheet;

pub(crate) use delimited::DelimitedReader;
pub(crate) use delimited_writer::DelimitedWriter;
pub(crate) use workbook::{Workbook, is_workbook};
