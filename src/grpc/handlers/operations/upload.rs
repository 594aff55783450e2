//! `StartImportFile`: writes the file to disk as it arrives, and starts the import when all of it is there.

use std::io::Write as _;
use std::sync::Arc;

use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tonic::{Code, Status, Streaming};
use uuid::Uuid;
use xxhash_rust::xxh3::Xxh3;

use crate::limits::OPERATION_UPLOAD_BYTES_MAX;
use crate::operations::{Draft, Operations};

use super::super::super::api::Api;
use super::super::super::convert::request_id;
use super::super::super::proto::import_file_request::Message;
use super::super::super::proto::{
    self, ImportFileHeader, ImportFileRequest, OperationKind, StartImportFileRequest,
};
use super::super::super::status::{internal, invalid, refusal};
use super::start::Start;
use super::view::{Caller, blocking};

/// Pieces of a file that wait to be written.
const PIECES_WAITING: usize = 4;

type Requests = Streaming<StartImportFileRequest>;

impl Api {
    pub(super) async fn start_import(
        &self,
        caller: &Caller,
        mut requests: Requests,
    ) -> Result<proto::Operation, Status> {
        let operations = Arc::clone(&self.kept()?.operations);
        self.engine()?;
        let Some(Message::Header(header)) = message(requests.next().await)? else {
            return Err(invalid("import.message", "an upload begins with its header"));
        };
        let start = Arc::new(self.import_start(caller, header)?);
        let draft = {
            let (start, operations) = (Arc::clone(&start), Arc::clone(&operations));
            blocking(move || draft(&operations, &start)).await??
        };
        let (pieces, received) = mpsc::channel(PIECES_WAITING);
        let writing = tokio::task::spawn_blocking(move || write(draft, received));
        let sent = receive(requests, &pieces, start.upload_bytes).await;
        drop(pieces);
        let written = writing.await.map_err(|error| internal(&error.to_string()))?;
        // When writing fails, so does sending: the cause is the former.
        let (draft, hash) = written.map_err(|error| internal(&format!("an upload: {error}")))?;
        let api = self.clone();
        blocking(move || {
            // A draft that is dropped leaves nothing behind.
            sent?;
            match draft {
                Some(draft) => start.begin(&api, draft, hash),
                None => match operations.find(start.id) {
                    Some(operation) => start.repeated(&operation, hash),
                    None => Err(refusal(
                        Code::Aborted,
                        "OPERATION_DELETED",
                        "the operation with this id was deleted during the upload; send it again",
                        None,
                    )),
                },
            }
        })
        .await?
    }

    fn import_start(&self, caller: &Caller, header: ImportFileHeader) -> Result<Start, Status> {
        self.check_file_header(header.clone())?;
        let upload_bytes = u64::try_from(header.size_bytes).ok().filter(|&size| size > 0);
        let upload_bytes = upload_bytes.ok_or_else(|| {
            let what = "give the size of the file: the operation starts when all of it has arrived";
            invalid("import.header.size_bytes", what)
        })?;
        if upload_bytes > OPERATION_UPLOAD_BYTES_MAX {
            let what = format!(
                "{upload_bytes} bytes; at most {OPERATION_UPLOAD_BYTES_MAX} are taken for an operation: use ImportFile, which has \
                 no limit"
            );
            return Err(invalid("import.header.size_bytes", &what));
        }
        let id = request_id("header.import_id", &header.import_id)?;
        let import = Some(ImportFileRequest { message: Some(Message::Header(header)) });
        Ok(Start {
            // Its header was checked: it has an id.
            id: id.map_or_else(Uuid::new_v4, |id| Uuid::from_bytes(id.0)),
            kind: OperationKind::ImportFile,
            owner: caller.token.clone(),
            request: StartImportFileRequest { import }.encode_to_vec(),
            id_field: "import_id",
            upload_bytes,
        })
    }
}

/// A place for the file; `None` for one that was uploaded before, which is only compared. Blocks.
fn draft(operations: &Arc<Operations>, start: &Start) -> Result<Option<Draft>, Status> {
    if operations.find(start.id).is_some() {
        return Ok(None);
    }
    match operations.draft(start.id, start.owner.as_deref(), start.bytes()) {
        Ok(draft) => Ok(Some(draft)),
        Err(_) if operations.find(start.id).is_some() => Ok(None),
        Err(error) => Err(start.refused(&error)),
    }
}

fn message(
    request: Option<Result<StartImportFileRequest, Status>>,
) -> Result<Option<Message>, Status> {
    Ok(request.transpose()?.and_then(|it| it.import).and_then(|it| it.message))
}

/// Passes on the pieces of a file of a given size.
async fn receive(
    mut requests: Requests,
    pieces: &mpsc::Sender<Vec<u8>>,
    size_bytes: u64,
) -> Result<(), Status> {
    let wrong_size = |bytes: u64| {
        let what = format!(
            "{bytes} bytes of a file of {size_bytes} bytes arrived; nothing of it is kept: send the file again"
        );
        invalid("import.header.size_bytes", &what)
    };
    let mut sent_bytes = 0;
    while let Some(request) = requests.next().await {
        let Some(Message::Chunk(piece)) = message(Some(request))? else {
            return Err(invalid("import.message", "after the header come pieces of the file"));
        };
        sent_bytes += piece.len() as u64;
        if sent_bytes > size_bytes {
            return Err(wrong_size(sent_bytes));
        }
        if pieces.send(piece).await.is_err() {
            return Err(internal("an upload cannot be written"));
        }
    }
    if sent_bytes == size_bytes { Ok(()) } else { Err(wrong_size(sent_bytes)) }
}

/// Writes pieces to the end; the hash of all of them. Blocks.
fn write(
    draft: Option<Draft>,
    mut received: mpsc::Receiver<Vec<u8>>,
) -> std::io::Result<(Option<Draft>, u128)> {
    let mut file = draft.as_ref().map(Draft::create_upload).transpose()?;
    let mut hasher = Xxh3::new();
    while let Some(piece) = received.blocking_recv() {
        hasher.update(&piece);
        if let Some(file) = &mut file {
            file.write_all(&piece)?;
        }
    }
    if let Some(file) = &mut file {
        file.sync_all()?;
    }
    Ok((draft, hasher.digest128()))
}
