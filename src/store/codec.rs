//! Encodes records as bytes: a version byte, postcard, and a CRC over key and value.
//!
//! Old versions stay readable for ever: a new layout gets a new version byte and a match arm here. Knows nothing of where the
//! bytes are stored.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::unit::{ContextMode, Score, Timestamp};

pub(super) use super::keys::{
    COUNTERS_KEY_BYTES, HISTORY_KEY_BYTES, UNIT_KEY_BYTES, counters_key, history_key,
    parse_unit_key, unit_key,
};
use super::{
    Change, ChangeKind, LogRecord, MemoryCounters, MemoryKey, MemoryRecord, MemorySettings,
    Sequence, SettingsOfMemories, SettingsWithMode, all_settings_of, set_settings_of, settings_of,
};

pub(super) const VERSION: u8 = 1;
/// A log record with all effects of its commit.
const LOG_VERSION: u8 = 2;
/// The same with the counters of memories apart from their records, and the memories that were collected.
const LOG_VERSION_COUNTERS: u8 = 3;
/// The same with the penalties of memories for unfinished translations.
const LOG_VERSION_PENALTIES: u8 = 4;
/// The same with all settings of memories instead, and uses among the changes.
const LOG_VERSION_SETTINGS: u8 = 5;
/// The same with the context modes of memories.
const LOG_VERSION_MODES: u8 = 6;
/// Counters of a memory. Not 1, so that a program that knows only the first version fails instead of overlooking them.
const COUNTERS_VERSION: u8 = 2;
/// A memory with its own penalty for unfinished translations. Not 2, so that salvage can tell it from counters without the key.
const MEMORY_VERSION_PENALTY: u8 = 3;
/// A memory with its penalties.
const MEMORY_VERSION_SETTINGS: u8 = 4;
/// A memory with all its settings.
const MEMORY_VERSION_MODE: u8 = 5;
pub(super) const CRC_BYTES: usize = 4;

