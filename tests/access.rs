//! Who may call what: every method with every role, over the wire, against the table in the README.

use std::collections::{BTreeMap, BTreeSet};

use dhakira::grpc::DESCRIPTORS;
use dhakira::grpc::access::{self, RULES, Role};
use prost::Message;
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};
use tonic::{Code, Status};

use crate::guarded::{Guarded, call};
use crate::support::{proto, unit};

const README: &str = include_str!("../README.md");

/// The requests of a method about a memory, with a name for each kind; `memory` is a resource name or empty.
pub(crate) fn requests(method: &str, memory: &str) -> Vec<(&'static str, Vec<u8>)> {
    let name = memory.to_owned();
    let unit_name = if memory.is_empty() { String::new() } else { format!("{memory}/units/1") };
    let settings = || {
        let memories = (!memory.is_empty())
            .then(|| proto::MemoryChoice { name: memory.into(), penalty_points: None });
        let memories = memories.into_iter().collect();
        Some(proto::LookupSettings { memories, ..Default::default() })
    };
    let side = || Some(proto::DocumentSide { text: "one.".into(), ..Default::default() });
    let align = |store_in| {
        let (source_lang, target_lang) = ("ar".into(), "en".into());
        let named = (store_in == Some(false)).then(|| name.clone());
        let memories = named.into_iter().collect();
        let store_in = (store_in == Some(true)).then(|| proto::StoreOptions {
            memory: name.clone(),
            // Nothing is sure enough to be stored.
            min_confidence: Some(1.0),
            request_id: uuid::Uuid::new_v4().to_string(),
            ..Default::default()
        });
        proto::AlignDocumentsRequest {
            source_language_code: source_lang,
            target_language_code: target_lang,
            source: side(),
            target: side(),
            memories,
            store_options: store_in,
        }
        .encode_to_vec()
    };
    let pairs = |unit: &str| {
        vec![proto::WordPair { unit: unit.into(), source: String::new(), target: String::new() }]
    };
    let words = |memories: Vec<String>, pairs| {
        let (source_lang, target_lang) = ("ar".into(), "en".into());
        proto::AlignWordsRequest {
            source_language_code: source_lang,
            target_language_code: target_lang,
            memories,
            pairs,
            ..Default::default()
        }
        .encode_to_vec()
    };
    let one = |message: Vec<u8>| vec![("", message)];
    let names = |count| if memory.is_empty() { Vec::new() } else { vec![unit_name.clone(); count] };
    let filter = || {
        let text = proto::TextCondition { contains: "source".into(), ..Default::default() };
        Some(proto::UnitFilter { source: Some(text), ..Default::default() })
    };
    match method.rsplit('/').next().unwrap() {
        "CreateMemory" => one(proto::CreateMemoryRequest {
            memory_id: memory.trim_start_matches("memories/").into(),
            ..Default::default()
        }
        .encode_to_vec()),
        "GetMemory" => one(proto::GetMemoryRequest { name }.encode_to_vec()),
        "ListMemories" => one(Vec::new()),
        "UpdateMemory" => one(proto::UpdateMemoryRequest {
            memory: Some(proto::Memory { name, description: "d".into(), ..Default::default() }),
            ..Default::default()
        }
        .encode_to_vec()),
        // It holds units and is not forced: whoever may is told so.
        "DeleteMemory" => {
            one(proto::DeleteMemoryRequest { name, ..Default::default() }.encode_to_vec())
        }
        "CreateUnit" => one(proto::CreateUnitRequest {
            parent: name,
            unit: Some(unit("source", "target")),
            duplicate_policy: proto::DuplicatePolicy::KeepAll.into(),
            ..Default::default()
        }
        .encode_to_vec()),
        "BatchCreateUnits" => one(proto::BatchCreateUnitsRequest {
            parent: name,
            units: vec![unit("source", "target")],
            duplicate_policy: proto::DuplicatePolicy::KeepAll.into(),
            ..Default::default()
        }
        .encode_to_vec()),
        "GetUnit" => {
            one(proto::GetUnitRequest { name: unit_name, ..Default::default() }.encode_to_vec())
        }
        "BatchGetUnits" => {
            one(proto::BatchGetUnitsRequest { parent: name, names: names(1), ..Default::default() }
                .encode_to_vec())
        }
        "ListUnits" => {
            one(proto::ListUnitsRequest { parent: name, ..Default::default() }.encode_to_vec())
        }
        "UpdateUnit" => one(proto::UpdateUnitRequest {
            unit: Some(proto::Unit { name: unit_name, document: "d".into(), ..Default::default() }),
            ..Default::default()
        }
        .encode_to_vec()),
        "BatchUpdateUnits" => {
            let update = proto::UpdateUnitRequest {
                unit: Some(proto::Unit {
                    name: unit_name,
                    document: "d".into(),
                    ..Default::default()
                }),
                ..Default::default()
            };
            one(proto::BatchUpdateUnitsRequest {
                parent: name,
                requests: vec![update],
                ..Default::default()
            }
            .encode_to_vec())
        }
        // Named twice: whoever may is told so.
        "BatchDeleteUnits" => one(proto::BatchDeleteUnitsRequest {
            parent: name,
            names: names(2),
            ..Default::default()
        }
        .encode_to_vec()),
        // Without a token, they only count.
        "UpdateMatchingUnits" => one(proto::UpdateMatchingUnitsRequest {
            parent: name,
            filter: filter(),
            unit: Some(proto::Unit { author: "a".into(), ..Default::default() }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["author".into()] }),
            ..Default::default()
        }
        .encode_to_vec()),
        "DeleteMatchingUnits" => one(proto::DeleteMatchingUnitsRequest {
            parent: name,
            filter: filter(),
            ..Default::default()
        }
        .encode_to_vec()),
        "RecordUnitUses" => one(proto::RecordUnitUsesRequest {
            parent: name,
            uses: vec![proto::UnitUse { name: unit_name, ..Default::default() }],
            ..Default::default()
        }
        .encode_to_vec()),
        "ListUnitRevisions" => {
            one(proto::ListUnitRevisionsRequest { name: unit_name, ..Default::default() }
                .encode_to_vec())
        }
        "RollbackUnit" => {
            one(proto::RollbackUnitRequest { name: unit_name, revision: 1, ..Default::default() }
                .encode_to_vec())
        }
        "GetServerInfo" => one(Vec::new()),
        // With an etag that it does not have: whoever may is told so.
        "DeleteUnit" => one(proto::DeleteUnitRequest {
            name: unit_name,
            etag: "none".into(),
            ..Default::default()
        }
        .encode_to_vec()),
        "ImportUnits" => {
            let header = proto::ImportHeader {
                parent: name,
                import_id: uuid::Uuid::new_v4().to_string(),
                ..Default::default()
            };
            let message = Some(proto::import_units_request::Message::Header(header));
            one(proto::ImportUnitsRequest { message }.encode_to_vec())
        }
        "ImportFile" => {
            let header = proto::ImportFileHeader {
                parent: name,
                import_id: uuid::Uuid::new_v4().to_string(),
                ..Default::default()
            };
            let message = Some(proto::import_file_request::Message::Header(header));
            one(proto::ImportFileRequest { message }.encode_to_vec())
        }
        "StartImportFile" => {
            let header = proto::ImportFileHeader {
                parent: name,
                import_id: uuid::Uuid::new_v4().to_string(),
                ..Default::default()
            };
            let message = Some(proto::import_file_request::Message::Header(header));
            let import = Some(proto::ImportFileRequest { message });
            one(proto::StartImportFileRequest { import }.encode_to_vec())
        }
        // The requests that they wrap, in field 1.
        "StartAlignDocuments" | "StartTrainLexicon" | "StartCheckUnits" | "StartBackupStore" => {
            let wrapped = requests(&method.replace("/Start", "/"), memory).into_iter();
            wrapped.map(|(kind, request)| (kind, wrap(&request))).collect()
        }
        "GetOperation"
        | "WaitOperation"
        | "WatchOperation"
        | "ReadOperationResult"
        | "CancelOperation"
        | "DeleteOperation" => {
            let name = format!("operations/{}", uuid::Uuid::new_v4());
            one(proto::GetOperationRequest { name }.encode_to_vec())
        }
        "ListOperations" => one(Vec::new()),
        "BackupStore" => one(proto::BackupStoreRequest::default().encode_to_vec()),
        "VerifyStore" => one(proto::VerifyStoreRequest::default().encode_to_vec()),
        "CompactStore" => one(proto::CompactStoreRequest::default().encode_to_vec()),
        "ExportUnits" => {
            one(proto::ExportUnitsRequest { parent: name, ..Default::default() }.encode_to_vec())
        }
        "WatchUnits" => one(proto::WatchUnitsRequest {
            parent: name,
            start: Some(proto::watch_units_request::Start::AfterSequence(0)),
            ..Default::default()
        }
        .encode_to_vec()),
        "LookupSegments" => {
            one(proto::LookupSegmentsRequest { settings: settings(), segments: Vec::new() }
                .encode_to_vec())
        }
        "StreamLookup" => {
            let message = settings().map(proto::stream_lookup_request::Message::Settings);
            one(proto::StreamLookupRequest { message }.encode_to_vec())
        }
        "SearchConcordance" => one(proto::SearchConcordanceRequest {
            memories: (!memory.is_empty()).then_some(name).into_iter().collect(),
            text: "source".into(),
            ..Default::default()
        }
        .encode_to_vec()),
        "AnalyzeSegments" => {
            let message = settings().map(|lookup| {
                let lookup = Some(lookup);
                let settings = proto::AnalysisSettings { lookup, ..Default::default() };
                proto::analyze_segments_request::Message::Settings(settings)
            });
            one(proto::AnalyzeSegmentsRequest { message }.encode_to_vec())
        }
        "ExtractUnits" => {
            let message = settings().map(proto::extract_units_request::Message::Settings);
            one(proto::ExtractUnitsRequest { message }.encode_to_vec())
        }
        "SplitSentences" => one(proto::SplitSentencesRequest {
            text: "One. Two.".into(),
            language_code: "en".into(),
            ..Default::default()
        }
        .encode_to_vec()),
        "AlignDocuments" if memory.is_empty() => vec![("", align(None))],
        "AlignDocuments" => vec![("", align(Some(false))), ("stores", align(Some(true)))],
        "AlignWords" if memory.is_empty() => one(words(Vec::new(), Vec::new())),
        "AlignWords" => {
            vec![("", words(vec![name], Vec::new())), ("", words(Vec::new(), pairs(&unit_name)))]
        }
        "TrainLexicon" => one(proto::TrainLexiconRequest { memory: name }.encode_to_vec()),
        "CheckUnits" => {
            one(proto::CheckUnitsRequest { memory: name, ..Default::default() }.encode_to_vec())
        }
        other => panic!("say how {other} is asked for a memory"),
    }
}

