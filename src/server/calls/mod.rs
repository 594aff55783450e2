//! Guides every call from its request to the end of its answer: authentication, admission, deadline, messages in and out.

mod call;
mod error_info;
mod forward;
mod gate;
mod message_buffer;
mod named;
mod request_body;
mod response_body;
mod sequenced;

pub(super) use call::{Peer, Shared};
pub(super) use error_info::{panicked, with_error_info};
pub use forward::PeerTls;
pub(super) use forward::Peers;
pub(super) use gate::GateLayer;
pub(super) use named::NamedLayer;
pub(super) use sequenced::SequencedLayer;
