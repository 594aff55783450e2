//! Makes JSON schemas of messages, by the JSON mapping of protocol buffers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, ExtensionDescriptor, FieldDescriptor, Kind,
    MessageDescriptor, Value as Field,
};
use serde_json::{Map, Value, json};

use super::bounds;
use super::comments::Comments;

/// What a field is for, as `google.api.field_behavior` says.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Behavior {
    pub(super) required: bool,
    output_only: bool,
    input_only: bool,
}

/// The schemas of messages that were asked for, and of those they hold.
pub(super) struct Schemas {
    pub(super) comments: Comments,
    behavior: ExtensionDescriptor,
    reference: ExtensionDescriptor,
    /// Messages that only clients send.
    sent_only: BTreeSet<String>,
    /// Fields that paths give, by message.
    in_path: BTreeSet<(String, String)>,
    components: BTreeMap<String, Value>,
}

impl Schemas {
    pub(super) fn new(
        pool: &DescriptorPool,
        methods: &[prost_reflect::MethodDescriptor],
    ) -> Option<Self> {
        let answered = reachable(methods.iter().map(prost_reflect::MethodDescriptor::output));
        let sent = reachable(methods.iter().map(prost_reflect::MethodDescriptor::input));
        Some(Self {
            comments: Comments::read(pool),
            behavior: pool.get_extension_by_name("google.api.field_behavior")?,
            reference: pool.get_extension_by_name("google.api.resource_reference")?,
            sent_only: sent.difference(&answered).cloned().collect(),
            in_path: BTreeSet::new(),
            components: BTreeMap::new(),
        })
    }

    /// Notes that a path gives a field, so that bodies leave it out.
    pub(super) fn give_in_path(&mut self, of: &MessageDescriptor, path: &str) {
        let (name, rest) = path.split_once('.').map_or((path, None), |(a, b)| (a, Some(b)));
        let Some(field) = of.get_field_by_name(name) else { return };
        match (rest, field.kind()) {
            (Some(rest), Kind::Message(inner)) => self.give_in_path(&inner, rest),
            _ => {
                self.in_path.insert((of.full_name().to_owned(), name.to_owned()));
            }
        }
    }

    /// The finished components.
    pub(super) fn finish(self) -> BTreeMap<String, Value> {
        self.components
    }

    /// A reference to the schema of a message, which is made if there is none.
    pub(super) fn message(&mut self, message: &MessageDescriptor) -> Value {
        let name = message.name().to_owned();
        if !self.components.contains_key(&name) {
            // A message may contain itself: its name is taken before its fields are described.
            self.components.insert(name.clone(), Value::Null);
            let schema = self.object(message);
            self.components.insert(name.clone(), schema);
        }
        reference_to(&name)
    }

    fn object(&mut self, message: &MessageDescriptor) -> Value {
        let sent_only = self.sent_only.contains(message.full_name());
        let comment = self.comments.of(&message.parent_file(), message.path()).text;
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for field in message.fields() {
            if self.in_path.contains(&(message.full_name().to_owned(), field.name().to_owned())) {
                continue;
            }
            let behavior = self.behavior(&field);
            let schema = self.described(&field, behavior, sent_only);
            properties.insert(field.json_name().to_owned(), schema);
            if behavior.required && sent_only {
                required.push(field.json_name().to_owned());
            }
        }
        let mut schema = json!({
            "type": "object",
            "description": comment,
            "properties": properties,
            "additionalProperties": false,
        });
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        let pairs: Vec<Value> = message
            .oneofs()
            .filter(|it| !it.is_synthetic())
            .flat_map(|it| {
                let names: Vec<String> = it.fields().map(|it| it.json_name().to_owned()).collect();
                let pair = |(number, one): (usize, &String)| {
                    let others = names[number + 1..].to_vec();
                    let one = one.clone();
                    others
                        .into_iter()
                        .map(move |other| json!({"required": [one, other]}))
                        .collect::<Vec<_>>()
                };
                names.iter().enumerate().flat_map(pair).collect::<Vec<_>>()
            })
            .collect();
        if !pairs.is_empty() {
            schema["not"] = json!({"anyOf": pairs});
        }
        schema
    }

    /// The schema of a field with what is said of it.
    pub(super) fn described(
        &mut self,
        field: &FieldDescriptor,
        behavior: Behavior,
        is_sent: bool,
    ) -> Value {
        let mut schema = self.field(field, is_sent);
        let comment = self.comments.of_field(field);
        if !comment.is_empty() {
            schema["description"] = comment.into();
        }
        if behavior.output_only {
            schema["readOnly"] = true.into();
        }
        if behavior.input_only {
            schema["writeOnly"] = true.into();
        }
        schema
    }

