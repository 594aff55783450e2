//! Finds a change of the database of which a crash has lost a large page, and ends the log before it.
//!
//! sled keeps large pages in files of their own (see `blobs`), and skips a message of its log whose file is missing, but applies the
//! rest of its transaction. A commit makes its files durable before its log is written, but sled also writes pages that readers
//! split. After a power loss their messages, or those of a transaction, may be there without the files. Everything acknowledged
//! comes before them: a commit is acknowledged when all files are durable that were created before its log was synced.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::blobs::BLOBS;
use super::database::DATABASE_LOG;
use super::raw::{
    MESSAGE_HEADER_BYTES_MAX, MESSAGE_HEADER_BYTES_MIN, SEGMENT_BYTES, SEGMENT_HEADER_BYTES, kind,
    message, read_segment, segment_number,
};

/// A message of the log.
struct Entry {
    /// Position in the log.
    at: u64,
    /// Position in the file.
    offset: u64,
    step: Step,
}

enum Step {
    /// Begins a transaction; the position of its last byte in the log.
    Begin(u64),
    /// Sets the whole content of a page, or frees it.
    Replace(u64),
    /// Sets or changes the content of a page by a file that is missing.
    Missing(u64),
    Other,
}

/// The position in the database file where the log must end so that no transaction is applied in part; `None` where none is.
///
/// # Errors
/// I/O.
pub(super) fn find(database: &Path) -> io::Result<Option<u64>> {
    let file = match File::open(database.join(DATABASE_LOG)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut log = unstable_tail(&file, &database.join(BLOBS))?;
    let mut end = None;
    // When a transaction is dropped, an earlier missing file that it had replaced may count again.
    while let Some(missing) = first_missing(&log) {
        let whole = log[..missing]
            .iter()
            .rposition(|it| matches!(it.step, Step::Begin(last) if last >= log[missing].at))
            .unwrap_or(missing);
        end = Some(log[whole].offset);
        log.truncate(whole);
    }
    Ok(end)
}

/// Ends the log at a position in the database file: sled ends it before a message that has no kind.
///
/// # Errors
/// I/O.
pub(super) fn cut(database: &Path, offset: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(database.join(DATABASE_LOG))?;
    file.write_all_at(&[0; MESSAGE_HEADER_BYTES_MIN], offset)
}

/// The first message whose file is missing, unless the page gets a new content later: the files of replaced pages are deleted.
fn first_missing(log: &[Entry]) -> Option<usize> {
    let mut missing = BTreeMap::new();
    for (index, entry) in log.iter().enumerate() {
        match entry.step {
            Step::Missing(page) => drop(missing.entry(page).or_insert(index)),
            Step::Replace(page) => drop(missing.remove(&page)),
            Step::Begin(_) | Step::Other => {}
        }
    }
    missing.into_values().min()
}

/// The messages at the end of the log that sled verifies one by one when it opens it, from the last segment that holds the stable
/// position of any segment. Earlier ones were synced before a later segment was begun.
fn unstable_tail(file: &File, blobs: &Path) -> io::Result<Vec<Entry>> {
    let (segments, stable) = segments(file)?;
    let mut log = Vec::new();
    let mut end = 0;
    for number in stable / SEGMENT_BYTES as u64.. {
        let Some(index) = segments.get(&number) else { break };
        let buffer = read_segment(file, *index)?;
        let mut at = SEGMENT_HEADER_BYTES;
        let mut is_whole = false;
        loop {
            if at + MESSAGE_HEADER_BYTES_MAX > SEGMENT_BYTES {
                is_whole = true;
                break;
            }
            let Some((message, _)) = message(&buffer, at, Some(number)) else { break };
            if message.kind == kind::CAP {
                is_whole = true;
                break;
            }
            let body = &buffer[message.body.clone()];
            let number_in_body = || body.first_chunk().map_or(0, |it| u64::from_le_bytes(*it));
            let step = match message.kind {
                kind::BATCH_MANIFEST => Step::Begin(number_in_body()),
                kind::FREE | kind::INLINE_NODE => Step::Replace(message.page),
                kind::BLOB_NODE | kind::BLOB_LINK => {
                    let is_there = blobs.join(number_in_body().to_string()).try_exists()?;
                    match (is_there, message.kind) {
                        (false, _) => Step::Missing(message.page),
                        (true, kind::BLOB_NODE) => Step::Replace(message.page),
                        (true, _) => Step::Other,
                    }
                }
                _ => Step::Other,
            };
            let base = number * SEGMENT_BYTES as u64;
            let offset = *index * SEGMENT_BYTES as u64 + at as u64;
            log.push(Entry { at: base + at as u64, offset, step });
            at = message.body.end;
            end = base + at as u64;
        }
        if !is_whole {
            break;
        }
    }
    // sled drops a transaction whose end is missing, and what follows it.
    let torn = log.iter().position(|it| matches!(it.step, Step::Begin(last) if last >= end));
    log.truncate(torn.unwrap_or(log.len()));
    Ok(log)
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
