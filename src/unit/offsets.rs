//! Converts offsets in a text between bytes, as the engine counts, and the units in which clients count.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// In what offsets count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OffsetUnit {
    /// Unicode code points.
    #[default]
    CodePoint,
    /// Bytes of UTF-8.
    Utf8Byte,
    /// 16-bit units of UTF-16: two for a code point above U+FFFF.
    Utf16CodeUnit,
}

impl OffsetUnit {
    /// How many of it, for messages: `code points`.
    pub fn plural(self) -> &'static str {
        match self {
            Self::CodePoint => "code points",
            Self::Utf8Byte => "bytes of UTF-8",
            Self::Utf16CodeUnit => "units of UTF-16",
        }
    }

    /// How many of it begin with a byte of UTF-8.
    fn begun_by(self, byte: u8) -> usize {
        match self {
            Self::Utf8Byte => 1,
            // Continuation bytes are 10xxxxxx, and first bytes of four 11110xxx.
            Self::CodePoint => usize::from(byte & 0xc0 != 0x80),
            Self::Utf16CodeUnit => usize::from(byte & 0xc0 != 0x80) + usize::from(byte >= 0xf0),
        }
    }

    fn begun_in(self, bytes: &[u8]) -> usize {
        match self {
            Self::Utf8Byte => bytes.len(),
            _ => bytes.iter().map(|byte| self.begun_by(*byte)).sum(),
        }
    }
}

/// Offsets before each block of a text: one pass over the text, then a step through one block for each offset.
#[derive(Debug, Clone)]
pub struct TextOffsets<'a> {
    text: &'a str,
    unit: OffsetUnit,
    /// Offsets before each block; none where they are bytes.
    before: Vec<usize>,
}

/// Bytes of a block, which is stepped through for each offset.
const BLOCK_BYTES: usize = 256;

impl<'a> TextOffsets<'a> {
    /// Reads the text once.
    pub fn new(text: &'a str, unit: OffsetUnit) -> Self {
        let mut sum = 0;
        let before = text.as_bytes().chunks(BLOCK_BYTES).map(|block| {
            let before = sum;
            sum += unit.begun_in(block);
            before
        });
        let before = if unit == OffsetUnit::Utf8Byte { Vec::new() } else { before.collect() };
        Self { text, unit, before }
    }

    /// Offsets in code points.
    pub fn code_points(text: &'a str) -> Self {
        Self::new(text, OffsetUnit::CodePoint)
    }

    /// Bytes of the text.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The offset of a byte; that of the end for a byte behind it.
    pub fn at(&self, byte: usize) -> usize {
        let byte = byte.min(self.text.len());
        if self.unit == OffsetUnit::Utf8Byte {
            return byte;
        }
        // The end of a text of whole blocks belongs to the last block.
        let block = (byte / BLOCK_BYTES).min(self.before.len().saturating_sub(1));
        let before = self.before.get(block).copied().unwrap_or_default();
        before + self.unit.begun_in(&self.text.as_bytes()[block * BLOCK_BYTES..byte])
    }

    /// A span of bytes as one of offsets.
    pub fn span(&self, bytes: &Range<usize>) -> Range<usize> {
        self.at(bytes.start)..self.at(bytes.end)
    }

    /// The byte of an offset; `None` behind the end, and inside a code point.
    pub fn byte(&self, offset: usize) -> Option<usize> {
        if self.unit == OffsetUnit::Utf8Byte {
            return self.text.is_char_boundary(offset).then_some(offset);
        }
        let block = self.before.partition_point(|before| *before <= offset).saturating_sub(1);
        let start = block * BLOCK_BYTES;
        let mut left = offset - self.before.get(block).copied().unwrap_or_default();
        for (place, byte) in self.text.as_bytes()[start..].iter().enumerate() {
            let begun = self.unit.begun_by(*byte);
            if begun == 0 {
                continue;
            }
            if left == 0 {
                return Some(start + place);
            }
            left = left.checked_sub(begun)?;
        }
        (left == 0).then_some(self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn offsets_are_those_of_counting_characters(text in "[a\u{e9}\u{627}\u{1f600}]{0,400}") {
            for (unit, count) in [
                (OffsetUnit::CodePoint, (|_| 1) as fn(char) -> usize),
                (OffsetUnit::Utf8Byte, char::len_utf8),
                (OffsetUnit::Utf16CodeUnit, char::len_utf16),
            ] {
                let offsets = TextOffsets::new(&text, unit);
                let mut offset = 0;
                for (byte, character) in text.char_indices() {
                    assert_eq!(offsets.at(byte), offset);
                    assert_eq!(offsets.byte(offset), Some(byte));
                    for inside in 1..count(character) {
                        assert_eq!(offsets.byte(offset + inside), None, "inside {character}");
                    }
                    offset += count(character);
                }
                assert_eq!((offsets.at(text.len()), offsets.at(text.len() + 9)), (offset, offset));
                assert_eq!((offsets.byte(offset), offsets.byte(offset + 1)), (Some(text.len()), None));
            }
        }
    }
}
