//! Reads the parts of a form (`multipart/form-data`) as they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use multer::{Field, Multipart};
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tonic::body::Body;

use crate::limits::MESSAGE_SECONDS_MAX;

use super::refusal::Refusal;

/// Time limit for the next bytes of a form.
const PIECE_TIME: Duration = Duration::from_secs(MESSAGE_SECONDS_MAX);
/// Bytes that may have come and not been taken: the headers of a part, and what a connection hands over at once.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A form whose parts are read in order.
pub(super) struct Form {
    parts: Multipart<'static>,
    /// Bytes that have come and were not taken.
    waiting: Arc<AtomicUsize>,
}

/// A part of a form.
pub(super) struct Part {
    field: Field<'static>,
    waiting: Arc<AtomicUsize>,
}

/// Whether a body is a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    kind.trim_start().get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/"))
}

impl Form {
    /// The form that is a body.
    ///
    /// # Errors
    /// The headers do not say what is between its parts.
    pub(super) fn new(headers: &HeaderMap, body: Body) -> Result<Self, Refusal> {
        let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
        let boundary = multer::parse_boundary(kind)
            .map_err(|_| Refusal::bad_request("content-type: multipart/form-data; boundary=…"))?;
        let waiting = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&waiting);
        let bytes = body.into_data_stream().map(move |piece| {
            let piece = piece.map_err(|_| "the form broke off")?;
            let before = counter.fetch_add(piece.len(), Ordering::Relaxed);
            if before + piece.len() > WAITING_BYTES_MAX {
                return Err("the headers of a part are too long");
            }
            Ok::<Bytes, &'static str>(piece)
        });
        Ok(Self { parts: Multipart::new(bytes, boundary), waiting })
    }

    /// The next part; the one before is skipped as far as it was not read.
    ///
    /// # Errors
    /// The form breaks off, comes too slowly, or is none.
    pub(super) async fn next(&mut self) -> Result<Option<Part>, Refusal> {
        let field = in_time(self.parts.next_field()).await?;
        // What is left of the part before, and the headers of this one.
        self.waiting.store(0, Ordering::Relaxed);
        Ok(field.map(|field| Part { field, waiting: Arc::clone(&self.waiting) }))
    }
}

impl Part {
    pub(super) fn name(&self) -> &str {
        self.field.name().unwrap_or_default()
    }

    /// The next bytes; `None` when all have come.
    ///
    /// # Errors
    /// The form breaks off, or comes too slowly.
    pub(super) async fn piece(&mut self) -> Result<Option<Bytes>, Refusal> {
        let piece = in_time(self.field.chunk()).await?;
        if let Some(piece) = &piece {
            let taken = piece.len();
            let less = |waiting: usize| Some(waiting.saturating_sub(taken));
            let _ = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
        Ok(piece)
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

async fn in_time<T>(next: impl Future<Output = multer::Result<T>>) -> Result<T, Refusal> {
    match timeout(PIECE_TIME, next).await {
        Ok(next) => next.map_err(|error| Refusal::bad_request(&format!("the form: {error}"))),
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the form came too slowly")),
    }
}
