//! Risk: a call by JSON does something else than the same call by gRPC, or says it in another way.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value, json};
use tonic::Code;

use dhakira::grpc::DESCRIPTORS;

use crate::guarded::call;
use crate::json::Http;
use crate::method_examples::{PARTS, example, example_server, message, methods};
use crate::support::TestServer;

/// What two servers say differently about the same: times, and what is made of them or at random.
fn comparable(value: &Value) -> Value {
    const OF_THE_MOMENT: [&str; 12] = [
        "createTime",
        "updateTime",
        "time",
        "startTime",
        "confirmationToken",
        "resumeToken",
        "etag",
        "storeId",
        "uptime",
        "createdTime",
        "changedTime",
        "lastUseTime",
    ];
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, _)| !OF_THE_MOMENT.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), comparable(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(values) => values.iter().map(comparable).collect(),
        // Reading decimal digits loses the last bit.
        Value::Number(number) if number.is_f64() => {
            format!("{:.9}", number.as_f64().unwrap()).into()
        }
        other => other.clone(),
    }
}

#[tokio::test]
async fn every_unary_call_answers_as_by_grpc() {
    let mut compared = BTreeSet::new();
    for method in methods() {
        if PARTS.contains(&method.name())
            || method.is_client_streaming()
            || method.is_server_streaming()
            // They run on after the answer, under a name of their own.
            || method.name().starts_with("Start")
        {
            continue;
        }
        let sent = example(&method, "Request");
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        // Each on a server of its own, since most of them write.
        let (server, clients) = example_server(&method).await;
        let bytes = message(&method.input(), &sent).encode_to_vec();
        let by_grpc = call(&clients.channel, &path, bytes, None).await;
        drop(server);
        for version in [1, 2] {
            let (server, _clients) = example_server(&method).await;
            let mut http = match version {
                1 => Http::one(server.address()).await,
                _ => Http::two(server.address()).await,
            };
            let by_json = http.post(&path, sent.clone()).await;
            assert_eq!(by_json.header("content-type"), "application/json");
            match &by_grpc {
                Ok(bytes) => {
                    let bytes = bytes.clone().unwrap();
                    let answer = DynamicMessage::decode(method.output(), &*bytes).unwrap();
                    let expected = serde_json::to_value(&answer).unwrap();
                    assert_eq!(by_json.status, 200, "{path}: {by_json:?}");
                    assert_eq!(comparable(&by_json.json()), comparable(&expected), "{path}");
                }
                Err(status) => {
                    let told = by_json.json();
                    assert_eq!(told["code"], status.code() as i32, "{path}: {told}");
                    assert!(!by_json.status.is_success() && !by_json.status.is_server_error());
                    assert!(!by_json.reason().is_empty());
                }
            }
        }
        compared.insert(method.name().to_owned());
    }
    assert!(compared.len() >= 20, "{compared:?}");
}

#[tokio::test]
async fn every_annotated_path_leads_to_its_method() {
    // By the annotation itself, read apart from the code under test: what each path answers without anything there.
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let http = pool.get_extension_by_name("google.api.http").unwrap();
    let server = TestServer::start().await;
    let mut client = Http::one(server.address()).await;
    let mut seen = 0;
    for method in methods() {
        let options = method.options();
        let rule = options.get_extension(&http);
        let rule = rule.as_message().unwrap();
        let text = |name: &str| {
            let value = rule.get_field_by_name(name).unwrap();
            value.as_str().unwrap().to_owned()
        };
        let (verb, template) = ["get", "post", "patch", "delete"]
            .into_iter()
            .map(|verb| (verb.to_uppercase(), text(verb)))
            .find(|(_, path)| !path.is_empty())
            .unwrap_or_else(|| panic!("{} has no path", method.full_name()));
        // `{name=memories/*}` is `memories/x`.
        let mut path = String::new();
        for part in template.split(['{', '}']) {
            path += &part.split_once('=').map_or(part, |(_, pattern)| pattern).replace('*', "x");
        }
        let body = (!text("body").is_empty()).then(|| b"{}".to_vec());
        let answer = client.send(client.request(&verb, &path, body)).await;
        let reaches = answer.status != 404 || answer.reason() != "UNKNOWN_PATH";
        assert!(reaches && answer.status != 405, "{verb} {path}: {answer:?}");
        if method.name() == "ImportFile" {
            assert_eq!(answer.reason(), "NOT_FOUND", "{answer:?}");
        } else if method.is_client_streaming() {
            assert_eq!(answer.status, 501, "{verb} {path}: {answer:?}");
        }
        let other = if verb == "PATCH" { "PUT" } else { "PATCH" };
        let refused = client.send(client.request(other, &path, Some(b"{}".to_vec()))).await;
        if refused.status == 405 {
            assert!(refused.header("allow").split(", ").any(|it| it == verb), "{refused:?}");
        }
        seen += 1;
    }
    assert!(seen > 35, "{seen}");
}

