//! Buffers the messages of a request in blocks, however small the frames are in which they arrive, and passes them on without
//! copying them together.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

/// Bytes before each message: whether it is compressed, and its length.
pub(in crate::server) const HEADER_BYTES: usize = 5;
/// Longest block.
const BLOCK_BYTES: usize = 64 * 1024;

/// The prefix of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) struct Header {
    pub(in crate::server) compressed: bool,
    pub(in crate::server) length: usize,
}

/// Messages that are arriving, with their headers.
#[derive(Debug, Default)]
pub(in crate::server) struct MessageBuffer {
    /// Complete messages first, then the one that is arriving.
    blocks: VecDeque<Bytes>,
    /// The block that is being filled.
    tail: BytesMut,
    /// Bytes of complete messages that were checked.
    released: usize,
    /// Bytes so far of the message that is arriving, its header included.
    arrived: usize,
    header: Option<Header>,
}

impl MessageBuffer {
    /// Whether part of a message or of its header has arrived.
    pub(in crate::server) fn is_partial(&self) -> bool {
        self.arrived > 0
    }

    /// Takes bytes up to the end of a header or of a message. Returns the header if it is complete now.
    pub(in crate::server) fn take(&mut self, data: &mut Bytes) -> Option<Header> {
        let Some(header) = self.header else {
            let missing = (HEADER_BYTES - self.arrived).min(data.len());
            self.tail.extend_from_slice(&data.split_to(missing));
            self.arrived += missing;
            if self.arrived == HEADER_BYTES {
                let mut bytes = &self.tail[self.tail.len() - HEADER_BYTES..];
                let compressed = bytes.get_u8() != 0;
                let length = usize::try_from(bytes.get_u32()).unwrap_or(usize::MAX);
                self.header = Some(Header { compressed, length });
            }
            return self.header;
        };
        let missing = HEADER_BYTES + header.length - self.arrived;
        let mut part = data.split_to(missing.min(data.len()));
        self.arrived += part.len();
        if self.arrived == HEADER_BYTES + part.len() && part.len() == header.length {
            // The whole message is in one frame: it is passed on without a copy.
            self.seal();
            self.blocks.push_back(part);
            return None;
        }
        while !part.is_empty() {
            if self.tail.len() >= BLOCK_BYTES {
                self.seal();
            }
            let room = BLOCK_BYTES - self.tail.len();
            self.tail.reserve(room.min(missing));
            let fits = room.min(part.len());
            self.tail.extend_from_slice(&part.split_to(fits));
        }
        None
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.blocks.push_back(std::mem::take(&mut self.tail).freeze());
        }
    }

    /// Whether nothing is buffered.
    pub(in crate::server) fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.tail.is_empty()
    }

    /// Whether a message is complete and not released.
    pub(in crate::server) fn is_complete(&self) -> bool {
        self.header.is_some_and(|header| self.arrived == HEADER_BYTES + header.length)
    }

    /// The content of the complete message.
    pub(in crate::server) fn message(&mut self) -> MessageReader<'_> {
        self.seal();
        let length = self.header.map_or(0, |header| header.length);
        let mut reading = MessageReader { blocks: &self.blocks, block: 0, at: 0, left: usize::MAX };
        reading.advance(self.released + HEADER_BYTES);
        reading.left = length;
        reading
    }

    /// Releases the complete message, or what has arrived of it when no more will.
    pub(in crate::server) fn release(&mut self) {
        self.seal();
        self.released += self.arrived;
        self.arrived = 0;
        self.header = None;
    }

    /// The next released bytes.
    pub(in crate::server) fn next(&mut self) -> Option<Bytes> {
        if self.released == 0 {
            return None;
        }
        let block = self.blocks.front_mut()?;
        let data = block.split_to(self.released.min(block.len()));
        if block.is_empty() {
            self.blocks.pop_front();
        }
        self.released -= data.len();
        Some(data)
    }
}

/// Reads the bytes of one message in place.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) struct MessageReader<'a> {
    blocks: &'a VecDeque<Bytes>,
    block: usize,
    /// Where in the block.
    at: usize,
    left: usize,
}

impl Buf for MessageReader<'_> {
    fn remaining(&self) -> usize {
        self.left
    }

    fn chunk(&self) -> &[u8] {
        let block = self.blocks.get(self.block).and_then(|block| block.get(self.at..));
        let block = block.unwrap_or_default();
        &block[..block.len().min(self.left)]
    }

    fn advance(&mut self, mut count: usize) {
        self.left = self.left.saturating_sub(count);
        while let Some(block) = self.blocks.get(self.block) {
            let rest = block.len() - self.at;
            if count < rest {
                self.at += count;
                return;
            }
            count -= rest;
            (self.block, self.at) = (self.block + 1, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for message in messages {
            bytes.push(0);
            bytes.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
            bytes.extend(message);
        }
        bytes
    }

    proptest::proptest! {
        #[test]
        fn messages_come_out_unchanged_however_they_are_split_into_frames(
            lengths in proptest::collection::vec(0..300_000_usize, 1..5),
            cuts in proptest::collection::vec(1..200_000_usize, 1..8),
        ) {
            let messages: Vec<Vec<u8>> = lengths
                .iter()
                .enumerate()
                .map(|(number, length)| (0..*length).map(|at| (at * 31 + number) as u8).collect())
                .collect();
            let bytes = framed(&messages);
            let (mut buffer, mut out, mut seen) = (MessageBuffer::default(), Vec::new(), Vec::new());
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                let (frame, later) = rest.split_at((*cut).min(rest.len()));
                rest = later;
                let mut frame = Bytes::copy_from_slice(frame);
                while !frame.is_empty() {
                    buffer.take(&mut frame);
                    while buffer.is_complete() {
                        let mut message = buffer.message();
                        let length = message.remaining();
                        seen.push(message.copy_to_bytes(length).to_vec());
                        buffer.release();
                    }
                }
                while let Some(data) = buffer.next() {
                    out.extend_from_slice(&data);
                }
                if rest.is_empty() {
                    break;
                }
            }
            assert!(!buffer.is_partial());
            assert_eq!(seen, messages);
            assert_eq!(out, bytes);
        }
    }
}
