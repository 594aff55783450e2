//! Gives a write an id by which it can be sent again, where its caller gave it none.

use std::collections::HashMap;
use std::sync::LazyLock;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use prost::encoding::{self, DecodeContext, WireType};
use prost_types::FileDescriptorSet;
use uuid::Uuid;

use super::super::proto::DESCRIPTORS;
use super::rules::{RULES, Streams, methods};

/// Flag and length before a message.
const HEADER_BYTES: usize = 5;

/// Operations belong to the node that they were started on.
const OPERATIONS: &str = "/dhakira.v1.OperationService/";

/// The number of the field `request_id` by method, of those that write, take one message and give one.
static FIELDS: LazyLock<HashMap<&'static str, u32>> = LazyLock::new(|| {
    let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap_or_default().file;
    let input = |path: &str| {
        let services = files
            .iter()
            .flat_map(|file| file.service.iter().map(move |service| (file.package(), service)));
        let mut methods = services.flat_map(|(package, service)| {
            let path = move |method: &str| format!("/{package}.{}/{method}", service.name());
            service.method.iter().map(move |method| (path(method.name()), method.input_type()))
        });
        methods
            .find(|(it, _)| it == path)
            .map(|(_, input)| input.rsplit('.').next().unwrap_or(input))
    };
    let field = |message: &str| {
        let mut messages = files.iter().flat_map(|file| &file.message_type);
        let message = messages.find(|it| it.name() == message)?;
        let field = message.field.iter().find(|field| field.name() == "request_id")?;
        u32::try_from(field.number()).ok()
    };
    let streams = methods();
    let is_unary = |path: &str| {
        streams.iter().any(|(it, streams)| it == path && *streams == Streams::default())
    };
    let writes = RULES.iter().filter(|rule| rule.fields.iter().any(|field| field.writes));
    writes
        .filter(|rule| is_unary(rule.method) && !rule.method.starts_with(OPERATIONS))
        .filter_map(|rule| Some((rule.method, field(input(rule.method)?)?)))
        .collect()
});

/// The request of a unary call that writes, with an id if it had none. `None` for other calls and for what is not one whole message.
pub fn with_request_id(method: &str, request: &Bytes) -> Option<Bytes> {
    let field = *FIELDS.get(method)?;
    let (header, message) = request.split_at_checked(HEADER_BYTES)?;
    let length = u32::from_be_bytes(*header.last_chunk()?);
    if header.first() != Some(&0) || message.len() != usize::try_from(length).ok()? {
        return None;
    }
    if has_text(field, message)? {
        return Some(request.clone());
    }
    let id = Uuid::new_v4().to_string();
    // A later value of a field replaces an earlier one.
    let mut longer = BytesMut::with_capacity(request.len() + id.len() + 8);
    longer.extend_from_slice(request);
    encoding::string::encode(field, &id, &mut longer);
    let length = u32::try_from(longer.len() - HEADER_BYTES).ok()?;
    (&mut longer[1..HEADER_BYTES]).put_u32(length);
    Some(longer.freeze())
}

/// Whether calls of a method are given ids.
pub fn takes_request_id(method: &str) -> bool {
    FIELDS.contains_key(method)
}

/// Whether a text field of a message is set; `None` for what is no message.
fn has_text(field: u32, mut message: &[u8]) -> Option<bool> {
    let mut found = false;
    while message.has_remaining() {
        let (number, wire) = encoding::decode_key(&mut message).ok()?;
        if number == field && wire == WireType::LengthDelimited {
            let length = encoding::decode_varint(&mut message).ok()?;
            let length = usize::try_from(length).ok().filter(|it| *it <= message.remaining())?;
            found = length > 0;
            message.advance(length);
        } else {
            encoding::skip_field(wire, number, &mut message, DecodeContext::default()).ok()?;
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::proto::{CreateUnitRequest, DeleteMemoryRequest, LookupSegmentsRequest};

    fn framed(message: &impl prost::Message) -> Bytes {
        let mut bytes = BytesMut::from(&[0][..]);
        bytes.put_u32(u32::try_from(message.encoded_len()).unwrap());
        message.encode(&mut bytes).unwrap();
        bytes.freeze()
    }

    const CREATE: &str = "/dhakira.v1.UnitService/CreateUnit";

    #[test]
    fn a_request_without_an_id_gets_one_and_keeps_the_rest() {
        let request =
            CreateUnitRequest { parent: "memories/m".to_owned(), ..CreateUnitRequest::default() };
        let sent = framed(&request);
        let ids = [0, 1].map(|_| {
            let longer = with_request_id(CREATE, &sent).unwrap();
            let length = u32::from_be_bytes(*longer[1..].first_chunk().unwrap());
            assert_eq!(length as usize, longer.len() - HEADER_BYTES);
            let read = CreateUnitRequest::decode(&longer[HEADER_BYTES..]).unwrap();
            assert_eq!(CreateUnitRequest { request_id: String::new(), ..read.clone() }, request);
            Uuid::parse_str(&read.request_id).unwrap()
        });
        assert_ne!(ids[0], ids[1]);
        let request = CreateUnitRequest { request_id: "r".to_owned(), ..request };
        assert_eq!(with_request_id(CREATE, &framed(&request)).unwrap(), framed(&request));
    }

    #[test]
    fn reads_and_broken_requests_get_none() {
        let lookup = framed(&LookupSegmentsRequest::default());
        assert_eq!(with_request_id("/dhakira.v1.LookupService/LookupSegments", &lookup), None);
        let delete =
            framed(&DeleteMemoryRequest { name: "memories/m".into(), ..Default::default() });
        let method = "/dhakira.v1.MemoryService/DeleteMemory";
        assert!(with_request_id(method, &delete).is_some());
        assert_eq!(with_request_id(method, &delete.slice(..delete.len() - 1)), None);
        let mut compressed = BytesMut::from(&delete[..]);
        compressed[0] = 1;
        assert_eq!(with_request_id(method, &compressed.freeze()), None);
        assert_eq!(with_request_id(method, &Bytes::from_static(&[0, 0, 0, 0, 1, 0x0a])), None);
    }

    #[test]
    fn every_unary_write_that_can_be_repeated_takes_an_id() {
        assert_eq!(FIELDS.len(), 13, "{FIELDS:?}");
        assert!(
            takes_request_id(CREATE) && !takes_request_id("/dhakira.v1.UnitService/ImportUnits")
        );
    }
}
