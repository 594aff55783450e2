//! Measures on the wire how much memory a message takes once decoded, before anything is decoded.
//!
//! An empty element of a repeated field takes two bytes on the wire and hundreds in memory. One pass over the bytes, guided by
//! the descriptors of the protocol, counts elements and adds up what they take, without allocating. It also counts what takes no
//! memory but time: fields that the protocol does not know, and fields that come again where only the last one counts.

mod shapes;

use bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use tonic::Status;

use super::status;
use crate::limits::{DECODED_FACTOR_MAX, DECODED_FREE_BYTES, USELESS_FIELDS_MAX};

use shapes::{COUNTS, DEPTH_MAX, Field, Kind, Shape, TABLE};

/// A growing vector or string begins with eight bytes, and its length is rounded up to so many.
const HEAP_STEP_BYTES: usize = 8;

/// The bytes that a message of a request takes once it is decoded.
///
/// `rule` is the number of the method in [`RULES`](super::access::RULES). What cannot be decoded is measured as far as it can
/// be; decoding it says what is wrong.
///
/// # Errors
/// `INVALID_ARGUMENT` when a field has more elements than its request may have, or too many fields are unknown or given again;
/// `RESOURCE_EXHAUSTED` when the message takes more memory than its length allows.
pub fn measure(rule: usize, message: impl Buf) -> Result<usize, Status> {
    let Some(Some(root)) = TABLE.requests.get(rule) else { return Ok(message.remaining()) };
    let length = message.remaining();
    let bytes_max = length.saturating_mul(DECODED_FACTOR_MAX).saturating_add(DECODED_FREE_BYTES);
    let mut walk = Walk { message, bytes: 0, bytes_max, useless_fields: 0 };
    match walk.message(*root, 0, 0) {
        Ok(()) | Err(Stop::Malformed) => Ok(walk.bytes),
        Err(Stop::TooMany(path, most)) => {
            Err(status::invalid(&written(&path), &format!("more than {most} in one message")))
        }
        Err(Stop::TooManyUseless(message)) => {
            let what = format!(
                "more than {USELESS_FIELDS_MAX} fields are unknown or given more than once in one message"
            );
            Err(status::invalid(message, &what))
        }
        Err(Stop::TooLarge(path)) => Err(status::oversized(&written(&path), length, bytes_max)),
    }
}

