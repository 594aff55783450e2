//! What the page of figures says: sentences with places for the figures of a part.

use crate::bench::all::Part;

/// A table of the page.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) rows: &'static [Row],
}

/// What was measured, by which part, and its figures.
pub(super) type Row = (&'static str, Part, &'static str);

pub(super) const SECTIONS: [Section; 6] = [
    Section {
        title: "Imports and exports",
        rows: &[
            (
                "import of {units:count} units into an empty store, acknowledged when they are on disk: TSV",
                Part::Import,
                "{tsv_units_per_second:n} units/s; memory at most {tsv_peak_resident_mb:mb}, index included",
            ),
            (
                "the same: TMX",
                Part::Import,
                "{tmx_units_per_second:n} units/s; {tmx_peak_resident_mb:mb}",
            ),
            (
                "the same through a server, TMX read by the client",
                Part::Import,
                "{grpc_tmx_units_per_second:n} units/s; the server {grpc_tmx_peak_resident_mb:mb}",
            ),
            (
                "the same through a server, TMX read by the server",
                Part::Import,
                "{grpc_file_units_per_second:n} units/s; the server {grpc_file_peak_resident_mb:mb}",
            ),
            (
                "the same records written to the store alone, which is the ceiling",
                Part::Import,
                "{store_alone_units_per_second:n} units/s",
            ),
            (
                "disk, checkpoint of the index included",
                Part::Import,
                "{tsv_disk_bytes_per_unit:n} bytes a unit, {tsv_disk_to_text:n} times its texts ({text_bytes_per_unit:n} bytes)",
            ),
            (
                "export of {units:count} units: TMX, TSV, CSV, JSON lines, XLIFF",
                Part::Export,
                "{export_tmx_units_per_second:n}, {export_tsv_units_per_second:n}, {export_csv_units_per_second:n}, \
                 {export_jsonl_units_per_second:n}, {export_xliff_units_per_second:n} units/s",
            ),
        ],
    },
    Section {
        title: "Lookups",
        rows: &[
            (
                "the five best matches of at least 70 points among {units:count} units, the index alone, one core",
                Part::Search,
                "p50 {at_70_p50_us:us}, p99 {at_70_p99_us:us}, {at_70_per_second:n} a second",
            ),
            (
                "answers that differ from those of a scan of every unit",
                Part::Search,
                "{verified_different:count} of {verified_answers:count}",
            ),
            (
                "segments of at least 25 words, at least 50 points, {units:count} units",
                Part::Long,
                "p50 {at_50_p50_us:us}, p95 {at_50_p95_us:us}, p99 {at_50_p99_us:us}",
            ),
            (
                "a full scan of {units:count} units with the `rapidfuzz` crate over words, for comparison",
                Part::Scan,
                "p50 {rapidfuzz_p50_us:us}; the index p50 {at_70_p50_us:us}",
            ),
            (
                "the engine, with everything that an answer holds, {units:count} units, one core",
                Part::Lookup,
                "p50 {engine_p50_us:us}, p99 {engine_p99_us:us}, {engine_per_second:n} a second",
            ),
            (
                "a call over gRPC on loopback, client and server on the same cores",
                Part::Lookup,
                "p50 {grpc_p50_us:us}, p99 {grpc_p99_us:us}; an empty call p50 {grpc_floor_p50_us:us}",
            ),
            (
                "several clients, a segment a call; in calls of 100 segments",
                Part::Lookup,
                "{grpc_loaded_lookups_per_second:n} calls/s; {grpc_batched_segments_per_second:n} segments/s",
            ),
            (
                "a call while units are imported into the same memory",
                Part::Lookup,
                "p50 {grpc_during_import_p50_us:us}, p99 {grpc_during_import_p99_us:us}, beside {import_units_per_second:n} units/s",
            ),
            (
                "concordance: two words as a phrase, twenty units",
                Part::Lookup,
                "p50 {concordance_p50_us:us}, p95 {concordance_p95_us:us}",
            ),
            (
                "start with {units:count} units, from the checkpoint; from the store",
                Part::Lookup,
                "{open_seconds:s}; {build_seconds:s}",
            ),
            (
                "memory of a server with {units:count} units; after the lookups",
                Part::Lookup,
                "{server_resident_mb:mb}; {server_resident_after_lookups_mb:mb}",
            ),
        ],
    },
    Section {
        title: "The same lookup by other protocols",
        rows: &[
            ("gRPC; an empty call", Part::Tools, "p50 {grpc_p50_us:us}; {grpc_floor_p50_us:us}"),
            (
                "JSON; tmserver; MyMemory; t5memory",
                Part::Tools,
                "p50 {json_p50_us:us}; {tmserver_p50_us:us}; {mymemory_p50_us:us}; {t5memory_p50_us:us}",
            ),
            (
                "several clients, a segment a call: gRPC; JSON",
                Part::Tools,
                "{grpc_loaded_lookups_per_second:n}; {json_loaded_lookups_per_second:n} calls/s",
            ),
        ],
    },
    Section {
        title: "Texts, training and checks",
        rows: &[
            (
                "forms, tokens and classes of a segment, one core",
                Part::Text,
                "{ar_segments_per_second:n} segments/s Arabic, {en_segments_per_second:n} English",
            ),
            (
                "training the lexicon of {train_units:count} units",
                Part::Train,
                "{train_wall_seconds:s}, {train_cpu_seconds:s} of processor time, {train_peak_resident_mb:mb}",
            ),
            (
                "`check` of {check_units:count} units, training included",
                Part::Train,
                "{check_wall_seconds:s}, {check_cpu_seconds:s} of processor time, {check_peak_resident_mb:mb}",
            ),
        ],
    },
    Section {
        title: "Alignment",
        rows: &[
            (
                "sentences, strict F1, with the built-in lexicon alone: news with merged and split sentences; with deletions; Bible chapters",
                Part::Align,
                "{cold_ntrex_mix_f1:share}; {cold_ntrex_del_f1:share}; {cold_bible_f1:share}",
            ),
            (
                "the same after training on {warm_pairs_learnt:count} pairs, each half of the documents after the other one",
                Part::Align,
                "{warm_ntrex_mix_f1:share}; {warm_ntrex_del_f1:share}; {warm_bible_f1:share}",
            ),
            (
                "how far confidence is from the part that is right (expected calibration error), the worst family of documents, \
                 with the built-in lexicon alone",
                Part::Align,
                "{cold_calibration_error_max:share}",
            ),
            (
                "words of sentences that were linked by hand (`tests/data/alignment/links.md`), alignment error rate: built-in lexicon; \
                 after training",
                Part::Align,
                "{cold_alignment_error_rate:share}; {warm_alignment_error_rate:share}",
            ),
            (
                "{hygiene_units:count} units of which one in twenty got the target of another, the most suspect first: average precision",
                Part::Align,
                "{hygiene_average_precision:share}",
            ),
            (
                "one document of 10,000 sentences a side",
                Part::Align,
                "{long_document_seconds:s}, {long_document_peak_resident_mb:mb}",
            ),
        ],
    },
    Section {
        title: "Many clients",
        rows: &[(
            "lookups, writes, imports, watches and cancelled calls of {clients:count} clients at once on {units:count} units; \
             then the store is compared with what was written",
            Part::Soak,
            "{calls:n} calls, {errors:count} errors, {units_lost:count} units lost, {units_doubled:count} doubled; memory \
             {rss_after_open_mb:mb} at the start, {rss_end_mb:mb} at the end",
        )],
    },
];
