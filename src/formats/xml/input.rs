//! Feeds the bytes of a document to the parser: tracks positions, limits the size of a piece, and takes bytes back.
//!
//! Knows nothing of XML.

use std::io::{self, BufRead, Read};
use std::sync::Arc;

use crate::formats::io::Text;
use crate::limits::{
    XML_PIECE_BYTES_MAX, XML_REREAD_FREE_BYTES, XML_REREAD_TIMES_MAX, XML_TAG_BYTES_MAX,
};
use crate::unit::Place;

/// A place in the input: 1-based, columns in code points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

impl Position {
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    pub(crate) fn place(self, file: &Arc<str>, unit: u64) -> Place {
        Place { file: Arc::clone(file), line: self.line, column: self.column, unit }
    }
}

/// The kind of a piece by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PieceKind {
    Text,
    Markup,
    Tag,
}

/// An input that tracks positions, limits the size of a piece, and takes bytes back.
pub(crate) struct Input<'r> {
    text: Text<'r>,
    position: Position,
    after_return: bool,
    /// Where the piece being read begins.
    piece_start: (Position, bool),
    piece_bytes: usize,
    kind: PieceKind,
    is_full: bool,
    /// Bytes that were given back, and how many of them have been read again.
    again: Vec<u8>,
    again_taken: usize,
    fresh_bytes: u64,
    again_bytes: u64,
}

