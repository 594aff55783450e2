//! Risk: by JSON somebody reaches what gRPC would refuse, or nobody hears of it.

use http::Request;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::json;
use tonic::Code;

use dhakira::grpc::DESCRIPTORS;
use dhakira::grpc::access::RULES;

use crate::access::{MEMORIES, Matrix, requests};
use crate::guarded::Guarded;
use crate::json::Http;

#[tokio::test]
async fn every_method_and_role_and_memory_is_by_json_as_by_grpc() {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let matrix = Matrix::start().await;
    let (mut allowed, mut denied) = (0, 0);
    for rule in RULES {
        let (service, name) = rule.method[1..].split_once('/').unwrap();
        let service = pool.get_service_by_name(service).unwrap();
        let method = service.methods().find(|it| it.name() == name).unwrap();
        if method.is_client_streaming() {
            continue;
        }
        for memory in MEMORIES {
            for (kind, message) in requests(rule.method, memory) {
                let message = DynamicMessage::decode(method.input(), &*message).unwrap();
                let body = serde_json::to_vec(&message).unwrap();
                let mut http = Http::two(matrix.guarded.server.address()).await;
                let nobody = http.request("POST", rule.method, Some(body.clone()));
                let nobody = http.send(nobody).await;
                assert_eq!(nobody.status, 401, "{} without a token", rule.method);
                assert_eq!(nobody.header("www-authenticate"), "Bearer");
                for caller in &matrix.callers {
                    let may = matrix.allows(rule, kind, memory, caller);
                    http.authorization = Some(format!("Bearer {}", caller.token));
                    let request = http.request("POST", rule.method, Some(body.clone()));
                    let status = http.status(request).await;
                    let (role, all) = (caller.role, caller.all);
                    let what = format!("{name} {kind} as {role} (all: {all}) for '{memory}'");
                    assert_ne!(status, 401, "{what}");
                    assert_ne!(status, 500, "{what}");
                    assert_eq!(status != 403, may, "{what}: {status}");
                    if may { allowed += 1 } else { denied += 1 }
                }
            }
        }
    }
    assert!(allowed > 300 && denied > 300, "{allowed} allowed, {denied} denied");
}

#[tokio::test]
async fn files_and_paths_are_guarded_too() {
    let guarded = Guarded::start().await;
    let root = guarded.token("setup", "admin:*");
    let translator = guarded.token("anna", "translator:own");
    let manager = guarded.token("omar", "manager:own");
    guarded.until(&manager, Code::Ok).await;
    guarded.create_memories(&["own", "other"], &root).await;
    let mut http = Http::one(guarded.server.address()).await;
    let import = |http: &Http, memory: &str| -> Request<_> {
        let path = format!("/v1/memories/{memory}:import");
        let mut request = http.request("POST", &path, None);
        *request.body_mut() = "ar\ten\n\u{646}\u{639}\u{645}\tYes\n".into();
        request.headers_mut().insert("content-type", "text/csv".parse().unwrap());
        request
    };
    for (token, memory, expected) in
        [(&translator, "own", 403), (&manager, "other", 403), (&manager, "own", 200)]
    {
        http.authorization = Some(format!("Bearer {token}"));
        let answer = http.send(import(&http, memory)).await;
        assert_eq!(answer.status, expected, "{memory}: {answer:?}");
    }
    for (path, expected) in [
        ("/v1/memories/own", 200),
        ("/v1/memories/other", 403),
        ("/v1/memories/own/units/1", 200),
        ("/v1/memories/other/units/1", 403),
        // What a path names cannot be hidden in a query, nor one name in another.
        ("/v1/memories/own?name=memories/other", 400),
        ("/v1/memories/own%2F..%2Fother", 400),
        ("/v1/memories/own/units:batchGet?names=memories/other/units/1", 403),
    ] {
        let answer = http.get(path).await;
        assert_eq!(answer.status, expected, "{path}: {answer:?}");
    }
    // The token as a password; other passwords.
    use base64::Engine as _;
    for (password, expected) in [(manager.as_str(), 200), ("dhk_1_2", 401), ("", 401)] {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("omar:{password}"));
        http.authorization = Some(format!("Basic {pair}"));
        assert_eq!(http.get("/v1/memories/own").await.status, expected);
    }
    // Writes are in the audit, under the id that the client gave.
    http.authorization = Some(format!("Bearer {translator}"));
    let unit = json!({"source": {"text": "\u{644}\u{627}"}, "target": {"text": "No"}});
    let body = Some(unit.to_string().into_bytes());
    let mut request = http.request("POST", "/v1/memories/own/units", body);
    request.headers_mut().insert("x-request-id", "by-json-1".parse().unwrap());
    let answer = http.send(request).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-request-id")), (200, "by-json-1"));
    let begin = std::time::Instant::now();
    loop {
        let audit = std::fs::read_to_string(&guarded.audit).unwrap_or_default();
        let line = audit.lines().find(|line| line.contains("by-json-1"));
        if let Some(line) = line {
            assert!(line.contains("CreateUnit") && line.contains("anna"), "{line}");
            assert!(line.contains("memories/own"), "{line}");
            break;
        }
        assert!(begin.elapsed().as_secs() < 20, "{audit}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
