//! Encodes a part of a backup: a magic line, then compressed frames. Each frame has a running checksum, which reveals changed,
//! missing and reordered frames.

use std::borrow::Cow;
use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};

use crate::store::{
    LogRecord, LogStart, MemoryCounters, MemoryKey, MemoryRecord, MemorySettings, RequestKey,
    RequestRecord, SettingsOfMemories, all_settings_of, set_settings_of, settings_of,
};
use crate::unit::{Score, Unit, Usage};

/// The magic line, which ends in the version of the layout.
const MAGIC: &[u8] = b"dhakira backup 4\n";
/// Earlier versions: without counted commits; without penalties of memories; without other settings of memories and usage of units.
const MAGIC_EARLIER: [&[u8]; 3] =
    [b"dhakira backup 1\n", b"dhakira backup 2\n", b"dhakira backup 3\n"];

/// A commit of a store; a part begins after one and ends at another.
pub type Mark = LogStart;

/// A frame of a part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Frame {
    /// The first frame.
    Begin(Begin),
    /// Memories as of some time after the part began.
    Memories(Vec<MemoryRecord>),
    /// Units of a memory, likewise.
    Units(MemoryKey, Vec<Unit>),
    /// Requests, likewise.
    Requests(Vec<(RequestKey, RequestRecord)>),
    /// A commit, and the units that it stored, one for each change other than a deletion; `None` for one that was no longer held.
    Commit(LogRecord, Vec<Option<Unit>>),
    /// The last frame, with the end of the part.
    End(Mark),
    /// A commit with the fields that [`Frame::Commit`] cannot hold. Only in the file: reading gives a [`Frame::Commit`].
    Counted(LogRecord, Vec<MemoryCounters>, Vec<MemoryKey>, Vec<Option<Unit>>),
    /// The same, and the penalties of its memories for unfinished translations, in the order of the memories.
    PenalizedCommit(
        LogRecord,
        Vec<MemoryCounters>,
        Vec<MemoryKey>,
        Vec<Option<Score>>,
        Vec<Option<Unit>>,
    ),
    /// [`Frame::Memories`] with their penalties. Only in the file: reading gives [`Frame::Memories`].
    PenalizedMemories(Vec<MemoryRecord>, Vec<Option<Score>>),
    /// [`Frame::Units`] with the usage of each. Only in the file: reading gives [`Frame::Units`].
    UsedUnits(MemoryKey, Vec<Unit>, Vec<Usage>),
    /// [`Frame::Counted`] with the settings of its memories, in the order of the memories, and with the usage of its units; each is
    /// empty when there is none. Only in the file: reading gives a [`Frame::Commit`].
    ExtendedCommit(
        LogRecord,
        Vec<MemoryCounters>,
        Vec<MemoryKey>,
        Vec<Option<MemorySettings>>,
        Vec<Option<Unit>>,
        Vec<Usage>,
    ),
    /// [`Frame::Memories`] with their settings. Only in the file: reading gives [`Frame::Memories`].
    MemoriesWithSettings(Vec<MemoryRecord>, Vec<Option<MemorySettings>>),
}

impl Frame {
    /// The form in the file.
    fn to_file(&self) -> Cow<'_, Self> {
        match self {
            Self::Units(memory, units) if units.iter().any(is_used) => {
                let usages = units.iter().map(|unit| unit.usage).collect();
                Cow::Owned(Self::UsedUnits(*memory, units.clone(), usages))
            }
            Self::Memories(memories) => match settings_of(memories) {
                SettingsOfMemories::Default => Cow::Borrowed(self),
                SettingsOfMemories::Penalties(penalties) => {
                    Cow::Owned(Self::PenalizedMemories(memories.clone(), penalties))
                }
                SettingsOfMemories::All(settings) => {
                    Cow::Owned(Self::MemoriesWithSettings(memories.clone(), settings))
                }
            },
            Self::Commit(record, units) => {
                let Some(effects) = &record.effects else { return Cow::Borrowed(self) };
                let settings = settings_of(&effects.memories);
                let counted = !(effects.counters.is_empty() && effects.collected.is_empty());
                let used = units.iter().flatten().any(is_used);
                if matches!(settings, SettingsOfMemories::Default) && !counted && !used {
                    return Cow::Borrowed(self);
                }
                let (record, units) = (record.clone(), units.clone());
                let (counters, collected) = (effects.counters.clone(), effects.collected.clone());
                if used {
                    let usage = |unit: &Option<Unit>| unit.as_ref().map(|it| it.usage);
                    let usages = units.iter().map(|unit| usage(unit).unwrap_or_default()).collect();
                    let settings = all_settings_of(&effects.memories);
                    return Cow::Owned(Self::ExtendedCommit(
                        record, counters, collected, settings, units, usages,
                    ));
                }
                Cow::Owned(match settings {
                    SettingsOfMemories::Default => {
                        Self::Counted(record, counters, collected, units)
                    }
                    SettingsOfMemories::Penalties(penalties) => {
                        Self::PenalizedCommit(record, counters, collected, penalties, units)
                    }
                    SettingsOfMemories::All(settings) => {
                        let usages = Vec::new();
                        Self::ExtendedCommit(record, counters, collected, settings, units, usages)
                    }
                })
            }
            _ => Cow::Borrowed(self),
        }
    }

    /// The form in memory.
    fn into_read(self) -> Self {
        let (mut record, counters, collected, settings, units) = match self {
            Self::Counted(record, counters, collected, units) => {
                (record, counters, collected, SettingsOfMemories::Default, units)
            }
            Self::PenalizedCommit(record, counters, collected, penalties, units) => {
                (record, counters, collected, SettingsOfMemories::Penalties(penalties), units)
            }
            Self::PenalizedMemories(memories, penalties) => {
                return memories_with(memories, SettingsOfMemories::Penalties(penalties));
            }
            Self::MemoriesWithSettings(memories, settings) => {
                return memories_with(memories, SettingsOfMemories::All(settings));
            }
            Self::UsedUnits(memory, mut units, usages) => {
                for (unit, usage) in units.iter_mut().zip(usages) {
                    unit.usage = usage;
                }
                return Self::Units(memory, units);
            }
            Self::ExtendedCommit(record, counters, collected, settings, mut units, usages) => {
                for (unit, usage) in units.iter_mut().zip(usages) {
                    if let Some(unit) = unit {
                        unit.usage = usage;
                    }
                }
                (record, counters, collected, SettingsOfMemories::All(settings), units)
            }
            other => return other,
        };
        if let Some(effects) = &mut record.effects {
            (effects.counters, effects.collected) = (counters, collected);
            set_settings_of(&mut effects.memories, settings);
        }
        Self::Commit(record, units)
    }
}

fn is_used(unit: &Unit) -> bool {
    unit.usage != Usage::default()
}

fn memories_with(mut memories: Vec<MemoryRecord>, settings: SettingsOfMemories) -> Frame {
    set_settings_of(&mut memories, settings);
    Frame::Memories(memories)
}

/// The content of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begin {
    /// Whether it holds memories, units and requests in addition to commits.
    pub(super) full: bool,
    /// It holds the commits after this one.
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
