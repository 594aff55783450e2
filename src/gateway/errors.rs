//! Errors as answers: `google.rpc.Status` as JSON, with the HTTP code that belongs to its code.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::grpc::refusal;

use super::protocol::Protocol;

/// HTTP's code for a request that its client cancelled, as others write it.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// The HTTP code of an error.
pub(crate) fn http_code(status: &Status) -> StatusCode {
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    match (status.code(), reason.as_str()) {
        // Their codes say other things over HTTP: to try again later, and that a server further on did not answer.
        (_, "MESSAGE_TOO_LARGE") => return StatusCode::PAYLOAD_TOO_LARGE,
        (_, "MESSAGE_TOO_SLOW") => return StatusCode::REQUEST_TIMEOUT,
        _ => {}
    }
    match status.code() {
        Code::Ok => StatusCode::OK,
        Code::Cancelled => {
            StatusCode::from_u16(CLIENT_CLOSED_REQUEST).unwrap_or(StatusCode::BAD_REQUEST)
        }
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
            StatusCode::BAD_REQUEST
        }
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The answer to a call that failed.
pub(super) fn of_call(protocol: &Protocol, status: &Status) -> Response<Body> {
    let mut answer = json_answer(http_code(status), protocol.status(status));
    let headers = answer.headers_mut();
    if status.code() == Code::Unauthenticated {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(delay) = status.get_details_retry_info().and_then(|info| info.retry_delay) {
        headers.insert(RETRY_AFTER, HeaderValue::from(whole_seconds(delay)));
    }
    answer
}

/// Rounded up, since coming back too early is of no use.
fn whole_seconds(delay: Duration) -> u64 {
    (delay.as_secs() + u64::from(delay.subsec_nanos() > 0)).max(1)
}

/// The headers of every answer here.
pub(super) fn headers(kind: &'static str, headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

pub(super) const JSON: &str = "application/json";

fn json_answer(code: StatusCode, text: Vec<u8>) -> Response<Body> {
    let mut answer = Response::new(Body::new(Full::new(Bytes::from(text))));
    *answer.status_mut() = code;
    headers(JSON, answer.headers_mut());
    answer
}

/// Marks the answer to a request that did not become a call.
#[derive(Debug, Clone, Copy)]
pub struct NoCall;

/// A refusal of HTTP's own, before there is a call.
pub(super) fn refused(http: StatusCode, code: Code, reason: &str, message: &str) -> Response<Body> {
    let status = refusal(code, reason, message, None);
    let domain = crate::grpc::ERROR_DOMAIN;
    let info = serde_json::json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": domain
    });
    let (code, message) = (status.code() as i32, status.message());
    let text = serde_json::json!({"code": code, "message": message, "details": [info]});
    let mut answer = json_answer(http, text.to_string().into_bytes());
    answer.extensions_mut().insert(NoCall);
    answer
}

pub(super) fn bad_path(fault: &str) -> Response<Body> {
    let message = format!("the path of the request: {fault}");
    refused(StatusCode::BAD_REQUEST, Code::InvalidArgument, "MALFORMED_REQUEST", &message)
}

pub(super) fn no_route(path: &str) -> Response<Body> {
    let path: String = path.chars().take(200).collect();
    let message = format!("there is nothing at {path}");
    refused(StatusCode::NOT_FOUND, Code::NotFound, "UNKNOWN_PATH", &message)
}

pub(super) fn wrong_method(allowed: &[Method]) -> Response<Body> {
    let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
    let names = names.join(", ");
    let message = format!("this path takes {names}");
    let code = StatusCode::METHOD_NOT_ALLOWED;
    let mut answer = refused(code, Code::Unimplemented, "UNKNOWN_METHOD", &message);
    if let Ok(value) = HeaderValue::from_str(&names) {
        answer.headers_mut().insert(ALLOW, value);
    }
    answer
}

pub(super) fn wrong_content(message: &str) -> Response<Body> {
    let code = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    refused(code, Code::InvalidArgument, "CONTENT_TYPE", message)
}

/// The answer to a request that is neither gRPC nor gRPC-Web, where JSON over HTTP is switched off.
pub(super) fn no_json() -> Response<Body> {
    let message = "JSON over HTTP is switched off; this port speaks gRPC (by HTTP/2) and gRPC-Web";
    let code = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    refused(code, Code::Unimplemented, "JSON_SWITCHED_OFF", message)
}

/// The answer to a method whose client streams.
pub(super) fn not_by_json(name: &str) -> Response<Body> {
    let message = format!("{name} takes a stream of messages, by gRPC only");
    refused(StatusCode::NOT_IMPLEMENTED, Code::Unimplemented, "STREAM_BY_GRPC_ONLY", &message)
}

pub(super) fn forbidden(message: &str) -> Response<Body> {
    refused(StatusCode::FORBIDDEN, Code::PermissionDenied, "BROWSER_REFUSED", message)
}
