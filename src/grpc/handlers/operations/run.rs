//! Runs operations: two at a time, with the rights that their token has now, until they are done, cancelled, or the server stops.

use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::engine::now;
use crate::operations::{Operation, Operations, Outcome};

use super::super::super::access::{RULES, TokenState};
use super::super::super::api::{Api, Kept};
use super::super::super::convert::failed;
use super::super::super::proto::import_file_request::Message as ImportMessage;
use super::super::super::proto::{
    ImportFileRequest, OperationKind, OperationResponse, StartAlignDocumentsRequest,
    StartBackupStoreRequest, StartCheckUnitsRequest, StartImportFileRequest,
    StartTrainLexiconRequest,
};
use super::super::super::status::{internal, refusal};
use super::answers::{of_align, of_backup, of_check, of_import, of_train, record};
use super::start::wanted;
use super::view::blocking;

/// How often operations whose time is over are looked for.
const DELETION_PAUSE: Duration = Duration::from_secs(3_600);
/// Pieces of an uploaded file that wait for the import, and the size of each.
const PIECES_WAITING: usize = 2;
const PIECE_BYTES: usize = 256 * 1024;

impl Api {
    /// Runs the operations that a restart has interrupted again, the oldest first, and deletes old ones; returns when the services
    /// stop, at once where no operations are kept. The memories must be loaded.
    pub async fn run_operations(&self) {
        let Ok(kept) = self.kept() else { return };
        for operation in kept.operations.list().iter().rev().filter(|it| !it.is_done()) {
            self.run_in_background(operation);
        }
        loop {
            tokio::select! {
                () = tokio::time::sleep(DELETION_PAUSE) => {}
                () = self.stopping.cancelled() => return,
            }
            let operations = Arc::clone(&kept.operations);
            // What fails is logged.
            let _ = blocking(move || operations.delete_old(now())).await;
        }
    }

    /// Runs an operation, unless it runs already.
    pub(super) fn run_in_background(&self, operation: &Arc<Operation>) {
        if !operation.claim() {
            return;
        }
        let (api, operation) = (self.clone(), Arc::clone(operation));
        tokio::spawn(async move {
            let Ok(kept) = api.kept() else { return };
            let running = {
                let (api, operation) = (api.clone(), Arc::clone(&operation));
                tokio::spawn(async move { api.run_until_stopped(&operation).await })
            };
            let outcome = match running.await {
                Ok(Some(outcome)) => outcome,
                Err(error) if error.is_panic() => {
                    failed(internal(&format!("an operation panicked: {error}")))
                }
                Ok(None) | Err(_) => return,
            };
            let operations = Arc::clone(&kept.operations);
            // It fails only when the process ends.
            let _ = blocking(move || operations.end(&operation, outcome, now())).await;
        });
    }

    /// How an operation ends; `None` when it was cancelled, which is recorded elsewhere, or the server stops: then it runs again
    /// after the restart.
    async fn run_until_stopped(&self, operation: &Arc<Operation>) -> Option<Outcome> {
        let kept = self.kept().ok()?;
        let outcome = tokio::select! {
            biased;
            () = self.stopping.cancelled() => return None,
            () = operation.cancelled() => return None,
            outcome = self.run_with_rights(kept, operation) => outcome,
        };
        match outcome {
            Ok(response) => Some(Outcome::Response(response.encode_to_vec())),
            // It may have failed because the server stops.
            Err(_) if self.stopping.is_cancelled() => None,
            Err(error) => Some(failed(error)),
        }
    }

