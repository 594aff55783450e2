//! Imports a file that is the body of a request, as it comes.

use std::time::Duration;

use http::StatusCode;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use uuid::Uuid;

use crate::client::Client;
use crate::engine::ImportCounts;
use crate::limits::MESSAGE_SECONDS_MAX;
use crate::unit::MemoryName;

use super::refusal::Refusal;

/// Time limit for the next bytes of a file.
const PIECE_TIME: Duration = Duration::from_secs(MESSAGE_SECONDS_MAX);

/// Imports a body into a memory; its format is detected from the content.
///
/// # Errors
/// The body breaks off or comes too slowly: what came of it is not the whole file. The server's.
pub(super) async fn import(
    mut client: Client,
    mut body: Body,
    memory: &MemoryName,
) -> Result<ImportCounts, Refusal> {
    // A file whose length is announced has broken off when it is shorter.
    let size_bytes = body.size_hint().exact().unwrap_or_default();
    let (pieces, to_send) = mpsc::channel(1);
    let reading = async move {
        loop {
            let data = match timeout(PIECE_TIME, body.frame()).await {
                Ok(None) => return Ok(()),
                Ok(Some(Ok(frame))) => frame.into_data(),
                // The sender lives on until the import is dropped: its end would look like the end of the file.
                Ok(Some(Err(_))) => {
                    return Err((pieces, Refusal::bad_request("the file broke off")));
                }
                Err(_) => {
                    let refusal =
                        Refusal::new(StatusCode::REQUEST_TIMEOUT, "the file came too slowly");
                    return Err((pieces, refusal));
                }
            };
            let Ok(data) = data else { continue };
            if pieces.send(data.to_vec()).await.is_err() {
                // The import has ended, and says why.
                return Ok(());
            }
        }
    };
    let to_send = ReceiverStream::new(to_send);
    let importing = async {
        let imported = client.import_pieces(memory, Uuid::new_v4(), size_bytes, "", to_send);
        imported.await.map_err(Refusal::from)
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
