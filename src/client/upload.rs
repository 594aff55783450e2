//! Reads a file in pieces that are sent as they are read.

use std::io::{self, Read};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;

/// Bytes of a file that are sent together.
const PIECE_BYTES: u64 = 64 * 1024;
/// Pieces that wait to be sent.
const PIECES_WAITING: usize = 4;

/// The pieces of a file, until its end, an error, or until nobody takes them; and what tells whether it was read without an error.
pub(super) fn pieces(
    file: impl Read + Send + 'static,
) -> (ReceiverStream<Vec<u8>>, JoinHandle<io::Result<()>>) {
    let (pieces, to_send) = mpsc::channel(PIECES_WAITING);
    let reading = tokio::task::spawn_blocking(move || {
        let mut file = file;
        loop {
            let mut piece = Vec::new();
            file.by_ref().take(PIECE_BYTES).read_to_end(&mut piece)?;
            if piece.is_empty() || pieces.blocking_send(piece).is_err() {
                return Ok(());
            }
        }
    });
    (ReceiverStream::new(to_send), reading)
}
