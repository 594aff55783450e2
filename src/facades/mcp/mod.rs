//! Serves the Model Context Protocol: tools by which AI clients look up, search, align and check translations.
//!
//! Each tool is written once, against [`Client`](crate::client::Client), and served in two ways: over standard input and output,
//! and over HTTP, at `/mcp`. Tools read only, unless the settings allow to write.

mod answer;
mod http;
mod matches;
mod server;
mod session;
mod stdio;
mod tool;
mod tools;

pub(super) use http::answer;
pub use stdio::serve_stdio;
