//! How much memory does a message take once it is decoded? Measured on the wire, before anything is decoded.
//!
//! An empty element of a repeated field takes two bytes on the wire and hundreds in memory. One pass over the bytes, guided by
//! the descriptors of the protocol, counts elements and adds up what they take, without allocating.

use std::collections::HashMap;
use std::sync::LazyLock;

use bytes::Buf;
use prost::Message as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};
use tonic::Status;

use super::access::RULES;
use super::{DESCRIPTORS, status};
use crate::limits::{
    BATCH_UNITS_MAX, DECODED_FACTOR_MAX, DECODED_FREE_BYTES, DOCUMENT_SENTENCES_MAX,
    FILTER_NAMES_MAX, LOOKUP_MEMORIES_MAX, LOOKUP_SEGMENTS_MAX, WORD_PAIRS_MAX,
};

/// Most elements of the fields that make a whole request too large. Tags and attributes are not here: too many of them cost one
/// unit of an import, which is for the import to say.
const ELEMENTS_MAX: &[(&str, usize)] = &[
    ("AlignDocumentsRequest.memories", LOOKUP_MEMORIES_MAX),
    ("AlignWordsRequest.memories", LOOKUP_MEMORIES_MAX),
    ("AlignWordsRequest.pairs", WORD_PAIRS_MAX),
    ("BatchCreateUnitsRequest.units", BATCH_UNITS_MAX),
    ("DocumentSide.sentences", DOCUMENT_SENTENCES_MAX),
    ("ImportBatch.units", BATCH_UNITS_MAX),
    ("LookupSegmentsRequest.segments", LOOKUP_SEGMENTS_MAX),
    ("LookupSettings.memories", LOOKUP_MEMORIES_MAX),
    ("SearchConcordanceRequest.memories", LOOKUP_MEMORIES_MAX),
    ("UnitFilter.attributes", FILTER_NAMES_MAX),
    ("UnitFilter.authors", FILTER_NAMES_MAX),
    ("UnitFilter.documents", FILTER_NAMES_MAX),
];
const PACKAGE: &str = ".dhakira.v1.";
/// Deepest nesting that prost decodes.
const DEPTH_MAX: usize = 100;
/// A growing vector or string begins with eight bytes, and its length is rounded up to so many.
const HEAP_STEP_BYTES: usize = 8;

/// The bytes that a message of a request takes once it is decoded.
///
/// `rule` is the number of the method in [`RULES`]. What cannot be decoded is measured as far as it can be; decoding it says
/// what is wrong.
///
/// # Errors
/// `INVALID_ARGUMENT` when a field has more elements than its request may have; `RESOURCE_EXHAUSTED` when the message takes
/// more memory than its length allows.
pub fn measure(rule: usize, message: impl Buf) -> Result<usize, Status> {
    let Some(Some(root)) = TABLE.requests.get(rule) else { return Ok(message.remaining()) };
    let length = message.remaining();
    let bytes_max = length.saturating_mul(DECODED_FACTOR_MAX).saturating_add(DECODED_FREE_BYTES);
    let mut walk = Walk { message, bytes: 0, bytes_max };
    match walk.message(*root, 0, 0) {
        Ok(()) | Err(Stop::Malformed) => Ok(walk.bytes),
        Err(Stop::TooMany(path, most)) => {
            Err(status::invalid(&written(&path), &format!("more than {most} in one message")))
        }
        Err(Stop::TooLarge(path)) => Err(status::oversized(&written(&path), length, bytes_max)),
    }
}

static TABLE: LazyLock<Table> = LazyLock::new(Table::new);

/// The messages of the protocol, as far as their memory goes.
struct Table {
    shapes: Vec<Shape>,
    /// The message that each method of [`RULES`] takes.
    requests: Vec<Option<usize>>,
}

#[derive(Default)]
struct Shape {
    /// By the number of the field.
    fields: Vec<Option<Field>>,
}

struct Field {
    name: String,
    kind: Kind,
    /// Bytes that one element takes in its vector or map; 0 where the field is part of its message.
    element_bytes: usize,
    /// Most elements, and which count of its message they are counted in.
    most: Option<(usize, usize)>,
}

enum Kind {
    /// Numbers, by the wire type that a packed one has.
    Scalar(WireType),
    /// Strings and bytes.
    Text,
    Message(usize),
}

/// Fields of one message that have a limit.
const COUNTS: usize = 4;

