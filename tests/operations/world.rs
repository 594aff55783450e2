//! A server whose operations are in a temporary directory, and a client of it.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use dhakira::engine::Engine;
use dhakira::grpc::Api;
use tokio_stream::StreamExt as _;
use tonic::Status;
use tonic::transport::Channel;

use crate::support::failing::{Access, FailingStore, Fault, Stored};
use crate::support::proto::import_file_request::Message;
use crate::support::proto::operation_service_client::OperationServiceClient;
use crate::support::proto::read_operation_result_response::Answer;
use crate::support::{Clients, TestServer, proto};

pub(crate) const ID: &str = "6f1c1b9e-51a9-4b44-9a5e-0c1de3b4c001";

/// Holds writes while it is closed.
pub(crate) struct Gate {
    closed: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(crate) const fn new() -> Self {
        Self { closed: Mutex::new(false), opened: Condvar::new() }
    }

    pub(crate) fn close(&self) {
        *self.closed.lock().unwrap() = true;
    }

    pub(crate) fn open(&self) {
        *self.closed.lock().unwrap() = false;
        self.opened.notify_all();
    }

    pub(crate) fn pass(&self, access: Access) -> Stored<()> {
        if access == Access::Commit {
            let closed = self.closed.lock().unwrap();
            drop(self.opened.wait_while(closed, |closed| *closed).unwrap());
        }
        Ok(())
    }
}

