//! Whose token it is: what it does not open however it is asked, when it ends, what is shown to it, and what is written down of it.

use std::time::{Duration, Instant};

use dhakira::server::AuditKeeping;
use prost::Message as _;
use tokio_stream::StreamExt as _;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::guarded::{Guarded, call, grants};
use crate::support::{Clients, lookup_request, proto, unit};

#[tokio::test]
async fn names_that_come_late_twice_or_deep_are_seen() {
    let guarded = Guarded::start().await;
    let root = guarded.token("setup", "admin:*");
    let token = guarded.token("t", "manager:own");
    guarded.until(&token, Code::Ok).await;
    let channel = guarded.channel().await;
    let method = "/dhakira.v1.UnitService/CreateUnit";
    let with = |parent: &str| {
        proto::CreateUnitRequest { parent: parent.into(), ..Default::default() }.encode_to_vec()
    };
    let body = proto::CreateUnitRequest { unit: Some(unit("s", "t")), ..Default::default() }
        .encode_to_vec();
    let code =
        |got: Result<_, Status>| got.map_or_else(|it| it.code(), |_: Option<Vec<u8>>| Code::Ok);
    // The last one wins when it is decoded; both are looked at.
    for message in [
        [body.clone(), with("memories/other")].concat(),
        [with("memories/own"), body.clone(), with("memories/other")].concat(),
        [with("memories/other"), body.clone(), with("memories/own")].concat(),
    ] {
        assert_eq!(
            code(call(&channel, method, message, Some(&token)).await),
            Code::PermissionDenied
        );
    }
    let fine = [body.clone(), with("memories/own")].concat();
    assert_eq!(code(call(&channel, method, fine, Some(&token)).await), Code::NotFound);
    // What is no message is told so, to those who may and to those who may not.
    let broken = vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1];
    for token in [&token, &root] {
        let got = call(&channel, method, broken.clone(), Some(token)).await;
        assert_eq!(code(got), Code::InvalidArgument);
    }
    // Every memory means every memory.
    let watch = proto::WatchUnitsRequest {
        parent: "memories/-".into(),
        start: Some(proto::watch_units_request::Start::AfterSequence(0)),
        ..Default::default()
    };
    let watch_units = "/dhakira.v1.UnitService/WatchUnits";
    let got = call(&channel, watch_units, watch.encode_to_vec(), Some(&token)).await;
    assert_eq!(code(got), Code::PermissionDenied);
    // A method that there is not is not let through to find out.
    let got =
        call(&channel, "/dhakira.v1.UnitService/DropEverything", Vec::new(), Some(&token)).await;
    assert_eq!(code(got), Code::PermissionDenied);
    // One of several memories is enough to be turned away.
    let mut lookup = lookup_request(&["own", "other"], "text");
    lookup.segments.clear();
    let got = call(
        &channel,
        "/dhakira.v1.LookupService/LookupSegments",
        lookup.encode_to_vec(),
        Some(&token),
    )
    .await;
    let status = got.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(status.get_details_error_info().unwrap().reason, "PERMISSION_DENIED");
    assert!(status.message().contains("memories/other"), "{status}");
}

