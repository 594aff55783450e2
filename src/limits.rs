//! Defines every ceiling of the project, with its unit in the name and its reason.
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
/// Size of sled's page cache, which also saves writes from reading pages back.
pub const STORE_CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// Writes that may wait for the writer before new ones are refused.
pub const WRITE_QUEUE_JOBS_MAX: usize = 1_024;
/// Units that share one fsync: many, because an fsync is dear, but not so many that the first one waits noticeably.
pub const GROUP_COMMIT_UNITS_MAX: usize = 6_400;
/// How often a group of writes is planned again because other processes append first.
pub const APPEND_CONFLICTS_MAX: usize = 100;
/// First and longest wait between attempts to resume paused writes.
pub const WRITES_RETRY_MIN: std::time::Duration = std::time::Duration::from_millis(100);
/// See [`WRITES_RETRY_MIN`].
pub const WRITES_RETRY_MAX: std::time::Duration = std::time::Duration::from_secs(30);
/// Longest wait between attempts to resume writes to a log on another machine, which costs a round trip to try.
pub const SHARED_WRITES_RETRY_MAX: std::time::Duration = std::time::Duration::from_secs(1);
/// How long the writer of a cluster keeps its role without renewing it: longer than a pause of a busy machine, and how long writes take the
/// slower way when it dies.
pub const LEASE_TIME: std::time::Duration = std::time::Duration::from_secs(2);
/// How often the writer of a cluster renews its role, and others look who has it.
pub const LEASE_RENEWAL: std::time::Duration = std::time::Duration::from_millis(500);
/// How often a node reports itself to its cluster.
pub const NODE_REPORT_PAUSE: std::time::Duration = std::time::Duration::from_secs(1);
/// Time without an answer of the cluster after which a node counts as cut off from it.
pub const CLUSTER_SILENCE_MAX: std::time::Duration = std::time::Duration::from_secs(5);
/// A node that has not reported for so long counts as gone, for people who look at the page of the cluster.
pub const NODE_SILENCE_MAX: std::time::Duration = std::time::Duration::from_secs(10);
/// Longest wait of a call for commits that its node has not applied yet.
pub const APPLY_WAIT_MAX: std::time::Duration = std::time::Duration::from_secs(10);
/// Units, requests and commits read at a time while a node copies its cluster.
pub const COPY_PAGE_UNITS: usize = 2_000;
/// See [`COPY_PAGE_UNITS`].
pub const COPY_PAGE_REQUESTS: usize = 2_000;
/// See [`COPY_PAGE_UNITS`].
pub const COPY_PAGE_COMMITS: usize = 64;
/// Days for which a request id is remembered.
pub const REQUEST_MEMORY_DAYS: u16 = 7;
/// Units read from the store at a time while an index is built.
pub const LOAD_PAGE_UNITS: usize = 2_000;
/// Text in one batch of an import after which it is sent; far below the message limit.
pub const IMPORT_BATCH_BYTES: usize = 512 * 1024;
/// Longest gRPC message in either direction: two segments at their longest, or a batch of imported units.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Memory that the JSON of one request may take once it is parsed: little text can be many elements.
pub const JSON_DECODED_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Fields of a form beside its file: more than an import has options.
pub const FORM_FIELDS_MAX: usize = 64;
/// Bytes of a form that its parser may hold: a piece of the connection, and the headers of a part. It must be longer than any piece.
pub const FORM_HEADER_BYTES_MAX: usize = 1024 * 1024;
/// Word links of units that lookups have found, kept for each memory: of some hundred thousand units.
pub const CACHED_LINKS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Segments in one lookup call.
pub const LOOKUP_SEGMENTS_MAX: usize = 1_000;
/// Memories in one lookup call.
pub const LOOKUP_MEMORIES_MAX: usize = 100;
/// Matches for one segment.
pub const LOOKUP_MATCHES_MAX: usize = 1_000;
/// Entries on one page of a listing.
pub const PAGE_SIZE_MAX: usize = 1_000;
/// Entries on one page by default.
pub const PAGE_SIZE_DEFAULT: usize = 100;
/// Seconds in which calls in flight must end after a shutdown began.
pub const DRAIN_SECONDS: u64 = 25;
/// Units of one import in flight: one group commit being written and two being prepared, so that the import does not wait for
/// the disk.
pub const IMPORT_UNITS_IN_FLIGHT: usize = 3 * GROUP_COMMIT_UNITS_MAX;
/// Text of one import in flight, so that large units do not fill memory.
pub const IMPORT_BYTES_IN_FLIGHT: usize = 32 * 1024 * 1024;
/// Concurrent `ImportFile` calls: each holds a thread, and memory for its reader.
pub const IMPORT_FILES_MAX: usize = 16;
/// Faults in one batch of a file after which it is sent, however few units it holds.
pub const IMPORT_BATCH_FAULTS: usize = 1_000;
/// Units in one batch of an import over the wire. While there are searches, each batch is a transaction, because a search that
/// reads from the store waits for its end; otherwise the writer joins several.
pub const IMPORT_BATCH_UNITS: usize = 40;
/// Digests of batches in one record of an import. The last record is written again with each batch, full ones once.
pub const IMPORT_BLOCK_BATCHES: u64 = 64;
/// Units read from the store at a time, other than for the index.
pub const UNIT_PAGE_MAX: usize = 5_000;
/// Units shown of those that match a filter, before all of them are changed.
pub const MATCHING_SAMPLE_UNITS: usize = 10;
/// Minutes for which a count of units confirms a change of them: time to look at the sample.
pub const CONFIRMATION_MINUTES: i64 = 15;
/// Revisions of a unit read for one page of its history, however many of them only count uses.
pub const HISTORY_LOOK_REVISIONS: usize = 5_000;
/// Units scanned for one page of an export, however few match, before cancellation is checked.
pub const EXPORT_LOOK_UNITS: usize = 10_000;
/// Units in one message of an export.
pub const EXPORT_PAGE_UNITS: usize = 200;
/// Commits read at a time for a watcher.
pub const WATCH_PAGE_COMMITS: usize = 16;
/// Commits without a change that a watcher asked for, after which it gets an answer all the same, so that its resume token does not fall
/// behind the log.
pub const WATCH_SILENT_COMMITS: usize = 1_000;
/// Concurrent calls on one connection.
pub const CONNECTION_STREAMS_MAX: u32 = 1_024;
/// Longest native code of one inline tag.
pub const TAG_CODE_BYTES_MAX: usize = 64 * 1024;
/// Size of a unit: both texts at their longest, with tags and attributes.
pub const UNIT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Penalty of an unfinished translation in hundredths of a point, unless its memory sets another one: enough that it never counts as
/// an exact match, and little enough that it is still shown.
pub const STATE_PENALTY_HUNDREDTHS: u16 = 1_000;
/// Matches for one segment by default.
pub const LOOKUP_MATCHES_DEFAULT: usize = 5;
/// Longest row of a delimited file: both sides of a unit at their longest, quoted, and some room.
pub const DELIMITED_ROW_BYTES_MAX: usize = 4 * SEGMENT_BYTES_MAX;
/// Longest stretch of text, comment or CDATA of an XML file in one piece; a segment at its longest with every character escaped.
pub const XML_PIECE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest tag of an XML file: far more than the attributes of any unit need, and little to read again if a quotation mark is
/// missing.
pub const XML_TAG_BYTES_MAX: usize = 64 * 1024;
/// Longest stretch of text without a tag that is skipped in search of the next unit, such as a file embedded in base64.
pub const XML_TEXT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of any XML file that may be read again after faults in its markup: a quotation mark that is never closed
/// costs about [`XML_TAG_BYTES_MAX`] each time.
pub const XML_REREAD_FREE_BYTES: u64 = 128 * 1024 * 1024;
/// Bytes that may be read again per byte of the file, so that a file full of such faults takes time in proportion to its size.
pub const XML_REREAD_TIMES_MAX: u64 = 64;
/// Longest text that is split or aligned in one call: a long book, with room in the message for the answer.
pub const DOCUMENT_BYTES_MAX: usize = 15 * 1024 * 1024;
/// Longest table of user-defined sentence rules.
pub const SENTENCE_RULES_BYTES_MAX: usize = 64 * 1024;
/// Documents, authors and values of attributes in one filter.
pub const FILTER_NAMES_MAX: usize = 1_000;
/// Conditions on attributes in one filter, each of which is checked for every unit that is read.
pub const FILTER_ATTRIBUTES_MAX: usize = 32;
/// Penalty rules of one lookup and of one memory, each of which is checked for every candidate.
pub const PENALTY_RULES_MAX: usize = 32;
/// Match bands of an analysis: more than any rate sheet has.
pub const ANALYSIS_BANDS_MAX: usize = 32;

