//! How is a part of a backup written in bytes? A line that says what it is, then frames, compressed; each with a checksum that
//! runs on from the one before, so that none can be changed, missing or in another place unseen.

use std::borrow::Cow;
use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};

use crate::store::{
    LogRecord, LogStart, MemoryCounters, MemoryKey, MemoryRecord, RequestKey, RequestRecord,
    set_unfinished_penalties, unfinished_penalties,
};
use crate::unit::{Score, Unit};

/// What the file is, and in which version of its layout.
const MAGIC: &[u8] = b"dhakira backup 3\n";
/// Earlier versions: without counted commits; without penalties of memories.
const MAGIC_EARLIER: [&[u8]; 2] = [b"dhakira backup 1\n", b"dhakira backup 2\n"];

/// A commit of a store; the backup goes from one to another.
pub type Mark = LogStart;

/// One piece of a part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Frame {
    /// The first one.
    Begin(Begin),
    /// Memories as they were at some moment after the part began.
    Memories(Vec<MemoryRecord>),
    /// Units of a memory, likewise.
    Units(MemoryKey, Vec<Unit>),
    /// Requests, likewise.
    Requests(Vec<(RequestKey, RequestRecord)>),
    /// A commit, and the units that it stored as it stored them, one for each change that is no deletion; `None` for one that
    /// was not held any more.
    Commit(LogRecord, Vec<Option<Unit>>),
    /// The last one: where the part ends.
    End(Mark),
    /// A commit with what the other kind of frame has no room for. Only in the file: whoever reads gets [`Frame::Commit`].
    Counted(LogRecord, Vec<MemoryCounters>, Vec<MemoryKey>, Vec<Option<Unit>>),
    /// The same, and the penalties of its memories for unfinished translations, in the order of the memories.
    PenalizedCommit(
        LogRecord,
        Vec<MemoryCounters>,
        Vec<MemoryKey>,
        Vec<Option<Score>>,
        Vec<Option<Unit>>,
    ),
    /// [`Frame::Memories`] with their penalties. Only in the file, too.
    PenalizedMemories(Vec<MemoryRecord>, Vec<Option<Score>>),
}

impl Frame {
    /// As it is written.
    fn to_file(&self) -> Cow<'_, Self> {
        match self {
            Self::Memories(memories) => {
                let penalties = unfinished_penalties(memories);
                if penalties.is_empty() {
                    return Cow::Borrowed(self);
                }
                Cow::Owned(Self::PenalizedMemories(memories.clone(), penalties))
            }
            Self::Commit(record, units) => {
                let Some(effects) = &record.effects else { return Cow::Borrowed(self) };
                let penalties = unfinished_penalties(&effects.memories);
                let counted = !(effects.counters.is_empty() && effects.collected.is_empty());
                if penalties.is_empty() && !counted {
                    return Cow::Borrowed(self);
                }
                let (record, units) = (record.clone(), units.clone());
                let (counters, collected) = (effects.counters.clone(), effects.collected.clone());
                Cow::Owned(if penalties.is_empty() {
                    Self::Counted(record, counters, collected, units)
                } else {
                    Self::PenalizedCommit(record, counters, collected, penalties, units)
                })
            }
            _ => Cow::Borrowed(self),
        }
    }

    /// As it was before it was written.
    fn into_read(self) -> Self {
        let (mut record, counters, collected, penalties, units) = match self {
            Self::Counted(record, counters, collected, units) => {
                (record, counters, collected, Vec::new(), units)
            }
            Self::PenalizedCommit(record, counters, collected, penalties, units) => {
                (record, counters, collected, penalties, units)
            }
            Self::PenalizedMemories(mut memories, penalties) => {
                set_unfinished_penalties(&mut memories, penalties);
                return Self::Memories(memories);
            }
            other => return other,
        };
        if let Some(effects) = &mut record.effects {
            (effects.counters, effects.collected) = (counters, collected);
            set_unfinished_penalties(&mut effects.memories, penalties);
        }
        Self::Commit(record, units)
    }
}

/// What a part holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begin {
    /// Whether memories, units and requests are in it, and not only commits.
    pub(super) full: bool,
    /// Commits above this one are in it.
    pub(super) after: Mark,
}

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
        self.checksum = chained(self.checksum, &bytes);
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
                "it is no part of a backup, or of a version that this program does not know",
            ));
        }
        Ok(Self { input: DeflateDecoder::new(input), checksum: 0 })
    }

    /// The next frame. Whoever reads stops at [`Frame::End`]: a part without it is cut off.
    pub(super) fn next(&mut self) -> io::Result<Frame> {
        let (length, chain) = (self.number()?, self.number()?);
        let mut bytes = Vec::new();
        // Grows with what is there, whatever the length says.
        (&mut self.input).take(length.into()).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != u64::from(length) {
            return Err(unreadable("it is cut off"));
        }
        self.checksum = chained(self.checksum, &bytes);
        if self.checksum != chain {
            return Err(unreadable("a frame fails its checksum"));
        }
        postcard::from_bytes(&bytes)
            .map(Frame::into_read)
            .map_err(|_| unreadable("a frame passes its checksum but cannot be read"))
    }

    fn number(&mut self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.input.read_exact(&mut bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => unreadable("it is cut off"),
            _ => error,
        })?;
        Ok(u32::from_le_bytes(bytes))
    }
}

fn chained(before: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&before.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

fn unreadable(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Reads whatever claims to be a part, to its end: for tests that feed it anything.
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