/// Why a walk ends early; where, from the inside out.
enum Stop {
    Malformed,
    TooMany(Vec<&'static str>, usize),
    TooLarge(Vec<&'static str>),
}

impl Stop {
    fn inside(mut self, field: &'static Field) -> Self {
        match &mut self {
            Self::Malformed => {}
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
}

impl<B: Buf> Walk<B> {
    /// Walks over a message that ends where `end` bytes remain.
    fn message(&mut self, shape: usize, end: usize, depth: usize) -> Result<(), Stop> {
        let Some(shape) = TABLE.shapes.get(shape).filter(|_| depth < DEPTH_MAX) else {
            return Err(Stop::Malformed);
        };
        let mut counts = [0; COUNTS];
        while self.message.remaining() > end {
            let (number, wire_type) = decode_key(&mut self.message).map_err(malformed)?;
            let field = shape.fields.get(number as usize).and_then(Option::as_ref);
            let Some(field) = field.filter(|_| wire_type == WireType::LengthDelimited) else {
                self.bytes += field.map_or(0, |field| field.element_bytes);
                self.check(field)?;
                skip_field(wire_type, number, &mut self.message, DecodeContext::default())
                    .map_err(malformed)?;
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

impl Table {
    fn new() -> Self {
        // The descriptors were written by the build; a test reads them.
        let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap_or_default().file;
        let messages = messages(&files);
        let numbers = numbers(&messages);
        let builder = Builder { messages: &messages, numbers: &numbers };
        let shapes = (0..messages.len()).map(|at| builder.shape(at)).collect();
        let request = |method: &str| {
            let services = files.iter().flat_map(|file| {
                file.service.iter().map(|service| (format!("/{}.", file.package()), service))
            });
            let mut methods = services.flat_map(|(package, service)| {
                let path = format!("{package}{}/", service.name());
                service.method.iter().map(move |it| (format!("{path}{}", it.name()), it))
            });
            let (_, found) = methods.find(|(path, _)| path == method)?;
            numbers.get(found.input_type()).copied()
        };
        let requests = RULES.iter().map(|rule| request(rule.method)).collect();
        Self { shapes, requests }
    }
}

/// A message and its full name.
type Named<'a> = (String, &'a DescriptorProto);

fn messages(files: &[FileDescriptorProto]) -> Vec<Named<'_>> {
    fn add<'a>(name: String, message: &'a DescriptorProto, found: &mut Vec<Named<'a>>) {
        for nested in &message.nested_type {
            add(format!("{name}.{}", nested.name()), nested, found);
        }
        found.push((name, message));
    }
    let mut found = Vec::new();
    for file in files {
        for message in &file.message_type {
            add(format!(".{}.{}", file.package(), message.name()), message, &mut found);
        }
    }
    found
}

fn numbers<'a>(messages: &'a [Named<'_>]) -> HashMap<&'a str, usize> {
    messages.iter().enumerate().map(|(at, (name, _))| (name.as_str(), at)).collect()
}

/// Works out how the generated types lie in memory: fields side by side, the widest first.
struct Builder<'a> {
    messages: &'a [Named<'a>],
    numbers: &'a HashMap<&'a str, usize>,
}

const VECTOR_BYTES: usize = size_of::<Vec<u8>>();
const MAP_BYTES: usize = size_of::<HashMap<u8, u8>>();

impl Builder<'_> {
    fn shape(&self, at: usize) -> Shape {
        let Some((name, message)) = self.messages.get(at) else { return Shape::default() };
        let mut shape = Shape::default();
        let mut counts = 0;
        for field in &message.field {
            let number = usize::try_from(field.number()).unwrap_or_default();
            let path = format!("{}.{}", name.trim_start_matches(PACKAGE), field.name());
            let limit = ELEMENTS_MAX.iter().find(|(it, _)| *it == path);
            let most = limit.filter(|_| counts < COUNTS).map(|(_, most)| {
                counts += 1;
                (*most, counts - 1)
            });
            if shape.fields.len() <= number {
                shape.fields.resize_with(number + 1, || None);
            }
            shape.fields[number] = Some(self.field(field, most));
        }
        shape
    }

    fn field(&self, field: &FieldDescriptorProto, most: Option<(usize, usize)>) -> Field {
        let kind = match field.r#type() {
            Type::String | Type::Bytes => Kind::Text,
            Type::Message | Type::Group => {
                Kind::Message(self.numbers.get(field.type_name()).copied().unwrap_or(usize::MAX))
            }
            Type::Double | Type::Fixed64 | Type::Sfixed64 => Kind::Scalar(WireType::SixtyFourBit),
            Type::Float | Type::Fixed32 | Type::Sfixed32 => Kind::Scalar(WireType::ThirtyTwoBit),
            _ => Kind::Scalar(WireType::Varint),
        };
        let element_bytes = if field.label() != Label::Repeated {
            0
        } else if self.is_map(field) {
            // A map has up to twice the room of its entries.
            2 * (self.plain_bytes(field, 0) + 1)
        } else {
            // While a vector grows, there are two of it.
            2 * self.plain_bytes(field, 0)
        };
        Field { name: field.name().to_owned(), kind, element_bytes, most }
    }

    fn named(&self, name: &str) -> Option<&DescriptorProto> {
        let at = self.numbers.get(name)?;
        self.messages.get(*at).map(|(_, message)| *message)
    }

    fn is_map(&self, field: &FieldDescriptorProto) -> bool {
        let message = self.named(field.type_name());
        message
            .and_then(|it| it.options.as_ref())
            .is_some_and(prost_types::MessageOptions::map_entry)
    }

    fn message_bytes(&self, message: &DescriptorProto, depth: usize) -> usize {
        if depth > DEPTH_MAX {
            return 0;
        }
        let mut bytes = 0;
        let mut choices = vec![0; message.oneof_decl.len()];
        for field in &message.field {
            let choice = field.oneof_index.filter(|_| !field.proto3_optional());
            let choice = choice.and_then(|at| choices.get_mut(usize::try_from(at).ok()?));
            match choice {
                // The largest one, and which it is.
                Some(choice) => *choice = (*choice).max(self.plain_bytes(field, depth) + 8),
                None => bytes += self.field_bytes(field, depth),
            }
        }
        (bytes + choices.iter().sum::<usize>()).next_multiple_of(8)
    }

    /// Bytes of a field in its message.
    fn field_bytes(&self, field: &FieldDescriptorProto, depth: usize) -> usize {
        let plain = || self.plain_bytes(field, depth);
        match (field.label(), field.r#type()) {
            (Label::Repeated, _) if self.is_map(field) => MAP_BYTES,
            // Whether an optional text is there stands in the capacity that no vector has.
            (Label::Repeated, _) | (_, Type::String | Type::Bytes) => VECTOR_BYTES,
            (_, Type::Message | Type::Group) => plain() + 8,
            _ if field.proto3_optional() => 2 * plain(),
            _ => plain(),
        }
    }

    /// Bytes of one value.
    fn plain_bytes(&self, field: &FieldDescriptorProto, depth: usize) -> usize {
        match field.r#type() {
            Type::String | Type::Bytes => VECTOR_BYTES,
            Type::Message | Type::Group => {
                self.named(field.type_name()).map_or(0, |it| self.message_bytes(it, depth + 1))
            }
            Type::Double
            | Type::Int64
            | Type::Uint64
            | Type::Sint64
            | Type::Fixed64
            | Type::Sfixed64 => 8,
            Type::Bool => 1,
            _ => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::access::number_of;
    use super::super::proto;
    use super::*;

    fn rule(method: &str) -> usize {
        number_of(&format!("/dhakira.v1.{method}")).unwrap()
    }

    fn measured(method: &str, message: &impl prost::Message) -> usize {
        measure(rule(method), &*message.encode_to_vec()).unwrap()
    }

    #[test]
    fn every_method_and_every_limited_field_is_known() {
        assert!(TABLE.requests.iter().all(Option::is_some));
        let limited = TABLE.shapes.iter().flat_map(|shape| shape.fields.iter().flatten());
        assert_eq!(limited.filter(|field| field.most.is_some()).count(), ELEMENTS_MAX.len());
    }

    #[test]
    fn the_sizes_of_types_are_worked_out_right() {
        let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
        let messages = messages(&files);
        let numbers = numbers(&messages);
        let builder = Builder { messages: &messages, numbers: &numbers };
        let check = |name: &str, real: usize| {
            let message = builder.named(&format!("{PACKAGE}{name}")).unwrap();
            let bytes = builder.message_bytes(message, 0);
            assert!((real..=real + real / 4 + 8).contains(&bytes), "{name}: {bytes}, is {real}");
        };
        check("InlineTag", size_of::<proto::InlineTag>());
        check("Segment", size_of::<proto::Segment>());
        check("Context", size_of::<proto::Context>());
        check("Unit", size_of::<proto::Unit>());
        check("QuerySegment", size_of::<proto::QuerySegment>());
        check("LookupSettings", size_of::<proto::LookupSettings>());
        check("MemoryChoice", size_of::<proto::MemoryChoice>());
        check("WordPair", size_of::<proto::WordPair>());
        check("FileSegments", size_of::<proto::FileSegments>());
    }

    #[test]
    fn what_is_added_up_is_what_is_there() {
        let tag = proto::InlineTag { label: "b".into(), code: "<b>".into(), ..Default::default() };
        let segment = proto::Segment { text: "a".repeat(1_000), tags: vec![tag; 50] };
        let mut unit = proto::Unit { source: Some(segment), ..Default::default() };
        unit.attributes.insert("key".into(), "a longer value".into());
        let create = proto::CreateUnitRequest { unit: Some(unit), ..Default::default() };
        let tags = 50 * (2 * size_of::<proto::InlineTag>() + 8 + 8);
        let attribute = 2 * (2 * VECTOR_BYTES + 1) + 8 + 16;
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

    proptest::proptest! {
        #[test]
        fn any_bytes_are_measured(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            for rule in 0..RULES.len() {
                let _ = measure(rule, &*bytes);
            }
        }
    }
}
