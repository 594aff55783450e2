//! Adds an `ErrorInfo` to errors that have none: those of the gRPC machinery, and calls that panicked.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::grpc::{refusal, with_info};

/// An answer whose errors all carry an `ErrorInfo`.
pub(in crate::server) fn with_error_info(answer: Response<Body>) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    complete(&mut parts.headers);
    Response::from_parts(parts, Body::new(Completed(body)))
}

struct Completed(Body);

impl HttpBody for Completed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.0).poll_frame(context);
        polled.map_ok(|mut frame| {
            if let Some(trailers) = frame.trailers_mut() {
                complete(trailers);
            }
            frame
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Adds the details to the headers of an error.
fn complete(headers: &mut HeaderMap) {
    const DETAILS: &str = "grpc-status-details-bin";
    let is_error = headers.get("grpc-status").is_some_and(|code| code != "0");
    if !is_error || headers.contains_key(DETAILS) {
        return;
    }
    if let Some(status) = Status::from_header_map(headers) {
        // Details that cannot be written as a header are left out.
        let _ = with_info(status).add_header(headers);
    }
}

/// The answer to a call whose handler panicked; the connection and its other calls continue.
pub(in crate::server) fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response<Body> {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    tracing::error!(panic = text, "a call panicked");
    let message = "internal error: the call panicked; see the log of the server";
    refusal(Code::Internal, "INTERNAL", message, None).into_http()
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;

    #[test]
    fn what_is_missing_is_added_and_the_rest_stays() {
        let mut headers = HeaderMap::new();
        Status::internal("Missing request message.").add_header(&mut headers).unwrap();
        headers.insert("x-request-id", http::HeaderValue::from_static("r-1"));
        complete(&mut headers);
        let status = Status::from_header_map(&headers).unwrap();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.get_details_error_info().unwrap().reason, "MALFORMED_REQUEST");
        assert_eq!(headers["x-request-id"], "r-1");
        assert_eq!(headers.get_all("grpc-status").iter().count(), 1);
        let before = headers.clone();
        complete(&mut headers);
        assert_eq!(headers, before);
        let mut good = HeaderMap::new();
        good.insert("grpc-status", http::HeaderValue::from_static("0"));
        complete(&mut good);
        assert_eq!(good.len(), 1);
    }

    #[test]
    fn a_call_that_panics_is_answered_with_a_reason_and_without_its_words() {
        let answer = panicked(Box::new("at /srv/data"));
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), Code::Internal);
        assert_eq!(status.get_details_error_info().unwrap().reason, "INTERNAL");
        assert!(!status.message().contains("/srv/data"));
    }
}
