//! Encodes a part of a backup: a magic line, then compressed frames. Each frame has a running checksum, which reveals changed,
//! missing and reordered frames.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::frame::Frame;

/// The magic line, which ends in the version of the layout.
const MAGIC: &[u8] = b"dhakira backup 5\n";
/// Earlier versions: without counted commits; without penalties of memories; without other settings of memories and usage of units;
/// without context modes of memories, and the targets of contexts and context ids of units.
const MAGIC_EARLIER: [&[u8]; 4] =
    [b"dhakira backup 1\n", b"dhakira backup 2\n", b"dhakira backup 3\n", b"dhakira backup 4\n"];

/// Writes a part.
pub(super) struct PartWriter<W: Write> {
    out: DeflateEncoder<W>,
    checksum: u32,
}

impl<W: Write> PartWriter<W> {
    pub(super) fn new(mut out: W) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        // Twice as fast as the default for a tenth more bytes.
        Ok(Self { out: DeflateEncoder::new(out, Compression::fast()), checksum: 0 })
    }

    pub(super) fn put(&mut self, frame: &Frame) -> io::Result<()> {
        let bytes = postcard::to_stdvec(frame.to_file().as_ref()).map_err(io::Error::other)?;
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.checksum = running_checksum(self.checksum, &bytes);
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&self.checksum.to_le_bytes())?;
        self.out.write_all(&bytes)
    }

    pub(super) fn finish(self) -> io::Result<W> {
        self.out.finish()
    }
}

/// Reads a part, frame by frame.
pub(super) struct PartReader<R> {
    input: DeflateDecoder<R>,
    checksum: u32,
}

impl<R: Read> PartReader<R> {
    pub(super) fn new(mut input: R) -> io::Result<Self> {
        let mut magic = [0; MAGIC.len()];
        input.read_exact(&mut magic)?;
        if magic != MAGIC && !MAGIC_EARLIER.contains(&&magic[..]) {
            return Err(unreadable(
                "it is not a part of a backup, or its version is unknown to this program",
            ));
        }
        Ok(Self { input: DeflateDecoder::new(input), checksum: 0 })
    }

    /// Reads the next frame. The caller stops at [`Frame::End`]; a part without it is truncated.
    pub(super) fn next(&mut self) -> io::Result<Frame> {
        let (length, expected) = (self.number()?, self.number()?);
        let mut bytes = Vec::new();
        // Grows with the input, because the length may be wrong.
        (&mut self.input).take(length.into()).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != u64::from(length) {
            return Err(unreadable("it is truncated"));
        }
        self.checksum = running_checksum(self.checksum, &bytes);
        if self.checksum != expected {
            return Err(unreadable("a frame fails its checksum"));
        }
        postcard::from_bytes(&bytes)
            .map(Frame::into_read)
            .map_err(|_| unreadable("a frame passes its checksum but cannot be read"))
    }

    fn number(&mut self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.input.read_exact(&mut bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => unreadable("it is truncated"),
            _ => error,
        })?;
        Ok(u32::from_le_bytes(bytes))
    }
}

fn running_checksum(before: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&before.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

fn unreadable(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads arbitrary bytes as a part, to its end; returns the number of frames. For fuzzing.
#[doc(hidden)]
pub fn read_any(bytes: &[u8]) -> io::Result<usize> {
    let mut reader = PartReader::new(bytes)?;
    let mut frames = 0;
    loop {
        frames += 1;
        if let Frame::End(_) = reader.next()? {
            return Ok(frames);
        }
    }
}
