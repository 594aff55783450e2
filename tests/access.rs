//! Who may call what: every method with every role, over the wire, against the table in `docs/access.md`.

use std::collections::{BTreeMap, BTreeSet};

use dhakira::grpc::DESCRIPTORS;
use dhakira::grpc::access::{self, RULES};
use prost::Message;
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};
use tonic::{Code, Status};

use crate::guarded::call;
use crate::support::proto;

mod matrix;
mod requests;

use matrix::documented_table;
pub(crate) use matrix::{MEMORIES, Matrix};
pub(crate) use requests::requests;

const DOCUMENTATION: &str = include_str!("../docs/access.md");

#[test]
fn the_documentation_has_the_table_of_the_code() {
    let table = access::table();
    assert!(DOCUMENTATION.contains(&table), "put this into docs/access.md:\n{table}");
}

#[test]
fn every_method_is_in_the_table_and_nothing_else() {
    let of_protocol: BTreeSet<String> =
        access::methods().into_iter().map(|(name, _)| name).collect();
    let of_table: BTreeSet<String> = RULES.iter().map(|rule| rule.method.to_owned()).collect();
    assert_eq!(of_protocol, of_table);
    assert_eq!(RULES.len(), of_table.len(), "each once");
    assert_eq!(
        of_protocol.len(),
        documented_table().keys().filter(|(_, kind)| kind.is_empty()).count()
    );
}

/// Fields of requests that hold text, and no name of a memory or of a unit that a handler looks at.
const TEXTS: &[&str] = &[
    "text",
    "label",
    "code",
    "document",
    "author",
    "any_of",
    "none_of",
    "contains",
    "excludes",
    "unfinished_state",
    "key",
    "value",
    "request_id",
    "page_token",
    "cursor",
    "paths",
    "display_name",
    "description",
    "source_language_code",
    "target_language_code",
    "language_code",
    "extra_rules",
    "import_id",
    "format",
    "source_column",
    "target_column",
    "query",
    "previous_source_text",
    "next_source_text",
    "previous_target_text",
    "next_target_text",
    "context_id",
    "etag",
    "order_by",
    "confirmation_token",
    "resume_token",
    "file",
    "texts",
    "chunk",
    "sentences",
    "source",
    "target",
];
/// Names that the server gives and that requests only carry along.
const IGNORED: &[&str] = &[
    // Names of operations.
    "GetOperation name",
    "WaitOperation name",
    "WatchOperation name",
    "ReadOperationResult name",
    "CancelOperation name",
    "DeleteOperation name",
    "CreateMemory memory.name",
    "CreateUnit unit.name",
    "UpdateMatchingUnits unit.name",
    "BatchCreateUnits units.name",
    "ImportUnits batch.units.name",
];

#[test]
fn every_name_in_a_request_is_in_the_table() {
    let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
    let mut messages: BTreeMap<String, DescriptorProto> = BTreeMap::new();
    fn add(prefix: &str, message: &DescriptorProto, all: &mut BTreeMap<String, DescriptorProto>) {
        let name = format!("{prefix}.{}", message.name());
        message.nested_type.iter().for_each(|nested| add(&name, nested, all));
        all.insert(name, message.clone());
    }
    for file in &files {
        let package = format!(".{}", file.package());
        file.message_type.iter().for_each(|message| add(&package, message, &mut messages));
    }
    fn walk(
        message: &str,
        (numbers, names): (Vec<u32>, Vec<String>),
        messages: &BTreeMap<String, DescriptorProto>,
        found: &mut Vec<(Vec<u32>, String)>,
    ) {
        assert!(numbers.len() < 10, "messages that hold themselves need a thought");
        for field in &messages[message].field {
            let mut at = (numbers.clone(), names.clone());
            at.0.push(u32::try_from(field.number()).unwrap());
            at.1.push(field.name().to_owned());
            match field.r#type() {
                Type::Message => walk(field.type_name(), at, messages, found),
                Type::String | Type::Bytes => found.push((at.0, at.1.join("."))),
                _ => {}
            }
        }
    }
    let mut seen = 0;
    for file in &files {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                let rule = RULES.iter().find(|rule| rule.method == path).unwrap();
                let mut found = Vec::new();
                walk(method.input_type(), (Vec::new(), Vec::new()), &messages, &mut found);
                for place in rule.fields {
                    let there = found.iter().any(|(numbers, _)| numbers == place.path);
                    assert!(there, "{path}: there is no string at {:?}", place.path);
                }
                for (numbers, name) in found {
                    let is_place = rule.fields.iter().any(|place| place.path == numbers);
                    let last = name.rsplit('.').next().unwrap();
                    let is_of_attribute =
                        name.ends_with("attributes.name") || name.ends_with("attribute.name");
                    let is_ignored =
                        is_of_attribute || IGNORED.contains(&&*format!("{} {name}", method.name()));
                    assert!(
                        is_place || is_ignored || TEXTS.contains(&last),
                        "{path}: does {name} name a memory? Then it belongs into the table, else into TEXTS"
                    );
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 60);
}

#[tokio::test]
async fn every_method_and_role_and_memory_is_as_documented() {
    let matrix = Matrix::start().await;
    let (channel, root) = (&matrix.channel, &matrix.root);
    let (mut allowed, mut denied) = (0, 0);
    for rule in RULES {
        for memory in MEMORIES {
            for (kind, message) in requests(rule.method, memory) {
                let nobody = call(channel, rule.method, message.clone(), None).await.unwrap_err();
                assert_eq!(nobody.code(), Code::Unauthenticated, "{} without a token", rule.method);
                for caller in &matrix.callers {
                    let may = matrix.allows(rule, kind, memory, caller);
                    let token = Some(&caller.token[..]);
                    let got = call(channel, rule.method, message.clone(), token).await;
                    let code = got.as_ref().map_or_else(Status::code, |_| Code::Ok);
                    let (role, all) = (caller.role, caller.all);
                    let what = format!(
                        "{} {kind} as {role} (all: {all}) for '{memory}': {got:?}",
                        rule.name()
                    );
                    assert_ne!(code, Code::Unauthenticated, "{what}");
                    assert_ne!(code, Code::Internal, "{what}");
                    assert_eq!(code != Code::PermissionDenied, may, "{what}");
                    if may { allowed += 1 } else { denied += 1 }
                }
            }
        }
    }
    assert!(allowed > 300 && denied > 300, "{allowed} allowed, {denied} denied");
    // What was denied did nothing: `other` was written to only by those with a role for all.
    let all_writes = RULES
        .iter()
        .filter(|rule| rule.name().ends_with("CreateUnit") || rule.name() == "BatchCreateUnits");
    let expected = 1 + all_writes.count() as i64 * 3;
    let get = proto::GetMemoryRequest { name: "memories/other".into() }.encode_to_vec();
    let got = call(channel, "/dhakira.v1.MemoryService/GetMemory", get, Some(root))
        .await
        .unwrap()
        .unwrap();
    let got = proto::GetMemoryResponse::decode(&*got).unwrap().memory.unwrap();
    assert_eq!(got.unit_count, expected, "translator, manager and admin of all: two methods each");
}
