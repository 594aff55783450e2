//! The generated messages, clients and servers, and the descriptors of the protocol.

#![allow(missing_docs, unreachable_pub, clippy::pedantic, clippy::large_enum_variant)]

tonic::include_proto!("dhakira.v1");

/// The compiled protocol, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
