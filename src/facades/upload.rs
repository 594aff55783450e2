//! A file that is uploaded, in any of the ways of the protocols, and its import as it comes.

use bytes::Bytes;
use http::StatusCode;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use uuid::Uuid;

use crate::client::Client;
use crate::engine::{DuplicatePolicy, ImportCounts};
use crate::unit::MemoryName;

use super::form::{PIECE_TIME, Part};
use super::refusal::Refusal;

/// A file that is uploaded.
pub(super) enum Upload {
    /// A part of a form.
    Part(Box<Part>),
    /// A whole body.
    Body(Body),
    /// Bytes that are here.
    Bytes(Option<Bytes>),
}

impl Upload {
    /// The next bytes; `None` when all have come.
    ///
    /// # Errors
    /// The file breaks off, or comes too slowly.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, Refusal> {
        match self {
            Self::Part(part) => part.piece().await,
            Self::Bytes(bytes) => Ok(bytes.take()),
            Self::Body(body) => loop {
                let frame = timeout(PIECE_TIME, body.frame()).await.map_err(|_| {
                    Refusal::new(StatusCode::REQUEST_TIMEOUT, "the file came too slowly")
                })?;
                let Some(frame) = frame else { return Ok(None) };
                let frame = frame.map_err(|_| Refusal::bad_request("the file broke off"))?;
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            },
        }
    }
}

/// Imports a body into a memory; its format is detected from the content.
///
/// # Errors
/// The body breaks off or comes too slowly: what came of it is not the whole file. The server's.
pub(super) async fn import(
    mut client: Client,
    body: Body,
    memory: &MemoryName,
) -> Result<ImportCounts, Refusal> {
    // A file whose length is announced has broken off when it is shorter.
    let size_bytes = body.size_hint().exact().unwrap_or_default();
    let (pieces, to_send) = mpsc::channel(1);
    let reading = async move {
        let mut file = Upload::Body(body);
        loop {
            match file.piece().await {
                Ok(Some(piece)) => {
                    if pieces.send(piece.to_vec()).await.is_err() {
                        // The import has ended; its result says why.
                        return Ok(());
                    }
                }
                Ok(None) => return Ok(()),
                // The sender lives on until the import is dropped: its end would look like the end of the file.
                Err(refusal) => return Err((pieces, refusal)),
            }
        }
    };
    let importing = async {
        let (policy, id) = (DuplicatePolicy::default(), Uuid::new_v4());
        let pieces = ReceiverStream::new(to_send);
        Ok(client.import_pieces(memory, policy, (id, size_bytes), pieces).await?)
    };
    tokio::pin!(importing);
    tokio::select! {
        imported = &mut importing => imported,
        read = reading => match read {
            Ok(()) => importing.await,
            Err((_pieces, refusal)) => Err(refusal),
        },
    }
}
