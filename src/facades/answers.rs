//! The answers of facades: JSON and plain text.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use tonic::body::Body;

use super::refusal::Refusal;

pub(super) const JSON: &str = "application/json";

/// An answer whose text is of some type.
pub(super) fn of_type(kind: &'static str, text: impl Into<Bytes>) -> Response<Body> {
    let mut answer = Response::new(Body::new(Full::new(text.into())));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// An answer in JSON.
pub(super) fn json(value: &impl Serialize) -> Response<Body> {
    match serde_json::to_vec(value) {
        Ok(text) => of_type(JSON, text),
        Err(error) => {
            let mut answer = text(&error.to_string());
            *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            answer
        }
    }
}

/// An answer in plain text.
pub(super) fn text(message: &str) -> Response<Body> {
    of_type("text/plain; charset=utf-8", format!("{message}\n"))
}

/// A refusal in plain text.
pub(super) fn plain(refusal: &Refusal) -> Response<Body> {
    let mut answer = text(&refusal.message);
    refusal.complete(&mut answer);
    answer
}
