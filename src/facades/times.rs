//! Times as the protocols write them, in UTC.

use crate::unit::Timestamp;

/// `2013-06-12 17:02:07`
pub(super) fn calendar(time: Timestamp) -> String {
    written(time, "%Y-%m-%d %H:%M:%S")
}

/// `20130612T170207Z`
pub(super) fn basic(time: Timestamp) -> String {
    written(time, "%Y%m%dT%H%M%SZ")
}

fn written(time: Timestamp, form: &str) -> String {
    // A time out of range cannot be stored.
    let time = jiff::Timestamp::from_microsecond(time.micros).unwrap_or_default();
    time.strftime(form).to_string()
}
