//! Serves the engine over gRPC: handlers, conversions, access rules.
//!
//! Knows nothing of sockets (see `server`) and decides nothing about memories, units or matches. A new method takes three places:
//! its messages in `proto/`, its rule in `access/rules.rs`, its handler in `handlers/`.

pub mod access;
mod api;
mod call;
pub mod codec;
pub(crate) mod convert;
mod counts;
pub mod decoded_size;
mod handlers;
pub(crate) mod proto;
mod status;

pub use api::{Api, SERVICE_NAMES};
pub use call::CallInfo;
pub use convert::{FieldViolation, JobReport, exported_units, read_any_page_token};
pub use counts::{LookupCounts, ServingStatus};
pub use handlers::{ImportAck, RejectedUnit};
pub(crate) use handlers::{ImportSession, IncomingBatch};
pub use proto::DESCRIPTORS;
pub use status::{ERROR_DOMAIN, refusal, undecodable, with_info};
pub(crate) use status::{invalid as invalid_field, truncated_stream};
