//! A server that asks for tokens, and calls of any method with any bytes: what the tests of access and of load share.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf as _, BufMut as _};
use dhakira::grpc::access::Grants;
use dhakira::server::{Audit, AuditFile, AuditKeeping, Limits, ServeOptions, TokenFile, Tokens};
use http::uri::PathAndQuery;
use prost::Message as _;
use tokio_stream::StreamExt as _;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::support::{TestServer, empty_api, proto};

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
pub(crate) struct Guarded {
    _directory: tempfile::TempDir,
    pub(crate) file: TokenFile,
    pub(crate) audit: std::path::PathBuf,
    pub(crate) server: TestServer,
}

impl Guarded {
    pub(crate) async fn start() -> Self {
        Self::keeping(AuditKeeping::default()).await
    }

    pub(crate) async fn keeping(keeping: AuditKeeping) -> Self {
        Self::with(keeping, Limits::default()).await
    }

    pub(crate) async fn with(keeping: AuditKeeping, limits: Limits) -> Self {
        Self::configured(keeping, |options| options.limits = limits).await
    }

    pub(crate) async fn configured(
        keeping: AuditKeeping,
        configure: impl FnOnce(&mut ServeOptions),
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = TokenFile::new(directory.path().join("tokens.json"));
        file.create("root", grants("admin:*"), None).unwrap();
        let audit = directory.path().join("audit.jsonl");
        let tokens = Arc::new(Tokens::open(file.clone()).unwrap());
        let api = empty_api();
        api.keep_operations(&directory.path().join("operations"), Some(tokens.clone())).unwrap();
        let mut options = ServeOptions {
            tokens: Some(tokens),
            audit: Audit::File(AuditFile::new(audit.clone(), keeping)),
            ..ServeOptions::default()
        };
        configure(&mut options);
        let server = TestServer::with_options(api, options).await;
        Self { _directory: directory, file, audit, server }
    }

    pub(crate) fn token(&self, name: &str, grant: &str) -> String {
        self.file.create(name, grants(grant), None).unwrap().0
    }

    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(self.server.url.clone()).unwrap().connect().await.unwrap()
    }

    /// Makes memories, from Arabic to English.
    pub(crate) async fn create_memories(&self, names: &[&str], token: &str) {
        let channel = self.channel().await;
        for name in names {
            let memory = proto::Memory {
                source_language_code: "ar".into(),
                target_language_code: "en".into(),
                ..Default::default()
            };
            let create = proto::CreateMemoryRequest {
                memory_id: (*name).into(),
                memory: Some(memory),
                request_id: String::new(),
            };
            let method = "/dhakira.v1.MemoryService/CreateMemory";
            call(&channel, method, create.encode_to_vec(), Some(token)).await.unwrap();
        }
    }

    /// Waits until a token is known, or is not any more.
    pub(crate) async fn until(&self, token: &str, wanted: Code) {
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

pub(crate) fn grants(text: &str) -> Grants {
    Grants(vec![text.parse().unwrap()])
}
