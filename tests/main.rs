//! All integration tests in one binary: one module a risk.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::pedantic)]
#![allow(clippy::type_complexity, clippy::needless_range_loop)]

mod alignment;
mod alignment_service;
mod checkpoints;
mod command_line;
mod crash;
mod drain;
mod formats;
mod grpc;
mod layering;
mod matching;
mod old_stores;
mod searches;
mod store_conformance;
mod support;
mod text;

/// The generated code names its codec by this path.
mod service {
    pub(crate) mod codec {
        pub(crate) use dhakira::service::codec::Codec;
    }
}
