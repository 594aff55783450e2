//! The messages of the protocol and the memory layout of their generated types, derived once from the descriptors.

use std::collections::HashMap;
use std::sync::LazyLock;

use prost::Message as _;
use prost::encoding::WireType;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};

use super::super::access::RULES;
use super::super::proto::DESCRIPTORS;
use crate::limits::{
    BATCH_UNITS_MAX, DOCUMENT_SENTENCES_MAX, FILTER_ATTRIBUTES_MAX, FILTER_NAMES_MAX,
    LOOKUP_MEMORIES_MAX, LOOKUP_SEGMENTS_MAX, PENALTY_RULES_MAX, WORD_PAIRS_MAX,
};

/// Deepest nesting that prost decodes.
pub(super) const DEPTH_MAX: usize = 100;
pub(super) static TABLE: LazyLock<Table> = LazyLock::new(Table::new);

/// The messages of the protocol, as far as their memory goes.
pub(super) struct Table {
    pub(super) shapes: Vec<Shape>,
    /// The message that each method of [`RULES`] takes.
    pub(super) requests: Vec<Option<usize>>,
}

#[derive(Default)]
pub(super) struct Shape {
    /// Its name, without the package where that is the protocol's.
    pub(super) name: String,
    /// By the number of the field.
    pub(super) fields: Vec<Option<Field>>,
}

pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Bytes that one element takes in its vector or map; 0 where the field is part of its message.
    pub(super) element_bytes: usize,
    pub(super) is_repeated: bool,
    /// Most elements, and which count of its message they are counted in.
    pub(super) most: Option<(usize, usize)>,
}

pub(super) enum Kind {
    /// Numbers, by the wire type that a packed one has.
    Scalar(WireType),
    /// Strings and bytes.
    Text,
    Message(usize),
}

/// Fields of one message that have a limit.
pub(super) const COUNTS: usize = 4;

/// Most elements of the fields that make a whole request too large. Tags and attributes are not here: too many of them cost one
/// unit of an import, which is for the import to say.
const ELEMENTS_MAX: &[(&str, usize)] = &[
    ("AlignDocumentsRequest.memories", LOOKUP_MEMORIES_MAX),
    ("AlignWordsRequest.memories", LOOKUP_MEMORIES_MAX),
    ("AlignWordsRequest.pairs", WORD_PAIRS_MAX),
    ("AttributeCondition.any_of", FILTER_NAMES_MAX),
    ("AttributeCondition.none_of", FILTER_NAMES_MAX),
    ("BatchCreateUnitsRequest.units", BATCH_UNITS_MAX),
    ("DocumentSide.sentences", DOCUMENT_SENTENCES_MAX),
    ("ImportBatch.units", BATCH_UNITS_MAX),
    ("JobSegments.segments", LOOKUP_SEGMENTS_MAX),
    ("LookupSegmentsRequest.segments", LOOKUP_SEGMENTS_MAX),
    ("LookupSettings.memories", LOOKUP_MEMORIES_MAX),
    ("LookupSettings.penalties", PENALTY_RULES_MAX),
    ("Memory.penalties", PENALTY_RULES_MAX),
    ("SearchConcordanceRequest.memories", LOOKUP_MEMORIES_MAX),
    ("StringCondition.any_of", FILTER_NAMES_MAX),
    ("StringCondition.none_of", FILTER_NAMES_MAX),
    ("UnitFilter.attributes", FILTER_ATTRIBUTES_MAX),
];
const PACKAGE: &str = ".dhakira.v1.";
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

/// The messages that requests may hold: all but those of annotations.
fn messages(files: &[FileDescriptorProto]) -> Vec<Named<'_>> {
    fn add<'a>(name: String, message: &'a DescriptorProto, found: &mut Vec<Named<'a>>) {
        for nested in &message.nested_type {
            add(format!("{name}.{}", nested.name()), nested, found);
        }
        found.push((name, message));
    }
    let mut found = Vec::new();
    let is_of_annotations = |file: &FileDescriptorProto| {
        file.name().starts_with("google/api/") || file.name() == "google/protobuf/descriptor.proto"
    };
    for file in files.iter().filter(|file| !is_of_annotations(file)) {
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
        let name = name.trim_start_matches(PACKAGE);
        let mut shape = Shape { name: name.to_owned(), ..Shape::default() };
        let mut counts = 0;
        for field in &message.field {
            let number = usize::try_from(field.number()).unwrap_or_default();
            let path = format!("{name}.{}", field.name());
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
        let is_repeated = field.label() == Label::Repeated;
        let element_bytes = if !is_repeated {
            0
        } else if self.is_map(field) {
            // A map has up to twice the room of its entries.
            2 * (self.plain_bytes(field, 0) + 1)
        } else {
            // While a vector grows, there are two of it.
            2 * self.plain_bytes(field, 0)
        };
        Field { name: field.name().to_owned(), kind, element_bytes, is_repeated, most }
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
    use super::super::super::proto;
    use super::*;

    #[test]
    fn every_method_and_every_limited_field_is_known() {
        assert!(TABLE.requests.iter().all(Option::is_some));
        let limited = TABLE.shapes.iter().flat_map(|shape| shape.fields.iter().flatten());
        assert_eq!(limited.filter(|field| field.most.is_some()).count(), ELEMENTS_MAX.len());
        assert!(TABLE.shapes.iter().all(|shape| shape.fields.len() <= 64), "one bit a field");
        let fields = || TABLE.shapes.iter().flat_map(|shape| shape.fields.iter().flatten());
        for field in fields() {
            let is_known = !matches!(field.kind, Kind::Message(at) if at >= TABLE.shapes.len());
            assert!(is_known, "{}", field.name);
        }
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
}
