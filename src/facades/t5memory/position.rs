//! A place in a listing, as clients of t5memory hand it back: two numbers with a colon between them.
//!
//! The first number holds the token of a page, each of its bytes as three digits after a 1; the second one the entries of that page
//! that were given already, plus 1. So `1:1` is the beginning, which is what translate5 asks for when it begins another memory.

use std::fmt;

use super::fault::Fault;

/// A place in a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// The token of the page; empty for the first one.
    pub(super) token: String,
    /// The entries of the page before this place.
    pub(super) skipped: usize,
}

impl Position {
    pub(super) fn parse(field: &str, text: &str) -> Result<Self, Fault> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self::default());
        }
        Self::parsed(text).ok_or_else(|| {
            let what = format!("the field {field} is not a place that an answer gave");
            Fault::bad_request(&what)
        })
    }

    fn parsed(text: &str) -> Option<Self> {
        let (page, entry) = text.split_once(':')?;
        let digits = page.strip_prefix('1')?.as_bytes();
        let is_digits = digits.iter().all(u8::is_ascii_digit);
        let byte = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse::<u8>().ok();
        let bytes = digits.chunks(3).map(|it| byte(it).filter(|_| is_digits && it.len() == 3));
        let bytes = bytes.collect::<Option<Vec<u8>>>()?;
        let mut token = String::with_capacity(2 * bytes.len());
        for byte in bytes {
            for digit in [byte >> 4, byte & 15] {
                token.push(char::from_digit(digit.into(), 16)?);
            }
        }
        let skipped = entry.parse::<usize>().ok()?.checked_sub(1)?;
        Some(Self { token, skipped })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("1")?;
        for pair in self.token.as_bytes().chunks(2) {
            let digits = std::str::from_utf8(pair).map_err(|_| fmt::Error)?;
            let byte = u8::from_str_radix(digits, 16).map_err(|_| fmt::Error)?;
            write!(out, "{byte:03}")?;
        }
        write!(out, ":{}", self.skipped + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_written_and_read_back() {
        for (token, skipped) in [("", 0), ("", 7), ("00ff10", 0), ("02deadbeef", 199)] {
            let position = Position { token: token.to_owned(), skipped };
            let text = position.to_string();
            assert!(text.bytes().all(|it| it.is_ascii_digit() || it == b':'), "{text}");
            assert_eq!(Position::parse("x", &text).unwrap(), position);
        }
        assert_eq!(Position { token: "00ff".into(), skipped: 1 }.to_string(), "1000255:2");
        assert_eq!(Position::parse("x", "").unwrap(), Position::default());
        for wrong in
            ["7:1", "1", ":", "1:0", "1:x", "12:1", "1999:1", "1+25:1", "a:b", "1:-1", "\u{661}:1"]
        {
            assert!(Position::parse("x", wrong).is_err(), "{wrong}");
        }
    }
}
