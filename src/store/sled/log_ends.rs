//! Verifies the commit log when a database is opened, and finds its start and end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use sled::Tree;

use crate::store::codec::{self, CodecError};
use crate::store::{LogPosition, LogStart, StoreError};

use super::directory::{damaged, panic_message};

/// Key of the [`LogStart`] in the log's table.
pub(super) const LOG_START_KEY: [u8; 8] = [0; 8];

/// Reads the whole commit log and verifies that its numbers have no gap and that the running checksums agree.
pub(super) fn read_log_ends(
    directory: &Path,
    log: &Tree,
) -> Result<(LogStart, LogPosition), StoreError> {
    let bad = |error: CodecError| damaged(directory, format!("commit log: {error}"));
    let mut start = LogStart::default();
    let mut end = LogPosition::default();
    let mut records = log.iter();
    loop {
        let next = catch_unwind(AssertUnwindSafe(|| records.next().transpose()))
            .map_err(|panic| damaged(directory, panic_message(panic.as_ref())))?
            .map_err(|error| damaged(directory, error.to_string()))?;
        let Some((key, bytes)) = next else {
            return Ok((start, end));
        };
        if *key == LOG_START_KEY {
            start = codec::decode(&key, &bytes).map_err(bad)?;
            end = start.into();
            continue;
        }
        let record = codec::decode_log(&key, &bytes).map_err(bad)?;
        let expected = end.sequence.next();
        if record.sequence != expected || !record.follows(end.checksum) {
            let what = format!("the commit log breaks at commit {}", expected.0);
            return Err(damaged(directory, what));
        }
        end = LogPosition::from(&record);
    }
}
