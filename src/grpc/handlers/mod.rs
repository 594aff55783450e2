//! The handlers: each parses a request, calls the engine, and converts the answer.

mod admin;
mod alignment;
mod analysis;
mod concordance;
mod documents;
mod export;
mod extract;
mod import_files;
mod import_session;
mod import_units;
mod listing;
mod lookups;
mod matching;
mod memories;
mod operations;
mod server;
mod unit_batches;
mod units;
mod watch;

pub use import_session::{ImportAck, RejectedUnit};
pub(crate) use import_session::{ImportSession, IncomingBatch};
