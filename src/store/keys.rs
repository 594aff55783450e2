//! Builds and parses the keys of stored records.

use crate::unit::UnitId;

use super::MemoryKey;

/// Length of a unit's key: memory (4, big-endian), unit (8, big-endian), chunk (1).
pub(super) const UNIT_KEY_BYTES: usize = 13;

/// Length of the key of a unit's earlier version: memory (4, big-endian), unit (8), revision (8), chunk (1).
pub(super) const HISTORY_KEY_BYTES: usize = 21;

/// The key of a memory's counters, which sorts directly after the key of its record.
pub(super) fn counters_key(memory: MemoryKey) -> [u8; COUNTERS_KEY_BYTES] {
    let mut key = [1; COUNTERS_KEY_BYTES];
    key[..4].copy_from_slice(&memory.0.to_be_bytes());
    key
}

/// Length of the key of a memory's counters: memory (4, big-endian) and a 1.
pub(super) const COUNTERS_KEY_BYTES: usize = 5;

/// The key of a piece of an earlier version of a unit.
pub(super) fn history_key(
    memory: MemoryKey,
    unit: UnitId,
    revision: u64,
    chunk: u8,
) -> [u8; HISTORY_KEY_BYTES] {
    let mut key = [0; HISTORY_KEY_BYTES];
    key[..12].copy_from_slice(&unit_key(memory, unit, 0)[..12]);
    key[12..20].copy_from_slice(&revision.to_be_bytes());
    key[20] = chunk;
    key
}

/// The key of a piece of a unit.
pub(super) fn unit_key(memory: MemoryKey, unit: UnitId, chunk: u8) -> [u8; UNIT_KEY_BYTES] {
    let mut key = [0; UNIT_KEY_BYTES];
    key[..4].copy_from_slice(&memory.0.to_be_bytes());
    key[4..12].copy_from_slice(&unit.0.to_be_bytes());
    key[12] = chunk;
    key
}

/// Parses a unit key into memory, unit and chunk; `None` for a key of another length.
pub(super) fn parse_unit_key(key: &[u8]) -> Option<(MemoryKey, UnitId, u8)> {
    let key: &[u8; UNIT_KEY_BYTES] = key.try_into().ok()?;
    let (memory, rest) = key.split_first_chunk::<4>()?;
    let (unit, rest) = rest.split_first_chunk::<8>()?;
    let chunk = *rest.first()?;
    Some((MemoryKey(u32::from_be_bytes(*memory)), UnitId(u64::from_be_bytes(*unit)), chunk))
}