#[tokio::test]
async fn paths_and_queries_give_the_fields_of_a_message() {
    let server = TestServer::start().await;
    let mut http = Http::one(server.address()).await;
    http.create_memory("news").await;
    http.create_memory("ui").await;
    for number in 0..5 {
        http.create_unit("news", &format!("\u{646}\u{639}\u{645} {number}"), "Yes").await;
    }
    let memories = http.get("/v1/memories?pageSize=1").await.json();
    assert_eq!(memories["memories"].as_array().unwrap().len(), 1);
    let token = memories["nextPageToken"].as_str().unwrap().replace('=', "%3D").replace('+', "%2B");
    let next = http.get(&format!("/v1/memories?page_size=1&pageToken={token}")).await.json();
    assert_eq!(next["memories"][0]["name"], "memories/ui", "{next}");
    // Nested fields, repeated ones, masks, enums, escapes.
    let found = http
        .get("/v1/memories/news/units?filter.source.contains=%D9%86%D8%B9%D9%85+3&readMask=name,source")
        .await
        .json();
    let units = found["units"].as_array().unwrap();
    assert_eq!((units.len(), &units[0]["name"]), (1, &json!("memories/news/units/4")), "{found}");
    assert_eq!(units[0].get("target"), None, "{found}");
    let both = "names=memories/news/units/1&names=memories/news/units/2";
    let found = http.get(&format!("/v1/memories/news/units:batchGet?{both}")).await.json();
    assert_eq!(found["units"].as_array().unwrap().len(), 2, "{found}");
    let unit = http.get("/v1/memories/news/units/1?offsetUnit=OFFSET_UNIT_UTF16_CODE_UNIT").await;
    assert_eq!(unit.status, 200, "{unit:?}");
    // The body is one field, the path names part of it, the query the rest.
    let changed = json!({"description": "of the day"});
    let request = http.request(
        "PATCH",
        "/v1/memories/news?updateMask=description",
        Some(changed.to_string().into_bytes()),
    );
    let answer = http.send(request).await.json();
    assert_eq!(answer["memory"]["description"], "of the day", "{answer}");
    for (path, said) in [
        ("/v1/memories?pageSize=many", "page"),
        ("/v1/memories?other=1", "other"),
        ("/v1/memories?pageSize=1&pageSize=2", "twice"),
        ("/v1/memories?pageSize=%", "hexadecimal"),
        ("/v1/memories?pageSize=%FF", "UTF-8"),
        ("/v1/memories/news?name=memories/ui", "path"),
        ("/v1/memories/news/units/1?offsetUnit=MILES", "OFFSET_UNIT_UTF16"),
        ("/v1/memories/news/units?filter=x", "message"),
        ("/v1/memories/news/units?filter.source.contains.x=1", "no single message"),
        ("/v1/memories/news/units?readMask=%00", "read_mask"),
    ] {
        let answer = http.get(path).await;
        assert_eq!(answer.status, 400, "{path}: {answer:?}");
        let told = answer.json().to_string();
        assert!(told.contains(said), "{path}: {told}");
    }
    // The body may name what the path names, but nothing else.
    for (name, code) in [("memories/news", 200), ("memories/ui", 400)] {
        let body = json!({"name": name, "description": "x"}).to_string().into_bytes();
        let path = "/v1/memories/news?updateMask=description";
        let answer = http.send(http.request("PATCH", path, Some(body))).await;
        assert_eq!(answer.status, code, "{answer:?}");
    }
}

#[tokio::test]
async fn streams_are_lines_and_events() {
    let server = TestServer::start().await;
    let mut http = Http::one(server.address()).await;
    http.create_memory("news").await;
    for number in 0..450 {
        http.create_unit("news", &format!("\u{646}\u{639}\u{645} {number}"), "Yes").await;
    }
    let pages = http.get("/v1/memories/news:export").await;
    assert_eq!(pages.header("content-type"), "application/x-ndjson");
    let pages = pages.lines();
    let units: usize = pages.iter().map(|page| page["units"].as_array().unwrap().len()).sum();
    assert!(units == 450 && pages.len() > 2);
    let mut request = http.request("GET", "/v1/memories/news:export", None);
    request.headers_mut().insert("accept", "text/event-stream".parse().unwrap());
    let events = http.send(request).await;
    assert_eq!(events.header("content-type"), "text/event-stream");
    let text = String::from_utf8(events.body.to_vec()).unwrap();
    let told = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let told: Vec<Value> = told.map(|it| serde_json::from_str(it).unwrap()).collect();
    assert_eq!(told, pages);
    // An error that comes first has a code of HTTP.
    let none = http.get("/v1/memories/none:export").await;
    assert_eq!((none.status.as_u16(), none.reason().as_str()), (404, "NOT_FOUND"));
    let verified = http.post("/v1/store:verify", json!({})).await;
    assert!(verified.lines().last().unwrap()["summary"].is_object(), "{verified:?}");
}

