//! How is a record written in bytes? A version byte, postcard, and a CRC over key and value.
//!
//! Old versions are read for ever: a new layout gets a new version byte and a match arm here. Knows nothing of where the
//! bytes live.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::unit::{Unit, UnitContent, UnitId};

use super::MemoryKey;

/// Length of a unit's key: memory (4, big-endian), unit (8, big-endian), chunk (1).
pub(super) const UNIT_KEY_BYTES: usize = 13;
/// A unit's record is cut into pieces of this size, since sled wants values well under 256 KB.
pub(super) const CHUNK_BYTES: usize = 96 * 1024;

const VERSION: u8 = 1;
const CRC_BYTES: usize = 4;

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

/// The bytes of a record that lives under `key`.
pub(super) fn encode<T: Serialize>(key: &[u8], record: &T) -> Result<Vec<u8>, CodecError> {
    let mut bytes = postcard::to_extend(record, vec![VERSION])?;
    let checksum = checksum(key, &bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    Ok(bytes)
}

/// The record in `bytes`, found under `key`.
pub(super) fn decode<T: DeserializeOwned>(key: &[u8], bytes: &[u8]) -> Result<T, CodecError> {
    let (body, stored) = bytes.split_last_chunk::<CRC_BYTES>().ok_or(CodecError::Short)?;
    let (&version, payload) = body.split_first().ok_or(CodecError::Short)?;
    if u32::from_le_bytes(*stored) != checksum(key, body) {
        return Err(CodecError::Checksum);
    }
    match version {
        VERSION => Ok(postcard::from_bytes(payload)?),
        other => Err(CodecError::Version(other)),
    }
}

fn checksum(key: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(body);
    hasher.finalize()
}

/// Where a piece of a unit lives.
pub(super) fn unit_key(memory: MemoryKey, unit: UnitId, chunk: u8) -> [u8; UNIT_KEY_BYTES] {
    let mut key = [0; UNIT_KEY_BYTES];
    key[..4].copy_from_slice(&memory.0.to_be_bytes());
    key[4..12].copy_from_slice(&unit.0.to_be_bytes());
    key[12] = chunk;
    key
}

/// The unit and the chunk that a key names; `None` for a key of another length.
pub(super) fn parse_unit_key(key: &[u8]) -> Option<(MemoryKey, UnitId, u8)> {
    let key: &[u8; UNIT_KEY_BYTES] = key.try_into().ok()?;
    let (memory, rest) = key.split_first_chunk::<4>()?;
    let (unit, rest) = rest.split_first_chunk::<8>()?;
    let chunk = *rest.first()?;
    Some((MemoryKey(u32::from_be_bytes(*memory)), UnitId(u64::from_be_bytes(*unit)), chunk))
}

#[derive(Serialize)]
struct UnitRecordRef<'a> {
    revision: u64,
    content: &'a UnitContent,
}

#[derive(serde::Deserialize)]
struct UnitRecord {
    revision: u64,
    content: UnitContent,
}

/// The bytes of a unit; its number is in its key, and the checksum covers it.
pub(super) fn encode_unit(memory: MemoryKey, unit: &Unit) -> Result<Vec<u8>, CodecError> {
    let record = UnitRecordRef { revision: unit.revision, content: &unit.content };
    encode(&unit_key(memory, unit.id, 0), &record)
}

/// The unit in `bytes`, all its pieces joined.
pub(super) fn decode_unit(memory: MemoryKey, id: UnitId, bytes: &[u8]) -> Result<Unit, CodecError> {
    let record: UnitRecord = decode(&unit_key(memory, id, 0), bytes)?;
    Ok(Unit { id, revision: record.revision, content: record.content })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_and_a_flipped_bit_is_seen() {
        let unit = Unit { id: UnitId(7), revision: 3, content: UnitContent::default() };
        let bytes = encode_unit(MemoryKey(1), &unit).unwrap();
        assert_eq!(decode_unit(MemoryKey(1), UnitId(7), &bytes).unwrap(), unit);
        for position in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[position] ^= 1 << bit;
                assert!(decode_unit(MemoryKey(1), UnitId(7), &damaged).is_err());
            }
        }
        for length in 0..bytes.len() {
            assert!(decode_unit(MemoryKey(1), UnitId(7), &bytes[..length]).is_err());
        }
        assert!(decode_unit(MemoryKey(1), UnitId(8), &bytes).is_err(), "under another key");
    }

    #[test]
    fn an_unknown_version_is_named() {
        let mut bytes = vec![9, 0];
        let crc = checksum(b"k", &bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        assert!(matches!(decode::<u8>(b"k", &bytes), Err(CodecError::Version(9))));
    }
}