/// Why a walk ends early; where, from the inside out.
enum Stop {
    Malformed,
    TooMany(Vec<&'static str>, usize),
    TooLarge(Vec<&'static str>),
    /// In which message.
    TooManyUseless(&'static str),
}

impl Stop {
    fn inside(mut self, field: &'static Field) -> Self {
        match &mut self {
            Self::Malformed | Self::TooManyUseless(_) => {}
            Self::TooMany(path, _) | Self::TooLarge(path) => path.push(&field.name),
        }
        self
    }
}

fn written(path: &[&str]) -> String {
    path.iter().rev().copied().collect::<Vec<_>>().join(".")
}

struct Walk<B> {
    message: B,
    bytes: usize,
    bytes_max: usize,
    /// Fields that are unknown, or came before in the same message although only the last one counts.
    useless_fields: usize,
}

impl<B: Buf> Walk<B> {
    /// Walks over a message that ends where `end` bytes remain.
    fn message(&mut self, shape: usize, end: usize, depth: usize) -> Result<(), Stop> {
        let Some(shape) = TABLE.shapes.get(shape).filter(|_| depth < DEPTH_MAX) else {
            return Err(Stop::Malformed);
        };
        let mut counts = [0; COUNTS];
        let mut seen = 0_u64;
        while self.message.remaining() > end {
            let (number, wire_type) = decode_key(&mut self.message).map_err(malformed)?;
            let field = shape.fields.get(number as usize).and_then(Option::as_ref);
            match field {
                None => self.count_useless(shape)?,
                Some(field) if !field.is_repeated => {
                    // No message of the protocol has a field with a greater number; a test says so.
                    let bit = 1 << number.min(63);
                    if seen & bit != 0 {
                        self.count_useless(shape)?;
                    }
                    seen |= bit;
                }
                Some(_) => {}
            }
            let Some(field) = field.filter(|_| wire_type == WireType::LengthDelimited) else {
                self.bytes += field.map_or(0, |field| field.element_bytes);
                self.check(field)?;
                self.skip(wire_type, number, shape, depth)?;
                continue;
            };
            self.bytes += field.element_bytes;
            if let Some((most, count)) = field.most {
                counts[count] += 1;
                if counts[count] > most {
                    return Err(Stop::TooMany(vec![&field.name], most));
                }
            }
            let length = decode_varint(&mut self.message).map_err(malformed)?;
            let left = self.message.remaining();
            let length = usize::try_from(length).ok().filter(|&length| length <= left);
            let length = length.ok_or(Stop::Malformed)?;
            match field.kind {
                Kind::Message(inner) => {
                    self.check(Some(field))?;
                    self.message(inner, left - length, depth + 1)
                        .map_err(|stop| stop.inside(field))?;
                }
                Kind::Text => {
                    self.bytes += length.next_multiple_of(HEAP_STEP_BYTES);
                    self.check(Some(field))?;
                    self.message.advance(length);
                }
                Kind::Scalar(packed) => {
                    // No element of a packed field is shorter than a byte.
                    let elements = match packed {
                        WireType::SixtyFourBit => length / 8,
                        WireType::ThirtyTwoBit => length / 4,
                        _ => length,
                    };
                    self.bytes += elements * field.element_bytes;
                    self.check(Some(field))?;
                    self.message.advance(length);
                }
            }
        }
        if self.message.remaining() < end { Err(Stop::Malformed) } else { Ok(()) }
    }

    /// Skips the value of a field, and counts what is inside a group.
    fn skip(
        &mut self,
        wire_type: WireType,
        number: u32,
        shape: &'static Shape,
        depth: usize,
    ) -> Result<(), Stop> {
        if wire_type != WireType::StartGroup {
            return skip_field(wire_type, number, &mut self.message, DecodeContext::default())
                .map_err(malformed);
        }
        if depth >= DEPTH_MAX {
            return Err(Stop::Malformed);
        }
        loop {
            let (inner, wire_type) = decode_key(&mut self.message).map_err(malformed)?;
            if wire_type == WireType::EndGroup {
                return if inner == number { Ok(()) } else { Err(Stop::Malformed) };
            }
            self.count_useless(shape)?;
            self.skip(wire_type, inner, shape, depth + 1)?;
        }
    }

    fn count_useless(&mut self, shape: &'static Shape) -> Result<(), Stop> {
        self.useless_fields += 1;
        if self.useless_fields > USELESS_FIELDS_MAX {
            return Err(Stop::TooManyUseless(&shape.name));
        }
        Ok(())
    }

    fn check(&self, field: Option<&'static Field>) -> Result<(), Stop> {
        match field {
            Some(field) if self.bytes > self.bytes_max => Err(Stop::TooLarge(vec![&field.name])),
            _ => Ok(()),
        }
    }
}

fn malformed(_: prost::DecodeError) -> Stop {
    Stop::Malformed
}

#[cfg(test)]
mod tests {
    use super::super::access::{RULES, number_of};
    use super::super::proto;
    use super::*;
    use crate::limits::BATCH_UNITS_MAX;

    fn rule(method: &str) -> usize {
        number_of(&format!("/dhakira.v1.{method}")).unwrap()
    }

    fn measured(method: &str, message: &impl prost::Message) -> usize {
        measure(rule(method), &*message.encode_to_vec()).unwrap()
    }

    #[test]
    fn what_is_added_up_is_what_is_there() {
        let tag = proto::InlineTag { label: "b".into(), code: "<b>".into(), ..Default::default() };
        let segment = proto::Segment { text: "a".repeat(1_000), tags: vec![tag; 50] };
        let mut unit = proto::Unit { source: Some(segment), ..Default::default() };
        unit.attributes.insert("key".into(), "a longer value".into());
        let create = proto::CreateUnitRequest { unit: Some(unit), ..Default::default() };
        let tags = 50 * (2 * size_of::<proto::InlineTag>() + 8 + 8);
        let attribute = 2 * (2 * size_of::<String>() + 1) + 8 + 16;
        assert_eq!(measured("UnitService/CreateUnit", &create), 1_000 + tags + attribute);
        let segments = vec![proto::QuerySegment::default(); 1_000];
        let lookup = proto::LookupSegmentsRequest { segments, ..Default::default() };
        let bytes = measured("LookupService/LookupSegments", &lookup);
        assert!(bytes >= 1_000 * size_of::<proto::QuerySegment>(), "{bytes}");
    }

    #[test]
    fn too_many_elements_are_refused_by_name_and_others_by_their_memory() {
        use tonic_types::StatusExt as _;
        let refused = |method: &str, message: &[u8]| {
            let status = measure(rule(method), message).unwrap_err();
            let info = status.get_details_error_info().unwrap();
            (status.code(), info.metadata["field"].clone())
        };
        let units = |count: usize| [0x12, 0].repeat(count);
        let batch = "UnitService/BatchCreateUnits";
        assert!(measure(rule(batch), &*units(BATCH_UNITS_MAX)).is_ok());
        let many = refused(batch, &units(BATCH_UNITS_MAX + 1));
        assert_eq!(many, (tonic::Code::InvalidArgument, "units".into()));
        // Both sides may have as many sentences as one.
        let side =
            proto::DocumentSide { sentences: vec![String::new(); 60_000], ..Default::default() };
        let (source, target) = (Some(side.clone()), Some(side));
        let align = proto::AlignDocumentsRequest { source, target, ..Default::default() };
        measured("AlignmentService/AlignDocuments", &align);
        // A unit with nothing but two million tags of two bytes.
        let tags = [0x12, 0].repeat(2_000_000);
        let mut unit = vec![0x12];
        prost::encoding::encode_varint(tags.len() as u64, &mut unit);
        unit.extend(tags);
        let mut create = vec![0x12];
        prost::encoding::encode_varint(unit.len() as u64, &mut create);
        create.extend(unit);
        let large = refused("UnitService/CreateUnit", &create);
        assert_eq!(large, (tonic::Code::ResourceExhausted, "unit.source.tags".into()));
    }

    #[test]
    fn fields_that_mean_nothing_are_let_in_up_to_a_limit() {
        use tonic_types::StatusExt as _;
        let length_delimited = |number: u32, content: &[u8]| {
            let mut bytes = Vec::new();
            prost::encoding::encode_key(number, WireType::LengthDelimited, &mut bytes);
            prost::encoding::encode_varint(content.len() as u64, &mut bytes);
            [bytes, content.to_vec()].concat()
        };
        let unit = |content: &[u8]| length_delimited(2, content);
        let group = |content: &[u8]| [&[0x7b][..], content, &[0x7c]].concat();
        // Unknown: varint 15, text 15, 32 bits 15, a group within a group. Known, and only the last one counts: the name of a
        // unit, its source, its revision.
        let (varint, text, fixed) = ([0x78, 1], [0x7a, 0], [0x7d, 0, 0, 0, 0]);
        let (name, source, revision) = ([0x0a, 0], [0x12, 0], [0x50, 1]);
        let method = "UnitService/CreateUnit";
        let check = |element: &[u8], inside: &str, wrap: &dyn Fn(&[u8]) -> Vec<u8>, free: usize| {
            let message = |count: usize| wrap(&element.repeat(count));
            assert!(
                measure(rule(method), &*message(USELESS_FIELDS_MAX + free)).is_ok(),
                "{inside}"
            );
            let many = message(USELESS_FIELDS_MAX + free + 1);
            let status = measure(rule(method), &*many).unwrap_err();
            assert_eq!(status.code(), tonic::Code::InvalidArgument);
            let info = status.get_details_error_info().unwrap();
            assert_eq!(info.metadata["field"], inside);
        };
        for unknown in [&varint[..], &text, &fixed] {
            check(unknown, "CreateUnitRequest", &<[u8]>::to_vec, 0);
            check(unknown, "Unit", &|it| unit(it), 0);
        }
        check(&group(&[]), "Unit", &|it| unit(it), 0);
        for known in [name, source, revision] {
            check(&known, "Unit", &|it| unit(it), 1);
        }
        // What is in a group counts, and so does the group.
        let groups = |it: &[u8]| unit(&group(&group(it)));
        let many = groups(&varint.repeat(USELESS_FIELDS_MAX));
        assert!(measure(rule(method), &*many).is_err());
        let few = groups(&varint.repeat(USELESS_FIELDS_MAX - 2));
        assert!(measure(rule(method), &*few).is_ok());
        // Each of many units may give each of its fields.
        let content = [&name[..], &source, &revision].concat();
        let units = unit(&content).repeat(BATCH_UNITS_MAX);
        assert!(measure(rule("UnitService/BatchCreateUnits"), &*units).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_measured(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            for rule in 0..RULES.len() {
                let _ = measure(rule, &*bytes);
            }
        }
    }
}
