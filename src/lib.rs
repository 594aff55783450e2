//! Dhakira (ذاكرة, "memory"): a translation-memory server for Arabic→English.
//!
//! Translation tools send source segments over gRPC; the answer is the stored translations that fit, complete, in order,
//! and with the reasons why a match is not 100 %. The map, from the bottom up:
//!
//! | folder | what it does | knows nothing of |
//! |---|---|---|
//! | [`limits`] | holds every ceiling, with its reason | who enforces it |
//! | [`unit`](mod@unit) | defines the vocabulary as types: units, segments, memories, diagnostics | text rules, storage, files, protocols |
//! | [`validate`] | checks whether content may be stored | where it came from |
//! | [`text`] | analyses text: canonical and folded forms, tokens, sentences, numbers, dates | files, wire, disk |
//! | [`matching`] | finds and scores stored segments that are similar to a query (`encode`, `index`, `search`, `score`) | texts (it sees interned tokens), stores, clocks |
//! | [`alignment`] | aligns sentences and words of two languages, and trains lexicons | stores, files, wire |
//! | [`formats`] | reads and writes TMX, XLIFF, PO, spreadsheets, JSON lines, Moses; decompresses and decodes | what becomes of a unit |
//! | [`store`] | stores memories, units and the commit log; sled, PostgreSQL and memory behind one seam | matching, formats, protocols |
//! | [`cluster`] | joins a process to a cluster: local copy of a shared store, lease of the writer, reports | the database behind the log, engines, calls |
//! | [`engine`] | carries out the use cases: commits writes, follows the log, answers lookups, runs long jobs | gRPC, flags, terminals |
//! | [`operations`] | keeps long work that outlives its caller: requests, progress, results, on disk and in memory | what the work is |
//! | [`grpc`] | serves the engine over gRPC: handlers, conversions, access rules | sockets |
//! | [`gateway`] | turns JSON over HTTP and gRPC-Web into calls of gRPC, and their answers back (or files), by the descriptors of the protocol | sockets, handlers |
//! | [`client`] | calls the services, in this process or on a server, in the types of the project | terminals, flags |
//! | [`facades`] | speaks the protocols of translation tools and AI clients on top of a client: tmserver, MyMemory, t5memory, MCP | sockets, handlers, generated types |
//! | [`mod@http`] | serves health and metrics over HTTP/1.1 | what it shows |
//! | [`server`] | listens, authenticates callers, limits load, records audit and metrics, drains | what the calls do |
//! | [`mod@terminal`] | prints tables, JSON lines and progress bars, whatever the script and the reader | what they show |
//! | [`mod@bench`] | measures imports, lookups, alignment and long mixed loads: `dhakira bench` | generated types, sled |
//! | [`cli`] | parses the command line, runs the commands, prints their answers | generated types, sled |
//!
//! Direction: `limits, unit ← validate, text ← matching, alignment`; `formats`, `store` rest on `limits, unit, validate`, and `cluster` on `store`; all
//! feed `engine, operations ← grpc ← gateway, http, client ← facades ← server ← bench ← cli`, never the other way, and without circles
//! (`tests/layering.rs` checks the imports).
//!
//! Invariants. The commit log is the truth, and everything else is made from it: deleting every checkpoint of an index costs only
//! time. An acknowledged write is on disk and visible. Nothing is stored folded only. `text`, `matching`, `alignment` and `formats`
//! do no I/O beyond the reader or writer they are handed, and have no clock and no globals. `sled::` appears in `store/sled` only,
//! `tokio_postgres::` in `store/postgres` only, `quick_xml::` in one file, generated protobuf types only inside `grpc` and `client`.

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
pub mod cluster;
pub mod engine;
pub mod facades;
pub mod formats;
pub mod gateway;
pub mod grpc;
pub mod http;
pub mod limits;
pub mod matching;
pub mod operations;
pub mod server;
pub mod store;
pub mod text;
pub mod unit;
pub mod validate;
