//! Reads arbitrary bytes as stored records, for fuzzing.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::unit::UnitId;

use super::codec::{
    CRC_BYTES, checksum, decode, decode_counters, decode_log, decode_memory, encode, encode_log,
    encode_memory,
};
use super::keys::{counters_key, parse_unit_key, unit_key};
use super::unit_codec::{decode_unit, encode_unit, revision};
use super::{LogStart, MemoryKey, RequestRecord};

/// Decodes arbitrary bytes as every kind of record, with and without a valid checksum; returns whether each record that decodes
/// survives a round trip. For fuzzing.
#[doc(hidden)]
pub fn read_any_record(bytes: &[u8]) -> bool {
    fn round_trips<T: Serialize + DeserializeOwned + PartialEq>(bytes: &[u8]) -> bool {
        let Ok(record) = decode::<T>(b"key", bytes) else { return true };
        encode(b"key", &record)
            .is_ok_and(|it| decode::<T>(b"key", &it).is_ok_and(|it| it == record))
    }
    let mut sealed = bytes.to_vec();
    sealed.extend_from_slice(&checksum(b"key", bytes).to_le_bytes());
    let all = |bytes: &[u8]| {
        let log = decode_log(b"key", bytes).is_ok_and(|record| {
            !encode_log(b"key", &record)
                .is_ok_and(|it| decode_log(b"key", &it).is_ok_and(|it| it == record))
        });
        let key = unit_key(MemoryKey(1), UnitId(1), 0);
        let _ = decode_counters(&counters_key(MemoryKey(1)), bytes);
        let _ =
            (decode_unit(MemoryKey(1), UnitId(1), bytes), parse_unit_key(bytes), revision(bytes));
        let unit =
            [bytes.get(..bytes.len().saturating_sub(CRC_BYTES)).unwrap_or_default()].concat();
        let unit = [&unit[..], &checksum(&key, &unit).to_le_bytes()].concat();
        let unit = decode_unit(MemoryKey(1), UnitId(1), &unit).is_ok_and(|unit| {
            !encode_unit(MemoryKey(1), &unit).is_ok_and(|it| {
                decode_unit(MemoryKey(1), UnitId(1), &it).is_ok_and(|it| it == unit)
            })
        });
        let memory = decode_memory(b"key", bytes).is_ok_and(|record| {
            !encode_memory(b"key", &record)
                .is_ok_and(|it| decode_memory(b"key", &it).is_ok_and(|it| it == record))
        });
        !log && !unit
            && !memory
            && round_trips::<RequestRecord>(bytes)
            && round_trips::<LogStart>(bytes)
    };
    all(bytes) && all(&sealed)
}
