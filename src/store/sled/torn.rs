//! Finds a change of the database of which a loss of power has lost a part, and ends the log before it.
//!
//! sled keeps large pages in files of their own (see `blobs`), and skips a message of its log whose file is missing, but applies the
//! rest of its transaction. A commit makes its files durable before its log is written, but sled also writes pages that readers
//! split. After a power loss their messages, or those of a transaction, may be there without the files.
//!
//! sled also takes a segment of its log for durable when it begins the next one, although nothing has synced it, and skips messages
//! there that are damaged. Everything acknowledged comes before both: a commit is acknowledged when its log and all files are
//! durable that were created before.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::blobs::BLOBS;
use super::database::DATABASE_LOG;
use super::raw::{
    Link, MESSAGE_HEADER_BYTES_MAX, MESSAGE_HEADER_BYTES_MIN, SEGMENT_BYTES, SEGMENT_HEADER_BYTES,
    kind, message, read_segment, segment_number,
};
use crate::store::Sequence;
use crate::store::codec;

/// A message of the log.
struct Entry {
    /// Position in the log.
    at: u64,
    step: Step,
}

enum Step {
    /// Begins a transaction; the position of its last byte in the log.
    Begin(u64),
    /// Sets the whole content of a page, or frees it.
    Replace(u64),
    /// Sets or changes the content of a page by a file that is missing or damaged.
    Missing(u64),
    /// Nothing valid is here, but sled takes what follows for durable.
    Hole,
    Other,
}

/// The position in the log where it must end so that no transaction is applied in part; `None` where none is.
///
/// # Errors
/// I/O.
pub(super) fn find(database: &Path, acknowledged: Option<Sequence>) -> io::Result<Option<u64>> {
    let file = match File::open(database.join(DATABASE_LOG)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut log = tail(&file, &database.join(BLOBS), acknowledged)?;
    let mut end = None;
    // When a transaction is dropped, an earlier missing file that it had replaced may count again.
    while let Some(missing) = first_missing(&log) {
        let whole = log[..missing]
            .iter()
            .rposition(|it| matches!(it.step, Step::Begin(last) if last >= log[missing].at))
            .unwrap_or(missing);
        end = Some(log[whole].at);
        log.truncate(whole);
    }
    Ok(end)
}

/// Ends the log at a position: sled ends it before a message that has no kind, and takes segments without a header for unused.
///
/// # Errors
/// I/O.
pub(super) fn cut(database: &Path, end: u64) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(database.join(DATABASE_LOG))?;
    let (number, within) = (end / SEGMENT_BYTES as u64, end % SEGMENT_BYTES as u64);
    let (segments, _) = segments(&file)?;
    for index in segments.range(number + 1..).map(|(_, index)| index) {
        file.write_all_at(&[0; SEGMENT_HEADER_BYTES], index * SEGMENT_BYTES as u64)?;
    }
    match segments.get(&number) {
        Some(index) if within > 0 => {
            file.write_all_at(&[0; MESSAGE_HEADER_BYTES_MIN], index * SEGMENT_BYTES as u64 + within)
        }
        _ => Ok(()),
    }
}

/// The first message whose file is missing, unless the page gets a new content later: the files of replaced pages are deleted.
fn first_missing(log: &[Entry]) -> Option<usize> {
    let mut missing = BTreeMap::new();
    for (index, entry) in log.iter().enumerate() {
        match entry.step {
            Step::Missing(page) => drop(missing.entry(page).or_insert(index)),
            Step::Replace(page) => drop(missing.remove(&page)),
            // The last entry.
            Step::Hole => return missing.into_values().min().or(Some(index)),
            Step::Begin(_) | Step::Other => {}
        }
    }
    missing.into_values().min()
}

/// The messages at the end of the log, from the segment with the last acknowledged commit, or from where sled itself verifies
/// messages one by one: the last segment that holds the stable position of any segment.
fn tail(file: &File, blobs: &Path, acknowledged: Option<Sequence>) -> io::Result<Vec<Entry>> {
    let (segments, stable) = segments(file)?;
    let first = first_of_tail(file, &segments, acknowledged)?.min(stable / SEGMENT_BYTES as u64);
    let mut log = Vec::new();
    let mut end = 0;
    for number in first.. {
        let base = number * SEGMENT_BYTES as u64;
        let mut is_whole = false;
        if let Some(index) = segments.get(&number) {
            let buffer = read_segment(file, *index)?;
            let at;
            (at, is_whole) = messages(&buffer, number, blobs, &mut log)?;
            end = base + at as u64;
        }
        if !is_whole {
            let at = end.max(base);
            if at < stable {
                log.push(Entry { at, step: Step::Hole });
                return Ok(log);
            }
            break;
        }
    }
    // sled drops a transaction whose end is missing, and what follows it.
    let torn = log.iter().position(|it| matches!(it.step, Step::Begin(last) if last >= end));
    log.truncate(torn.unwrap_or(log.len()));
    Ok(log)
}

