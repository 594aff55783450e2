//! The lines of an input, passed on as they come: one at a time when a program or a person writes them, many when they are there already.

use std::collections::VecDeque;
use std::io::{self, Read};

use anyhow::Context as _;
use tokio::sync::mpsc;

use crate::limits::DOCUMENT_BYTES_MAX;

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 64 * 1024;
/// Pieces of an input that wait to be taken.
const PIECES_WAITING: usize = 4;

type Piece = anyhow::Result<Vec<String>>;

/// Lines without their ends.
pub(super) struct Lines {
    /// Those that were read and not yet taken.
    ready: VecDeque<String>,
    /// Those of an input that is being read.
    more: Option<mpsc::Receiver<Piece>>,
}

impl Lines {
    /// Lines that are there already.
    pub(super) fn given(lines: Vec<String>) -> Self {
        Self { ready: lines.into(), more: None }
    }

    /// The lines of an input in UTF-8. It is read on a thread of its own, which may wait for as long as the process lives.
    pub(super) fn of(name: String, input: Box<dyn Read + Send>) -> Self {
        let (pieces, more) = mpsc::channel(PIECES_WAITING);
        std::thread::spawn(move || read(&name, input, &pieces));
        Self { ready: VecDeque::new(), more: Some(more) }
    }

    /// Waits for a line, and returns it with those that are already there, at most so many; none at the end.
    pub(super) async fn next(&mut self, most: usize) -> anyhow::Result<Vec<String>> {
        while self.ready.is_empty() {
            let Some(more) = &mut self.more else { break };
            match more.recv().await {
                Some(lines) => self.ready.extend(lines?),
                None => self.more = None,
            }
        }
        let count = self.ready.len().min(most);
        Ok(self.ready.drain(..count).collect())
    }
}

/// Reads an input to its end, and passes on the lines that are complete each time something was read.
fn read(name: &str, mut input: impl Read, pieces: &mpsc::Sender<Piece>) {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut line_begun = Vec::new();
    let mut number = 0;
    loop {
        let count = match input.read(&mut buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let error = Err(error).with_context(|| format!("reading {name}"));
                // Nobody waits for it when the command has ended.
                drop(pieces.blocking_send(error));
                return;
            }
        };
        let new = &buffer[..count];
        let complete = memchr::memrchr(b'\n', new).map_or(0, |place| place + 1);
        let mut bytes = Vec::new();
        if complete > 0 || count == 0 {
            bytes = std::mem::take(&mut line_begun);
        }
        bytes.extend(&new[..complete]);
        line_begun.extend(&new[complete..]);
        let too_long = (line_begun.len() > DOCUMENT_BYTES_MAX).then(|| {
            anyhow::anyhow!(
                "line {} of {name} is longer than {} MiB; end each segment with a line end",
                number + 1,
                DOCUMENT_BYTES_MAX >> 20
            )
        });
        let (lines, fault) = lines(name, &bytes, &mut number);
        if !lines.is_empty() && pieces.blocking_send(Ok(lines)).is_err() {
            return;
        }
        if let Some(fault) = fault.or(too_long) {
            drop(pieces.blocking_send(Err(fault)));
            return;
        }
        if count == 0 {
            return;
        }
    }
}

/// The lines of complete bytes, up to the first that is not text.
fn lines(name: &str, bytes: &[u8], number: &mut u64) -> (Vec<String>, Option<anyhow::Error>) {
    let mut lines = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        *number += 1;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Ok(text) = std::str::from_utf8(line) else {
            let fault = anyhow::anyhow!(
                "line {number} of {name} is not UTF-8; convert it, or give it as --file, which knows other encodings"
            );
            return (lines, Some(fault));
        };
        // A mark of the byte order is no part of the text.
        let text = text.strip_prefix('\u{feff}').filter(|_| *number == 1).unwrap_or(text);
        lines.push(text.to_owned());
    }
    (lines, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its pieces one after the other, as a pipe does.
    struct Pieces(VecDeque<&'static [u8]>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some(piece) = self.0.pop_front() else { return Ok(0) };
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    async fn all(pieces: &[&'static [u8]], most: usize) -> Result<Vec<String>, String> {
        let input = Pieces(pieces.iter().copied().collect());
        let mut lines = Lines::of("it".to_owned(), Box::new(input));
        let mut all = Vec::new();
        loop {
            let more = lines.next(most).await.map_err(|error| error.to_string())?;
            assert!(more.len() <= most);
            if more.is_empty() {
                return Ok(all);
            }
            all.extend(more);
        }
    }

    #[tokio::test]
    async fn lines_are_the_same_however_they_arrive() {
        for most in [1, 2, 64] {
            let whole = all(&[b"\xef\xbb\xbfa\r\n\nb c\nend"], most).await;
            assert_eq!(whole.unwrap(), ["a", "", "b c", "end"]);
            let parts = all(&[b"\xef\xbb\xbfa", b"\r", b"\n\nb", b" c\ne", b"nd"], most).await;
            assert_eq!(parts.unwrap(), ["a", "", "b c", "end"]);
        }
        assert_eq!(all(&[], 1).await.unwrap(), [""; 0]);
        assert_eq!(all(&[b"a\n"], 1).await.unwrap(), ["a"]);
        let fault = all(&[b"a\n\xff\n"], 1).await.unwrap_err();
        assert!(fault.starts_with("line 2 of it is not UTF-8"), "{fault}");
    }
}
