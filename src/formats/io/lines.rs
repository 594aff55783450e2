//! Reads the lines of a text, with a limit on their length.

use std::io::{self, BufRead as _, Read as _};

use super::decode::{Source, Text};

/// A text being read line by line.
pub(crate) struct Lines<'r> {
    text: Text<'r>,
    source: Source,
    bytes_max: usize,
}

impl<'r> Lines<'r> {
    pub(crate) fn new(text: Text<'r>, source: Source, bytes_max: usize) -> Self {
        Self { text, source, bytes_max }
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// The next line without its end.
    pub(crate) fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        let bytes = self.text.by_ref().take(self.bytes_max as u64).read_until(b'\n', &mut line)?;
        if bytes == 0 {
            return Ok(None);
        }
        self.source.spend_row()?;
        if bytes == self.bytes_max && !line.ends_with(b"\n") {
            let message = format!("a line longer than {} bytes", self.bytes_max);
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let ends: &[u8] = if line.ends_with(b"\r\n") { b"\r\n" } else { b"\n" };
        line.truncate(line.strip_suffix(ends).map_or(line.len(), <[u8]>::len));
        // The decoder yields valid UTF-8.
        Ok(Some(match String::from_utf8(line) {
            Ok(line) => line,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }))
    }
}