    /// Runs an operation for as long as its token allows it.
    async fn run_with_rights(
        &self,
        kept: &Kept,
        operation: &Arc<Operation>,
    ) -> Result<OperationResponse, Status> {
        let place = kept.operations.place().await;
        let _place = place.map_err(|error| internal(&error.to_string()))?;
        let (operations, this) = (Arc::clone(&kept.operations), Arc::clone(operation));
        let request = blocking(move || operations.request(&this)).await?;
        let request = request.map_err(|error| unreadable(&error.to_string()))?;
        let mut changed = check_rights(kept, operation, &request)?;
        let mut work = std::pin::pin!(self.carry_out(&kept.operations, operation, &request));
        loop {
            let change = async {
                match &changed {
                    Some(changed) => changed.cancelled().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                done = &mut work => return done,
                () = change => changed = check_rights(kept, operation, &request)?,
            }
        }
    }

    /// Answers the call that an operation runs, and records the answers.
    async fn carry_out(
        &self,
        operations: &Arc<Operations>,
        operation: &Arc<Operation>,
        request: &[u8],
    ) -> Result<OperationResponse, Status> {
        let recorder = (operations, operation);
        let kind = OperationKind::try_from(operation.header.kind).unwrap_or_default();
        match kind {
            OperationKind::Unspecified => Err(unreadable("its kind is unknown")),
            OperationKind::ImportFile => {
                let header = decode::<StartImportFileRequest>(request)?.import.unwrap_or_default();
                let place = self.files.clone().acquire_owned().await;
                let place = place.map_err(|error| internal(&error.to_string()))?;
                let (of_blocking, this) = (Arc::clone(operations), Arc::clone(operation));
                let file = blocking(move || of_blocking.upload(&this)).await?;
                let file = file.map_err(|error| unreadable(&error.to_string()))?;
                let answers = self.import_file_answers(place, uploaded(header, file))?;
                record(recorder, answers, of_import(operation.header.upload_bytes)).await
            }
            OperationKind::AlignDocuments => {
                let start = decode::<StartAlignDocumentsRequest>(request)?;
                let mut request = wanted(start.request.as_ref())?.clone();
                if let Some(store) = &mut request.store_options
                    && store.request_id.is_empty()
                {
                    // So that nothing is stored twice when it runs again.
                    store.request_id = operation.id.to_string();
                }
                record(recorder, self.align_documents_stream(request)?, of_align).await
            }
            OperationKind::TrainLexicon => {
                let start = decode::<StartTrainLexiconRequest>(request)?;
                let request = wanted(start.request.as_ref())?;
                record(recorder, self.train_stream(request)?, of_train).await
            }
            OperationKind::CheckUnits => {
                let start = decode::<StartCheckUnitsRequest>(request)?;
                let request = wanted(start.request.as_ref())?;
                record(recorder, self.check_stream(request)?, of_check).await
            }
            OperationKind::BackupStore => {
                let start = decode::<StartBackupStoreRequest>(request)?;
                let request = *wanted(start.request.as_ref())?;
                let tokens_required = operation.header.owner.is_some();
                let answers = self.backup_stream(request, tokens_required)?;
                record(recorder, answers, of_backup).await
            }
        }
    }
}

fn decode<T: Message + Default>(request: &[u8]) -> Result<T, Status> {
    T::decode(request).map_err(|error| unreadable(&error.to_string()))
}

fn unreadable(what: &str) -> Status {
    internal(&format!("the request of an operation cannot be read: {what}"))
}

/// Checks that the token of an operation allows it now; what reports that the token has changed, if it can.
fn check_rights(
    kept: &Kept,
    operation: &Operation,
    request: &[u8],
) -> Result<Option<CancellationToken>, Status> {
    let owner = operation.header.owner.as_deref();
    let Some((owner, principals)) = owner.zip(kept.principals.as_ref()) else {
        return Ok(None);
    };
    let denied =
        |message: &str| Err(refusal(Code::PermissionDenied, "PERMISSION_DENIED", message, None));
    let (grants, changed) = match principals.token_state(owner) {
        TokenState::NotRequired => return Ok(None),
        TokenState::Active(grants, changed) => (grants, changed),
        TokenState::Invalid => {
            return denied("the token that started the operation is not valid any more");
        }
    };
    let kind = OperationKind::try_from(operation.header.kind).unwrap_or_default();
    let method = match kind {
        OperationKind::Unspecified => return Err(unreadable("its kind is unknown")),
        OperationKind::ImportFile => "StartImportFile",
        OperationKind::AlignDocuments => "StartAlignDocuments",
        OperationKind::TrainLexicon => "StartTrainLexicon",
        OperationKind::CheckUnits => "StartCheckUnits",
        OperationKind::BackupStore => "StartBackupStore",
    };
    let rule = RULES.iter().find(|rule| rule.name() == method);
    let rule = rule.ok_or_else(|| internal("an operation has no access rule"))?;
    let named = rule.resources(request).map_err(|error| unreadable(&error.to_string()))?;
    if rule.admits(&grants) && named.iter().all(|it| it.is_allowed_by(&grants)) {
        Ok(Some(changed))
    } else {
        denied("the token that started the operation does not allow it any more")
    }
}

/// The messages of an import of an uploaded file.
fn uploaded(
    header: ImportFileRequest,
    mut file: File,
) -> impl Stream<Item = Result<ImportFileRequest, Status>> + Send + Unpin {
    let (pieces, received) = mpsc::channel(PIECES_WAITING);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let piece = match file.read(&mut piece) {
                Ok(0) => return,
                Ok(read) => {
                    piece.truncate(read);
                    Ok(ImportFileRequest { message: Some(ImportMessage::Chunk(piece)) })
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => Err(internal(&format!("an upload cannot be read: {error}"))),
            };
            // The import has ended when nobody receives.
            if pieces.blocking_send(piece).is_err() {
                return;
            }
        }
    });
    tokio_stream::once(Ok(header)).chain(ReceiverStream::new(received))
}
