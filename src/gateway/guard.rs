//! Checks the content type and encoding of a request before it is made a call, and carries its headers over.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, ORIGIN, TE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::Body as _;
use tonic::body::Body;

use super::errors;

/// Whether a body, if the route takes one, is JSON.
pub(super) fn check_json(request: &Request<Body>, has_body: bool) -> Result<(), Response<Body>> {
    if !has_body {
        let is_empty = request.body().is_end_stream();
        return if is_empty { Ok(()) } else { Err(errors::bad_path("it takes no body")) };
    }
    check_encoding(request.headers())?;
    let wrong =
        || errors::wrong_content("the body is JSON: header `content-type: application/json`");
    let (kind, parameters) = content_type(request.headers()).ok_or_else(wrong)?;
    let is_utf8 = parameters.is_empty()
        || ["charset=utf-8", "charset=\"utf-8\"", "charset=utf8"]
            .iter()
            .any(|it| parameters.eq_ignore_ascii_case(it));
    if kind.eq_ignore_ascii_case(errors::JSON) && is_utf8 { Ok(()) } else { Err(wrong()) }
}

/// Whether a body is a file, and one that a web page cannot send.
pub(super) fn check_file(request: &Request<Body>) -> Result<(), Response<Body>> {
    const SIMPLE: [&str; 2] = ["text/plain", "application/x-www-form-urlencoded"];
    check_encoding(request.headers())?;
    if is_form(request.headers()) {
        let headers = request.headers();
        // A page of another origin could send a form unasked, with the certificate of its user; its origin was checked before.
        return if headers.contains_key(AUTHORIZATION) || headers.contains_key(ORIGIN) {
            Ok(())
        } else {
            Err(errors::wrong_content(
                "a form needs a header `authorization`, since web pages can send others: or send the file itself as the body, \
                 with the header `content-type: application/octet-stream`",
            ))
        };
    }
    let wrong = || {
        errors::wrong_content(
            "the body is the file itself, of any format: header `content-type: application/octet-stream`, or the type of the \
             file (but not text/plain), or a form: `multipart/form-data`",
        )
    };
    let (kind, _) = content_type(request.headers()).ok_or_else(wrong)?;
    let is_simple = SIMPLE.iter().any(|it| kind.eq_ignore_ascii_case(it));
    if is_simple || !kind.contains('/') { Err(wrong()) } else { Ok(()) }
}

/// Whether a body is a form with files.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    content_type(headers).is_some_and(|(kind, _)| kind.eq_ignore_ascii_case("multipart/form-data"))
}

fn check_encoding(headers: &HeaderMap) -> Result<(), Response<Body>> {
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    let is_plain = encodings.all(|it| it.as_bytes().eq_ignore_ascii_case(b"identity"));
    let message = "the body may not be compressed as a whole (`content-encoding`)";
    if is_plain { Ok(()) } else { Err(errors::wrong_content(message)) }
}

/// The one content type of a request, and its parameters.
fn content_type(headers: &HeaderMap) -> Option<(&str, &str)> {
    let mut all = headers.get_all(CONTENT_TYPE).iter();
    let text = all.next()?.to_str().ok()?;
    if all.next().is_some() {
        return None;
    }
    let (kind, parameters) = text.split_once(';').unwrap_or((text, ""));
    Some((kind.trim(), parameters.trim()))
}

/// Makes a call of POST with the headers that mean the same by gRPC.
pub(super) fn carry_over(parts: &http::request::Parts, call: &mut Request<Body>) {
    const SAME: [&str; 4] = ["x-request-id", "traceparent", "tracestate", "grpc-timeout"];
    *call.method_mut() = Method::POST;
    *call.version_mut() = http::Version::HTTP_2;
    let headers = call.headers_mut();
    for name in SAME {
        if let Some(value) = parts.headers.get(name) {
            headers.insert(name, value.clone());
        }
    }
    if let Some(value) = parts.headers.get(USER_AGENT) {
        headers.insert(USER_AGENT, value.clone());
    }
    if let Some(value) = parts.headers.get(AUTHORIZATION) {
        headers.insert(AUTHORIZATION, value.clone());
        use_password_as_token(headers);
    }
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
}

/// Copies what names a call in the logs of client and server, and which commits it has seen.
pub fn copy_ids(from: &HeaderMap, to: &mut HeaderMap) {
    for name in ["x-request-id", "traceparent", "x-dhakira-sequence"] {
        if let Some(value) = from.get(name) {
            to.insert(name, value.clone());
        }
    }
}

/// Puts a token that came as the password of `Basic` credentials where gRPC looks for it.
pub(super) fn use_password_as_token(headers: &mut HeaderMap) {
    if let Some(value) = headers.get(AUTHORIZATION).and_then(token_as_bearer) {
        headers.insert(AUTHORIZATION, value);
    }
}

/// The token that is the password of `Basic` credentials, as clients send it that know no other way.
pub(crate) fn token_as_bearer(value: &HeaderValue) -> Option<HeaderValue> {
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (_, password) = decoded.split_once(':')?;
    let mut value = HeaderValue::from_str(&format!("Bearer {password}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_a_token() {
        // anna:dhk_1_2
        let basic = HeaderValue::from_static("Basic YW5uYTpkaGtfMV8y");
        assert_eq!(token_as_bearer(&basic).unwrap(), "Bearer dhk_1_2");
        for other in ["Bearer x", "Basic", "Basic ???", "Basic YW5uYQ=="] {
            assert_eq!(token_as_bearer(&HeaderValue::from_static(other)), None, "{other}");
        }
    }
}
