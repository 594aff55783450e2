//! Limits what is served at a time: calls, bytes of messages, connections, time.

mod admission;
mod connections;
mod deadline;
mod overload;
mod readers;

pub use admission::Limits;
pub(super) use admission::{Admission, BytesPermit, CallPermit, Room};
pub(super) use connections::{ActiveCall, Admitted, Connection, ConnectionTable};
pub(super) use deadline::{Deadline, client_timeout};
pub(super) use overload::Overload;
pub(super) use readers::{Reader, Readers};
