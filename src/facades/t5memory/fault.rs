//! Refusals in the form of t5memory: `{"ReturnValue":…,"ErrorMsg":"…"}`.

use http::{Response, StatusCode};
use serde_json::{Map, Value, json};
use tonic::body::Body;

use crate::client::ClientError;

use super::super::answers;
use super::super::refusal::Refusal;

/// What t5memory returns when a lock was not to be had: translate5 waits and tries again.
const LOCK_TIMEOUT: u16 = 506;
/// The message by which translate5 recognizes a segment with broken markup.
const BROKEN_MARKUP: &str = "Error in xml in source or target!";

/// Why a request was not carried out, and more fields of the answer.
#[derive(Debug)]
pub(super) struct Fault {
    refusal: Refusal,
    more: Map<String, Value>,
}

impl Fault {
    pub(super) fn bad_request(message: &str) -> Self {
        Refusal::bad_request(message).into()
    }

    pub(super) fn not_found(message: &str) -> Self {
        Refusal::not_found(message).into()
    }

    /// The markup of a text is broken.
    pub(super) fn broken_markup(field: &str, reason: &str) -> Self {
        Self::bad_request(BROKEN_MARKUP).with("Reason", &format!("{field}: {reason}"))
    }

    #[must_use]
    pub(super) fn with(mut self, field: &str, value: &str) -> Self {
        self.more.insert(field.to_owned(), value.into());
        self
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.refusal.status
    }

    /// Whether the text of a client was refused.
    pub(super) fn is_invalid_argument(&self) -> bool {
        self.refusal.is_invalid_argument()
    }

    pub(super) fn answer(self) -> Response<Body> {
        let status = self.refusal.status;
        let is_busy =
            matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let value = if is_busy { LOCK_TIMEOUT } else { status.as_u16() };
        let mut fields = self.more;
        fields.insert("ReturnValue".to_owned(), value.into());
        fields.insert("ErrorMsg".to_owned(), json!(self.refusal.message));
        let mut answer = answers::json(&fields);
        self.refusal.complete(&mut answer);
        answer
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, more: Map::new() }
    }
}

impl From<ClientError> for Fault {
    fn from(error: ClientError) -> Self {
        Refusal::from(error).into()
    }
}