/// What is wrong with a record.
#[derive(Debug, thiserror::Error)]
pub(super) enum CodecError {
    #[error("a record is too short")]
    Short,
    #[error("a record fails its checksum")]
    Checksum,
    #[error("a record has version {0}, which this program does not know; use a newer one")]
    Version(u8),
    #[error("a record passes its checksum but cannot be read: {0}")]
    Layout(#[from] postcard::Error),
}

/// Encodes the record stored under `key`.
pub(super) fn encode<T: Serialize>(key: &[u8], record: &T) -> Result<Vec<u8>, CodecError> {
    encode_version(VERSION, key, record)
}

fn encode_version<T: Serialize>(
    version: u8,
    key: &[u8],
    record: &T,
) -> Result<Vec<u8>, CodecError> {
    Ok(sealed(postcard::to_extend(record, vec![version])?, key))
}

/// Appends the checksum to a record.
pub(super) fn sealed(mut bytes: Vec<u8>, key: &[u8]) -> Vec<u8> {
    let checksum = checksum(key, &bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Decodes the record stored under `key`.
pub(super) fn decode<T: DeserializeOwned>(key: &[u8], bytes: &[u8]) -> Result<T, CodecError> {
    match checked(key, bytes)? {
        (VERSION, payload) => Ok(postcard::from_bytes(payload)?),
        (other, _) => Err(CodecError::Version(other)),
    }
}

/// Verifies the checksum of a record; returns its version and payload.
pub(super) fn checked<'a>(key: &[u8], bytes: &'a [u8]) -> Result<(u8, &'a [u8]), CodecError> {
    let (body, stored) = bytes.split_last_chunk::<CRC_BYTES>().ok_or(CodecError::Short)?;
    let (&version, payload) = body.split_first().ok_or(CodecError::Short)?;
    if u32::from_le_bytes(*stored) != checksum(key, body) {
        return Err(CodecError::Checksum);
    }
    Ok((version, payload))
}

/// A log record of the first version: changes of units without memories and requests.
#[derive(Serialize, Deserialize)]
struct LogRecordV1 {
    sequence: Sequence,
    time: Timestamp,
    changes: Vec<Change>,
    checksum: u32,
}

impl LogRecordV1 {
    fn of(record: &LogRecord) -> Self {
        let (sequence, time, checksum) = (record.sequence, record.time, record.checksum);
        Self { sequence, time, changes: record.changes.clone(), checksum }
    }
}

/// A log record of the third version: the second one, then counters and collected memories.
type LogRecordV3 = (LogRecord, Vec<MemoryCounters>, Vec<MemoryKey>);
/// A log record of the fourth version: the third one, then the penalties in the order of the memories.
type LogRecordV4 = (LogRecord, Vec<MemoryCounters>, Vec<MemoryKey>, Vec<Option<Score>>);
/// A log record of the fifth version: the third one, then the settings in the order of the memories.
type LogRecordV5 = (LogRecord, Vec<MemoryCounters>, Vec<MemoryKey>, Vec<Option<MemorySettings>>);
/// A log record of the sixth version: the same with context modes.
type LogRecordV6 = (LogRecord, Vec<MemoryCounters>, Vec<MemoryKey>, Vec<Option<SettingsWithMode>>);

/// A log record in the oldest layout that can hold it.
#[derive(Serialize)]
#[serde(untagged)]
enum LogLayout<'a> {
    V1(LogRecordV1),
    V2(&'a LogRecord),
    V3(&'a LogRecord, &'a [MemoryCounters], &'a [MemoryKey]),
    V4(&'a LogRecord, &'a [MemoryCounters], &'a [MemoryKey], Vec<Option<Score>>),
    V5(&'a LogRecord, &'a [MemoryCounters], &'a [MemoryKey], Vec<Option<MemorySettings>>),
    V6(&'a LogRecord, &'a [MemoryCounters], &'a [MemoryKey], Vec<Option<SettingsWithMode>>),
}

impl<'a> LogLayout<'a> {
    fn of(record: &'a LogRecord) -> Self {
        let Some(effects) = &record.effects else { return Self::V1(LogRecordV1::of(record)) };
        let (counters, collected) = (&effects.counters, &effects.collected);
        let has_uses = record.changes.iter().any(|change| change.kind == ChangeKind::Used);
        match settings_of(&effects.memories) {
            SettingsOfMemories::WithModes(settings) => {
                Self::V6(record, counters, collected, settings)
            }
            _ if has_uses => {
                Self::V5(record, counters, collected, all_settings_of(&effects.memories))
            }
            SettingsOfMemories::All(settings) => Self::V5(record, counters, collected, settings),
            SettingsOfMemories::Penalties(penalties) => {
                Self::V4(record, counters, collected, penalties)
            }
            SettingsOfMemories::Default if counters.is_empty() && collected.is_empty() => {
                Self::V2(record)
            }
            SettingsOfMemories::Default => Self::V3(record, counters, collected),
        }
    }

    fn version(&self) -> u8 {
        match self {
            Self::V1(_) => VERSION,
            Self::V2(_) => LOG_VERSION,
            Self::V3(..) => LOG_VERSION_COUNTERS,
            Self::V4(..) => LOG_VERSION_PENALTIES,
            Self::V5(..) => LOG_VERSION_SETTINGS,
            Self::V6(..) => LOG_VERSION_MODES,
        }
    }
}

/// Encodes a log record in the oldest version that can hold it.
pub(super) fn encode_log(key: &[u8], record: &LogRecord) -> Result<Vec<u8>, CodecError> {
    let layout = LogLayout::of(record);
    encode_version(layout.version(), key, &layout)
}

/// Encodes a memory in the oldest version that can hold it.
pub(super) fn encode_memory(key: &[u8], record: &MemoryRecord) -> Result<Vec<u8>, CodecError> {
    match record.settings() {
        None => encode(key, record),
        Some(MemorySettings { unfinished_penalty: Some(penalty), scoring })
            if scoring.is_default() =>
        {
            encode_version(MEMORY_VERSION_PENALTY, key, &(record, penalty))
        }
        Some(settings) if settings.scoring.context_mode == ContextMode::default() => {
            encode_version(MEMORY_VERSION_SETTINGS, key, &(record, settings))
        }
        Some(settings) => {
            let settings = SettingsWithMode::from(settings);
            encode_version(MEMORY_VERSION_MODE, key, &(record, settings))
        }
    }
}

/// Decodes a memory of any version.
pub(super) fn decode_memory(key: &[u8], bytes: &[u8]) -> Result<MemoryRecord, CodecError> {
    match checked(key, bytes)? {
        (VERSION, payload) => Ok(postcard::from_bytes(payload)?),
        (MEMORY_VERSION_PENALTY, payload) => {
            let (record, penalty): (MemoryRecord, Score) = postcard::from_bytes(payload)?;
            Ok(MemoryRecord { unfinished_penalty: Some(penalty), ..record })
        }
        (MEMORY_VERSION_SETTINGS, payload) => {
            let (mut record, settings): (MemoryRecord, _) = postcard::from_bytes(payload)?;
            record.set_settings(settings);
            Ok(record)
        }
        (MEMORY_VERSION_MODE, payload) => {
            let (mut record, settings): (MemoryRecord, SettingsWithMode) =
                postcard::from_bytes(payload)?;
            record.set_settings(settings.into());
            Ok(record)
        }
        (other, _) => Err(CodecError::Version(other)),
    }
}

/// Encodes a memory's counters.
pub(super) fn encode_counters(counters: &MemoryCounters) -> Result<Vec<u8>, CodecError> {
    encode_version(COUNTERS_VERSION, &counters_key(counters.key), counters)
}

/// Decodes a memory's counters.
pub(super) fn decode_counters(key: &[u8], bytes: &[u8]) -> Result<MemoryCounters, CodecError> {
    match checked(key, bytes)? {
        (COUNTERS_VERSION, payload) => Ok(postcard::from_bytes(payload)?),
        (other, _) => Err(CodecError::Version(other)),
    }
}

/// Decodes a log record of any version.
pub(super) fn decode_log(key: &[u8], bytes: &[u8]) -> Result<LogRecord, CodecError> {
    match checked(key, bytes)? {
        (VERSION, payload) => {
            let LogRecordV1 { sequence, time, changes, checksum } = postcard::from_bytes(payload)?;
            Ok(LogRecord { sequence, time, changes, effects: None, checksum })
        }
        (LOG_VERSION, payload) => Ok(postcard::from_bytes(payload)?),
        (LOG_VERSION_COUNTERS, payload) => {
            let (record, counters, collected): LogRecordV3 = postcard::from_bytes(payload)?;
            Ok(completed(record, counters, collected, SettingsOfMemories::Default))
        }
        (LOG_VERSION_PENALTIES, payload) => {
            let (record, counters, collected, penalties): LogRecordV4 =
                postcard::from_bytes(payload)?;
            Ok(completed(record, counters, collected, SettingsOfMemories::Penalties(penalties)))
        }
        (LOG_VERSION_SETTINGS, payload) => {
            let (record, counters, collected, settings): LogRecordV5 =
                postcard::from_bytes(payload)?;
            Ok(completed(record, counters, collected, SettingsOfMemories::All(settings)))
        }
        (LOG_VERSION_MODES, payload) => {
            let (record, counters, collected, settings): LogRecordV6 =
                postcard::from_bytes(payload)?;
            Ok(completed(record, counters, collected, SettingsOfMemories::WithModes(settings)))
        }
        (other, _) => Err(CodecError::Version(other)),
    }
}

/// A log record with the effects that its own layout cannot hold.
fn completed(
    mut record: LogRecord,
    counters: Vec<MemoryCounters>,
    collected: Vec<MemoryKey>,
    settings: SettingsOfMemories,
) -> LogRecord {
    if let Some(effects) = &mut record.effects {
        (effects.counters, effects.collected) = (counters, collected);
        set_settings_of(&mut effects.memories, settings);
    }
    record
}

impl LogRecord {
    /// Whether it is the record after one with this running checksum.
    pub fn follows(&self, checksum_before: u32) -> bool {
        log_checksum(checksum_before, self).is_ok_and(|expected| expected == self.checksum)
    }
}

/// The running checksum after a record, computed from the one before and the record with a `checksum` of 0.
pub(super) fn log_checksum(before: u32, record: &LogRecord) -> Result<u32, CodecError> {
    let record = match record.checksum {
        0 => Cow::Borrowed(record),
        _ => Cow::Owned(LogRecord { checksum: 0, ..record.clone() }),
    };
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&before.to_le_bytes());
    hasher.update(&postcard::to_stdvec(&LogLayout::of(&record))?);
    Ok(hasher.finalize())
}

pub(super) fn checksum(key: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(body);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use crate::unit::{PenaltyCondition, PenaltyRule, Scoring, UnitId};

    use super::*;

    fn log_record(penalties: &[Option<u32>]) -> LogRecord {
        let memory = |(number, penalty): (usize, &Option<u32>)| MemoryRecord {
            key: MemoryKey(u32::try_from(number).unwrap()),
            name: "m".parse().unwrap(),
            display_name: String::new(),
            description: "a".repeat(70),
            source_lang: "ar".parse().unwrap(),
            target_lang: "en".parse().unwrap(),
            created: Timestamp { micros: 1 },
            changed: Timestamp { micros: 2 },
            revision: 3,
            unit_count: 4,
            next_unit: UnitId(9),
            deleted: false,
            unfinished_penalty: penalty.map(|it| Score::from_hundredths(it).unwrap()),
            scoring: Scoring::default(),
        };
        let counters = MemoryCounters { key: MemoryKey(9), unit_count: 1, next_unit: UnitId(2) };
        let effects = super::super::Effects {
            memories: penalties.iter().enumerate().map(memory).collect(),
            counters: vec![counters],
            collected: vec![MemoryKey(8)],
            ..Default::default()
        };
        LogRecord {
            sequence: Sequence(5),
            time: Timestamp { micros: 6 },
            changes: Vec::new(),
            effects: Some(effects),
            checksum: 7,
        }
    }

    #[test]
    fn records_use_the_oldest_layout_that_holds_them() {
        let version = |bytes: &[u8]| bytes[0];
        let old = log_record(&[None, None]);
        let effects = old.effects.as_ref().unwrap();
        // As a program without penalties writes it.
        let third: LogRecordV3 = (old.clone(), effects.counters.clone(), effects.collected.clone());
        let third = encode_version(LOG_VERSION_COUNTERS, b"k", &third).unwrap();
        assert_eq!(decode_log(b"k", &third).unwrap(), old);
        assert_eq!(encode_log(b"k", &old).unwrap(), third);
        let new = log_record(&[None, Some(250), None, Some(0)]);
        let bytes = encode_log(b"k", &new).unwrap();
        assert_eq!(version(&bytes), LOG_VERSION_PENALTIES);
        assert_eq!(decode_log(b"k", &bytes).unwrap(), new);
        let other = log_record(&[None, Some(251), None, Some(0)]);
        assert_ne!(log_checksum(1, &new).unwrap(), log_checksum(1, &other).unwrap());
        let mut with_rules = new.clone();
        let rule = PenaltyRule {
            points: Score::FULL,
            condition: PenaltyCondition::Attribute { name: "client".into(), value: None },
        };
        let effects = with_rules.effects.as_mut().unwrap();
        effects.memories[1].scoring.penalty_rules.push(rule);
        let bytes = encode_log(b"k", &with_rules).unwrap();
        assert_eq!(version(&bytes), LOG_VERSION_SETTINGS);
        assert_eq!(decode_log(b"k", &bytes).unwrap(), with_rules);
        assert_ne!(log_checksum(1, &new).unwrap(), log_checksum(1, &with_rules).unwrap());
        // As a program without context modes writes it.
        let effects = with_rules.effects.as_ref().unwrap();
        let (counters, collected) = (effects.counters.clone(), effects.collected.clone());
        let settings = effects.memories.iter().map(MemoryRecord::settings).collect();
        let fifth: LogRecordV5 = (with_rules.clone(), counters, collected, settings);
        assert_eq!(bytes, encode_version(LOG_VERSION_SETTINGS, b"k", &fifth).unwrap());
        for memory in &with_rules.effects.as_ref().unwrap().memories {
            let bytes = encode_memory(b"k", memory).unwrap();
            assert_eq!(&decode_memory(b"k", &bytes).unwrap(), memory);
        }

        let [plain, penalized] =
            [0, 1].map(|at| new.effects.as_ref().unwrap().memories[at].clone());
        let bytes = encode_memory(b"k", &plain).unwrap();
        assert_eq!(bytes, encode(b"k", &plain).unwrap());
        assert_eq!(decode_memory(b"k", &bytes).unwrap(), plain);
        let bytes = encode_memory(b"k", &penalized).unwrap();
        assert_eq!(decode_memory(b"k", &bytes).unwrap(), penalized);
        assert!(decode_counters(b"k", &bytes).is_err(), "a memory is not taken for counters");
        assert!(decode::<MemoryRecord>(b"k", &bytes).is_err(), "an older program says so");
    }

    #[test]
    fn context_modes_take_a_newer_layout_and_nothing_else_does() {
        for penalties in [vec![None, None], vec![None, Some(250)]] {
            for is_used in [false, true] {
                let mut plain = log_record(&penalties);
                let (memory, unit) = (MemoryKey(1), UnitId(7));
                let used = Change { memory, unit, kind: ChangeKind::Used, revision: 3 };
                plain.changes.extend(is_used.then_some(used));
                assert!(encode_log(b"k", &plain).unwrap()[0] < LOG_VERSION_MODES);
                for number in [0, 1] {
                    let mut record = plain.clone();
                    let memory = &mut record.effects.as_mut().unwrap().memories[number];
                    memory.scoring.context_mode = ContextMode::Double;
                    let bytes = encode_memory(b"k", memory).unwrap();
                    assert_eq!(bytes[0], MEMORY_VERSION_MODE);
                    assert_eq!(&decode_memory(b"k", &bytes).unwrap(), memory);
                    let bytes = encode_log(b"k", &record).unwrap();
                    assert_eq!(bytes[0], LOG_VERSION_MODES);
                    assert_eq!(decode_log(b"k", &bytes).unwrap(), record);
                    let checksums = [&plain, &record].map(|it| log_checksum(1, it).unwrap());
                    assert_ne!(checksums[0], checksums[1]);
                }
            }
        }
    }

    #[test]
    fn uses_take_a_newer_layout() {
        for penalties in [vec![], vec![None, Some(250)]] {
            let mut record = log_record(&penalties);
            let (memory, unit) = (MemoryKey(1), UnitId(7));
            record.changes.push(Change { memory, unit, kind: ChangeKind::Used, revision: 3 });
            let bytes = encode_log(b"k", &record).unwrap();
            assert_eq!(bytes[0], LOG_VERSION_SETTINGS);
            assert_eq!(decode_log(b"k", &bytes).unwrap(), record);
        }
    }

    #[test]
    fn an_unknown_version_is_named() {
        let mut bytes = vec![9, 0];
        let crc = checksum(b"k", &bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        assert!(matches!(decode::<u8>(b"k", &bytes), Err(CodecError::Version(9))));
    }
}
