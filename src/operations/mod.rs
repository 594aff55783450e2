//! Keeps operations: long work that does not depend on the client that started it. On disk, so that it survives a restart, and in
//! memory, so that its progress can be watched.
//!
//! Knows nothing of what the work is, who may see it, or how it runs: requests, answers and outcomes are bytes here.

mod directory;
mod operation;
mod record;
mod result;
mod table;

pub use operation::{Operation, Progress, State};
pub use record::{End, Header, Outcome};
pub use result::{ResultReader, ResultWriter};
pub use table::{DeleteError, Draft, Operations, StartError};
