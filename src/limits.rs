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
/// Units that share one fsync: the wait of the last one stays below a fifth of a second.
pub const GROUP_COMMIT_UNITS_MAX: usize = 6_400;
/// How often a group of writes is planned again because other processes append first.
pub const APPEND_CONFLICTS_MAX: usize = 100;
/// First and longest wait between attempts to resume paused writes.
pub const WRITES_RETRY_MIN: std::time::Duration = std::time::Duration::from_millis(100);
/// See [`WRITES_RETRY_MIN`].
pub const WRITES_RETRY_MAX: std::time::Duration = std::time::Duration::from_secs(30);
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
/// Units of one import that are on their way to the disk: one group commit being written, and two being prepared, so that
/// nobody waits while the disk does.
pub const IMPORT_UNITS_IN_FLIGHT: usize = 3 * GROUP_COMMIT_UNITS_MAX;
/// Text of one import that is on its way to the disk, so that large units do not fill memory.
pub const IMPORT_BYTES_IN_FLIGHT: usize = 32 * 1024 * 1024;
/// Files being imported at the same time through `ImportFile`: each holds a thread, and memory for its reader.
pub const IMPORT_FILES_MAX: usize = 16;
/// Faults in one batch of a file after which it is sent, however few good units it holds.
pub const IMPORT_BATCH_FAULTS: usize = 1_000;
/// Units in one batch of an import over the wire. Each batch is a transaction when somebody searches, and searches that
/// read from the store wait for its end; when nobody does, the writer joins several.
pub const IMPORT_BATCH_UNITS: usize = 40;
/// Digests of batches that are remembered in one record of an import: the record is written with each batch, and the full ones
/// once.
pub const IMPORT_BLOCK_BATCHES: u64 = 64;
/// Units read from the store at a time for somebody else than the index.
pub const UNIT_PAGE_MAX: usize = 5_000;
/// Units looked at for one page of an export, however few are wanted: after them there is a chance to stop.
pub const EXPORT_LOOK_UNITS: usize = 10_000;
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
/// Hundredths of a point that a translation loses which its file calls unfinished, unless its memory says otherwise: enough that it
/// is never taken for an exact match, and few enough that it is still shown.
pub const STATE_PENALTY_HUNDREDTHS: u16 = 1_000;
/// Matches for one segment when the request does not say.
pub const LOOKUP_MATCHES_DEFAULT: usize = 5;
/// Longest row of a delimited file: both sides of a unit at their longest, quoted, and some room.
pub const DELIMITED_ROW_BYTES_MAX: usize = 4 * SEGMENT_BYTES_MAX;
/// Longest stretch of text, comment or CDATA of an XML file in one piece; a segment at its longest with every character escaped.
pub const XML_PIECE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest tag of an XML file: far more than the attributes of any unit, and little to read again where a quotation mark is
/// missing.
pub const XML_TAG_BYTES_MAX: usize = 64 * 1024;
/// Longest stretch of text without a tag that is passed over in search of the next unit, such as a file embedded in base64.
pub const XML_TEXT_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of one XML file that may be read again after a fault in its markup, at least: a quotation mark that is never closed
/// costs about [`XML_TAG_BYTES_MAX`] each time.
pub const XML_REREAD_FREE_BYTES: u64 = 128 * 1024 * 1024;
/// Bytes that may be read again for each byte of the file, so that a file full of such faults takes a time in proportion to its size.
pub const XML_REREAD_TIMES_MAX: u64 = 64;
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
/// Variants of one TMX unit in the languages wanted: each source makes a unit with each target.
pub const VARIANTS_MAX: usize = 64;
/// Text of all variants of one TMX unit: they are kept until the unit ends.
pub const VARIANTS_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Longest line of a JSON-lines file: a unit at its largest with every character escaped.
pub const JSON_LINE_BYTES_MAX: usize = 6 * UNIT_BYTES_MAX;
/// Codes of tags that an XLIFF file defines for use in its segments.
pub const TAG_DEFINITIONS_MAX: usize = 20_000;
/// Memory of a decompressor: the dictionary of the strongest preset of xz and of zstd's long mode fit.
pub const DECODER_BYTES_MAX: u64 = 160 * 1024 * 1024;
/// What a packed file may become for each of its bytes: bytes unpacked, texts of cells, rows and units together. Memories of
/// real texts stay under a hundred.
pub const EXPANSION_MAX: u64 = 200;
/// What any packed file may become.
pub const EXPANSION_FREE_BYTES: u64 = 64 * 1024 * 1024;
/// What a row, a line or a unit counts for beside its text: each is work, and rejected ones are listed.
pub const EXPANSION_ROW_BYTES: u64 = 64;
/// Largest ZIP archive or workbook: its directory is at its end, so it is read into memory first.
pub const ZIP_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Files in one ZIP archive.
pub const ZIP_ENTRIES_MAX: usize = 10_000;
/// Columns of a sheet that are looked at: more than a unit has attributes.
pub const SHEET_COLUMNS_MAX: usize = 300;
/// Strings that the cells of a workbook share; kept in memory while it is read.
pub const SHEET_STRINGS_MAX: usize = 2_000_000;
/// Text of those strings.
pub const SHEET_STRINGS_BYTES_MAX: usize = 128 * 1024 * 1024;
/// How often sled's own lock on a database is looked at again before it is taken for somebody else's.
pub const LOCK_PAUSES_MAX: usize = 40;
/// How long between two looks.
pub const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);
/// Longest name of an access token.
pub const TOKEN_NAME_BYTES_MAX: usize = 100;
/// Access tokens in the file, those included that are used up: it is read as a whole.
pub const TOKENS_MAX: usize = 10_000;
/// Calls under way, of all clients, when nothing else is set: each may hold a message or two.
pub const CALLS_MAX: usize = 1_024;
/// Calls under way of one client (a token, or an address without one) when nothing else is set.
pub const CLIENT_CALLS_MAX: usize = 256;
/// Calls under way that may each keep a core busy for seconds, when nothing else is set.
pub const HEAVY_CALLS_MAX: usize = 8;
/// Of those, the calls of one client.
pub const CLIENT_HEAVY_CALLS_MAX: usize = 4;
/// Connections when nothing else is set; each costs some tens of kilobytes and a file descriptor.
pub const CONNECTIONS_MAX: usize = 1_000;
/// Connections from one address when nothing else is set.
pub const PEER_CONNECTIONS_MAX: usize = 500;
/// Messages of all calls that are held at the same time, coming in or waiting to be read, in MiB, when nothing else is set.
pub const MESSAGE_MEMORY_MIB: usize = 512;
/// Seconds that a call with one answer gets when nothing else is set; an exhaustive lookup of a full batch takes a minute.
pub const CALL_SECONDS_MAX: u64 = 300;
/// Seconds that a stream gets when nothing else is set. Watchers and imports resume where they were.
pub const STREAM_SECONDS_MAX: u64 = 24 * 60 * 60;
/// Seconds a client gets for the TLS handshake and for its first bytes; those who send nothing hold a connection.
pub const HANDSHAKE_SECONDS_MAX: u64 = 10;
/// Seconds without a sign of life after which a connection is asked for one, and closed after another such time.
pub const KEEPALIVE_SECONDS: u64 = 30;
/// Seconds after which a reader that takes nothing of an answer loses its connection: what waits for it is memory.
pub const STALLED_READER_SECONDS: u64 = 120;
/// Bytes of an answer that wait in the connection for their reader before more of it is made.
pub const SEND_BUFFER_BYTES: usize = 256 * 1024;
/// Bytes of the headers of one call.
pub const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// Calls that a client has begun and cancelled before they were looked at: a flood of them closes the connection.
pub const RESET_STREAMS_MAX: usize = 50;
/// Faults of a client on one connection, such as frames for a call that is over, after which it is closed.
pub const FAULTY_STREAMS_MAX: usize = 200;
/// Milliseconds that new work waits for a thread, from which on new calls are refused: who comes later would wait longer.
pub const QUEUE_MILLIS_MAX: u64 = 2_000;
/// Longest request id of a client; others get one of the server.
pub const REQUEST_ID_BYTES_MAX: usize = 128;
/// Bytes of an audit file when nothing else is said: some 200,000 writes, and still easy to look through.
pub const AUDIT_FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Older audit files that are kept when nothing else is said.
pub const AUDIT_FILES_MAX: u32 = 10;
/// Connections to the address for metrics and health.
pub const HTTP_CONNECTIONS_MAX: usize = 64;
/// Entries that a compaction, a backup or a verification reads at a time: some megabytes at the usual sizes.
pub const COMPACTION_PAGE_RECORDS: usize = 2_000;
/// Commits that a compaction may still have to copy when it makes writers wait: a fraction of a second.
pub const COMPACTION_CATCH_UP_COMMITS: u64 = 200;
/// Days for which compaction keeps the commit log when nothing else is said: time for a watcher or a backup to come back.
pub const LOG_RETENTION_DAYS: u32 = 30;
/// Commits that leave the log at a time: as short a break for writers as a commit of theirs.
pub const LOG_TRUNCATION_COMMITS: usize = 200;
/// Findings of one verification that are listed: who has more needs a backup, not a longer list.
pub const FINDINGS_MAX: usize = 1_000;
/// Bytes of a backup in one message.
pub const BACKUP_CHUNK_BYTES: usize = 256 * 1024;
/// Least base of a match, in hundredths of a point, for a query that is only numbers, codes and links. Nothing of it is
/// translated, so what stands for another value helps nobody, however many points are left: the values are the same, or it
/// is no match.
pub const PLACEABLES_BASE_MIN: u16 = 10_000;
/// Bytes that a message may take in memory, while it is decoded, for each of its bytes on the wire: text takes one, sentences of
/// twenty letters three. An empty element takes hundreds of bytes and two on the wire.
pub const DECODED_FACTOR_MAX: usize = 3;
/// Bytes that any message may take in memory beside, however short it is: two units with tags at their most on both sides.
pub const DECODED_FREE_BYTES: usize = 8 * 1024 * 1024;
/// Fields of one message that the protocol does not know, or that come again where only the last one counts. A client of a later
/// version may send a new field with every tag of a large batch; millions of such fields fit into a message, take no memory, and
/// hold a thread for seconds.
pub const USELESS_FIELDS_MAX: usize = 100_000;
/// Longest message of a health check or of reflection: the name of a service or of a symbol.
pub const PROBE_MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// Calls under way of callers without a token where tokens are in use, when nothing else is set: the health checks of some load
/// balancers. Each of them holds at most a message of a probe.
pub const ANONYMOUS_CALLS_MAX: usize = 128;
/// Connections on which no token was shown yet, where tokens are in use, when nothing else is set: a fleet of clients that
/// connects all at once still fits.
pub const ANONYMOUS_CONNECTIONS_MAX: usize = 200;
/// Seconds for a message to arrive when nothing else is set: the longest one at one megabit a second.
pub const MESSAGE_SECONDS_MAX: u64 = 150;
/// Seconds without a call after which a connection is closed when nothing else is set. Clients connect again by themselves.
pub const IDLE_CONNECTION_SECONDS: u64 = 3_600;
/// The same for a connection on which no token was shown, where tokens are in use: health checks come more often.
pub const ANONYMOUS_IDLE_SECONDS: u64 = 60;
/// Audit lines that wait for the disk before calls that would add to them have to wait: a second's worth of writes.
pub const AUDIT_QUEUE_LINES_MAX: usize = 4_096;
/// Words that two segments may differ in and still be a fuzzy match: no shorter one of 1,700 words is left out at 70 points, and
/// comparing two segments takes time in proportion to their length, however long they are.
pub const FUZZY_EDITS_MAX: usize = 512;
/// Words of code, of an address or of a long tag that are compared one by one. Code in running text has some ten; one of more
/// words that differs counts as another word, so that a text full of them is compared in time.
pub const COMPARED_WORDS_MAX: usize = 64;
/// Words of one concordance query; a longer stretch of text is a lookup.
pub const CONCORDANCE_WORDS_MAX: usize = 100;
/// Placeables of one match that are carried over into its target: where more differ, hardly any place is beyond doubt.
pub const ADAPTED_PLACES_MAX: usize = 64;
/// Pairs of terms of one document that are counted for its own lexicon: some 250 MB of memory, and more than a book of 100,000
/// sentences has. A document of 15 MB that is made for it has a billion.
pub const MEETINGS_MAX: usize = 8_000_000;
