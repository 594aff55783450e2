//! The contract on the wire: every call, every error with its code and its field. The texts are Arabic words, escaped.

/// The generated code names its codec by this path.
pub(crate) mod codec {
    pub(crate) use dhakira::grpc::codec::Codec;
}

use dhakira::grpc::ERROR_DOMAIN;
use prost_types::FieldMask;
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{Clients, TestServer, proto, unit};

pub(crate) const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
pub(crate) const OTHER_ID: &str = "01890a5d-ac96-774b-bcce-b302099a8058";

pub(crate) async fn start() -> (TestServer, Clients) {
    let server = TestServer::start().await;
    let clients = server.clients().await;
    (server, clients)
}

/// Checks code and details, and gives the field that is named.
pub(crate) fn field(status: &Status, code: Code) -> String {
    assert_eq!(status.code(), code, "{status}");
    let details = status.get_error_details();
    let info = details.error_info().expect("every error carries ErrorInfo");
    assert_eq!(info.domain, ERROR_DOMAIN);
    assert!(!info.reason.is_empty());
    let request = details.bad_request().map(|bad| bad.field_violations[0].field.clone());
    let resource = details.resource_info().map(|resource| resource.resource_name.clone());
    request.or(resource).unwrap_or_else(|| info.reason.clone())
}

pub(crate) fn memory(source: &str, target: &str) -> Option<proto::Memory> {
    Some(proto::Memory {
        source_language_code: source.into(),
        target_language_code: target.into(),
        ..Default::default()
    })
}

#[tokio::test]
async fn memories_live_and_die() {
    let (_server, mut clients) = start().await;
    let create = proto::CreateMemoryRequest {
        memory_id: "news".into(),
        memory: memory("AR", "en-us"),
        request_id: ID.into(),
    };
    let made = clients.memories.create_memory(create.clone()).await.unwrap().into_inner();
    let made = made.memory.unwrap();
    assert_eq!((made.name.as_str(), made.source_language_code.as_str()), ("memories/news", "ar"));
    assert_eq!((made.target_language_code.as_str(), made.revision), ("en-US", 1));
    // The same request again is the same answer, not a second memory and not an error.
    let again = clients.memories.create_memory(create.clone()).await.unwrap().into_inner();
    assert_eq!(again.memory.unwrap(), made);
    let other = proto::CreateMemoryRequest { memory_id: "law".into(), ..create.clone() };
    let error = clients.memories.create_memory(other).await.unwrap_err();
    assert_eq!(field(&error, Code::AlreadyExists), "request_id");
    let taken = proto::CreateMemoryRequest { request_id: String::new(), ..create };
    let error = clients.memories.create_memory(taken).await.unwrap_err();
    assert_eq!(field(&error, Code::AlreadyExists), "memories/news");

    let update = proto::UpdateMemoryRequest {
        memory: Some(proto::Memory { display_name: "News".into(), ..made.clone() }),
        update_mask: Some(FieldMask { paths: vec!["display_name".into()] }),
        request_id: String::new(),
    };
    let updated = clients.memories.update_memory(update.clone()).await.unwrap().into_inner();
    assert_eq!(updated.memory.as_ref().unwrap().display_name, "News");
    assert_eq!(updated.memory.unwrap().revision, 2);
    let error = clients.memories.update_memory(update).await.unwrap_err();
    assert_eq!(field(&error, Code::Aborted), "ETAG_MISMATCH");
    let fixed = proto::UpdateMemoryRequest {
        memory: Some(proto::Memory { etag: String::new(), ..made }),
        update_mask: Some(FieldMask { paths: vec!["source_language_code".into()] }),
        request_id: String::new(),
    };
    let error = clients.memories.update_memory(fixed).await.unwrap_err();
    assert_eq!(field(&error, Code::InvalidArgument), "update_mask");

    clients.create_unit("news", "\u{646}\u{635}", "text").await;
    let delete = |force| proto::DeleteMemoryRequest {
        name: "memories/news".into(),
        force,
        request_id: OTHER_ID.into(),
        ..Default::default()
    };
    let error = clients.memories.delete_memory(delete(false)).await.unwrap_err();
    assert_eq!(field(&error, Code::FailedPrecondition), "MEMORY_NOT_EMPTY");
    let force = proto::DeleteMemoryRequest { request_id: ID.replace('7', "6"), ..delete(true) };
    clients.memories.delete_memory(force.clone()).await.unwrap();
    clients.memories.delete_memory(force).await.unwrap();
    let get = proto::GetMemoryRequest { name: "memories/news".into() };
    let error = clients.memories.get_memory(get).await.unwrap_err();
    assert_eq!(field(&error, Code::NotFound), "memories/news");
    assert!(error.message().contains("news"));
    // The name is free, and nothing of the old memory is left under it.
    clients.create_memory("news").await;
    assert!(clients.lookup("news", "\u{646}\u{635}").await.is_empty());
    assert_eq!(
        clients.create_unit("news", "\u{646}\u{635}", "text").await.name,
        "memories/news/units/1"
    );
}

