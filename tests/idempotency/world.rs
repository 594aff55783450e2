//! A server without a socket, and requests to it, with the part of each answer that a repetition must return unchanged.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use dhakira::engine::Engine;
use dhakira::grpc::Api;
use dhakira::store::Backend;
use prost::Message as _;
use tokio_stream::StreamExt as _;
use tonic::service::Routes;
use tonic::{Code, Status};

use crate::support::proto::align_documents_response::Message as AlignMessage;
use crate::support::proto::import_file_request::Message as FileMessage;
use crate::support::proto::import_units_request::Message as ImportMessage;
use crate::support::{AlignmentServiceClient, MemoryServiceClient, UnitServiceClient, proto, unit};

use super::{Kind, Request};

pub(super) const NAME: &str = "memories/m";

pub(super) struct World {
    pub(super) store: Backend,
    pub(super) routes: Routes,
    /// The confirmation tokens of requests, which a repetition sends again.
    pub(super) tokens: Arc<Mutex<HashMap<Request, String>>>,
}

/// A token that confirms nothing.
const NO_TOKEN: &str = "00";

impl World {
    pub(super) fn open(store: impl Into<Backend>) -> Self {
        let store = store.into();
        let engine = Engine::open(store.clone(), None, &mut |_| ()).unwrap();
        Self { store, routes: Api::ready(engine).routes(), tokens: Arc::default() }
    }

    pub(super) fn restart(self) -> Self {
        let (store, tokens) = (self.store.clone(), Arc::clone(&self.tokens));
        drop(self);
        Self { tokens, ..Self::open(store) }
    }

    pub(super) fn units(&self) -> UnitServiceClient<Routes> {
        UnitServiceClient::new(self.routes.clone())
    }

    pub(super) fn memories(&self) -> MemoryServiceClient<Routes> {
        MemoryServiceClient::new(self.routes.clone())
    }

    /// The creation time and the unit count of the memory.
    pub(super) async fn memory(&self) -> Option<(prost_types::Timestamp, i64)> {
        let request = proto::GetMemoryRequest { name: NAME.into() };
        match self.memories().get_memory(request).await {
            Ok(answer) => {
                let memory = answer.into_inner().memory.unwrap();
                Some((memory.create_time.unwrap(), memory.unit_count))
            }
            Err(status) => {
                assert_eq!(status.code(), Code::NotFound, "{status}");
                None
            }
        }
    }

    /// Sends a change by filter; returns the answer and its token.
    async fn change_matching(
        &self,
        Request { kind, id, content }: Request,
        confirmation_token: String,
    ) -> Result<(Vec<u8>, String), Status> {
        let target =
            proto::TextCondition { contains: format!("book {content}"), ..Default::default() };
        let filter = Some(proto::UnitFilter { target: Some(target), ..Default::default() });
        let parent = NAME.to_owned();
        let request_id = if confirmation_token.is_empty() { String::new() } else { request_id(id) };
        if kind == Kind::DeleteMatchingUnits {
            let request = proto::DeleteMatchingUnitsRequest {
                parent,
                filter,
                confirmation_token,
                request_id,
            };
            let answer = self.units().delete_matching_units(request).await?.into_inner();
            return Ok((answer.encode_to_vec(), answer.confirmation_token));
        }
        let request = proto::UpdateMatchingUnitsRequest {
            parent,
            filter,
            unit: Some(proto::Unit { author: format!("{id}"), ..Default::default() }),
            update_mask: Some(prost_types::FieldMask { paths: vec!["author".into()] }),
            confirmation_token,
            request_id,
        };
        let answer = self.units().update_matching_units(request).await?.into_inner();
        Ok((answer.encode_to_vec(), answer.confirmation_token))
    }

