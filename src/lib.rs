//! Dhakira (ذاكرة, "memory"): a translation-memory server for Arabic→English.
//!
//! Translator tools send source segments over gRPC; the answer is the stored translations that fit, complete, in order,
//! and with the reason for every lost point. One folder answers one question:
//!
//! | folder | question | knows nothing of |
//! |---|---|---|
//! | [`unit`](mod@unit) | what are we talking about? the vocabulary as types | text rules, storage, files, protocols |
//! | [`limits`] | how much is too much? every ceiling | who enforces it |
//! | [`validate`] | may this be stored? the rules of a unit's content | where it came from |
//! | [`text`] | what is the same text? forms, tokens, sentences, numbers | languages of the outside: files, wire, disk |
//! | [`matching`] | which stored text is close, and where does a word stand? score, edits, index | texts (it sees interned tokens), stores, clocks |
//! | [`alignment`] | what translates what? sentences of documents, the lexicon | stores, files, wire |
//! | [`formats`] | how is it written in files? TMX, XLIFF, PO, columns, JSON lines, compression, encodings | what becomes of a unit |
//! | [`store`] | where does it live? the seam, sled behind it | matching, formats, protocols |
//! | [`engine`] | what can be done? the use cases | gRPC, flags, terminals |
//! | [`grpc`] | serves the engine over gRPC: handlers, conversions, access rules | sockets |
//! | [`client`] | calls the services, in this process or on a server, in the types of the project | terminals, flags |
//! | [`mod@http`] | how do operators look in? health and metrics over HTTP/1.1 | what it shows |
//! | [`server`] | how is it put on a socket, and taken off it? who may call, how much, how long | what the calls do |
//! | [`mod@terminal`] | prints tables, JSON lines and progress bars, whatever the script and the reader | what they show |
//! | [`bench`] | measures imports, lookups, alignment and long mixed loads: `dhakira bench` | generated types, sled |
//! | [`cli`] | parses the command line, runs the commands, prints their answers | generated types, sled |
//!
//! Direction: `unit, limits ← validate, text ← matching, alignment`; `formats`, `store` rest on `unit, limits, validate`; all feed
//! `engine ← grpc, http, client ← server ← bench ← cli`, never the other way (`tests/layering.rs` looks at the imports).
//!
//! Invariants. The store is the truth and the index is derived from it: deleting every checkpoint of an index costs only time. An
//! acknowledged write is on disk and visible. Nothing is stored folded only. `text`, `matching`, `alignment` and `formats` do no I/O
//! beyond the reader or writer they are handed, and have no clock and no globals. `sled::` appears in `store/sled` only,
//! `quick_xml::` in one file, generated protobuf types only inside `grpc` and `client`.

#![warn(clippy::print_stdout, clippy::print_stderr)] // They panic where nobody reads: see `cli::output`.
#![cfg_attr(
    test,
    allow(
        clippy::print_stdout,
        clippy::print_stderr,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::cast_possible_truncation
    )
)]

#[macro_use]
pub mod terminal;

pub mod alignment;
pub mod bench;
pub mod cli;
pub mod client;
pub mod engine;
pub mod formats;
pub mod grpc;
pub mod http;
pub mod limits;
pub mod matching;
pub mod server;
pub mod store;
pub mod text;
pub mod unit;
pub mod validate;
