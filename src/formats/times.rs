//! Parses and formats the times of files.

/// Parses a time as files write it, with or without punctuation: `20200131T235959Z`, `2020-01-31T23:59:59Z`, `2020-01-31`.
pub fn parse_time(text: &str) -> Option<crate::unit::Timestamp> {
    use jiff::civil::{Date, DateTime};
    let text = text.trim();
    let micros = |time: jiff::Timestamp| crate::unit::Timestamp { micros: time.as_microsecond() };
    if let Some(civil) = basic_time(text) {
        return jiff::tz::TimeZone::UTC.to_timestamp(civil).ok().map(micros);
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(micros(time));
    }
    let civil = text.parse::<DateTime>().or_else(|_| {
        text.parse::<Date>().map(|date| date.to_datetime(jiff::civil::Time::midnight()))
    });
    jiff::tz::TimeZone::UTC.to_timestamp(civil.ok()?).ok().map(micros)
}

/// Parses a time exactly as TMX writes it, `20200131T235959Z`: a large file holds two per unit.
fn basic_time(text: &str) -> Option<jiff::civil::DateTime> {
    let bytes: &[u8; 16] = text.as_bytes().try_into().ok()?;
    let number = |from: usize, digits: usize| {
        bytes[from..from + digits].iter().try_fold(0_i16, |number, byte| {
            byte.is_ascii_digit().then(|| number * 10 + i16::from(byte - b'0'))
        })
    };
    let small = |from: usize| number(from, 2).and_then(|it| i8::try_from(it).ok());
    if (bytes[8], bytes[15]) != (b'T', b'Z') {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, small(4)?, small(6)?);
    jiff::civil::DateTime::new(year, month, day, small(9)?, small(11)?, small(13)?, 0).ok()
}

/// Formats a time in RFC 3339, to the microsecond; `None` outside the years that it covers.
pub(super) fn time_text(time: crate::unit::Timestamp) -> Option<String> {
    jiff::Timestamp::from_microsecond(time.micros).ok().map(|time| time.to_string())
}
