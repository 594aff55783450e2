//! Reads and writes translation units in exchange formats, as streams in bounded memory.
//!
//! A fault of a unit is a [`Diagnostic`](crate::unit::Diagnostic) beside the good units; only I/O errors of the machine are
//! errors. Knows nothing of what becomes of a unit.

mod archive_reader;
mod create;
mod declared;
mod event;
mod expansion_check;
mod format;
mod io;
mod jsonl;
mod moses;
mod open;
mod po;
mod registry;
mod script;
mod script_check;
mod shared_buffer;
mod sheet;
mod times;
mod tmx;
mod unsupported;
mod xliff;
mod xml;

pub use create::{UnitWriter, create};
pub(crate) use event::free_name;
pub use event::{Event, ParsedUnit, Rejected};
pub use format::{BoxedReader, FileHeader, Format, OpenError, ReadOptions, Unfinished, UnitReader};
pub use io::ILLEGAL;
pub use open::{open, open_pair, open_text};
pub use shared_buffer::SharedBuffer;
pub use times::parse_time;
pub use tmx::{read_markup, write_markup};
