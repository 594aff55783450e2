//! Reads the clock of this machine, as the store keeps times.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::unit::Timestamp;

/// The time now; 1970 when the clock is before it.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp { micros: i64::try_from(since.as_micros()).unwrap_or(i64::MAX) }
}
