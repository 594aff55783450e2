//! Starts operations: checks the request as its call would, records it, and runs it in the background.

use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use tonic::{Code, Status};
use uuid::Uuid;
use xxhash_rust::xxh3::Xxh3;

use crate::engine::{EngineError, now};
use crate::operations::{Draft, Header, Operation, StartError};

use super::super::super::api::Api;
use super::super::super::convert::request_id;
use super::super::super::proto::{self, OperationKind, StartAlignDocumentsRequest};
use super::super::super::status::{from_engine, internal, invalid, refusal};
use super::view::{self, Caller, blocking};

/// The request that a start wraps.
pub(super) fn wanted<T>(request: Option<&T>) -> Result<&T, Status> {
    request.ok_or_else(|| invalid("request", "say what to run"))
}

/// An operation that is about to start.
pub(super) struct Start {
    pub(super) id: Uuid,
    pub(super) kind: OperationKind,
    pub(super) owner: Option<Arc<str>>,
    /// The message that starts it, without the id.
    pub(super) request: Vec<u8>,
    /// The field of the id.
    pub(super) id_field: &'static str,
    /// Bytes of the file that is uploaded with it.
    pub(super) upload_bytes: u64,
}

impl Start {
    /// A hash by which a repeated request is recognized.
    pub(super) fn digest(&self, upload_hash: u128) -> u128 {
        let mut hasher = Xxh3::new();
        hasher.update(&i32::from(self.kind).to_le_bytes());
        hasher.update(&upload_hash.to_le_bytes());
        hasher.update(&self.request);
        hasher.digest128()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.request.len() as u64 + self.upload_bytes
    }

    fn header(&self, upload_hash: u128) -> Header {
        Header {
            kind: self.kind.into(),
            owner: self.owner.as_deref().map(str::to_owned),
            created: now(),
            digest: self.digest(upload_hash),
            request_bytes: self.request.len() as u64,
            upload_bytes: self.upload_bytes,
        }
    }

    /// The operation that has the id already, if it was started by the same request.
    pub(super) fn repeated(
        &self,
        operation: &Operation,
        upload_hash: u128,
    ) -> Result<proto::Operation, Status> {
        let header = &operation.header;
        let is_same = header.owner.as_deref() == self.owner.as_deref()
            && header.digest == self.digest(upload_hash);
        if is_same {
            Ok(view::now(operation))
        } else {
            Err(from_engine(EngineError::RequestReused(self.id_field)))
        }
    }

    /// Records it and runs it in the background, even if the caller has gone away meanwhile. Blocks.
    pub(super) fn begin(
        &self,
        api: &Api,
        draft: Draft,
        upload_hash: u128,
    ) -> Result<proto::Operation, Status> {
        let operation = draft.keep(self.header(upload_hash), &self.request);
        let operation = operation.map_err(|error| internal(&error.to_string()))?;
        api.run_in_background(&operation);
        Ok(view::now(&operation))
    }

    /// The refusal of a start.
    pub(super) fn refused(&self, error: &StartError) -> Status {
        let message = error.to_string();
        let exhausted = |reason| refusal(Code::ResourceExhausted, reason, &message, None);
        match error {
            StartError::Full | StartError::OwnerFull => exhausted("OPERATIONS_FULL"),
            StartError::BytesFull => exhausted("OPERATIONS_WAITING"),
            StartError::Starting => {
                let retry = Some(Duration::from_secs(1));
                refusal(Code::Aborted, "OPERATION_STARTING", &message, retry)
            }
            StartError::Exists => from_engine(EngineError::RequestReused(self.id_field)),
            StartError::Damaged => refusal(Code::DataLoss, "OPERATION_DAMAGED", &message, None),
            StartError::Io(_) => internal(&message),
        }
    }
}

impl Api {
    /// Starts an operation without an upload, or finds the one that the same request has started.
    pub(super) async fn start(
        &self,
        caller: &Caller,
        kind: OperationKind,
        id: &str,
        request: &impl Message,
    ) -> Result<proto::Operation, Status> {
        let operations = Arc::clone(&self.kept()?.operations);
        let start = Start {
            id: request_id("request_id", id)?
                .map_or_else(Uuid::new_v4, |id| Uuid::from_bytes(id.0)),
            kind,
            owner: caller.token.clone(),
            request: request.encode_to_vec(),
            id_field: "request_id",
            upload_bytes: 0,
        };
        let api = self.clone();
        blocking(move || {
            let owner = start.owner.as_deref();
            match operations.draft(start.id, owner, start.bytes()) {
                Ok(draft) => start.begin(&api, draft, 0),
                Err(error) => match operations.find(start.id) {
                    Some(operation) => start.repeated(&operation, 0),
                    None => Err(start.refused(&error)),
                },
            }
        })
        .await?
    }

    pub(super) async fn start_align(
        &self,
        caller: &Caller,
        id: &str,
        request: StartAlignDocumentsRequest,
    ) -> Result<proto::Operation, Status> {
        let mut order = wanted(request.request.as_ref())?.clone();
        if let Some(store) = &mut order.store_options
            && store.request_id.is_empty()
        {
            // It gets the id of the operation when it runs.
            store.request_id = Uuid::max().to_string();
        }
        self.align_order(order)?;
        self.start(caller, OperationKind::AlignDocuments, id, &request).await
    }
}