/// A message that holds another one in field 1.
fn wrap(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x0a];
    prost::encoding::encode_varint(message.len() as u64, &mut bytes);
    [bytes, message.to_vec()].concat()
}

/// For which memories a role is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    Named,
    Any,
    All,
}

/// What the README says: the role by method and kind of request, and for which memories.
pub(crate) fn readme_table() -> BTreeMap<(String, &'static str), (Role, Reach)> {
    let rows = README.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let method = cells.next()?.trim_end_matches('`');
        let (service, method) = method.split_once('.')?;
        let asks = cells.next()?.trim_end_matches(" |").to_owned();
        service.ends_with("Service").then(|| (format!("/dhakira.v1.{service}/{method}"), asks))
    });
    let mut table = BTreeMap::new();
    for (method, asks) in rows {
        for ask in asks.split("; ") {
            let (role, of) = ask.split_once(" of ").unwrap();
            let (kind, named) = match of {
                "each memory named" => ("", Reach::Named),
                "any memory" => ("", Reach::Any),
                "all memories" => ("", Reach::All),
                "where it stores" => ("stores", Reach::Named),
                other => panic!("the test does not know '{other}'"),
            };
            table.insert((method.clone(), kind), (role.parse().unwrap(), named));
        }
    }
    table
}

#[test]
fn the_readme_has_the_table_of_the_code() {
    assert!(README.contains(&access::table()), "put this into the README:\n{}", access::table());
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
        readme_table().keys().filter(|(_, kind)| kind.is_empty()).count()
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
async fn every_method_and_role_and_memory_is_as_the_readme_says() {
    let guarded = Guarded::start().await;
    let channel = guarded.channel().await;
    let root = guarded.token("setup", "admin:*");
    guarded.until(&root, Code::Ok).await;
    guarded.create_memories(&["own", "other"], &root).await;
    for memory in ["own", "other"] {
        let fill = requests("/CreateUnit", &format!("memories/{memory}")).remove(0).1;
        call(&channel, "/dhakira.v1.UnitService/CreateUnit", fill, Some(&root)).await.unwrap();
    }
    let mut callers = Vec::new();
    for role in Role::ALL {
        for (of, all) in [("own", false), ("ow*", false), ("*", true)] {
            let token = guarded.token(&format!("{role} {of}"), &format!("{role}:{of}"));
            callers.push((role, all, token));
        }
    }
    guarded.until(&callers.last().unwrap().2, Code::Ok).await;
    let table = readme_table();
    let (mut allowed, mut denied) = (0, 0);
    for rule in RULES {
        for memory in ["memories/own", "memories/other", ""] {
            for (kind, message) in requests(rule.method, memory) {
                let (asked, reach) = table[&(rule.method.to_owned(), kind)];
                let base = table[&(rule.method.to_owned(), "")].0;
                let nobody = call(&channel, rule.method, message.clone(), None).await.unwrap_err();
                assert_eq!(nobody.code(), Code::Unauthenticated, "{} without a token", rule.method);
                for (role, all, token) in &callers {
                    let reaches = match reach {
                        Reach::Named => *all || memory != "memories/other",
                        Reach::Any => true,
                        Reach::All => *all,
                    };
                    let may = *role >= asked && *role >= base && reaches;
                    let got = call(&channel, rule.method, message.clone(), Some(token)).await;
                    let code = got.as_ref().map_or_else(Status::code, |_| Code::Ok);
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
    let got = call(&channel, "/dhakira.v1.MemoryService/GetMemory", get, Some(&root))
        .await
        .unwrap()
        .unwrap();
    let got = proto::GetMemoryResponse::decode(&*got).unwrap().memory.unwrap();
    assert_eq!(got.unit_count, expected, "translator, manager and admin of all: two methods each");
}
