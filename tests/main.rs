//! All integration tests in one binary: one module a risk.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::pedantic)]
#![allow(clippy::type_complexity, clippy::needless_range_loop)]

mod access;
mod adapted_msdocs;
mod align_storing;
mod alignment;
mod alignment_service;
mod api_answers;
mod attacks;
mod backups;
mod checkpoints;
mod closed_pipes;
mod collection;
mod command_line;
mod command_line_alignment;
mod configuration;
mod contexts;
mod crash;
mod crash_model;
mod crash_phases;
mod damage;
mod dependencies;
mod disk;
mod drain;
mod exchange;
mod file_imports;
mod formats;
mod formats_archives;
mod formats_columns;
mod formats_declared;
mod formats_exchange;
mod formats_po;
mod formats_real_files;
mod formats_sheets;
mod formats_tmx;
mod formats_xliff;
mod formats_xml;
mod grpc;
mod grpc_lookups;
mod grpc_streams;
mod guarded;
mod hostile;
mod idempotency;
mod import_files;
mod layering;
mod log_cut;
mod matching;
mod message_memory;
mod old_stores;
mod overload;
mod privacy;
mod probes;
mod refusals;
mod salvage;
mod searches;
mod store_conformance;
mod strangers;
mod support;
mod text;
mod tls;
mod tokens;
mod unfinished_penalty;
mod update_masks;
mod updates;
mod upkeep;
mod writer;

/// The generated code names its codec by this path.
mod service {
    pub(crate) mod codec {
        pub(crate) use dhakira::service::codec::Codec;
    }
}
