//! A request of every method about a memory.

use prost::Message;

use crate::support::{proto, unit};

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
        // The memory holds units, so the server refuses this to callers who have the role.
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
        // It names the unit twice, which the server refuses only to callers who have the role.
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
        // It names another etag, which the server refuses only to callers who have the role.
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
