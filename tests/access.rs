//! Who may call what: every method with every role, over the wire, against the table in the README.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf as _, BufMut as _};
use dhakira::server::{Audit, AuditFile, ServeOptions, TokenFile, Tokens};
use dhakira::service::DESCRIPTORS;
use dhakira::service::access::{self, Grants, RULES, Role};
use http::uri::PathAndQuery;
use prost::Message;
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};
use tokio_stream::StreamExt as _;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::support::{Clients, TestServer, empty_api, lookup_request, proto, unit};

const README: &str = include_str!("../README.md");

/// Bytes for messages.
#[derive(Default, Clone)]
pub(crate) struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;
    fn encode(&mut self, item: Vec<u8>, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let bytes = from.copy_to_bytes(from.remaining());
        Ok(Some(bytes.to_vec()))
    }
}

/// Calls any method with one message; the first message of the answer, or its status.
pub(crate) async fn call(
    channel: &Channel,
    method: &str,
    message: Vec<u8>,
    token: Option<&str>,
) -> Result<Option<Vec<u8>>, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let mut request = Request::new(tokio_stream::once(message));
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    let path: PathAndQuery = method.parse().unwrap();
    client.streaming(request, path, Raw).await?.into_inner().next().await.transpose()
}

/// A server with a file of tokens.
struct Guarded {
    _directory: tempfile::TempDir,
    file: TokenFile,
    audit: std::path::PathBuf,
    server: TestServer,
}

