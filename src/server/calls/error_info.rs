//! What is missing in refusals of others? The machinery of gRPC refuses calls without an `ErrorInfo`; here they get one.
//!
//! Looks at headers and trailers on their way out, of answers that end with an error.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use crate::grpc::with_info;

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

/// Adds what is missing to the headers of an error.
fn complete(headers: &mut HeaderMap) {
    const DETAILS: &str = "grpc-status-details-bin";
    let is_error = headers.get("grpc-status").is_some_and(|code| code != "0");
    if !is_error || headers.contains_key(DETAILS) {
        return;
    }
    if let Some(status) = Status::from_header_map(headers) {
        // What cannot be written as a header stays as it was.
        let _ = with_info(status).add_header(headers);
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;
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
}