#[tokio::test]
async fn listings_come_in_pages() {
    let (_server, mut clients) = start().await;
    for index in 0..7 {
        clients.create_memory(&format!("m{index}")).await;
        clients.create_unit("m0", &format!("\u{646}\u{635} {index}"), "text").await;
    }
    let mut names = Vec::new();
    let mut token = String::new();
    loop {
        let request = proto::ListMemoriesRequest { page_size: 3, page_token: token };
        let page = clients.memories.list_memories(request).await.unwrap().into_inner();
        assert!(page.memories.len() <= 3);
        names.extend(page.memories.into_iter().map(|memory| memory.name));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(names, (0..7).map(|index| format!("memories/m{index}")).collect::<Vec<_>>());
    let list = |page_token: &str, parent: &str| proto::ListUnitsRequest {
        parent: parent.into(),
        page_size: 4,
        page_token: page_token.into(),
        ..Default::default()
    };
    let first = clients.units.list_units(list("", "memories/m0")).await.unwrap().into_inner();
    assert_eq!(first.units.len(), 4);
    let token = first.next_page_token;
    let second = clients.units.list_units(list(&token, "memories/m0")).await.unwrap().into_inner();
    assert_eq!(second.units.len(), 3);
    assert_eq!(second.next_page_token, "");
    for (token, parent) in [(token.as_str(), "memories/m1"), ("junk", "memories/m0")] {
        let error = clients.units.list_units(list(token, parent)).await.unwrap_err();
        assert_eq!(field(&error, Code::InvalidArgument), "page_token");
    }
}

#[tokio::test]
async fn units_live_and_die() {
    let (_server, mut clients) = start().await;
    clients.create_memory("m").await;
    let tag = proto::InlineTag {
        offset: 4,
        kind: proto::TagKind::Standalone.into(),
        pair: None,
        match_id: Some(3),
        label: "br".into(),
        code: "<br/>".into(),
    };
    let text = proto::Segment {
        text: "\u{645}\u{631}\u{62d}\u{628}\u{627} \u{628}\u{643}\u{645}".into(),
        tags: vec![tag],
    };
    let full = proto::Unit {
        source: Some(text),
        document: "d".into(),
        author: "a".into(),
        create_time: Some(prost_types::Timestamp { seconds: 1_600_000_000, nanos: 5_000 }),
        attributes: [("k".to_owned(), "v".to_owned()), ("x.y".to_owned(), "w".to_owned())].into(),
        ..unit("", "Welcome")
    };
    let create = proto::CreateUnitRequest {
        parent: "memories/m".into(),
        unit: Some(full.clone()),
        request_id: ID.into(),
        ..Default::default()
    };
    let made = clients.units.create_unit(create.clone()).await.unwrap().into_inner().unit.unwrap();
    assert_eq!((made.source.clone(), made.create_time), (full.source, full.create_time));
    assert_eq!((made.name.as_str(), made.revision), ("memories/m/units/1", 1));
    let again = clients.units.create_unit(create.clone()).await.unwrap().into_inner().unit.unwrap();
    assert_eq!(again, made);
    let get = proto::GetUnitRequest { name: made.name.clone(), ..Default::default() };
    let read = clients.units.get_unit(get.clone()).await.unwrap().into_inner().unit.unwrap();
    assert_eq!(read, made);

    let update = |paths: &[&str], unit: proto::Unit| proto::UpdateUnitRequest {
        unit: Some(proto::Unit { name: made.name.clone(), ..unit }),
        update_mask: Some(FieldMask { paths: paths.iter().map(|&path| path.into()).collect() }),
        request_id: String::new(),
        ..Default::default()
    };
    let change = proto::Unit {
        attributes: [("k".to_owned(), "v2".to_owned())].into(),
        etag: made.etag.clone(),
        ..unit("", "Hello")
    };
    let request = update(&["target", "attributes.k", "attributes.`x.y`"], change.clone());
    let changed = clients.units.update_unit(request.clone()).await.unwrap().into_inner();
    let changed = changed.unit.unwrap();
    assert_eq!(changed.target.unwrap().text, "Hello");
    assert_eq!((changed.source, changed.revision), (made.source.clone(), 2));
    assert_eq!(changed.attributes.into_iter().collect::<Vec<_>>(), [("k".into(), "v2".into())]);
    assert!(changed.update_time.unwrap().seconds > made.update_time.unwrap().seconds - 1);
    let error = clients.units.update_unit(request).await.unwrap_err();
    assert_eq!(field(&error, Code::Aborted), "ETAG_MISMATCH");
    let error = clients.units.update_unit(update(&["revision"], unit("", ""))).await.unwrap_err();
    assert_eq!(field(&error, Code::InvalidArgument), "update_mask");
    let error = clients.units.update_unit(update(&["target"], unit("", " "))).await.unwrap_err();
    assert_eq!(field(&error, Code::InvalidArgument), "unit.target.text");

    // A changed source is found under its new text and not under the old one.
    clients
        .units
        .update_unit(update(&["source"], unit("\u{648}\u{62f}\u{627}\u{639}\u{627}", "")))
        .await
        .unwrap();
    assert!(
        clients
            .lookup("m", "\u{645}\u{631}\u{62d}\u{628}\u{627} \u{628}\u{643}\u{645}")
            .await
            .is_empty()
    );
    assert_eq!(clients.lookup("m", "\u{648}\u{62f}\u{627}\u{639}\u{627}").await.len(), 1);

    let delete = proto::DeleteUnitRequest {
        name: made.name.clone(),
        etag: made.etag.clone(),
        request_id: String::new(),
    };
    let error = clients.units.delete_unit(delete.clone()).await.unwrap_err();
    assert_eq!(field(&error, Code::Aborted), "ETAG_MISMATCH");
    clients
        .units
        .delete_unit(proto::DeleteUnitRequest { etag: String::new(), ..delete })
        .await
        .unwrap();
    let error = clients.units.get_unit(get).await.unwrap_err();
    assert_eq!(field(&error, Code::NotFound), made.name);
    assert!(clients.lookup("m", "\u{648}\u{62f}\u{627}\u{639}\u{627}").await.is_empty());
    // Numbers are never used twice.
    assert_eq!(
        clients.create_unit("m", "\u{622}\u{62e}\u{631}", "last").await.name,
        "memories/m/units/2"
    );
}

#[tokio::test]
async fn bad_units_are_refused_by_field() {
    let (_server, mut clients) = start().await;
    clients.create_memory("m").await;
    let long = "\u{645}".repeat(140_000);
    let tagged = |offset, kind: proto::TagKind| proto::Unit {
        source: Some(proto::Segment {
            text: "\u{646}\u{635}".into(),
            tags: vec![proto::InlineTag { offset, kind: kind.into(), ..Default::default() }],
        }),
        ..unit("", "text")
    };
    let year_0 = prost_types::Timestamp { seconds: -70_000_000_000, nanos: 0 };
    let cases = [
        (unit("", "x"), "source.text"),
        (unit("\u{646}\u{635}", " \n\t"), "target.text"),
        (unit("\u{646}\u{635}", "a\u{1}b"), "target.text"),
        (unit(&long, "x"), "source.text"),
        (proto::Unit { source: None, ..unit("", "x") }, "source.text"),
        (tagged(3, proto::TagKind::Standalone), "source.tags[0].offset"),
        (tagged(0, proto::TagKind::Unspecified), "source.tags[0].kind"),
        (proto::Unit { create_time: Some(year_0), ..unit("\u{646}\u{635}", "x") }, "create_time"),
        (proto::Unit { document: "d\u{0}".into(), ..unit("\u{646}\u{635}", "x") }, "document"),
        (
            proto::Unit {
                attributes: [(String::new(), String::new())].into(),
                ..unit("\u{646}\u{635}", "x")
            },
            "attributes",
        ),
    ];
    for (bad, expected) in cases {
        let create = proto::CreateUnitRequest {
            parent: "memories/m".into(),
            unit: Some(bad.clone()),
            request_id: String::new(),
            ..Default::default()
        };
        let error = clients.units.create_unit(create).await.unwrap_err();
        assert_eq!(field(&error, Code::InvalidArgument), format!("unit.{expected}"));
        // A batch is stored whole or not at all, and names the unit.
        let batch = proto::BatchCreateUnitsRequest {
            parent: "memories/m".into(),
            units: vec![unit("\u{62c}\u{64a}\u{62f}", "good"), bad],
            request_id: String::new(),
            ..Default::default()
        };
        let error = clients.units.batch_create_units(batch).await.unwrap_err();
        assert_eq!(field(&error, Code::InvalidArgument), format!("units[1].{expected}"));
    }
    assert!(clients.lookup("m", "\u{62c}\u{64a}\u{62f}").await.is_empty());
    let batch = |count| proto::BatchCreateUnitsRequest {
        parent: "memories/m".into(),
        units: vec![unit("\u{646}\u{635}", "x"); count],
        request_id: String::new(),
        ..Default::default()
    };
    for count in [0, 201] {
        let error = clients.units.batch_create_units(batch(count)).await.unwrap_err();
        assert_eq!(field(&error, Code::InvalidArgument), "units");
    }
    let made = clients.units.batch_create_units(batch(200)).await.unwrap().into_inner();
    assert_eq!(made.units.len(), 200);
}

#[tokio::test]
async fn bad_names_are_refused_by_field() {
    let (_server, mut clients) = start().await;
    clients.create_memory("m").await;
    for (id, source, target, expected) in [
        ("", "ar", "en", "memory_id"),
        ("a b", "ar", "en", "memory_id"),
        ("memories/a", "ar", "en", "memory_id"),
        ("a", "", "en", "memory.source_language_code"),
        ("a", "ar", "e!", "memory.target_language_code"),
        ("a", "ar", "ar", "memory.target_language_code"),
    ] {
        let request = proto::CreateMemoryRequest {
            memory_id: id.into(),
            memory: memory(source, target),
            request_id: String::new(),
        };
        let error = clients.memories.create_memory(request).await.unwrap_err();
        assert_eq!(field(&error, Code::InvalidArgument), expected);
    }
    for request_id in ["x", "00000000-0000-0000-0000-000000000000"] {
        let request = proto::CreateUnitRequest {
            parent: "memories/m".into(),
            unit: Some(unit("\u{646}\u{635}", "text")),
            request_id: request_id.into(),
            ..Default::default()
        };
        let error = clients.units.create_unit(request).await.unwrap_err();
        assert_eq!(field(&error, Code::InvalidArgument), "request_id");
    }
    for name in ["m", "memories/m", "memories/m/units/", "memories/m/units/x", "memories//units/1"]
    {
        let error = clients
            .units
            .get_unit(proto::GetUnitRequest { name: name.into(), ..Default::default() })
            .await
            .unwrap_err();
        assert_eq!(field(&error, Code::InvalidArgument), "name", "{name}");
    }
    let request = proto::CreateUnitRequest {
        parent: "memories/none".into(),
        unit: Some(unit("\u{646}\u{635}", "text")),
        request_id: String::new(),
        ..Default::default()
    };
    let error = clients.units.create_unit(request).await.unwrap_err();
    assert_eq!(field(&error, Code::NotFound), "memories/none");
}

#[tokio::test]
async fn a_message_that_is_not_utf8_names_its_field() {
    let server = TestServer::start().await;
    // A GetMemoryRequest whose name is one byte 0xff, framed by hand.
    let message: &[u8] = &[0x0a, 1, 0xff];
    let mut body = vec![0];
    body.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    body.extend_from_slice(message);
    let mut channel = server.clients().await.channel;
    let request = http::Request::post("http://x/dhakira.v1.MemoryService/GetMemory")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(tonic::body::Body::new(http_body_util::Full::new(bytes::Bytes::from(body))))
        .unwrap();
    std::future::poll_fn(|context| tower::Service::poll_ready(&mut channel, context))
        .await
        .unwrap();
    let response = tower::Service::call(&mut channel, request).await.unwrap();
    let status = Status::from_header_map(response.headers()).unwrap();
    assert_eq!(field(&status, Code::InvalidArgument), "name");
}

#[tokio::test]
async fn both_reflections_and_the_health_of_every_service_answer() {
    use tonic_reflection::pb::{v1, v1alpha};
    let (_server, clients) = start().await;
    macro_rules! services {
        ($version:ident) => {{
            use $version::server_reflection_request::MessageRequest;
            use $version::server_reflection_response::MessageResponse;
            let mut client = $version::server_reflection_client::ServerReflectionClient::new(
                clients.channel.clone(),
            );
            let request = $version::ServerReflectionRequest {
                host: String::new(),
                message_request: Some(MessageRequest::ListServices(String::new())),
            };
            let answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap();
            let answer = answers.into_inner().next().await.unwrap().unwrap();
            let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
                panic!("no list of services");
            };
            list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
        }};
    }
    let services = services!(v1);
    assert_eq!(services!(v1alpha).len(), services.len());
    let mut health = tonic_health::pb::health_client::HealthClient::new(clients.channel.clone());
    let ours: Vec<_> = services.iter().filter(|name| name.starts_with("dhakira.v1.")).collect();
    assert_eq!(ours.len(), dhakira::grpc::SERVICE_NAMES.len());
    for name in ours.into_iter().map(String::as_str).chain([""]) {
        let request = tonic_health::pb::HealthCheckRequest { service: name.into() };
        let mut feed = health.watch(request).await.unwrap().into_inner();
        let serving = tonic_health::pb::health_check_response::ServingStatus::Serving;
        loop {
            let status = feed.next().await.unwrap().unwrap().status();
            if status == serving {
                break;
            }
        }
    }
}