pub(crate) struct World {
    store: Arc<FailingStore>,
    directory: tempfile::TempDir,
    /// Kept, because whoever drops the last one waits for the writer, which may wait for a gate.
    served: Mutex<Vec<Api>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            store: Arc::default(),
            directory: tempfile::tempdir().unwrap(),
            served: Mutex::default(),
        }
    }

    pub(crate) fn gated(fault: Fault) -> Self {
        let world = Self::new();
        world.store.set(Some(fault));
        world
    }

    pub(crate) fn operations(&self) -> PathBuf {
        self.directory.path().join("operations")
    }

    pub(crate) fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.operations()).unwrap();
        entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Waits until the directory of operations is as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&[String]) -> bool) {
        let begin = Instant::now();
        while !wanted(&self.files()) {
            assert!(begin.elapsed() < Duration::from_secs(30), "still {:?}", self.files());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn serve(&self) -> TestServer {
        let api = Api::ready(Engine::open(self.store.clone(), None, &mut |_| ()).unwrap());
        api.keep_operations(&self.operations(), None).unwrap();
        self.served.lock().unwrap().push(api.clone());
        let running = api.clone();
        tokio::spawn(async move { running.run_operations().await });
        TestServer::with(api).await
    }
}

pub(crate) struct Client {
    clients: Clients,
    pub(crate) operations: OperationServiceClient<Channel>,
    pub(crate) channel: Channel,
}

impl Client {
    /// Connects, and creates memories.
    pub(crate) async fn connect(server: &TestServer, memories: &[&str]) -> Self {
        Self::connect_to(&server.url, memories).await
    }

    pub(crate) async fn connect_to(url: &str, memories: &[&str]) -> Self {
        let mut clients = Clients::connect(url).await;
        for memory in memories {
            clients.create_memory(memory).await;
        }
        let channel = clients.channel.clone();
        Self { clients, operations: OperationServiceClient::new(channel.clone()), channel }
    }

    pub(crate) async fn start_import(
        &mut self,
        memory: &str,
        id: &str,
        file: &[u8],
    ) -> Result<proto::Operation, Status> {
        let size = i64::try_from(file.len()).unwrap();
        start_import(self, import_messages(memory, id, file, size)).await
    }

    pub(crate) async fn import_plainly(
        &mut self,
        memory: &str,
        file: &[u8],
    ) -> Vec<proto::ImportFileResponse> {
        let size = i64::try_from(file.len()).unwrap();
        // An id is for one import.
        let id = uuid::Uuid::new_v4().to_string();
        let messages = import_messages(memory, &id, file, size);
        let messages = tokio_stream::iter(messages).map(|it| it.import.unwrap());
        let answers = self.clients.units.import_file(messages).await.unwrap().into_inner();
        answers.collect::<Result<_, _>>().await.unwrap()
    }

    pub(crate) async fn start_train(
        &mut self,
        request: proto::StartTrainLexiconRequest,
    ) -> Result<proto::Operation, Status> {
        let started = self.operations.start_train_lexicon(request).await?;
        Ok(started.into_inner().operation.unwrap())
    }

    pub(crate) async fn run_train(&mut self, memory: &str) -> proto::Operation {
        let started = self.start_train(train(memory, "")).await.unwrap();
        self.wait(&started.name).await
    }

    pub(crate) async fn run_align(
        &mut self,
        request: proto::AlignDocumentsRequest,
    ) -> proto::Operation {
        let request = Some(request);
        let start = proto::StartAlignDocumentsRequest { request, ..Default::default() };
        let started = self.operations.start_align_documents(start).await.unwrap().into_inner();
        self.wait(&started.operation.unwrap().name).await
    }

    pub(crate) async fn get(&mut self, name: &str) -> Result<proto::Operation, Status> {
        let get = proto::GetOperationRequest { name: name.into() };
        Ok(self.operations.get_operation(get).await?.into_inner().operation.unwrap())
    }

    /// Waits until it is done.
    pub(crate) async fn wait(&mut self, name: &str) -> proto::Operation {
        let timeout = Some(prost_types::Duration { seconds: 120, nanos: 0 });
        let wait = proto::WaitOperationRequest { name: name.into(), timeout };
        let done = self.operations.wait_operation(wait).await.unwrap().into_inner();
        let done = done.operation.unwrap();
        assert!(done.done, "{done:?}");
        done
    }

    pub(crate) async fn cancel(&mut self, name: &str) -> Result<(), Status> {
        let cancel = proto::CancelOperationRequest { name: name.into() };
        self.operations.cancel_operation(cancel).await.map(drop)
    }

    pub(crate) async fn delete(&mut self, name: &str) -> Result<(), Status> {
        let delete = proto::DeleteOperationRequest { name: name.into() };
        self.operations.delete_operation(delete).await.map(drop)
    }

    pub(crate) async fn list(
        &mut self,
        page_size: i32,
        token: &str,
    ) -> Result<(Vec<proto::Operation>, String), Status> {
        let list = proto::ListOperationsRequest { page_size, page_token: token.into() };
        let page = self.operations.list_operations(list).await?.into_inner();
        Ok((page.operations, page.next_page_token))
    }

    pub(crate) async fn result(&mut self, name: &str) -> Result<Vec<Answer>, Status> {
        let read = proto::ReadOperationResultRequest { name: name.into() };
        let answers = self.operations.read_operation_result(read).await?.into_inner();
        answers.map(|it| it.map(|it| it.answer.unwrap())).collect::<Result<_, _>>().await
    }

    pub(crate) async fn stored(&mut self, memory: &str) -> i64 {
        let get = proto::GetMemoryRequest { name: format!("memories/{memory}") };
        let memory = self.clients.memories.get_memory(get).await.unwrap().into_inner();
        memory.memory.unwrap().unit_count
    }
}

pub(crate) async fn start_import(
    client: &mut Client,
    messages: Vec<proto::StartImportFileRequest>,
) -> Result<proto::Operation, Status> {
    let started = client.operations.start_import_file(tokio_stream::iter(messages)).await?;
    Ok(started.into_inner().operation.unwrap())
}

/// A header, and the bytes of a file in pieces.
pub(crate) fn import_messages(
    memory: &str,
    id: &str,
    file: &[u8],
    size_bytes: i64,
) -> Vec<proto::StartImportFileRequest> {
    let header = proto::ImportFileHeader {
        parent: format!("memories/{memory}"),
        import_id: id.into(),
        duplicate_policy: proto::DuplicatePolicy::KeepAll.into(),
        size_bytes,
        ..Default::default()
    };
    let pieces = file.chunks(10_000).map(|piece| Message::Chunk(piece.to_vec()));
    let messages = std::iter::once(Message::Header(header)).chain(pieces);
    let messages = messages.map(|message| proto::ImportFileRequest { message: Some(message) });
    messages.map(|import| proto::StartImportFileRequest { import: Some(import) }).collect()
}

/// A table with a header and some rows.
pub(crate) fn rows(count: usize) -> Vec<u8> {
    let mut text = "ar\ten\n".to_owned();
    for number in 0..count {
        text += &format!("\u{62c}\u{645}\u{644}\u{629} {number}\tSentence {number}\n");
    }
    text.into_bytes()
}

pub(crate) fn train(memory: &str, id: &str) -> proto::StartTrainLexiconRequest {
    let request = Some(proto::TrainLexiconRequest { memory: format!("memories/{memory}") });
    proto::StartTrainLexiconRequest { request, request_id: id.into() }
}

/// A check that lists every unit with a reason.
pub(crate) fn check(memory: &str) -> proto::CheckUnitsRequest {
    let memory = format!("memories/{memory}");
    proto::CheckUnitsRequest { memory, min_suspicion: Some(0.0), max_units: 50 }
}

pub(crate) fn align_request(store_in: Option<&str>) -> proto::AlignDocumentsRequest {
    let side = |text: &str| Some(proto::DocumentSide { text: text.into(), ..Default::default() });
    let source = "\u{646}\u{639}\u{645} 12. \u{644}\u{627} 15. \u{643}\u{62a}\u{627}\u{628} 31.";
    proto::AlignDocumentsRequest {
        source_language_code: "ar".into(),
        target_language_code: "en".into(),
        source: side(source),
        target: side("Yes 12. No 15. A book 31."),
        store_options: store_in.map(|memory| proto::StoreOptions {
            memory: format!("memories/{memory}"),
            store_unconfirmed: true,
            ..Default::default()
        }),
        ..Default::default()
    }
}
