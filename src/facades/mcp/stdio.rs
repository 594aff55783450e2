//! Serves one client over standard input and output, one message a line.

use std::io;
use std::sync::Arc;

use rmcp::service::{QuitReason, ServerInitializeError, serve_server};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::stdio_pipes;

use crate::client::Client;
use crate::limits::MCP_MESSAGE_BYTES_MAX;

use super::super::settings::FacadeSettings;
use super::server::Server;

/// Answers a client until standard input ends.
///
/// # Errors
/// The first message is none of the protocol; the streams fail.
pub async fn serve_stdio(client: Client, settings: FacadeSettings) -> io::Result<()> {
    let (input, output) = stdio_pipes();
    let transport =
        AsyncRwTransport::new_server(input, output).with_max_line_length(MCP_MESSAGE_BYTES_MAX);
    let server = Server::new(Arc::new(settings), Arc::new(move |_| Ok(client.clone())));
    let running = match serve_server(server, transport).await {
        Ok(running) => running,
        // A client may disconnect before it sends anything.
        Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(io::Error::other(error)),
    };
    match running.waiting().await {
        Ok(QuitReason::JoinError(error)) | Err(error) => Err(io::Error::other(error)),
        Ok(_) => Ok(()),
    }
}
