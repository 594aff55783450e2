//! The descriptors of the protocol, with the details of errors, and messages as JSON.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Version};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use tonic::Status;
use tonic::body::Body;

/// Why the descriptors of the protocol cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("the routes of JSON over HTTP: {0}")]
pub struct RoutesError(pub(super) String);

/// The descriptors of the protocol.
#[derive(Debug, Clone)]
pub(super) struct Protocol {
    pub(super) pool: DescriptorPool,
    status: MessageDescriptor,
}

impl Protocol {
    pub(super) fn read(descriptors: &[u8]) -> Result<Self, RoutesError> {
        let broken = |error: prost_reflect::DescriptorError| RoutesError(error.to_string());
        let mut pool = DescriptorPool::decode(descriptors).map_err(broken)?;
        // The details of errors are named by their type: to write one as JSON, its descriptor is needed.
        let details = FileDescriptorSet::decode(tonic_types::pb::FILE_DESCRIPTOR_SET);
        let details = details.map_err(|error| RoutesError(error.to_string()))?;
        let is_new = |file: &FileDescriptorProto| {
            let mut names =
                file.message_type.iter().map(|it| format!("{}.{}", file.package(), it.name()));
            names.all(|name| pool.get_message_by_name(&name).is_none())
        };
        let new: Vec<FileDescriptorProto> = details.file.into_iter().filter(is_new).collect();
        pool.add_file_descriptor_protos(new).map_err(broken)?;
        let status = pool.get_message_by_name("google.rpc.Status");
        let status = status.ok_or_else(|| RoutesError("there is no google.rpc.Status".into()))?;
        Ok(Self { pool, status })
    }

    /// An error as `google.rpc.Status`.
    pub(super) fn status(&self, status: &Status) -> Vec<u8> {
        let details = Bytes::copy_from_slice(status.details());
        let whole = DynamicMessage::decode(self.status.clone(), details).ok();
        let whole = whole.filter(|_| !status.details().is_empty());
        whole.and_then(|whole| json(&whole).ok()).unwrap_or_else(|| {
            let (code, message) = (status.code() as i32, status.message());
            serde_json::json!({"code": code, "message": message}).to_string().into_bytes()
        })
    }
}

/// A message as proto3 JSON.
pub(super) fn json(message: &DynamicMessage) -> Result<Vec<u8>, serde_json::Error> {
    let mut text = Vec::new();
    let mut writer = serde_json::Serializer::new(&mut text);
    message.serialize_with_options(&mut writer, &SerializeOptions::new())?;
    Ok(text)
}

/// Whether a request is a gRPC call, or one of the forms of gRPC that the service behind refuses in its own way.
/// There is none by HTTP/1.1, which web pages reach that have made their name mean this machine.
pub(super) fn is_grpc(request: &Request<Body>) -> bool {
    request.version() >= Version::HTTP_2
        && is_of_kind(request, b"application/grpc")
        && !is_web(request)
}

/// Whether a request says that it is gRPC-Web, in any form of it.
pub(super) fn is_web(request: &Request<Body>) -> bool {
    is_of_kind(request, b"application/grpc-web")
}

fn is_of_kind(request: &Request<Body>, start: &[u8]) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.get(..start.len()).is_some_and(|it| it.eq_ignore_ascii_case(start))
}