impl<'r> Input<'r> {
    pub(crate) fn new(text: Text<'r>) -> Self {
        Self {
            text,
            position: Position::START,
            after_return: false,
            piece_start: (Position::START, false),
            piece_bytes: 0,
            kind: PieceKind::Text,
            is_full: false,
            again: Vec::new(),
            again_taken: 0,
            fresh_bytes: 0,
            again_bytes: 0,
        }
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Begins a piece and counts its bytes from here.
    pub(crate) fn begin_piece(&mut self) {
        self.piece_start = (self.position, self.after_return);
        self.piece_bytes = 0;
        self.kind = PieceKind::Text;
        self.is_full = false;
    }

    /// Whether reading failed because the piece is too long.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Takes back the end of the current piece, to be read again after `kept`. Returns `false` when too much has been read again
    /// for the time to stay in proportion to the file.
    #[must_use]
    pub(crate) fn give_back(&mut self, kept: &[u8], back: &[u8]) -> bool {
        let (mut position, mut after_return) = self.piece_start;
        advance(&mut position, &mut after_return, kept);
        (self.position, self.after_return) = (position, after_return);
        if back.len() <= self.again_taken {
            // These bytes came from `again` and are still there.
            self.again_taken -= back.len();
        } else {
            self.again = back.to_vec();
            self.again_taken = 0;
        }
        self.again_bytes += back.len() as u64;
        let most = self.fresh_bytes.saturating_mul(XML_REREAD_TIMES_MAX);
        self.again_bytes <= most.max(XML_REREAD_FREE_BYTES)
    }

    fn ready(&mut self) -> io::Result<&[u8]> {
        if self.again_taken < self.again.len() {
            return Ok(&self.again[self.again_taken..]);
        }
        self.text.fill_buf()
    }
}

/// Moves a position past some bytes.
fn advance(position: &mut Position, after_return: &mut bool, bytes: &[u8]) {
    // Each of these loops is vectorized.
    let count = |bytes: &[u8], is: fn(u8) -> bool| bytes.iter().filter(|&&it| is(it)).count();
    let Some(&last) = bytes.last() else { return };
    if *after_return || count(bytes, |it| it == b'\r') > 0 {
        return advance_bytewise(position, after_return, bytes);
    }
    let feeds = count(bytes, |it| it == b'\n');
    let mut line = bytes;
    if feeds > 0 {
        position.line += feeds as u64;
        position.column = 1;
        let start = bytes.iter().rposition(|&it| it == b'\n').map_or(0, |feed| feed + 1);
        line = &bytes[start..];
    }
    position.column += count(line, |it| !matches!(it, 0x80..=0xbf)) as u64;
    *after_return = last == b'\r';
}

/// Does the same byte by byte, for any line ends.
fn advance_bytewise(position: &mut Position, after_return: &mut bool, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'\n' if *after_return => {}
            b'\n' | b'\r' => *position = Position { line: position.line + 1, column: 1 },
            // Continuation bytes of UTF-8 do not begin characters.
            0x80..=0xbf => {}
            _ => position.column += 1,
        }
        *after_return = byte == b'\r';
    }
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let bytes = available.len().min(buffer.len());
        buffer[..bytes].copy_from_slice(&available[..bytes]);
        self.consume(bytes);
        Ok(bytes)
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let is_tag = self.kind == PieceKind::Tag;
        let most = if is_tag { XML_TAG_BYTES_MAX } else { XML_PIECE_BYTES_MAX };
        if self.piece_bytes > most {
            self.is_full = true;
            let message = format!("a tag or a text is longer than {most} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        self.ready()
    }

    fn consume(&mut self, bytes: usize) {
        let (mut position, mut after_return) = (self.position, self.after_return);
        let mut first = None;
        // The buffer is filled, so this does not read.
        if let Ok(available) = self.ready() {
            let passed = &available[..bytes.min(available.len())];
            advance(&mut position, &mut after_return, passed);
            first = passed.first().copied();
        }
        match (self.piece_bytes, self.kind, first) {
            (0, _, Some(b'<')) => self.kind = PieceKind::Markup,
            (1, PieceKind::Markup, Some(b'!' | b'?')) => {}
            (1, PieceKind::Markup, Some(_)) => self.kind = PieceKind::Tag,
            _ => {}
        }
        (self.position, self.after_return) = (position, after_return);
        self.piece_bytes += bytes;
        if self.again_taken < self.again.len() {
            self.again_taken += bytes;
        } else if bytes > 0 {
            self.again.clear();
            self.again_taken = 0;
            self.fresh_bytes += bytes as u64;
            self.text.consume(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_counting_one_by_one() {
        let text = "a\u{633}\n\r\nb\rc\u{644}\u{627}\n\nxyz\r\r\nq\u{1f600}w";
        let start = Position { line: 1, column: 1 };
        for size in 1..text.len() {
            let (mut fast, mut slow) = ((start, false), (start, false));
            for piece in text.as_bytes().chunks(size) {
                advance(&mut fast.0, &mut fast.1, piece);
                advance_bytewise(&mut slow.0, &mut slow.1, piece);
                assert_eq!(fast, slow, "pieces of {size}");
            }
            assert_eq!(slow.0, Position { line: 8, column: 4 });
        }
    }

    #[test]
    fn bytes_that_are_given_back_are_read_again_at_their_place() {
        let text = "ab\n\u{633}cd";
        let mut input = Input::new(Box::new(text.as_bytes()));
        let read = |input: &mut Input<'_>, bytes: usize| {
            let mut taken = vec![0; bytes];
            input.read_exact(&mut taken).unwrap();
            (String::from_utf8(taken).unwrap(), input.position().line, input.position().column)
        };
        input.begin_piece();
        assert_eq!(read(&mut input, 6), ("ab\n\u{633}c".to_owned(), 2, 3));
        assert!(input.give_back(b"a", "b\n\u{633}c".as_bytes()));
        assert_eq!((input.position().line, input.position().column), (1, 2));
        input.begin_piece();
        assert_eq!(read(&mut input, 2), ("b\n".to_owned(), 2, 1));
        assert!(input.give_back(b"b", b"\n"));
        input.begin_piece();
        assert_eq!(read(&mut input, 5), ("\n\u{633}cd".to_owned(), 2, 4));
        // Part of this piece had been given back before, part had not.
        assert!(input.give_back(b"\n", "\u{633}cd".as_bytes()));
        input.begin_piece();
        assert_eq!(read(&mut input, 4), ("\u{633}cd".to_owned(), 2, 4));
        assert_eq!(input.fill_buf().unwrap(), b"");
    }

    #[test]
    fn reading_again_has_an_end() {
        let mut input = Input::new(Box::new(&b"xxxxxxxx"[..]));
        let mut times = 0_u64;
        loop {
            input.begin_piece();
            input.read_exact(&mut [0; 8]).unwrap();
            times += 1;
            if !input.give_back(b"", b"xxxxxxxx") {
                break;
            }
        }
        assert_eq!(times, XML_REREAD_FREE_BYTES / 8 + 1);
    }
}
