//! Decides who may call what: roles and grants, the access rule of every method, and the memories that a request names.
//!
//! A method without a rule is denied. Rules name fields of messages by their numbers, so that one layer in front of every
//! handler can see which memories a message is about before any handler sees the message.

mod grants;
mod principals;
mod request_ids;
mod resources;
mod rules;

pub use grants::{Grant, Grants, Memories, Role, Visible};
pub use principals::{Principals, TokenState};
pub use request_ids::{takes_request_id, with_request_id};
pub use resources::ResourceRef;
pub use rules::{FieldPath, RULES, Rule, Streams, Weight, methods, number_of, streams_of, table};