    fn field(&mut self, field: &FieldDescriptor, is_sent: bool) -> Value {
        if field.is_map() {
            let value = match field.kind() {
                Kind::Message(entry) => entry.map_entry_value_field(),
                _ => return json!({}),
            };
            let value = self.value(&value, is_sent);
            return json!({"type": "object", "additionalProperties": value});
        }
        let value = self.value(field, is_sent);
        if field.cardinality() != Cardinality::Repeated {
            return value;
        }
        let mut list =
            Map::from_iter([("type".to_owned(), "array".into()), ("items".to_owned(), value)]);
        list.extend(bounds::of_list(field));
        list.into()
    }

    /// The schema of one value of a field.
    fn value(&mut self, field: &FieldDescriptor, is_sent: bool) -> Value {
        let mut schema = match field.kind() {
            Kind::Message(message) => return self.any_message(&message),
            Kind::Enum(of) => return self.enumeration(&of),
            Kind::Double | Kind::Float => json!({"type": "number", "format": "double"}),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                json!({"type": "integer", "format": "int32", "minimum": i32::MIN, "maximum": i32::MAX})
            }
            Kind::Uint32 | Kind::Fixed32 => {
                json!({"type": "integer", "format": "int64", "minimum": 0, "maximum": u32::MAX})
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => whole(is_sent, "^-?[0-9]{1,18}$"),
            Kind::Uint64 | Kind::Fixed64 => whole(is_sent, "^[0-9]{1,20}$"),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::String => json!({"type": "string"}),
            Kind::Bytes => json!({"type": "string", "format": "byte", "contentEncoding": "base64"}),
        };
        if let (Some(schema), Value::Object(bounds)) =
            (schema.as_object_mut(), bounds::of_value(field, &self.reference))
        {
            schema.extend(bounds);
        }
        schema
    }

    /// The schema of a message; JSON writes some of them in a form of their own.
    fn any_message(&mut self, message: &MessageDescriptor) -> Value {
        match message.full_name() {
            "google.protobuf.Timestamp" => json!({"type": "string", "format": "date-time"}),
            "google.protobuf.Duration" => {
                json!({"type": "string", "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$", "examples": ["3.5s"]})
            }
            "google.protobuf.FieldMask" => json!({
                "type": "string",
                "pattern": r"^(\*|[A-Za-z][A-Za-z0-9_.,-]*)?$",
                "examples": ["source,target.text"],
            }),
            "google.protobuf.Any" => json!({
                "type": "object",
                "properties": {"@type": {"type": "string"}},
                "required": ["@type"],
                "additionalProperties": true,
            }),
            _ => self.message(message),
        }
    }

    fn enumeration(&mut self, of: &EnumDescriptor) -> Value {
        let name = of.name().to_owned();
        if !self.components.contains_key(&name) {
            let mut text = self.comments.of(&of.parent_file(), of.path()).text;
            let mut names = Vec::new();
            for value in of.values() {
                let comment = self.comments.of(&of.parent_file(), value.path()).text;
                // Writing to a string cannot fail.
                let _ = write!(text, "\n\n- `{}`: {comment}", value.name());
                names.push(value.name().to_owned());
            }
            let schema = json!({"type": "string", "description": text, "enum": names});
            self.components.insert(name.clone(), schema);
        }
        reference_to(&name)
    }

    pub(super) fn behavior(&self, field: &FieldDescriptor) -> Behavior {
        let options = field.options();
        let mut behavior = Behavior::default();
        let values = options.get_extension(&self.behavior);
        for value in values.as_list().unwrap_or_default() {
            let Kind::Enum(of) = self.behavior.kind() else { continue };
            let number = Field::as_enum_number(value).and_then(|number| of.get_value(number));
            match number.as_ref().map(prost_reflect::EnumValueDescriptor::name) {
                Some("REQUIRED") => behavior.required = true,
                Some("OUTPUT_ONLY") => behavior.output_only = true,
                Some("INPUT_ONLY") => behavior.input_only = true,
                _ => {}
            }
        }
        behavior
    }
}

/// A number of 64 bits: answers write it as text, and requests may write it as either.
fn whole(is_sent: bool, pattern: &str) -> Value {
    if is_sent {
        json!({"type": ["string", "integer"], "format": "int64", "pattern": pattern})
    } else {
        json!({"type": "string", "format": "int64", "pattern": pattern})
    }
}

/// A reference to a component.
pub(super) fn reference_to(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// The full names of some messages and of all that they hold.
fn reachable(messages: impl Iterator<Item = MessageDescriptor>) -> BTreeSet<String> {
    let (mut found, mut queue) = (BTreeSet::new(), messages.collect::<Vec<_>>());
    while let Some(message) = queue.pop() {
        if found.insert(message.full_name().to_owned()) {
            queue.extend(message.fields().filter_map(|field| match field.kind() {
                Kind::Message(inner) => Some(inner),
                _ => None,
            }));
        }
    }
    found
}
