//! Answers gRPC-Web, unary calls and server streams: the form of gRPC that browsers can send, binary or as text.
//!
//! `tonic-web` unpacks the bodies; this file prepares requests for it, and reports faults of the client as such.

use std::convert::Infallible;
use std::task::{Context, Poll};

use http::header::{ACCEPT, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Request, Response, Version};
use http_body_util::BodyExt as _;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_web::GrpcWebLayer;
use tower::{Layer as _, Service};

use super::fields::malformed;
use super::{errors, guard};

/// The content types, as `tonic-web` compares them.
const KINDS: [&str; 4] = [
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
];

/// Prepares a request for `tonic-web`, or answers one that it would not take.
pub(super) fn prepare(mut request: Request<Body>) -> Result<Request<Body>, Response<Body>> {
    if request.method() != Method::POST {
        return Err(errors::wrong_method(&[Method::POST]));
    }
    let known = |value: &HeaderValue| {
        let text = value.to_str().ok()?.split(';').next()?.trim();
        KINDS.into_iter().find(|kind| kind.eq_ignore_ascii_case(text))
    };
    let headers = request.headers_mut();
    let mut kinds = headers.get_all(CONTENT_TYPE).iter();
    let (Some(Some(kind)), None) = (kinds.next().map(known), kinds.next()) else {
        return Err(errors::wrong_content(
            "messages of gRPC-Web are protocol buffers: header `content-type: application/grpc-web+proto` or \
             `application/grpc-web-text+proto`",
        ));
    };
    let accepted = headers.get(ACCEPT).and_then(known).unwrap_or(kind);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(ACCEPT, HeaderValue::from_static(accepted));
    headers.remove(TRANSFER_ENCODING);
    guard::use_password_as_token(headers);
    *request.version_mut() = Version::HTTP_2;
    Ok(request)
}

/// Carries out a call that was prepared.
pub(super) fn call<S>(
    inner: &mut S,
    request: Request<Body>,
) -> impl Future<Output = Result<Response<Body>, Infallible>> + Send + 'static
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    GrpcWebLayer::new().layer(Unpacked(inner)).call(request)
}

/// The service behind, whose requests `tonic-web` has unpacked.
struct Unpacked<'a, S>(&'a mut S);

impl<S: Service<Request<Body>>> Service<Request<Body>> for Unpacked<'_, S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> S::Future {
        self.0.call(request.map(|body| Body::new(body.map_err(fault_of_client))))
    }
}

/// A body that cannot be unpacked is not a fault of the server, as `tonic-web` says.
fn fault_of_client(status: Status) -> Status {
    if status.code() == Code::Internal { malformed("the body is no gRPC-Web") } else { status }
}
