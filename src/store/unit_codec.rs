//! Encodes units as bytes, like other records, see `codec`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::unit::{Segment, Timestamp, Unit, UnitContent, UnitExtras, UnitId, Usage};

use super::MemoryKey;
use super::codec::{CodecError, VERSION, checked, sealed};
use super::keys::unit_key;

/// A unit's record is split into pieces of this size, because sled's values should stay well under 256 KB.
pub(super) const CHUNK_BYTES: usize = 96 * 1024;

/// A unit with its usage.
const UNIT_VERSION_USAGE: u8 = 2;
/// A unit with its usage, the targets of its context and its context id.
const UNIT_VERSION_EXTRAS: u8 = 3;

/// Reads the revision of a unit from the first piece of its record, without verifying the checksum.
pub(super) fn revision(first_piece: &[u8]) -> Result<u64, CodecError> {
    let (_, payload) = first_piece.split_first().ok_or(CodecError::Short)?;
    Ok(postcard::take_from_bytes::<u64>(payload)?.0)
}

/// A unit as the first version holds it, field by field: content leaves nothing out, see [`UnitExtras`].
#[derive(Serialize)]
struct UnitRecordRef<'a> {
    revision: u64,
    source: &'a Segment,
    target: &'a Segment,
    neighbours: (Option<u64>, Option<u64>),
    document: &'a str,
    author: &'a str,
    created: Option<Timestamp>,
    changed: Option<Timestamp>,
    attributes: &'a BTreeMap<String, String>,
}

impl<'a> UnitRecordRef<'a> {
    fn of(unit: &'a Unit) -> Self {
        let content = &unit.content;
        Self {
            revision: unit.revision,
            source: &content.source,
            target: &content.target,
            neighbours: (content.context.previous, content.context.next),
            document: &content.document,
            author: &content.author,
            created: content.created,
            changed: content.changed,
            attributes: &content.attributes,
        }
    }
}

#[derive(Deserialize)]
struct UnitRecord {
    revision: u64,
    content: UnitContent,
}

/// Encodes a unit in the oldest version that can hold it. Its number is in the key, which the checksum covers.
pub(super) fn encode_unit(memory: MemoryKey, unit: &Unit) -> Result<Vec<u8>, CodecError> {
    let key = unit_key(memory, unit.id, 0);
    let record = UnitRecordRef::of(unit);
    let content = &unit.content;
    let texts = [&content.source.text, &content.target.text, &content.document, &content.author];
    let texts = texts.map(String::len).iter().sum::<usize>();
    // Most units hold little else, and repeated growing of the buffer costs more than writing the record.
    let mut bytes = Vec::with_capacity(texts + UNIT_FIELDS_BYTES);
    let extras = unit.extras();
    let bytes = if !extras.are_usage_only() {
        bytes.push(UNIT_VERSION_EXTRAS);
        postcard::to_extend(&(record, extras), bytes)?
    } else if extras.usage == Usage::default() {
        bytes.push(VERSION);
        postcard::to_extend(&record, bytes)?
    } else {
        bytes.push(UNIT_VERSION_USAGE);
        postcard::to_extend(&(record, extras.usage), bytes)?
    };
    Ok(sealed(bytes, &key))
}

/// Initial capacity for the fields of a unit other than its texts.
const UNIT_FIELDS_BYTES: usize = 128;

/// Decodes a unit from its joined pieces.
pub(super) fn decode_unit(memory: MemoryKey, id: UnitId, bytes: &[u8]) -> Result<Unit, CodecError> {
    let (record, extras): (UnitRecord, _) = match checked(&unit_key(memory, id, 0), bytes)? {
        (VERSION, payload) => (postcard::from_bytes(payload)?, UnitExtras::default()),
        (UNIT_VERSION_USAGE, payload) => {
            let (record, usage): (_, Usage) = postcard::from_bytes(payload)?;
            (record, usage.into())
        }
        (UNIT_VERSION_EXTRAS, payload) => postcard::from_bytes(payload)?,
        (other, _) => return Err(CodecError::Version(other)),
    };
    let mut unit = Unit::new(id, record.revision, record.content);
    unit.set_extras(extras);
    Ok(unit)
}

#[cfg(test)]
mod tests {
    use crate::unit::{Context, Usage};

    use super::super::codec::CRC_BYTES;
    use super::*;

    #[test]
    fn a_record_round_trips_and_every_flipped_bit_is_detected() {
        let unit = Unit::new(UnitId(7), 3, UnitContent::default());
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
    fn uses_take_a_newer_layout() {
        let mut unit = Unit::new(UnitId(7), 3, UnitContent::default());
        assert_eq!(encode_unit(MemoryKey(1), &unit).unwrap()[0], VERSION);
        unit.usage = Usage { count: 5, last: Some(Timestamp { micros: 9 }), revisions: 2 };
        let bytes = encode_unit(MemoryKey(1), &unit).unwrap();
        assert_eq!((bytes[0], revision(&bytes).unwrap()), (UNIT_VERSION_USAGE, 3));
        assert_eq!(decode_unit(MemoryKey(1), UnitId(7), &bytes).unwrap(), unit);
        // As a program without context ids writes it.
        let record = postcard::to_stdvec(&((unit.revision, &unit.content), unit.usage)).unwrap();
        assert_eq!(&bytes[1..bytes.len() - CRC_BYTES], &record[..]);
        assert_eq!(unit.content_revision(), 1);
    }

    #[test]
    fn the_new_parts_of_a_context_take_a_newer_layout_and_nothing_else_does() {
        let mut unit = Unit::new(UnitId(7), 3, UnitContent::default());
        unit.content.source = Segment::plain("a");
        unit.content.context = Context { previous: Some(1), next: Some(2), ..Context::default() };
        unit.content.attributes = [("msgctxt".to_owned(), "menu".to_owned())].into();
        let bytes = encode_unit(MemoryKey(1), &unit).unwrap();
        // As a program without them writes it.
        let content = postcard::to_stdvec(&(unit.revision, &unit.content)).unwrap();
        assert_eq!((bytes[0], &bytes[1..bytes.len() - CRC_BYTES]), (VERSION, &content[..]));
        assert_eq!(decode_unit(MemoryKey(1), UnitId(7), &bytes).unwrap(), unit);
        let changes: [fn(&mut UnitContent); 3] = [
            |content| content.context_id = "menu".to_owned(),
            |content| content.context.previous_target = Some(u64::MAX),
            |content| content.context.next_target = Some(0),
        ];
        let usages = [Usage::default(), Usage { count: 5, last: None, revisions: 1 }];
        for (change, usage) in changes.into_iter().zip(usages.into_iter().cycle()) {
            let mut unit = Unit { usage, ..unit.clone() };
            change(&mut unit.content);
            let bytes = encode_unit(MemoryKey(1), &unit).unwrap();
            assert_eq!(bytes[0], UNIT_VERSION_EXTRAS);
            assert_eq!(decode_unit(MemoryKey(1), UnitId(7), &bytes).unwrap(), unit);
        }
    }
}