#[tokio::test]
async fn errors_have_the_code_of_http_and_their_details() {
    let server = TestServer::start().await;
    let mut http = Http::one(server.address()).await;
    http.create_memory("news").await;
    http.create_unit("news", "\u{646}\u{639}\u{645}", "Yes").await;
    let missing = http.get("/v1/memories/news/units/77").await;
    assert_eq!((missing.status.as_u16(), missing.reason().as_str()), (404, "NOT_FOUND"));
    let details = missing.json()["details"].clone();
    assert!(details.to_string().contains("google.rpc.ResourceInfo"), "{details}");
    assert_eq!(missing.json()["code"], Code::NotFound as i32);
    let again = http.post("/v1/memories?memoryId=news", json!({})).await;
    assert_eq!(again.status, 400, "{again:?}");
    let languages = json!({"sourceLanguageCode": "ar", "targetLanguageCode": "en"});
    let again = http.post("/v1/memories?memoryId=news", languages).await;
    assert_eq!((again.status.as_u16(), again.reason().as_str()), (409, "MEMORY_EXISTS"));
    let full = http.send(http.request("DELETE", "/v1/memories/news", None)).await;
    assert_eq!((full.status.as_u16(), full.reason().as_str()), (400, "MEMORY_NOT_EMPTY"));
    let etag = http.send(http.request("DELETE", "/v1/memories/news/units/1?etag=no", None)).await;
    assert_eq!((etag.status.as_u16(), etag.reason().as_str()), (409, "ETAG_MISMATCH"));
    // Malformed JSON, with its place; fields that there are not; another type.
    for (body, said) in [
        ("{\"segments\": [}", "line 1 column"),
        ("{\"segments\": []} x", "trailing"),
        ("{\"segmants\": []}", "segmants"),
        ("{\"segments\": 5}", "line 1"),
        ("[]", "line 1"),
        ("\"\\ud800\"", "line 1"),
        ("{\"segments\":[{\"segment\":{\"text\":\"\\ud800\"}}]}", "line 1"),
        ("nul", "line 1"),
    ] {
        let request = http.request("POST", "/v1/segments:lookup", Some(body.into()));
        let answer = http.send(request).await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        assert!(answer.json()["message"].as_str().unwrap().contains(said), "{body}: {answer:?}");
    }
    let deep = "[".repeat(100_000);
    let answer = http.send(http.request("POST", "/v1/segments:lookup", Some(deep.into()))).await;
    assert_eq!(answer.status, 400);
    let invalid = vec![b'"', 0xff, b'"'];
    let answer = http.send(http.request("POST", "/v1/segments:lookup", Some(invalid))).await;
    assert_eq!(answer.status, 400);
    let unknown = http.get("/v1/nothing").await;
    assert_eq!((unknown.status.as_u16(), unknown.reason().as_str()), (404, "UNKNOWN_PATH"));
    let wrong = http.send(http.request("PUT", "/v1/memories/news", Some(b"{}".to_vec()))).await;
    assert_eq!((wrong.status.as_u16(), wrong.header("allow")), (405, "GET, PATCH, DELETE"));
}

#[tokio::test]
async fn a_file_is_imported_as_it_is() {
    let server = TestServer::start().await;
    let mut http = Http::one(server.address()).await;
    http.create_memory("news").await;
    let rows: String =
        (0..2_000).map(|it| format!("\u{646}\u{639}\u{645} {it}\tYes {it}\n")).collect();
    let file = format!("ar\ten\n{rows}");
    let mut request = http.request(
        "POST",
        "/v1/memories/news:import?duplicatePolicy=DUPLICATE_POLICY_KEEP_ALL",
        None,
    );
    *request.body_mut() = file.clone().into();
    request.headers_mut().insert("content-type", "text/tab-separated-values".parse().unwrap());
    let answer = http.send(request).await;
    assert_eq!(answer.header("content-type"), "application/x-ndjson", "{answer:?}");
    let last = answer.lines().pop().unwrap();
    assert_eq!(
        (&last["complete"], &last["counts"]["stored"]),
        (&json!(true), &json!("2000")),
        "{last}"
    );
    let memory = http.get("/v1/memories/news").await.json();
    assert_eq!(memory["memory"]["unitCount"], "2000");
    // A type that a web page can send, a memory that there is not, a field that there is not.
    for (path, kind, code) in [
        ("/v1/memories/news:import", "text/plain", 415),
        ("/v1/memories/news:import", "multipart/form-data; boundary=x", 415),
        ("/v1/memories/news:import", "application/x-www-form-urlencoded", 415),
        ("/v1/memories/none:import", "text/csv", 404),
        ("/v1/memories/news:import?colour=red", "text/csv", 400),
        ("/v1/memories/news:import?parent=memories/other", "text/csv", 400),
    ] {
        let mut request = http.request("POST", path, None);
        *request.body_mut() = "ar\ten\na\tb\n".into();
        request.headers_mut().insert("content-type", kind.parse().unwrap());
        let answer = http.send(request).await;
        assert_eq!(answer.status, code, "{path} {kind}: {answer:?}");
    }
}