/// Adds the messages of a segment up to the first one that is not valid; returns where they end, and whether the segment does.
fn messages(
    buffer: &[u8],
    number: u64,
    blobs: &Path,
    log: &mut Vec<Entry>,
) -> io::Result<(usize, bool)> {
    let mut at = SEGMENT_HEADER_BYTES;
    loop {
        if at + MESSAGE_HEADER_BYTES_MAX > SEGMENT_BYTES {
            return Ok((at, true));
        }
        let Some((message, _)) = message(buffer, at, Some(number)) else { return Ok((at, false)) };
        if message.kind == kind::CAP {
            return Ok((at, true));
        }
        let body = &buffer[message.body.clone()];
        let number_in_body = || body.first_chunk().map_or(0, |it| u64::from_le_bytes(*it));
        let step = match message.kind {
            kind::BATCH_MANIFEST => Step::Begin(number_in_body()),
            kind::FREE | kind::INLINE_NODE => Step::Replace(message.page),
            kind::BLOB_NODE | kind::BLOB_LINK => {
                let path = blobs.join(number_in_body().to_string());
                match (is_whole(&path, message.kind)?, message.kind) {
                    (false, _) => Step::Missing(message.page),
                    (true, kind::BLOB_NODE) => Step::Replace(message.page),
                    (true, _) => Step::Other,
                }
            }
            _ => Step::Other,
        };
        log.push(Entry { at: number * SEGMENT_BYTES as u64 + at as u64, step });
        at = message.body.end;
    }
}

/// Whether the file of a large message is there and passes its checksum, which covers its kind and its content.
fn is_whole(path: &Path, kind: u8) -> io::Result<bool> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let Some((checksum, content)) = bytes.split_first_chunk() else { return Ok(false) };
    let found = crc32fast::hash(content);
    Ok(content.first() == Some(&kind) && u32::from_le_bytes(*checksum) == found)
}

/// The last segment that holds the record of the last acknowledged commit; without one, the first segment. Further back than an
/// append is long everything is durable.
fn first_of_tail(
    file: &File,
    segments: &BTreeMap<u64, u64>,
    acknowledged: Option<Sequence>,
) -> io::Result<u64> {
    let key = acknowledged.map(|it| it.0.to_be_bytes());
    let mut first = 0;
    for (&number, &index) in segments.iter().rev().take(TAIL_SEGMENTS_MAX) {
        first = number;
        let buffer = read_segment(file, index)?;
        let mut at = SEGMENT_HEADER_BYTES;
        while let Some((message, _)) = message(&buffer, at, Some(number)) {
            let body = &buffer[message.body.clone()];
            if message.kind == kind::INLINE_LINK && key.is_some_and(|key| is_log_record(key, body))
            {
                return Ok(number);
            }
            at = message.body.end;
        }
    }
    Ok(first)
}

/// More segments than the commits of one append take, with the pages that sled writes again meanwhile.
const TAIL_SEGMENTS_MAX: usize = 64;

/// Whether the body of a message sets the record of a commit.
fn is_log_record(key: [u8; 8], body: &[u8]) -> bool {
    match Link::parse(body) {
        Some(Link::Set(of, value)) => {
            body[of] == key[..] && codec::decode_log(&key, &body[value]).is_ok()
        }
        _ => false,
    }
}

/// The index of each segment in the file by its number in the log, and the greatest position that any of them calls stable.
fn segments(file: &File) -> io::Result<(BTreeMap<u64, u64>, u64)> {
    let bytes = file.metadata()?.len();
    let (mut segments, mut stable) = (BTreeMap::new(), 0);
    for index in 0..bytes.div_ceil(SEGMENT_BYTES as u64) {
        let mut header = [0; SEGMENT_HEADER_BYTES];
        match file.read_exact_at(&mut header, index * SEGMENT_BYTES as u64) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
        let Some(number) = segment_number(&header) else { continue };
        let position = header.last_chunk().map_or(0, |it| i64::from_le_bytes(*it) ^ i64::MAX);
        stable = stable.max(u64::try_from(position).unwrap_or(0));
        segments.insert(number, index);
    }
    Ok((segments, stable))
}
