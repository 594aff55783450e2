//! Bounds what is served at a time: calls, bytes of messages, connections.

mod admission;
mod connections;
mod in_flight;

pub use admission::Limits;
pub(super) use admission::{Admission, BytesPermit, CallPermit, Full, Room};
pub(super) use connections::{Admitted, Line, OnLine, Table};
pub(super) use in_flight::InFlight;
