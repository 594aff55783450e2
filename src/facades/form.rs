//! Reads the parts of a form (`multipart/form-data`) as they come, each piece in time.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tokio::time::timeout;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::gateway::{self, Parts};
use crate::limits::MESSAGE_SECONDS_MAX;

use super::refusal::Refusal;

/// Time limit for the next bytes of an upload.
pub(super) const PIECE_TIME: Duration = Duration::from_secs(MESSAGE_SECONDS_MAX);

/// A form whose parts are read in order.
pub(super) struct Form(Parts);

/// A part of a form.
pub(super) struct Part(gateway::Part);

impl Form {
    /// The form that is a body.
    ///
    /// # Errors
    /// The headers do not say what is between its parts.
    pub(super) fn new(headers: &HeaderMap, body: Body) -> Result<Self, Refusal> {
        Parts::new(headers, body).map(Self).map_err(|status| Refusal::from(&status))
    }

    /// The next part; the one before is skipped as far as it was not read.
    ///
    /// # Errors
    /// The form breaks off, comes too slowly, or is none.
    pub(super) async fn next(&mut self) -> Result<Option<Part>, Refusal> {
        Ok(in_time(|context| self.0.poll_next(context)).await?.map(Part))
    }
}

impl Part {
    pub(super) fn name(&self) -> &str {
        self.0.name()
    }

    /// The next bytes; `None` when all have come.
    ///
    /// # Errors
    /// The form breaks off, or comes too slowly.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, Refusal> {
        in_time(|context| self.0.poll_piece(context)).await
    }

    /// All bytes of the part.
    ///
    /// # Errors
    /// As of [`piece`](Self::piece); there are more than `bytes_max`.
    pub(super) async fn bytes(&mut self, bytes_max: usize) -> Result<Vec<u8>, Refusal> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.piece().await? {
            if bytes.len() + piece.len() > bytes_max {
                let message = format!("the part {} is longer than {bytes_max} bytes", self.name());
                return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, &message));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }
}

async fn in_time<T>(
    next: impl FnMut(&mut Context<'_>) -> Poll<Result<T, Status>>,
) -> Result<T, Refusal> {
    match timeout(PIECE_TIME, poll_fn(next)).await {
        Ok(next) => next.map_err(|status| match status.code() {
            Code::InvalidArgument => Refusal::from(&status),
            _ => Refusal::bad_request("the form broke off"),
        }),
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the form came too slowly")),
    }
}
