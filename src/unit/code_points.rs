//! Converts positions in a text between bytes, as the engine counts, and code points, as messages and JSON count.

use std::ops::Range;

/// Code points before each block of a text: one pass over the text, then a step through one block for each position.
#[derive(Debug, Clone)]
pub struct CodePoints<'a> {
    text: &'a [u8],
    /// Code points before each block.
    before: Vec<usize>,
}

/// Bytes of a block, which is stepped through for each position.
const BLOCK_BYTES: usize = 256;

impl<'a> CodePoints<'a> {
    /// Reads the text once.
    pub fn new(text: &'a str) -> Self {
        let text = text.as_bytes();
        let mut sum = 0;
        let before = text.chunks(BLOCK_BYTES).map(|block| {
            let before = sum;
            sum += starts_in(block);
            before
        });
        Self { text, before: before.collect() }
    }

    /// Bytes of the text.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Code points before a byte; those of the whole text for a byte behind its end.
    pub fn at(&self, byte: usize) -> usize {
        let byte = byte.min(self.text.len());
        // The end of a text of whole blocks belongs to the last block.
        let block = (byte / BLOCK_BYTES).min(self.before.len().saturating_sub(1));
        let before = self.before.get(block).copied().unwrap_or_default();
        before + starts_in(&self.text[block * BLOCK_BYTES..byte])
    }

    /// A span of bytes as one of code points.
    pub fn span(&self, bytes: &Range<usize>) -> Range<usize> {
        self.at(bytes.start)..self.at(bytes.end)
    }

    /// The byte at which a code point starts, or the text ends; `None` behind its end.
    pub fn byte(&self, point: usize) -> Option<usize> {
        let block = self.before.partition_point(|before| *before <= point).saturating_sub(1);
        let start = block * BLOCK_BYTES;
        let mut left = point - self.before.get(block).copied().unwrap_or_default();
        for (place, byte) in self.text[start..].iter().enumerate() {
            if is_start(*byte) {
                if left == 0 {
                    return Some(start + place);
                }
                left -= 1;
            }
        }
        (left == 0).then_some(self.text.len())
    }
}

/// Whether a byte of UTF-8 is the first of a code point.
fn is_start(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

fn starts_in(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| is_start(**byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn positions_are_those_of_counting_characters(text in "[a\u{e9}\u{627}\u{1f600}]{0,400}") {
            let points = CodePoints::new(&text);
            let ends = [text.len()];
            let starts = text.char_indices().map(|(byte, _)| byte).chain(ends);
            for (point, byte) in starts.enumerate() {
                assert_eq!(points.at(byte), point);
                assert_eq!(points.byte(point), Some(byte));
            }
            let count = text.chars().count();
            assert_eq!(points.at(text.len() + 9), count);
            assert_eq!(points.byte(count + 1), None);
        }
    }
}