    /// Sends a request; returns the part of the answer that a repetition must return unchanged.
    pub(super) async fn send(&self, request: Request) -> Result<Vec<u8>, Status> {
        let Request { kind, id, content } = request;
        let request_id = request_id(id);
        // Arabic letters by number, so that every request has texts of its own.
        let word = |number: u8| {
            let letter = |it: u8| char::from_u32(0x628 + u32::from(it)).unwrap();
            format!("\u{643}\u{62a}{}{}{}", letter(id), letter(10 + content), letter(number))
        };
        let some_unit = |number| unit(&word(number), &format!("book {id} {content} {number}"));
        let parent = NAME.to_owned();
        match kind {
            Kind::CreateMemory => {
                let memory = proto::Memory {
                    description: format!("{content}"),
                    unfinished_penalty_points: (content == 1).then_some(2.5),
                    source_language_code: "ar".into(),
                    target_language_code: "en".into(),
                    ..Default::default()
                };
                let (memory_id, memory) = ("m".to_owned(), Some(memory));
                let request = proto::CreateMemoryRequest { memory_id, memory, request_id };
                Ok(self.memories().create_memory(request).await?.into_inner().encode_to_vec())
            }
            Kind::UpdateMemory => {
                let display_name = format!("name {id} {content}");
                let unfinished_penalty = (content == 1).then_some(f64::from(id));
                let memory = proto::Memory {
                    name: parent,
                    display_name,
                    unfinished_penalty_points: unfinished_penalty,
                    ..Default::default()
                };
                let (memory, update_mask) = (Some(memory), None);
                let request = proto::UpdateMemoryRequest { memory, update_mask, request_id };
                Ok(self.memories().update_memory(request).await?.into_inner().encode_to_vec())
            }
            Kind::DeleteMemory => {
                // Two contents: both delete a memory, whether it holds units or not, or only an empty one.
                let (name, force) = (parent, content == 0);
                let request =
                    proto::DeleteMemoryRequest { name, force, request_id, ..Default::default() };
                Ok(self.memories().delete_memory(request).await?.into_inner().encode_to_vec())
            }
            Kind::CreateUnit => {
                let unit = Some(some_unit(0));
                let request =
                    proto::CreateUnitRequest { parent, unit, request_id, ..Default::default() };
                Ok(self.units().create_unit(request).await?.into_inner().encode_to_vec())
            }
            Kind::BatchCreateUnits => {
                let units = vec![some_unit(1), some_unit(2), some_unit(3)];
                let request = proto::BatchCreateUnitsRequest {
                    parent,
                    units,
                    request_id,
                    ..Default::default()
                };
                Ok(self.units().batch_create_units(request).await?.into_inner().encode_to_vec())
            }
            Kind::UpdateUnit => {
                let unit = proto::Unit { name: format!("{NAME}/units/1"), ..some_unit(4) };
                let (unit, update_mask) = (Some(unit), None);
                let request = proto::UpdateUnitRequest {
                    unit,
                    update_mask,
                    request_id,
                    ..Default::default()
                };
                Ok(self.units().update_unit(request).await?.into_inner().encode_to_vec())
            }
            Kind::DeleteUnit => {
                let name = format!("{NAME}/units/{}", 2 + content);
                let request = proto::DeleteUnitRequest { name, request_id, ..Default::default() };
                Ok(self.units().delete_unit(request).await?.into_inner().encode_to_vec())
            }
            Kind::BatchUpdateUnits => {
                let update = |number: u8| proto::UpdateUnitRequest {
                    unit: Some(proto::Unit {
                        name: format!("{NAME}/units/{number}"),
                        ..some_unit(10 + number)
                    }),
                    ..Default::default()
                };
                let request = proto::BatchUpdateUnitsRequest {
                    parent,
                    requests: vec![update(1), update(4)],
                    request_id,
                    ..Default::default()
                };
                Ok(self.units().batch_update_units(request).await?.into_inner().encode_to_vec())
            }
            Kind::BatchDeleteUnits => {
                let name = |number: u8| format!("{NAME}/units/{number}");
                let names = vec![name(5), name(6 + content)];
                let request = proto::BatchDeleteUnitsRequest { parent, names, request_id };
                Ok(self.units().batch_delete_units(request).await?.into_inner().encode_to_vec())
            }
            Kind::RecordUnitUses => {
                let unit_use = proto::UnitUse {
                    name: format!("{NAME}/units/1"),
                    count: i32::from(content) + 1,
                    use_time: None,
                };
                let uses = vec![unit_use];
                let request = proto::RecordUnitUsesRequest { parent, uses, request_id };
                Ok(self.units().record_unit_uses(request).await?.into_inner().encode_to_vec())
            }
            Kind::RollbackUnit => {
                let request = proto::RollbackUnitRequest {
                    name: format!("{NAME}/units/1"),
                    revision: i64::from(content) + 1,
                    request_id,
                    ..Default::default()
                };
                Ok(self.units().rollback_unit(request).await?.into_inner().encode_to_vec())
            }
            Kind::UpdateMatchingUnits | Kind::DeleteMatchingUnits => {
                let known = self.tokens.lock().unwrap().get(&request).cloned();
                let token = match known {
                    Some(token) => token,
                    None => {
                        let token = self.change_matching(request, String::new()).await?.1;
                        if token.is_empty() {
                            // Nothing matches, and no change can be confirmed.
                            NO_TOKEN.to_owned()
                        } else {
                            self.tokens.lock().unwrap().insert(request, token.clone());
                            token
                        }
                    }
                };
                Ok(self.change_matching(request, token).await?.0)
            }
            Kind::ImportUnits => {
                let (policy, import_id) = (proto::DuplicatePolicy::KeepAll.into(), request_id);
                let header = proto::ImportHeader {
                    parent,
                    import_id,
                    duplicate_policy: policy,
                    ..Default::default()
                };
                let batch = |number, last| proto::ImportBatch {
                    number,
                    units: vec![some_unit(5), some_unit(6)],
                    last,
                };
                let messages = [
                    ImportMessage::Header(header),
                    ImportMessage::Batch(batch(1, false)),
                    ImportMessage::Batch(batch(2, true)),
                ];
                let messages = messages
                    .map(|message| proto::ImportUnitsRequest { message: Some(message) })
                    .to_vec();
                let answers = self.units().import_units(tokio_stream::iter(messages)).await?;
                let all: Vec<_> = answers.into_inner().collect::<Result<_, _>>().await?;
                let last = all.last().unwrap().clone();
                assert!(last.complete, "an acknowledged import is complete");
                Ok(proto::ImportUnitsResponse { outcomes: Vec::new(), ..last }.encode_to_vec())
            }
            Kind::ImportFile => {
                let policy = proto::DuplicatePolicy::KeepAll.into();
                let header = proto::ImportFileHeader {
                    parent,
                    import_id: request_id,
                    duplicate_policy: policy,
                    format: "tsv".into(),
                    ..Default::default()
                };
                let file = format!("ar\ten\n{}\tfile {id} {content}\n", word(7));
                let messages = [FileMessage::Header(header), FileMessage::Chunk(file.into_bytes())];
                let messages = messages
                    .map(|message| proto::ImportFileRequest { message: Some(message) })
                    .to_vec();
                let answers = self.units().import_file(tokio_stream::iter(messages)).await?;
                let all: Vec<_> = answers.into_inner().collect::<Result<_, _>>().await?;
                let last = all.last().unwrap();
                assert!(last.complete, "an acknowledged import is complete");
                Ok(last.counts.unwrap().encode_to_vec())
            }
            Kind::StoreIn => {
                let side = |sentences: Vec<String>| {
                    Some(proto::DocumentSide { sentences, ..Default::default() })
                };
                let store_in = proto::StoreOptions {
                    memory: parent,
                    min_confidence: Some(0.0),
                    request_id,
                    ..Default::default()
                };
                let request = proto::AlignDocumentsRequest {
                    source_language_code: "ar".into(),
                    target_language_code: "en".into(),
                    source: side(vec![word(8), word(9)]),
                    target: side(vec![format!("first {id} {content}"), "second".into()]),
                    memories: Vec::new(),
                    store_options: Some(store_in),
                };
                let mut client = AlignmentServiceClient::new(self.routes.clone());
                let mut answers = client.align_documents(request).await?.into_inner();
                let mut bytes = Vec::new();
                while let Some(answer) = answers.next().await {
                    let answer = answer?;
                    if !matches!(answer.message, Some(AlignMessage::Progress(_))) {
                        answer.encode_length_delimited(&mut bytes).unwrap();
                    }
                }
                Ok(bytes)
            }
        }
    }
}

pub(super) fn request_id(id: u8) -> String {
    format!("01890a5d-ac96-774b-bcce-b302099a80{id:02x}")
}
