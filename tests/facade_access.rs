//! Risk: through the protocol of a tool somebody reaches what gRPC would refuse.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use dhakira::grpc::access::RULES;
use http::Request;
use http_body_util::Full;

use crate::access::Matrix;
use crate::json::Http;

/// A request about a memory, and the call of gRPC that it amounts to.
struct Case {
    call: &'static str,
    method: &'static str,
    path: String,
    body: String,
}

const UNITS: &str = "/dhakira.v1.UnitService/";
const LOOKUP: &str = "/dhakira.v1.LookupService/LookupSegments";

fn cases(memory: &str) -> Vec<(&'static str, &'static str, String, String)> {
    let unit = r#"{"source": "\u0646\u0639\u0645", "target": "Yes"}"#;
    let segment =
        r#"{"source": "x", "target": "y", "sourceLang": "ar", "targetLang": "en"}"#.to_owned();
    let form = format!("langpair=ar|en&key={memory}&seg=%D9%86%D8%B9%D9%85&tra=Yes");
    let found = format!("/mymemory/get?langpair=ar%7Cen&key={memory}&q=x");
    let of = |path: &str| format!("/tmserver/m/{memory}/ar/en/{path}");
    vec![
        (LOOKUP, "GET", of("unit/x"), String::new()),
        (LOOKUP, "GET", of("unit/?source=x"), String::new()),
        ("BatchCreateUnits", "PUT", of("unit/x"), unit.to_owned()),
        ("BatchCreateUnits", "POST", of("store/a.po"), format!("[{unit}]")),
        ("ImportFile", "PUT", of("store/a.tsv"), "ar\ten\na\tb\n".to_owned()),
        (LOOKUP, "GET", found, String::new()),
        (LOOKUP, "POST", "/mymemory/get".to_owned(), format!("{form}&q=x")),
        ("BatchCreateUnits", "POST", "/mymemory/set".to_owned(), form.clone()),
        ("UpdateUnit", "POST", "/mymemory/update".to_owned(), format!("{form}&newtra=Yea")),
        (LOOKUP, "POST", format!("/t5memory/{memory}/fuzzysearch"), segment.clone()),
        ("BatchCreateUnits", "POST", format!("/t5memory/{memory}/entry"), segment),
        ("ExportUnits", "GET", format!("/t5memory/{memory}/download.tmx"), String::new()),
        ("DeleteUnit", "POST", "/mymemory/delete_by_id".to_owned(), format!("id={memory}/1")),
    ]
}

fn case((call, method, path, body): (&'static str, &'static str, String, String)) -> Case {
    Case { call, method, path, body }
}

fn request(http: &Http, case: &Case) -> Request<Full<Bytes>> {
    let mut request = http.request(case.method, &case.path, None);
    *request.body_mut() = Full::new(Bytes::from(case.body.clone()));
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn every_facade_and_role_and_memory_is_as_by_grpc() {
    let matrix = Matrix::start().await;
    let mut http = Http::one(matrix.guarded.server.address()).await;
    let (mut allowed, mut denied) = (0, 0);
    for memory in ["own", "other"] {
        for case in cases(memory).into_iter().map(case) {
            let path = if case.call == LOOKUP {
                LOOKUP.to_owned()
            } else {
                format!("{UNITS}{}", case.call)
            };
            let rule = RULES.iter().find(|rule| rule.method == path).unwrap();
            http.authorization = None;
            let nobody = http.send(request(&http, &case)).await;
            assert_eq!(nobody.status, 401, "{} without a token: {nobody:?}", case.path);
            assert!(nobody.header("www-authenticate").starts_with("Basic"), "{nobody:?}");
            for caller in &matrix.callers {
                let may = matrix.allows(rule, "", &format!("memories/{memory}"), caller);
                let pair = STANDARD.encode(format!("x:{}", caller.token));
                http.authorization = Some(format!("Basic {pair}"));
                let answer = http.send(request(&http, &case)).await;
                let (role, all, status) = (caller.role, caller.all, answer.status.as_u16());
                let what = format!(
                    "{} {} as {role} (all: {all}) for {memory}: {status} {}",
                    case.method,
                    case.path,
                    String::from_utf8_lossy(&answer.body)
                );
                // What the caller may not see is not there.
                let is_refused = matches!(status, 403 | 404) && !what.contains("no unit");
                assert!(is_refused || status == 200 || what.contains("no unit"), "{what}");
                assert_eq!(!is_refused, may, "{what}");
                if may { allowed += 1 } else { denied += 1 }
            }
        }
    }
    assert!(allowed > 100 && denied > 100, "{allowed} allowed, {denied} denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_taken_where_a_client_can_put_it() {
    let matrix = Matrix::start().await;
    let token = matrix.guarded.token("huda", "translator:own");
    matrix.guarded.until(&token, tonic::Code::Ok).await;
    let mut http = Http::one(matrix.guarded.server.address()).await;
    for path in ["/tmserver/languages/", "/tmserver/ar/en/unit/x"] {
        assert_eq!(http.get(path).await.status, 401, "{path}");
        assert_eq!(http.get(&format!("{path}?key={token}")).await.status, 200, "{path}");
        assert_eq!(http.get(&format!("{path}?key=dhk_1_2")).await.status, 401, "{path}");
    }
    let get = "/mymemory/get?q=x&langpair=ar%7Cen";
    assert_eq!(http.get(&format!("{get}&key={token}")).await.status, 200);
    assert_eq!(http.get(&format!("{get}&key=own,{token}")).await.status, 200);
    assert_eq!(http.get(&format!("{get}&key=other,{token}")).await.status, 404);
    // A token in the form, and one by GET, which a web page cannot know.
    let mut form = http.request("POST", "/mymemory/set", None);
    let body = format!("seg=a&tra=b&langpair=ar|en&key=own,{token}");
    *form.body_mut() = Full::new(Bytes::from(body));
    assert_eq!(http.send(form).await.status, 200);
    let set = format!("/mymemory/set?seg=c&tra=d&langpair=ar%7Cen&key=own,{token}");
    assert_eq!(http.get(&set).await.status, 200);
    // The memories of others are not among the languages, nor searched.
    let own = http.get(&format!("/tmserver/m/other/ar/en/unit/x?key={token}")).await;
    assert_eq!(own.status, 404);
    // Writes are in the audit under the id of the visit, with the name of the token.
    http.authorization = Some(format!("Bearer {token}"));
    let mut put = http.request("PUT", "/tmserver/m/own/ar/en/unit/e", None);
    *put.body_mut() = Full::new(Bytes::from(r#"{"source": "e", "target": "f"}"#));
    put.headers_mut().insert("x-request-id", "by-tmserver-1".parse().unwrap());
    let answer = http.send(put).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-request-id")), (200, "by-tmserver-1"));
    let begin = std::time::Instant::now();
    loop {
        let audit = std::fs::read_to_string(&matrix.guarded.audit).unwrap_or_default();
        if let Some(line) = audit.lines().find(|line| line.contains("by-tmserver-1")) {
            assert!(line.contains("BatchCreateUnits") && line.contains("huda"), "{line}");
            break;
        }
        assert!(begin.elapsed().as_secs() < 20, "{audit}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
