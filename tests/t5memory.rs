//! Risk: translate5 loses segments or matches on the way to and from a memory, or reaches one that it may not.

use std::collections::BTreeSet;

use dhakira::client::Client;
use dhakira::engine::{ConcordanceSettings, ExportQuery, UnitFilter};
use dhakira::facades::FacadeTable;
use dhakira::matching::{ConcordanceMode, Side, WordForm};
use dhakira::server::{AuditKeeping, Facades};
use dhakira::unit::{MemoryName, Unit, UnitContent};
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;
use tonic::Code;
use uuid::Uuid;

use crate::facades::{play, server};
use crate::guarded::Guarded;
use crate::json::{Answer, Http, raw};
use crate::support::TestServer;

mod uploads;

use uploads::{form, send, status, tmx};

async fn writing() -> TestServer {
    server(|table| table.t5memory.writes = true).await
}

fn name(name: &str) -> MemoryName {
    name.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn translate5_is_answered() {
    play(&server(|_| {}).await, "t5memory.txt").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn translate5_writes_where_it_may() {
    play(&writing().await, "t5memory-writes.txt").await;
}

/// A memory of translate5 with units whose source has one word in common.
async fn many(client: &mut Client, memory: &MemoryName, count: usize) {
    let units = (0..count).map(|number| UnitContent {
        source: dhakira::unit::Segment::plain(format!("الكلمة رقم {number}")),
        target: dhakira::unit::Segment::plain(format!("The word number {number}")),
        author: format!("Author-{}", number % 3),
        ..UnitContent::default()
    });
    let units: Vec<UnitContent> = units.collect();
    for batch in units.chunks(100) {
        client.create_units(memory, batch.to_vec(), Uuid::new_v4()).await.unwrap();
    }
}

/// The numbers of all entries that a search finds, page by page.
async fn search_all(http: &mut Http, mut query: Value, most_pages: usize) -> Vec<u64> {
    let mut found = Vec::new();
    for _ in 0..most_pages {
        let answer = http.post("/t5memory/news/search", query.clone()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let answer = answer.json();
        for entry in answer["results"].as_array().unwrap() {
            found.push(entry["segmentId"].as_u64().unwrap());
        }
        let Some(place) = answer["NewSearchPosition"].as_str() else { return found };
        let is_digits = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
        assert!(place.split(':').count() == 2 && place.split(':').all(is_digits), "{place}");
        query["searchPosition"] = place.into();
    }
    panic!("more than {most_pages} pages");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_search_are_the_concordance() {
    let server = writing().await;
    let mut client = Client::connect(&server.url).await.unwrap();
    many(&mut client, &name("news"), 500).await;
    let settings = ConcordanceSettings {
        memories: vec![name("news")],
        text: "الكلمة".to_owned(),
        side: Side::Source,
        mode: ConcordanceMode::Words,
        word_form: WordForm::Folded,
        filter: UnitFilter::default(),
    };
    let (expected, rest) = client.concordance(&settings, 1_000, String::new()).await.unwrap();
    assert!(rest.is_empty());
    let of_two: Vec<u64> = expected
        .iter()
        .filter(|it| it.unit.content.author == "Author-2")
        .map(|it| it.unit.id.0)
        .collect();
    let expected: Vec<u64> = expected.into_iter().map(|it| it.unit.id.0).collect();
    assert_eq!((expected.len(), of_two.len()), (500, 166));
    let mut http = Http::one(server.address()).await;
    for size in [1, 7, 200] {
        let query = json!({"source": "الكلمة", "numResults": size});
        assert_eq!(search_all(&mut http, query, 501).await, expected, "by {size}");
        // What the index does not know is looked at entry by entry.
        let query = json!({"source": "الكلمة", "author": "thor-2", "numResults": size});
        assert_eq!(search_all(&mut http, query, 167).await, of_two, "by {size}");
    }
    let count = |query: Value| {
        json!({"onlyCountSegments": "1"}).as_object().cloned().map(|mut it| {
            it.extend(query.as_object().cloned().unwrap());
            Value::Object(it)
        })
    };
    for (query, expected) in [
        (json!({"source": "الكلمة"}), 500),
        (json!({"source": "الكلمة", "author": "thor-2"}), 166),
        (json!({"author": "thor-2"}), 166),
        (json!({}), 503),
    ] {
        let answer = http.post("/t5memory/news/search", count(query.clone()).unwrap()).await;
        assert_eq!(answer.json()["NumOfFoundSegments"], expected, "{query}");
    }
    // All entries, in the order of their numbers.
    let all = search_all(&mut http, json!({"source": "", "numResults": 100}), 7).await;
    assert_eq!(all, (1..=503).collect::<Vec<u64>>());
    // A place of one search is none of another.
    let first =
        http.post("/t5memory/news/search", json!({"source": "الكلمة", "numResults": 3})).await;
    let place = first.json()["NewSearchPosition"].clone();
    let other = json!({"source": "رقم", "numResults": 3, "searchPosition": place});
    assert_eq!(http.post("/t5memory/news/search", other).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_memory_is_imported_and_matches_with_context_and_document() {
    let server = writing().await;
    let mut http = Http::one(server.address()).await;
    let created = http.post("/t5memory", json!({"name": "big", "sourceLang": "ar"})).await;
    assert_eq!(created.status, 200, "{created:?}");
    assert!(http.get("/t5memory/big/status").await.json()["tmxImportStatus"].is_null());
    let options =
        json!({"framingTags": "saveAll", "saveDifferentTargetsForSameSource": "1"}).to_string();
    let upload = form(&[("json_data", &options), ("file", &tmx(1_000))]);
    let answer = send(&mut http, "/t5memory/big/importtmx", upload.clone()).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (200, json!({"ReturnValue": 0, "ErrorMsg": ""}))
    );
    let state = status(&mut http, "big").await;
    assert_eq!(
        (&state["status"], &state["tmxImportStatus"]),
        (&json!("open"), &json!("available")),
        "{state}"
    );
    assert_eq!(
        (&state["segmentsImported"], &state["invalidSegments"]),
        (&json!(1000), &json!(0)),
        "{state}"
    );
    assert_eq!(state["segmentCount"], 1000, "{state}");
    // The same file again stores nothing twice.
    assert_eq!(send(&mut http, "/t5memory/big/importtmx", upload).await.status, 200);
    assert_eq!(status(&mut http, "big").await["segmentCount"], 1000);
    for (document, context, rate) in
        [("doc-1.docx", "c8", 102), ("doc-1.docx", "c9", 101), ("doc-2.docx", "c8", 100)]
    {
        let query = json!({"sourceLang": "ar", "targetLang": "en", "documentName": document, "context": context,
            "source": "الجملة <x id=\"1\"/>رقم<x id=\"2\"/> 8", "numOfProposals": 1});
        let answer = http.post("/t5memory/big/fuzzysearch", query).await.json();
        let tagged = json!({"sourceLang": "ar", "targetLang": "en", "documentName": document, "context": context,
            "source": "الجملة <bx id=\"1\" rid=\"1\"/>رقم<ex id=\"2\" rid=\"1\"/> 8", "numOfProposals": 1});
        let best = http.post("/t5memory/big/fuzzysearch", tagged).await.json();
        assert!(answer["results"][0]["matchRate"].as_u64() < Some(100), "other tags: {answer}");
        let best = &best["results"][0];
        assert_eq!(best["matchRate"], rate, "{best}");
        assert_eq!(
            best["target"],
            "Sentence <bx id=\"1\" rid=\"1\"/>number<ex id=\"2\" rid=\"1\"/> 8"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_as_forms_bodies_and_base64() {
    use base64::Engine as _;
    let server = writing().await;
    let mut http = Http::two(server.address()).await;
    let description =
        json!({"name": "with file", "sourceLang": "ar", "framingTags": "saveAll"}).to_string();
    let upload = form(&[("json_data", &description), ("file", &tmx(20))]);
    let created = send(&mut http, "/t5memory/", upload).await;
    assert_eq!(created.json(), json!({"ReturnValue": 0, "ErrorMsg": "", "name": "with_file"}));
    assert_eq!(status(&mut http, "with_file").await["segmentsImported"], 20);
    let body = ("application/xml".to_owned(), tmx(30).into_bytes());
    assert_eq!(send(&mut http, "/t5memory/with_file/importtmx", body).await.status, 200);
    assert_eq!(status(&mut http, "with_file").await["segmentCount"], 30);
    let data = base64::engine::general_purpose::STANDARD.encode(tmx(40));
    let answer = http.post("/t5memory/with_file/import", json!({"tmxData": data})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(status(&mut http, "with_file").await["segmentCount"], 40);
    // Files and forms that are none.
    let cases: [(&str, (String, Vec<u8>)); 6] = [
        ("no file", form(&[("json_data", "{}")])),
        ("no JSON", form(&[("json_data", "{"), ("file", "x")])),
        ("no boundary", ("multipart/form-data".to_owned(), b"x".to_vec())),
        ("no form", ("multipart/form-data; boundary=x".to_owned(), b"nothing".to_vec())),
        ("cut off", {
            let (kind, mut body) = form(&[("json_data", "{}"), ("file", &tmx(50))]);
            body.truncate(body.len() - 40);
            (kind, body)
        }),
        ("no base64", ("application/json".to_owned(), br#"{"tmxData": "?"}"#.to_vec())),
    ];
    for (what, upload) in cases {
        let answer = send(&mut http, "/t5memory/with_file/importtmx", upload).await;
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        assert_eq!(answer.json()["ReturnValue"], 400, "{what}");
    }
    let state = status(&mut http, "with_file").await;
    assert_eq!(state["tmxImportStatus"], "failed", "what was cut off: {state}");
    assert_eq!(state["importErrorMsg"], "the upload broke off", "{state}");
    let other = form(&[("json_data", "{}"), ("file", "not a translation file")]);
    let answer = send(&mut http, "/t5memory/with_file/importtmx", other).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(status(&mut http, "with_file").await["tmxImportStatus"], "failed");
    let none = form(&[("json_data", "{}"), ("file", &tmx(1))]);
    assert_eq!(send(&mut http, "/t5memory/none/importtmx", none).await.status, 404);
}

async fn all_units(client: &mut Client, memory: &str) -> Vec<Unit> {
    let mut pages = client.export(&name(memory), ExportQuery::default()).await.unwrap();
    let mut units = Vec::new();
    while let Some(page) = pages.next().await {
        units.extend(page.unwrap());
    }
    units
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_holds_what_the_memory_holds() {
    let server = writing().await;
    let mut client = Client::connect(&server.url).await.unwrap();
    let mut http = Http::one(server.address()).await;
    many(&mut client, &name("news"), 450).await;
    let upload = form(&[("json_data", "{}"), ("file", &tmx(150))]);
    assert_eq!(send(&mut http, "/t5memory/news/importtmx", upload).await.status, 200);
    status(&mut http, "news").await;
    let answer = http.post("/t5memory/news/clone", json!({"newName": "copy"})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let content =
        |units: Vec<Unit>| -> Vec<UnitContent> { units.into_iter().map(|it| it.content).collect() };
    let original = content(all_units(&mut client, "news").await);
    assert_eq!(original.len(), 603);
    assert_eq!(content(all_units(&mut client, "copy").await), original);
    // A memory without units has a copy without units.
    http.post("/t5memory", json!({"name": "empty", "sourceLang": "ar"})).await;
    let answer = http.post("/t5memory/empty/clone", json!({"newName": "empty2"})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(http.get("/t5memory/empty2/status").await.json()["segmentCount"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_in_parts_holds_what_the_whole_one_holds() {
    let server = writing().await;
    let mut client = Client::connect(&server.url).await.unwrap();
    let mut http = Http::one(server.address()).await;
    many(&mut client, &name("news"), 500).await;
    let units = |answer: &Answer| -> Vec<String> {
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(text.starts_with("<?xml") && text.trim_end().ends_with("</tmx>"), "{text}");
        text.split("<tu ").skip(1).map(|it| it.split("</tu>").next().unwrap().to_owned()).collect()
    };
    let whole = http.get("/t5memory/news/download.tmx").await;
    assert_eq!((whole.status.as_u16(), whole.header("nextinternalkey")), (200, ""));
    let whole = units(&whole);
    assert_eq!(whole.len(), 503);
    assert_eq!(whole.iter().collect::<BTreeSet<_>>().len(), 503);
    for limit in [1_000, 503, 200, 90] {
        let (mut all, mut from) = (Vec::new(), None::<String>);
        for part in 0.. {
            assert!(part < 10, "by {limit}");
            let mut body = json!({"limit": limit});
            if let Some(from) = &from {
                body["startFromInternalKey"] = from.as_str().into();
            }
            let body = Some(body.to_string().into_bytes());
            let answer = http.send(http.request("GET", "/t5memory/news/download.tmx", body)).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            all.extend(units(&answer));
            let next = answer.header("nextinternalkey");
            if next.is_empty() {
                break;
            }
            from = Some(next.to_owned());
        }
        assert!(all == whole, "by {limit}: {} units", all.len());
    }
    let wrong = Some(br#"{"limit": 5, "startFromInternalKey": "1255:1"}"#.to_vec());
    let answer = http.send(http.request("GET", "/t5memory/news/download.tmx", wrong)).await;
    assert_eq!(answer.status, 400, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_may_do_here_what_they_may_do_by_grpc() {
    use base64::Engine as _;
    let mut tools = FacadeTable::default();
    tools.t5memory.writes = true;
    let facades = Facades { tools, ..Facades::default() };
    let guarded =
        Guarded::configured(AuditKeeping::default(), |options| options.facades = facades).await;
    let root = guarded.token("setup", "admin:*");
    let reader = guarded.token("huda", "reader:own");
    let translator = guarded.token("anna", "translator:own");
    let manager = guarded.token("omar", "manager:own");
    guarded.until(&manager, Code::Ok).await;
    guarded.create_memories(&["own", "other"], &root).await;
    let mut http = Http::one(guarded.server.address()).await;
    let entry = json!({"source": "نعم", "target": "Yes", "sourceLang": "ar", "targetLang": "en"});
    let fuzzy = json!({"source": "نعم", "sourceLang": "ar", "targetLang": "en"});
    let nobody = http.get("/t5memory/").await;
    assert_eq!(nobody.status, 401);
    assert_eq!(nobody.header("www-authenticate"), "Basic realm=\"dhakira\", charset=\"UTF-8\"");
    assert_eq!(nobody.json()["ReturnValue"], 401);
    assert_eq!(http.get("/t5memory_service/resources").await.status, 401);
    let cases = [
        ("POST", "own/entry", entry.clone(), [403, 200, 200]),
        ("POST", "own/fuzzysearch", fuzzy.clone(), [200, 200, 200]),
        ("POST", "other/fuzzysearch", fuzzy, [403, 403, 403]),
        ("POST", "other/entry", entry, [403, 403, 403]),
        ("POST", "own/search", json!({"source": "نعم"}), [200, 200, 200]),
        // To list everything is more than to look something up.
        ("POST", "own/search", json!({}), [403, 200, 200]),
        ("POST", "own/getentry", json!({"recordKey": 1}), [200, 200, 200]),
        ("GET", "own/status", json!({}), [200, 200, 200]),
        ("GET", "other/status", json!({}), [403, 403, 403]),
        ("GET", "own/download.tmx", json!({}), [403, 403, 200]),
        ("POST", "own/import", json!({"tmxData": ""}), [400, 400, 400]),
        ("POST", "own/import", json!({"tmxData": "PHRteC8+"}), [403, 403, 200]),
        ("POST", "own/clone", json!({"newName": "more"}), [403, 403, 403]),
        ("POST", "own/entrydelete", json!({"recordKey": 1}), [403, 200, 404]),
        ("DELETE", "own", json!({}), [403, 403, 403]),
        ("POST", "", json!({"name": "more", "sourceLang": "ar"}), [403, 403, 403]),
    ];
    for (method, path, body, expected) in cases {
        for (token, expected) in [&reader, &translator, &manager].into_iter().zip(expected) {
            let pair =
                base64::engine::general_purpose::STANDARD.encode(format!("translate5:{token}"));
            http.authorization = Some(format!("Basic {pair}"));
            let body = Some(body.to_string().into_bytes());
            let answer = http.send(http.request(method, &format!("/t5memory/{path}"), body)).await;
            assert_eq!(answer.status, expected, "{method} {path}: {answer:?}");
        }
    }
    let list = http.get("/t5memory/").await.json();
    assert_eq!(list, json!({"Open": [{"name": "own"}], "Available on disk": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_bodies_are_refused_in_its_form() {
    let server = writing().await;
    let mut http = Http::one(server.address()).await;
    let deep =
        format!("{{\"source\": \"x\", \"other\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let long = format!(
        "{{\"source\": \"{}\", \"sourceLang\": \"ar\", \"targetLang\": \"en\"}}",
        "x".repeat(300 * 1024)
    );
    let tags = "<ph/>".repeat(20_000);
    let many_tags = json!({"source": format!("نعم {tags}"), "target": "Yes", "sourceLang": "ar", "targetLang": "en"}).to_string();
    let nested = format!("{}x{}", "<g id='1'>".repeat(5_000), "</g>".repeat(5_000));
    let nested = json!({"source": nested, "target": "Yes", "sourceLang": "ar", "targetLang": "en"})
        .to_string();
    for (path, body, expected) in [
        ("news/fuzzysearch", deep.as_str(), 400),
        ("news/fuzzysearch", "\u{feff}{}", 400),
        ("news/fuzzysearch", "[1]", 400),
        ("news/fuzzysearch", "null", 400),
        ("news/entry", long.as_str(), 400),
        ("news/entry", many_tags.as_str(), 400),
        ("news/entry", nested.as_str(), 400),
        ("news/entry", r#"{"source": "\ud800", "target": "x"}"#, 400),
        ("news/entry", r#"{"source": "a\u0000b", "target": "x"}"#, 400),
        ("news/search", r#"{"source": "x", "searchPosition": {}}"#, 400),
        ("news/clone", r#"{"newName": "../x"}"#, 400),
        ("news/clone", "", 400),
    ] {
        let request =
            http.request("POST", &format!("/t5memory/{path}"), Some(body.as_bytes().to_vec()));
        let answer = http.send(request).await;
        let shown: String = body.chars().take(60).collect();
        assert_eq!(answer.status, expected, "{path} {shown}: {answer:?}");
        assert_eq!(answer.json()["ReturnValue"], expected, "{path} {shown}");
        http = Http::one(server.address()).await;
    }
    let head = "POST /t5memory/news/fuzzysearch HTTP/1.1\r\nhost: localhost\r\n";
    let huge = format!("{head}content-length: {}\r\n\r\n", 17 * 1024 * 1024);
    let text = raw(server.address(), huge.as_bytes()).await;
    assert!(text.starts_with("HTTP/1.1 413") && text.contains("\"ReturnValue\":413"), "{text}");
}