#[tokio::test]
async fn listings_show_what_the_caller_may_see_and_probes_need_no_token() {
    let guarded = Guarded::start().await;
    let root = guarded.token("setup", "admin:*");
    let token = guarded.token("t", "reader:client-*");
    guarded.until(&token, Code::Ok).await;
    let channel = guarded.channel().await;
    guarded.create_memories(&["a", "client-1", "client-2", "z"], &root).await;
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let list = proto::ListMemoriesRequest { page_size: 1, page_token };
        let got = call(
            &channel,
            "/dhakira.v1.MemoryService/ListMemories",
            list.encode_to_vec(),
            Some(&token),
        )
        .await;
        let page = proto::ListMemoriesResponse::decode(&*got.unwrap().unwrap()).unwrap();
        names.extend(page.memories.into_iter().map(|memory| memory.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["memories/client-1", "memories/client-2"]);
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel.clone());
    health.check(tonic_health::pb::HealthCheckRequest::default()).await.unwrap();
    let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let got = call(&channel, reflection, Vec::new(), None).await.unwrap_err();
    assert_eq!(got.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn revoked_and_expired_tokens_end_calls_under_way_and_begin_none() {
    let guarded = Guarded::start().await;
    let root = guarded.token("setup", "admin:*");
    let watcher = guarded.token("watcher", "manager:*");
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(4);
    let (short, _) = guarded.file.create("short", grants("manager:*"), Some(soon)).unwrap();
    guarded.until(&short, Code::Ok).await;
    let channel = guarded.channel().await;
    let watch = |token: &str| {
        let mut request = Request::new(proto::WatchUnitsRequest {
            parent: "memories/-".into(),
            start: Some(proto::watch_units_request::Start::AfterSequence(0)),
            ..Default::default()
        });
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        let mut clients = Clients::over(channel.clone());
        async move { clients.units.watch_units(request).await.unwrap().into_inner() }
    };
    let mut of_watcher = watch(&watcher).await;
    let mut of_short = watch(&short).await;
    let reason = |status: Status| {
        assert_eq!(status.code(), Code::Unauthenticated);
        status.get_details_error_info().unwrap().reason
    };
    let ended = of_short.next().await.unwrap().unwrap_err();
    assert_eq!(reason(ended), "TOKEN_EXPIRED");
    let list = "/dhakira.v1.MemoryService/ListMemories";
    assert_eq!(
        reason(call(&channel, list, Vec::new(), Some(&short)).await.unwrap_err()),
        "TOKEN_EXPIRED"
    );
    guarded.file.revoke("watcher").unwrap();
    let ended = of_watcher.next().await.unwrap().unwrap_err();
    assert_eq!(reason(ended), "TOKEN_REVOKED");
    assert_eq!(
        reason(call(&channel, list, Vec::new(), Some(&watcher)).await.unwrap_err()),
        "TOKEN_REVOKED"
    );
    assert_eq!(
        reason(call(&channel, list, Vec::new(), Some("dhk_0_0")).await.unwrap_err()),
        "TOKEN_UNKNOWN"
    );
    assert_eq!(reason(call(&channel, list, Vec::new(), None).await.unwrap_err()), "TOKEN_MISSING");
    call(&channel, list, Vec::new(), Some(&root)).await.unwrap();
}

#[tokio::test]
async fn who_wrote_what_is_written_down() {
    let guarded = Guarded::start().await;
    let root = guarded.token("anna", "admin:*");
    let reader = guarded.token("bert", "reader:m");
    guarded.until(&reader, Code::Ok).await;
    let channel = guarded.channel().await;
    let with = |token: &str, request: &'static str| {
        let token: tonic::metadata::MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
        move |mut it: Request<()>| {
            it.metadata_mut().insert("authorization", token.clone());
            it.metadata_mut().insert("x-request-id", request.parse().unwrap());
            Ok(it)
        }
    };
    let mut memories = proto::memory_service_client::MemoryServiceClient::with_interceptor(
        channel.clone(),
        with(&root, "r-1"),
    );
    let memory = proto::Memory {
        source_language_code: "ar".into(),
        target_language_code: "en".into(),
        ..Default::default()
    };
    let create = proto::CreateMemoryRequest {
        memory_id: "m".into(),
        memory: Some(memory),
        request_id: String::new(),
    };
    let answer = memories.create_memory(create).await.unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "r-1");
    let mut units = proto::unit_service_client::UnitServiceClient::with_interceptor(
        channel.clone(),
        with(&reader, "r-2"),
    );
    let create = proto::CreateUnitRequest {
        parent: "memories/m".into(),
        unit: Some(unit("s", "t")),
        request_id: String::new(),
        ..Default::default()
    };
    units.create_unit(create).await.unwrap_err();
    let mut units = proto::unit_service_client::UnitServiceClient::with_interceptor(
        channel,
        with(&root, "r-3"),
    );
    let get = proto::GetUnitRequest { name: "memories/m/units/1".into(), ..Default::default() };
    units.get_unit(get).await.unwrap_err();
    let lines = || std::fs::read_to_string(&guarded.audit).unwrap_or_default();
    let begin = Instant::now();
    while lines().lines().count() < 2 && begin.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let lines: Vec<serde_json::Value> =
        lines().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |index: usize, key: &str| lines[index][key].as_str().unwrap().to_owned();
    assert_eq!(lines.len(), 2, "reads are not in it: {lines:?}");
    assert_eq!(
        (of(0, "who"), of(0, "request_id"), of(0, "outcome")),
        ("anna".into(), "r-1".into(), "OK".into())
    );
    assert_eq!(of(0, "method"), "dhakira.v1.MemoryService/CreateMemory");
    assert_eq!(lines[0]["memories"][0], "m");
    assert_eq!((of(1, "who"), of(1, "request_id")), ("bert".into(), "r-2".into()));
    assert_eq!(of(1, "outcome"), "PERMISSION_DENIED");
}

#[tokio::test]
async fn audit_files_take_turns_and_the_oldest_goes() {
    let keeping = AuditKeeping { bytes_max: 1_000, files_max: 2 };
    let guarded = Guarded::keeping(keeping).await;
    let root = guarded.token("anna", "admin:*");
    guarded.until(&root, Code::Ok).await;
    let names: Vec<String> = (0..40).map(|number| format!("m-{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    guarded.create_memories(&names, &root).await;
    let numbered =
        |number: u32| std::path::PathBuf::from(format!("{}.{number}", guarded.audit.display()));
    let read = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    let begin = Instant::now();
    while !read(guarded.audit.clone()).contains("m-39") && begin.elapsed() < Duration::from_secs(10)
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!numbered(3).exists());
    let files = [numbered(2), numbered(1), guarded.audit.clone()].map(read);
    for file in &files {
        assert!((1..=1_000).contains(&file.len()), "{} bytes", file.len());
    }
    // The last ones, in order, each whole.
    let lines: Vec<serde_json::Value> = files
        .iter()
        .flat_map(|it| it.lines())
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    let kept: Vec<&str> = lines.iter().map(|it| it["memories"][0].as_str().unwrap()).collect();
    assert_eq!(kept, names[40 - kept.len()..]);
}