impl Guarded {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = TokenFile::new(directory.path().join("tokens.json"));
        file.create("root", grants("admin:*"), None).unwrap();
        let audit = directory.path().join("audit.jsonl");
        let options = ServeOptions {
            tokens: Some(Arc::new(Tokens::open(file.clone()).unwrap())),
            audit: Audit::File(AuditFile::new(audit.clone())),
            ..ServeOptions::default()
        };
        let server = TestServer::with_options(empty_api(), options).await;
        Self { _directory: directory, file, audit, server }
    }

    fn token(&self, name: &str, grant: &str) -> String {
        self.file.create(name, grants(grant), None).unwrap().0
    }

    async fn channel(&self) -> Channel {
        Channel::from_shared(self.server.url.clone()).unwrap().connect().await.unwrap()
    }

    /// Waits until a token is known, or is not any more.
    async fn until(&self, token: &str, wanted: Code) {
        let channel = self.channel().await;
        let begin = Instant::now();
        loop {
            let list = "/dhakira.v1.MemoryService/ListMemories";
            let got = call(&channel, list, Vec::new(), Some(token)).await;
            if got.as_ref().map_or_else(Status::code, |_| Code::Ok) == wanted {
                return;
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "still {got:?}, not {wanted}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn grants(text: &str) -> Grants {
    Grants(vec![text.parse().unwrap()])
}

/// The requests of a method about a memory, with a name for each kind; `memory` is a resource name or empty.
fn requests(method: &str, memory: &str) -> Vec<(&'static str, Vec<u8>)> {
    let name = memory.to_owned();
    let unit_name = if memory.is_empty() { String::new() } else { format!("{memory}/units/1") };
    let settings = || {
        let memories =
            (!memory.is_empty()).then(|| proto::MemoryChoice { name: memory.into(), penalty: 0.0 });
        let memories = memories.into_iter().collect();
        Some(proto::LookupSettings { memories, ..Default::default() })
    };
    let side = || Some(proto::DocumentSide { text: "one.".into(), ..Default::default() });
    let align = |store_in| {
        let (source_lang, target_lang) = ("ar".into(), "en".into());
        let named = (store_in == Some(false)).then(|| name.clone());
        let memories = named.into_iter().collect();
        let store_in = (store_in == Some(true)).then(|| proto::StoreIn {
            memory: name.clone(),
            // Nothing is sure enough to be stored.
            min_confidence: Some(1.0),
            request_id: uuid::Uuid::new_v4().to_string(),
            ..Default::default()
        });
        proto::AlignDocumentsRequest {
            source_lang,
            target_lang,
            source: side(),
            target: side(),
            memories,
            store_in,
        }
        .encode_to_vec()
    };
    let pairs = |unit: &str| {
        vec![proto::WordPair { unit: unit.into(), source: String::new(), target: String::new() }]
    };
    let words = |memories: Vec<String>, pairs| {
        let (source_lang, target_lang) = ("ar".into(), "en".into());
        proto::AlignWordsRequest { source_lang, target_lang, memories, pairs }.encode_to_vec()
    };
    let one = |message: Vec<u8>| vec![("", message)];
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
            ..Default::default()
        }
        .encode_to_vec()),
        "BatchCreateUnits" => one(proto::BatchCreateUnitsRequest {
            parent: name,
            units: vec![unit("source", "target")],
            ..Default::default()
        }
        .encode_to_vec()),
        "GetUnit" => one(proto::GetUnitRequest { name: unit_name }.encode_to_vec()),
        "ListUnits" => {
            one(proto::ListUnitsRequest { parent: name, ..Default::default() }.encode_to_vec())
        }
        "UpdateUnit" => one(proto::UpdateUnitRequest {
            unit: Some(proto::Unit { name: unit_name, document: "d".into(), ..Default::default() }),
            ..Default::default()
        }
        .encode_to_vec()),
        // Of a revision that it does not have: whoever may is told so.
        "DeleteUnit" => one(proto::DeleteUnitRequest {
            name: unit_name,
            revision: 999_999,
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
        "BackupStore" => one(proto::BackupStoreRequest::default().encode_to_vec()),
        "VerifyStore" => one(proto::VerifyStoreRequest::default().encode_to_vec()),
        "CompactStore" => one(proto::CompactStoreRequest::default().encode_to_vec()),
        "ExportUnits" => {
            one(proto::ExportUnitsRequest { parent: name, ..Default::default() }.encode_to_vec())
        }
        "WatchUnits" => {
            one(proto::WatchUnitsRequest { parent: name, after_sequence: 0 }.encode_to_vec())
        }
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
            let message = settings().map(proto::analyze_segments_request::Message::Settings);
            one(proto::AnalyzeSegmentsRequest { message }.encode_to_vec())
        }
        "SplitSentences" => one(proto::SplitSentencesRequest {
            text: "One. Two.".into(),
            lang: "en".into(),
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

/// For which memories a role is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Named,
    Any,
    All,
}

/// What the README says: the role by method and kind of request, and for which memories.
fn readme_table() -> BTreeMap<(String, &'static str), (Role, Reach)> {
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
    "documents",
    "author",
    "authors",
    "key",
    "value",
    "request_id",
    "page_token",
    "cursor",
    "paths",
    "display_name",
    "description",
    "source_lang",
    "target_lang",
    "lang",
    "extra_rules",
    "import_id",
    "format",
    "source_column",
    "target_column",
    "query",
    "previous_text",
    "next_text",
    "file",
    "texts",
    "chunk",
    "sentences",
    "source",
    "target",
];
/// Names that the server gives and that requests only carry along.
const IGNORED: &[&str] = &[
    "CreateMemory memory.name",
    "CreateUnit unit.name",
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
                for place in rule.places {
                    let there = found.iter().any(|(numbers, _)| numbers == place.path);
                    assert!(there, "{path}: there is no string at {:?}", place.path);
                }
                for (numbers, name) in found {
                    let is_place = rule.places.iter().any(|place| place.path == numbers);
                    let last = name.rsplit('.').next().unwrap();
                    let is_ignored = IGNORED.contains(&&*format!("{} {name}", method.name()));
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
    for memory in ["own", "other"] {
        let create = proto::CreateMemoryRequest {
            memory_id: memory.into(),
            memory: Some(proto::Memory {
                source_lang: "ar".into(),
                target_lang: "en".into(),
                ..Default::default()
            }),
            request_id: String::new(),
        };
        call(
            &channel,
            "/dhakira.v1.MemoryService/CreateMemory",
            create.encode_to_vec(),
            Some(&root),
        )
        .await
        .unwrap();
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

#[tokio::test]
async fn names_that_come_late_twice_or_deep_are_seen() {
    let guarded = Guarded::start().await;
    let root = guarded.token("setup", "admin:*");
    let token = guarded.token("t", "manager:own");
    guarded.until(&token, Code::Ok).await;
    let channel = guarded.channel().await;
    let method = "/dhakira.v1.UnitService/CreateUnit";
    let with = |parent: &str| {
        proto::CreateUnitRequest { parent: parent.into(), ..Default::default() }.encode_to_vec()
    };
    let body = proto::CreateUnitRequest { unit: Some(unit("s", "t")), ..Default::default() }
        .encode_to_vec();
    let code =
        |got: Result<_, Status>| got.map_or_else(|it| it.code(), |_: Option<Vec<u8>>| Code::Ok);
    // The last one wins when it is decoded; both are looked at.
    for message in [
        [body.clone(), with("memories/other")].concat(),
        [with("memories/own"), body.clone(), with("memories/other")].concat(),
        [with("memories/other"), body.clone(), with("memories/own")].concat(),
    ] {
        assert_eq!(
            code(call(&channel, method, message, Some(&token)).await),
            Code::PermissionDenied
        );
    }
    let fine = [body.clone(), with("memories/own")].concat();
    assert_eq!(code(call(&channel, method, fine, Some(&token)).await), Code::NotFound);
    // What is no message is told so, to those who may and to those who may not.
    let broken = vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1];
    for token in [&token, &root] {
        let got = call(&channel, method, broken.clone(), Some(token)).await;
        assert_eq!(code(got), Code::InvalidArgument);
    }
    // Every memory means every memory.
    let watch = proto::WatchUnitsRequest { parent: "memories/-".into(), after_sequence: 0 };
    let watch_units = "/dhakira.v1.UnitService/WatchUnits";
    let got = call(&channel, watch_units, watch.encode_to_vec(), Some(&token)).await;
    assert_eq!(code(got), Code::PermissionDenied);
    // A method that there is not is not let through to find out.
    let got =
        call(&channel, "/dhakira.v1.UnitService/DropEverything", Vec::new(), Some(&token)).await;
    assert_eq!(code(got), Code::PermissionDenied);
    // One of several memories is enough to be turned away.
    let mut lookup = lookup_request(&["own", "other"], "text");
    lookup.segments.clear();
    let got = call(
        &channel,
        "/dhakira.v1.LookupService/LookupSegments",
        lookup.encode_to_vec(),
        Some(&token),
    )
    .await;
    let status = got.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(status.get_details_error_info().unwrap().reason, "PERMISSION_DENIED");
    assert!(status.message().contains("memories/other"), "{status}");
}

#[tokio::test]
async fn listings_show_what_the_caller_may_see_and_probes_need_no_token() {
    let guarded = Guarded::start().await;
    let root = guarded.token("setup", "admin:*");
    let token = guarded.token("t", "reader:client-*");
    guarded.until(&token, Code::Ok).await;
    let channel = guarded.channel().await;
    for memory in ["a", "client-1", "client-2", "z"] {
        let create = proto::CreateMemoryRequest {
            memory_id: memory.into(),
            memory: Some(proto::Memory {
                source_lang: "ar".into(),
                target_lang: "en".into(),
                ..Default::default()
            }),
            request_id: String::new(),
        };
        call(
            &channel,
            "/dhakira.v1.MemoryService/CreateMemory",
            create.encode_to_vec(),
            Some(&root),
        )
        .await
        .unwrap();
    }
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let list = proto::ListMemoriesRequest { page_size: 1, page_token };
        let got = call(
            &channel,
            "/dhakira.v1.MemoryService/ListMemories",
            list.encode_to_vec(),
            Some(&token),
        )
        .await;
        let page = proto::ListMemoriesResponse::decode(&*got.unwrap().unwrap()).unwrap();
        names.extend(page.memories.into_iter().map(|memory| memory.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["memories/client-1", "memories/client-2"]);
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel.clone());
    health.check(tonic_health::pb::HealthCheckRequest::default()).await.unwrap();
    let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let got = call(&channel, reflection, Vec::new(), None).await.unwrap_err();
    assert_eq!(got.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn revoked_and_expired_tokens_end_calls_under_way_and_begin_none() {
    let guarded = Guarded::start().await;
    let root = guarded.token("setup", "admin:*");
    let watcher = guarded.token("watcher", "manager:*");
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(4);
    let (short, _) = guarded.file.create("short", grants("manager:*"), Some(soon)).unwrap();
    guarded.until(&short, Code::Ok).await;
    let channel = guarded.channel().await;
    let watch = |token: &str| {
        let mut request = Request::new(proto::WatchUnitsRequest {
            parent: "memories/-".into(),
            after_sequence: 0,
        });
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let mut clients = Clients::over(channel.clone());
        async move { clients.units.watch_units(request).await.unwrap().into_inner() }
    };
    let mut of_watcher = watch(&watcher).await;
    let mut of_short = watch(&short).await;
    let reason = |status: Status| {
        assert_eq!(status.code(), Code::Unauthenticated);
        status.get_details_error_info().unwrap().reason
    };
    let ended = of_short.next().await.unwrap().unwrap_err();
    assert_eq!(reason(ended), "TOKEN_EXPIRED");
    let list = "/dhakira.v1.MemoryService/ListMemories";
    assert_eq!(
        reason(call(&channel, list, Vec::new(), Some(&short)).await.unwrap_err()),
        "TOKEN_EXPIRED"
    );
    guarded.file.revoke("watcher").unwrap();
    let ended = of_watcher.next().await.unwrap().unwrap_err();
    assert_eq!(reason(ended), "TOKEN_REVOKED");
    assert_eq!(
        reason(call(&channel, list, Vec::new(), Some(&watcher)).await.unwrap_err()),
        "TOKEN_REVOKED"
    );
    assert_eq!(
        reason(call(&channel, list, Vec::new(), Some("dhk_0_0")).await.unwrap_err()),
        "TOKEN_UNKNOWN"
    );
    assert_eq!(reason(call(&channel, list, Vec::new(), None).await.unwrap_err()), "TOKEN_MISSING");
    call(&channel, list, Vec::new(), Some(&root)).await.unwrap();
}

#[tokio::test]
async fn who_wrote_what_is_written_down() {
    let guarded = Guarded::start().await;
    let root = guarded.token("anna", "admin:*");
    let reader = guarded.token("bert", "reader:m");
    guarded.until(&reader, Code::Ok).await;
    let channel = guarded.channel().await;
    let with = |token: &str, request: &'static str| {
        let token: tonic::metadata::MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
        move |mut it: Request<()>| {
            it.metadata_mut().insert("authorization", token.clone());
            it.metadata_mut().insert("x-request-id", request.parse().unwrap());
            Ok(it)
        }
    };
    let mut memories = proto::memory_service_client::MemoryServiceClient::with_interceptor(
        channel.clone(),
        with(&root, "r-1"),
    );
    let memory =
        proto::Memory { source_lang: "ar".into(), target_lang: "en".into(), ..Default::default() };
    let create = proto::CreateMemoryRequest {
        memory_id: "m".into(),
        memory: Some(memory),
        request_id: String::new(),
    };
    let answer = memories.create_memory(create).await.unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "r-1");
    let mut units = proto::unit_service_client::UnitServiceClient::with_interceptor(
        channel.clone(),
        with(&reader, "r-2"),
    );
    let create = proto::CreateUnitRequest {
        parent: "memories/m".into(),
        unit: Some(unit("s", "t")),
        request_id: String::new(),
    };
    units.create_unit(create).await.unwrap_err();
    let mut units = proto::unit_service_client::UnitServiceClient::with_interceptor(
        channel,
        with(&root, "r-3"),
    );
    let get = proto::GetUnitRequest { name: "memories/m/units/1".into() };
    units.get_unit(get).await.unwrap_err();
    let lines = || std::fs::read_to_string(&guarded.audit).unwrap_or_default();
    let begin = Instant::now();
    while lines().lines().count() < 2 && begin.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let lines: Vec<serde_json::Value> =
        lines().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |index: usize, key: &str| lines[index][key].as_str().unwrap().to_owned();
    assert_eq!(lines.len(), 2, "reads are not in it: {lines:?}");
    assert_eq!(
        (of(0, "who"), of(0, "request_id"), of(0, "outcome")),
        ("anna".into(), "r-1".into(), "OK".into())
    );
    assert_eq!(of(0, "method"), "dhakira.v1.MemoryService/CreateMemory");
    assert_eq!(lines[0]["memories"][0], "m");
    assert_eq!((of(1, "who"), of(1, "request_id")), ("bert".into(), "r-2".into()));
    assert_eq!(of(1, "outcome"), "PERMISSION_DENIED");
}
