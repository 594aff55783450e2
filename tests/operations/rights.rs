//! Whose operations are whose, and what happens to them when tokens are revoked.

use std::sync::{Arc, Mutex};

use dhakira::engine::Engine;
use dhakira::grpc::Api;
use dhakira::server::{ServeOptions, TokenFile, Tokens};
use dhakira::store::InMemoryStore;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::guarded::grants;
use crate::support::failing::{Access, FailingStore};
use crate::support::proto::operation_service_client::OperationServiceClient;
use crate::support::{TestServer, new_memory, proto};

use super::world::{Gate, ID, import_messages, rows, train};
use super::{code, error};

#[derive(Clone)]
struct Bearer(String);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let value: MetadataValue<_> = format!("Bearer {}", self.0).parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }
}

type Operations = OperationServiceClient<InterceptedService<Channel, Bearer>>;

struct World {
    directory: tempfile::TempDir,
    file: TokenFile,
    /// Kept, because whoever drops the last one waits for the writer, which may wait for a gate.
    served: Mutex<Vec<Api>>,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = TokenFile::new(directory.path().join("tokens.json"));
        Self { directory, file, served: Mutex::default() }
    }

    fn token(&self, name: &str, grant: &str) -> String {
        self.file.create(name, grants(grant), None).unwrap().0
    }

    async fn serve(&self, engine: Engine) -> TestServer {
        let tokens = Arc::new(Tokens::open(self.file.clone()).unwrap());
        let api = Api::ready(engine);
        api.keep_operations(&self.directory.path().join("operations"), Some(tokens.clone()))
            .unwrap();
        self.served.lock().unwrap().push(api.clone());
        let running = api.clone();
        tokio::spawn(async move { running.run_operations().await });
        let options = ServeOptions { tokens: Some(tokens), ..ServeOptions::default() };
        TestServer::with_options(api, options).await
    }
}

async fn client(server: &TestServer, token: &str) -> Operations {
    let channel = Channel::from_shared(server.url.clone()).unwrap().connect().await.unwrap();
    OperationServiceClient::with_interceptor(channel, Bearer(token.to_owned()))
}

fn engine(store: Arc<FailingStore>) -> Engine {
    let engine = Engine::open(store, None, &mut |_| ()).unwrap();
    for name in ["own", "other"] {
        engine.create_memory(new_memory(name.parse().unwrap()), None).unwrap();
    }
    engine
}

fn get(name: &str) -> proto::GetOperationRequest {
    proto::GetOperationRequest { name: name.into() }
}

async fn wait(client: &mut Operations, name: &str) -> proto::Operation {
    let timeout = Some(prost_types::Duration { seconds: 120, nanos: 0 });
    let wait = proto::WaitOperationRequest { name: name.into(), timeout };
    let done = client.wait_operation(wait).await.unwrap().into_inner().operation.unwrap();
    assert!(done.done, "{done:?}");
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_belongs_to_the_token_that_started_it() {
    let world = World::new();
    let admin = world.token("admin", "admin:*");
    let (one, two) = (world.token("one", "manager:own"), world.token("two", "manager:own"));
    let engine = tokio::task::spawn_blocking(|| engine(Arc::default())).await.unwrap();
    let server = world.serve(engine).await;
    let mut one = client(&server, &one).await;
    let started = one.start_train_lexicon(train("own", ID)).await.unwrap().into_inner();
    let name = started.operation.unwrap().name;
    let done = wait(&mut one, &name).await;
    assert_eq!(code(one.start_train_lexicon(train("other", "")).await), Code::PermissionDenied);

    let mut two = client(&server, &two).await;
    let name_of = || name.clone();
    let list = proto::ListOperationsRequest::default;
    assert_eq!(two.list_operations(list()).await.unwrap().into_inner().operations, []);
    assert_eq!(code(two.get_operation(get(&name)).await), Code::NotFound);
    let wait = proto::WaitOperationRequest { name: name_of(), timeout: None };
    assert_eq!(code(two.wait_operation(wait).await), Code::NotFound);
    let watch = proto::WatchOperationRequest { name: name_of() };
    assert_eq!(code(two.watch_operation(watch).await), Code::NotFound);
    let read = proto::ReadOperationResultRequest { name: name_of() };
    assert_eq!(code(two.read_operation_result(read).await), Code::NotFound);
    let cancel = proto::CancelOperationRequest { name: name_of() };
    assert_eq!(code(two.cancel_operation(cancel).await), Code::NotFound);
    let delete = proto::DeleteOperationRequest { name: name_of() };
    assert_eq!(code(two.delete_operation(delete.clone()).await), Code::NotFound);
    assert_eq!(code(two.start_train_lexicon(train("own", ID)).await), Code::AlreadyExists);

    let mut admin = client(&server, &admin).await;
    let seen = admin.get_operation(get(&name)).await.unwrap().into_inner().operation;
    assert_eq!(seen.as_ref(), Some(&done));
    let all = admin.list_operations(list()).await.unwrap().into_inner().operations;
    assert_eq!((all.len(), all.first()), (1, Some(&done)));
    let own = one.list_operations(list()).await.unwrap().into_inner().operations;
    assert_eq!(own, all);
    admin.delete_operation(delete).await.unwrap();
    assert_eq!(code(one.get_operation(get(&name)).await), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_ends_when_its_token_is_revoked() {
    static GATE: Gate = Gate::new();
    let world = World::new();
    let admin = world.token("admin", "admin:*");
    let [first, second] = ["first", "second"].map(|name| world.token(name, "manager:own"));
    let store = Arc::new(FailingStore::default());
    store.set(Some(|access: Access| GATE.pass(access)));
    let engine = tokio::task::spawn_blocking(move || engine(store)).await.unwrap();
    let server = world.serve(engine).await;
    let mut admin = client(&server, &admin).await;
    GATE.close();
    let mut names = Vec::new();
    let file = rows(100);
    for (number, token) in [(1, &first), (2, &second)] {
        let id = format!("{}{number}", &ID[..35]);
        let messages = import_messages("own", &id, &file, i64::try_from(file.len()).unwrap());
        let mut client = client(&server, token).await;
        let started = client.start_import_file(tokio_stream::iter(messages)).await;
        names.push(started.unwrap().into_inner().operation.unwrap().name);
    }
    let denied = (Code::PermissionDenied, "PERMISSION_DENIED".to_owned());
    world.file.revoke("first").unwrap();
    assert_eq!(error(&wait(&mut admin, &names[0]).await), denied);
    let running = admin.get_operation(get(&names[1])).await.unwrap().into_inner();
    assert!(!running.operation.unwrap().done, "that of another token goes on");

    // The other one is revoked while no server runs.
    server.shutdown.request();
    server.task.await.unwrap();
    world.file.revoke("second").unwrap();
    let empty = Engine::open(Arc::new(InMemoryStore::default()), None, &mut |_| ()).unwrap();
    let server = world.serve(empty).await;
    let admin = world.token("later", "admin:*");
    let mut admin = loop {
        let mut admin = client(&server, &admin).await;
        match admin.get_operation(get(&names[1])).await {
            Ok(_) => break admin,
            // The new token is not known yet.
            Err(status) => assert_eq!(status.code(), Code::Unauthenticated),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(error(&wait(&mut admin, &names[1]).await), denied);
    GATE.open();
}
