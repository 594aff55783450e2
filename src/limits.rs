//! How much is too much? Every ceiling of the project, unit in the name, with the reason.
//!
//! Knows nothing of who enforces them.

/// Longest text of one side of a unit. Long enough for a whole page in one segment; 256 KiB of Arabic is some 25,000 words.
pub const SEGMENT_BYTES_MAX: usize = 256 * 1024;
/// Most inline tags in one segment.
pub const SEGMENT_TAGS_MAX: usize = 10_000;
/// Longest value of one attribute, document name or author.
pub const FIELD_BYTES_MAX: usize = 64 * 1024;
/// Most attributes of one unit.
pub const UNIT_ATTRIBUTES_MAX: usize = 256;
/// Longest key of an attribute.
pub const ATTRIBUTE_KEY_BYTES_MAX: usize = 256;
/// Longest memory name; names are part of keys and URLs.
pub const MEMORY_NAME_BYTES_MAX: usize = 63;
/// Longest language tag (RFC 5646 asks for at least 35).
pub const LANG_BYTES_MAX: usize = 35;
/// Units in one store transaction: sled stalls readers for the whole commit and grows with the batch.
pub const BATCH_UNITS_MAX: usize = 200;
/// Deepest nesting of XML elements; real exchange files stay under twenty.
pub const XML_DEPTH_MAX: usize = 256;
/// sled's page cache; it is also what keeps writes from reading back.
pub const STORE_CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Writes that may wait for the writer before new ones are refused.
pub const WRITE_QUEUE_JOBS_MAX: usize = 1_024;
/// Units that share one fsync: the wait of the last one stays near a tenth of a second.
pub const GROUP_COMMIT_UNITS_MAX: usize = 3_200;
/// Days for which a request id is remembered.
pub const REQUEST_MEMORY_DAYS: u16 = 7;
/// Units read from the store at a time while an index is built.
pub const LOAD_PAGE_UNITS: usize = 2_000;
/// Text in one batch of an import after which it is sent: keeps a batch far below the message limit.
pub const IMPORT_BATCH_BYTES: usize = 512 * 1024;
/// Longest gRPC message taken or sent: two segments at their longest, and a batch of imported units.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Segments in one lookup call.
pub const LOOKUP_SEGMENTS_MAX: usize = 1_000;
/// Memories in one lookup call.
pub const LOOKUP_MEMORIES_MAX: usize = 100;
/// Matches for one segment.
pub const LOOKUP_MATCHES_MAX: usize = 1_000;
/// Entries on one page of a listing.
pub const PAGE_SIZE_MAX: usize = 1_000;
/// Entries on one page when the request does not say.
pub const PAGE_SIZE_DEFAULT: usize = 100;
/// Seconds that calls in flight get to end after a shutdown began.
pub const DRAIN_SECONDS: u64 = 25;
/// Batches of one import that are on their way to the disk: one group commit being written and one being prepared, and
/// small enough to bound memory.
pub const IMPORT_BATCHES_IN_FLIGHT: usize = 160;
/// Units in one batch of an import of this program's own client. Each batch is a transaction, and lookups that read from
/// the store wait for its end: a fifth of the largest costs hardly any throughput.
pub const IMPORT_BATCH_UNITS: usize = 40;
/// Units in one message of an export.
pub const EXPORT_PAGE_UNITS: usize = 200;
/// Commits read at a time for a watcher.
pub const WATCH_PAGE_COMMITS: usize = 16;
/// Calls under way on one connection.
pub const CONNECTION_STREAMS_MAX: u32 = 1_024;
/// Longest native code of one inline tag.
pub const TAG_CODE_BYTES_MAX: usize = 64 * 1024;
/// Everything that one unit holds: both texts at their longest, their tags and attributes.
pub const UNIT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Matches for one segment when the request does not say.
pub const LOOKUP_MATCHES_DEFAULT: usize = 5;
/// Longest row of a delimited file: both sides of a unit at their longest, quoted, and some room.
pub const DELIMITED_ROW_BYTES_MAX: usize = 4 * SEGMENT_BYTES_MAX;
/// Longest tag or stretch of text in an XML file; a segment at its longest with every character escaped.
pub const XML_PIECE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest text split or aligned in one call: a long book, and room in the message for the answer.
pub const DOCUMENT_BYTES_MAX: usize = 15 * 1024 * 1024;
/// Longest table of sentence rules of a user.
pub const SENTENCE_RULES_BYTES_MAX: usize = 64 * 1024;
/// Documents, authors and attributes in one filter.
pub const FILTER_NAMES_MAX: usize = 1_000;
/// Files in one analysis: a large project, and a bound on what an answer holds.
pub const ANALYSIS_FILES_MAX: usize = 10_000;
/// Sentences of one side of a document that is aligned in one call.
pub const DOCUMENT_SENTENCES_MAX: usize = 100_000;
/// Pairs whose words are linked in one call.
pub const WORD_PAIRS_MAX: usize = 500;
/// Suspect units in one list when the request does not say, and at most.
pub const SUSPECTS_DEFAULT: usize = 1_000;
/// See there.
pub const SUSPECTS_MAX: usize = 100_000;
/// Entries that a compaction, a backup or a verification reads at a time: some megabytes at the usual sizes.
pub const COMPACTION_PAGE_RECORDS: usize = 2_000;
/// Commits that a compaction may still have to copy when it makes writers wait: a fraction of a second.
pub const COMPACTION_CATCH_UP_COMMITS: u64 = 200;
/// Days for which compaction keeps the commit log when nothing else is said: time for a watcher or a backup to come back.
pub const LOG_RETENTION_DAYS: u32 = 30;
/// Findings of one verification that are listed: who has more needs a backup, not a longer list.
pub const FINDINGS_MAX: usize = 1_000;
/// Bytes of a backup in one message.
pub const BACKUP_CHUNK_BYTES: usize = 256 * 1024;
