//! A server without a socket, and requests to it, with the part of each answer that a repetition must return unchanged.

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
}

impl World {
    pub(super) fn open(store: impl Into<Backend>) -> Self {
        let store = store.into();
        let engine = Engine::open(store.clone(), None, &mut |_| ()).unwrap();
        Self { store, routes: Api::ready(engine).routes() }
    }

    pub(super) fn restart(self) -> Self {
        let store = self.store.clone();
        drop(self);
        Self::open(store)
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
                    unfinished_penalty: (content == 1).then_some(2.5),
                    source_lang: "ar".into(),
                    target_lang: "en".into(),
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
                    unfinished_penalty,
                    ..Default::default()
                };
                let (memory, update_mask) = (Some(memory), None);
                let request = proto::UpdateMemoryRequest { memory, update_mask, request_id };
                Ok(self.memories().update_memory(request).await?.into_inner().encode_to_vec())
            }
            Kind::DeleteMemory => {
                // Two contents: both delete a memory, whether it holds units or not, or only an empty one.
                let (name, force) = (parent, content == 0);
                let request = proto::DeleteMemoryRequest { name, force, request_id };
                Ok(self.memories().delete_memory(request).await?.into_inner().encode_to_vec())
            }
            Kind::CreateUnit => {
                let unit = Some(some_unit(0));
                let request = proto::CreateUnitRequest { parent, unit, request_id };
                Ok(self.units().create_unit(request).await?.into_inner().encode_to_vec())
            }
            Kind::BatchCreateUnits => {
                let units = vec![some_unit(1), some_unit(2), some_unit(3)];
                let request = proto::BatchCreateUnitsRequest { parent, units, request_id };
                Ok(self.units().batch_create_units(request).await?.into_inner().encode_to_vec())
            }
            Kind::UpdateUnit => {
                let unit = proto::Unit { name: format!("{NAME}/units/1"), ..some_unit(4) };
                let (unit, update_mask) = (Some(unit), None);
                let request = proto::UpdateUnitRequest { unit, update_mask, request_id };
                Ok(self.units().update_unit(request).await?.into_inner().encode_to_vec())
            }
            Kind::DeleteUnit => {
                let name = format!("{NAME}/units/{}", 2 + content);
                let request = proto::DeleteUnitRequest { name, revision: 0, request_id };
                Ok(self.units().delete_unit(request).await?.into_inner().encode_to_vec())
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
                Ok(proto::ImportUnitsResponse { verdicts: Vec::new(), ..last }.encode_to_vec())
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
                let store_in = proto::StoreIn {
                    memory: parent,
                    min_confidence: Some(0.0),
                    request_id,
                    ..Default::default()
                };
                let request = proto::AlignDocumentsRequest {
                    source_lang: "ar".into(),
                    target_lang: "en".into(),
                    source: side(vec![word(8), word(9)]),
                    target: side(vec![format!("first {id} {content}"), "second".into()]),
                    memories: Vec::new(),
                    store_in: Some(store_in),
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