/// Units of one extraction, whose numbers and best scores are kept until all segments are searched: some tens of megabytes, and more
/// than translation tools load as a file.
pub const EXTRACT_UNITS_MAX: usize = 500_000;
/// Segments of an extraction that are searched at a time: enough for all cores, and a bound on the hits in memory.
pub const EXTRACT_STEP_SEGMENTS: usize = 64;
/// Files in one analysis: a large project, and a bound on what an answer holds.
pub const ANALYSIS_FILES_MAX: usize = 10_000;
/// Sentences of one side of a document that is aligned in one call.
pub const DOCUMENT_SENTENCES_MAX: usize = 100_000;
/// Pairs whose words are linked in one call.
pub const WORD_PAIRS_MAX: usize = 500;
/// Suspect units in one list by default.
pub const SUSPECTS_DEFAULT: usize = 1_000;
/// Most suspect units in one list.
pub const SUSPECTS_MAX: usize = 100_000;
/// Variants of one TMX unit in the two languages: each source makes a unit with each target.
pub const VARIANTS_MAX: usize = 64;
/// Text of all variants of one TMX unit, which is kept until the unit ends.
pub const VARIANTS_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Longest line of a JSON-lines file: a unit at its largest with every character escaped.
pub const JSON_LINE_BYTES_MAX: usize = 6 * UNIT_BYTES_MAX;
/// Codes of tags that an XLIFF file defines for use in its segments.
pub const TAG_DEFINITIONS_MAX: usize = 20_000;
/// Memory of a decompressor; fits the dictionaries of the strongest preset of xz and of zstd's long mode.
pub const DECODER_BYTES_MAX: u64 = 160 * 1024 * 1024;
/// Largest expansion of a packed file: unpacked bytes, texts of cells, rows and units per packed byte. Real memories stay under a
/// hundred.
pub const EXPANSION_MAX: u64 = 200;
/// Expansion that any packed file is granted, whatever its size.
pub const EXPANSION_FREE_BYTES: u64 = 64 * 1024 * 1024;
/// Expansion charged for a row, a line or a unit besides its text, because each is work, and rejected ones are listed.
pub const EXPANSION_ROW_BYTES: u64 = 64;
/// Largest ZIP archive or workbook. Its directory is at its end, so it is read into memory first.
pub const ZIP_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Files in one ZIP archive.
pub const ZIP_ENTRIES_MAX: usize = 10_000;
/// Columns of a sheet that are read: more than a unit has attributes.
pub const SHEET_COLUMNS_MAX: usize = 300;
/// Shared strings of a workbook, which are kept in memory while it is read.
pub const SHEET_STRINGS_MAX: usize = 2_000_000;
/// Text of the shared strings of a workbook.
pub const SHEET_STRINGS_BYTES_MAX: usize = 128 * 1024 * 1024;
/// How often sled's own lock on a database is retried before the database counts as in use.
pub const LOCK_PAUSES_MAX: usize = 40;
/// Pause between two tries.
pub const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);
/// Longest name of an access token.
pub const TOKEN_NAME_BYTES_MAX: usize = 100;
/// Access tokens in the file, expired ones included; the file is read as a whole.
pub const TOKENS_MAX: usize = 10_000;
/// Concurrent calls of all clients by default: each may hold a message or two.
pub const CALLS_MAX: usize = 1_024;
/// Concurrent calls of one client (a token, or an address without one) by default.
pub const CLIENT_CALLS_MAX: usize = 256;
/// Concurrent heavy calls, each of which may keep a core busy for seconds, by default.
pub const HEAVY_CALLS_MAX: usize = 8;
/// Concurrent heavy calls of one client by default.
pub const CLIENT_HEAVY_CALLS_MAX: usize = 4;
/// Connections by default; each costs some tens of kilobytes and a file descriptor.
pub const CONNECTIONS_MAX: usize = 1_000;
/// Connections from one address by default.
pub const PEER_CONNECTIONS_MAX: usize = 500;
/// Memory for incoming and outgoing messages of all calls, in MiB, by default.
pub const MESSAGE_MEMORY_MIB: usize = 512;
/// Timeout of a unary call in seconds by default; an exhaustive lookup of a full batch is the longest.
pub const CALL_SECONDS_MAX: u64 = 300;
/// Timeout of a stream in seconds by default. Watchers and imports resume where they were.
pub const STREAM_SECONDS_MAX: u64 = 24 * 60 * 60;
/// Timeout of the TLS handshake and of the first bytes in seconds, because a silent client holds a connection.
pub const HANDSHAKE_SECONDS_MAX: u64 = 10;
/// Seconds of silence after which a connection is pinged, and closed after another such time.
pub const KEEPALIVE_SECONDS: u64 = 30;
/// Seconds after which a client that reads nothing of an answer is disconnected, because the answer is held in memory.
pub const STALLED_READER_SECONDS: u64 = 120;
/// Bytes of an answer that are buffered in the connection before more is produced.
pub const SEND_BUFFER_BYTES: usize = 256 * 1024;
/// Bytes of the headers of one call.
pub const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// Calls that a client cancels before they are handled; more close the connection.
pub const RESET_STREAMS_MAX: usize = 50;
/// Protocol faults of a client, such as frames for a finished call, after which its connection is closed.
pub const FAULTY_STREAMS_MAX: usize = 200;
/// Milliseconds that new work waits for a thread, above which new calls are refused because they would wait longer.
pub const QUEUE_MILLIS_MAX: u64 = 2_000;
/// Longest request id of a client; a longer one is replaced by one of the server.
pub const REQUEST_ID_BYTES_MAX: usize = 128;
/// Bytes of an audit file by default: some 200,000 writes, still easy to search.
pub const AUDIT_FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Older audit files that are kept by default.
pub const AUDIT_FILES_MAX: u32 = 10;
/// Connections to the address for metrics and health.
pub const HTTP_CONNECTIONS_MAX: usize = 64;
/// Entries that a compaction, a backup or a verification reads at a time: some megabytes at the usual sizes.
pub const COMPACTION_PAGE_RECORDS: usize = 2_000;
/// Commits that a compaction may still have to copy when it pauses writers: a fraction of a second.
pub const COMPACTION_CATCH_UP_COMMITS: u64 = 200;
/// Days for which compaction keeps the commit log by default, so that watchers and backups can catch up.
pub const LOG_RETENTION_DAYS: u32 = 30;
/// Commits that leave the log at a time: as short a break for writers as a commit of theirs.
pub const LOG_TRUNCATION_COMMITS: usize = 200;
/// Findings that a verification lists; a store with more needs a backup rather than a longer list.
pub const FINDINGS_MAX: usize = 1_000;
/// Bytes of a backup in one message.
pub const BACKUP_CHUNK_BYTES: usize = 256 * 1024;
/// Least base of a match, in hundredths of a point, for a query of only numbers, codes and links. Nothing in it is translated, so
/// a unit with another value is useless: the values must be the same.
pub const PLACEABLES_BASE_MIN: u16 = 10_000;
/// Bytes in memory that a decoded message may take per byte on the wire: text takes one, sentences of twenty letters three. An
/// empty element takes hundreds of bytes, and two on the wire.
pub const DECODED_FACTOR_MAX: usize = 3;
/// Bytes in memory that any decoded message is granted, whatever its length: two units with the most tags on both sides.
pub const DECODED_FREE_BYTES: usize = 8 * 1024 * 1024;
/// Unknown or repeated fields in one message. A newer client may send a new field with every tag of a large batch, but millions of
/// such fields fit into a message, take no memory, and occupy a thread for seconds.
pub const USELESS_FIELDS_MAX: usize = 100_000;
/// Longest message of a health check or of reflection: the name of a service or of a symbol.
pub const PROBE_MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// Concurrent calls without a token, if tokens are in use, by default: the health checks of some load balancers. Each holds at most
/// the message of a probe.
pub const ANONYMOUS_CALLS_MAX: usize = 128;
/// Connections that have not shown a token, if tokens are in use, by default; a fleet of clients that connects all at once still
/// fits.
pub const ANONYMOUS_CONNECTIONS_MAX: usize = 200;
/// Seconds for a message to arrive by default: the longest one at one megabit per second.
pub const MESSAGE_SECONDS_MAX: u64 = 150;
/// Seconds without a call after which a connection is closed by default. Clients reconnect by themselves.
pub const IDLE_CONNECTION_SECONDS: u64 = 3_600;
/// The same for a connection that has not shown a token, if tokens are in use; health checks come more often.
pub const ANONYMOUS_IDLE_SECONDS: u64 = 60;
/// Audit lines waiting for the disk before calls that would add more have to wait: about a second of writes.
pub const AUDIT_QUEUE_LINES_MAX: usize = 4_096;
/// Most different words of a fuzzy match: excludes no match of up to 1,700 words at 70 points, and keeps the time of a comparison in
/// proportion to the length of the segments.
pub const FUZZY_EDITS_MAX: usize = 512;
/// Words of code, of an address or of a long tag that are compared one by one. Code in running text has some ten; a longer one that
/// differs counts as another word, so that a text full of them is compared in time.
pub const COMPARED_WORDS_MAX: usize = 64;
/// Words of one concordance query; a longer text is a lookup.
pub const CONCORDANCE_WORDS_MAX: usize = 100;
/// Placeables of one match that are substituted in its target; if more differ, hardly any place is certain.
pub const ADAPTED_PLACES_MAX: usize = 64;
/// Pairs of terms that are counted for the lexicon of one document: some 250 MB of memory, and more than a book of 100,000 sentences
/// has. A malicious document of 15 MB has a billion.
pub const MEETINGS_MAX: usize = 8_000_000;
/// Operations that run at a time; the others wait. Each may keep a core busy for minutes, beside the calls of clients.
pub const OPERATIONS_RUNNING_MAX: usize = 2;
/// Operations that are kept, done or not: their states are in memory, and the limit is far above what people look through.
pub const OPERATIONS_MAX: usize = 1_000;
/// Operations that are kept of one token: half of all, so that no client takes what the others need.
pub const OWNER_OPERATIONS_MAX: usize = OPERATIONS_MAX / 2;
/// Largest file that is uploaded for an operation: all of it is on disk before the operation starts. `ImportFile` has no limit.
pub const OPERATION_UPLOAD_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// Requests and uploads on disk of all operations that are not done: what their clients may take of the disk in advance.
pub const OPERATIONS_WAITING_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;
/// Days for which an operation and its result are kept after its end; as long as request ids are remembered.
pub const OPERATION_DAYS: u16 = REQUEST_MEMORY_DAYS;
/// Shortest time between two states of an operation that a watcher is sent: four a second look smooth, and more only cost.
pub const OPERATION_WATCH_PAUSE: std::time::Duration = std::time::Duration::from_millis(250);
/// KiB of bodies that the facades hold at a time: several of the longest, and not the memory of the machine.
pub const FACADE_BODIES_KIB: usize = 64 * 1024;
/// Longest message of an MCP client: two documents at their longest, with every character escaped.
pub const MCP_MESSAGE_BYTES_MAX: usize = 512 * 1024;
/// Calls of tools that run at a time for one client on standard input; the others wait.
pub const MCP_CALLS_MAX: usize = 8;
/// Longest segment that an AI client looks up or checks: some pages of text, and an answer that it can still read.
pub const MCP_SEGMENT_BYTES_MAX: usize = 16 * 1024;
/// Segments that an AI client looks up in one call: their matches have to fit into its context.
pub const MCP_SEGMENTS_MAX: usize = 20;
/// Matches for one of its segments.
pub const MCP_MATCHES_MAX: usize = 20;
/// Units that one search of an AI client shows; a page token leads to the next ones.
pub const MCP_HITS_MAX: usize = 50;
/// Suspect units that one check of an AI client shows.
pub const MCP_SUSPECTS_MAX: usize = 50;
/// Memories that are listed for an AI client.
pub const MCP_MEMORIES_MAX: usize = 200;
/// Longest side of a document that an AI client has aligned: both sides come back in the answer.
pub const MCP_DOCUMENT_BYTES_MAX: usize = 24 * 1024;
/// Longest structured answer to an AI client: some 20,000 tokens, near which clients cut answers on their own.
pub const MCP_ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Characters of a context pack by default: about 3,000 tokens.
pub const MCP_PACK_CHARS_DEFAULT: usize = 8_000;
/// Fewest characters of a context pack: room for the segment and one match.
pub const MCP_PACK_CHARS_MIN: usize = 2_000;
/// Most characters of a context pack.
pub const MCP_PACK_CHARS_MAX: usize = 32_000;
/// Searches for the words and phrases of one context pack, while a client waits for it.
pub const MCP_PACK_SEARCHES_MAX: usize = 32;
/// Units that are read for each phrase of a context pack.
pub const MCP_PACK_HITS: usize = 4;
/// Longest unit, both texts, whose words are linked for a context pack: the time grows with the product of both lengths.
pub const MCP_LINKED_BYTES_MAX: usize = 4 * 1024;
/// Longest wait of a tool for the lexicons of memories, which may have to be trained first. After it the built-in lexicon is used.
pub const MCP_LEXICON_WAIT: std::time::Duration = std::time::Duration::from_secs(20);
/// Attributes of a unit that an AI client is shown, and the longest value of one.
pub const MCP_ATTRIBUTES_MAX: usize = 8;
/// See [`MCP_ATTRIBUTES_MAX`].
pub const MCP_ATTRIBUTE_BYTES_MAX: usize = 200;
