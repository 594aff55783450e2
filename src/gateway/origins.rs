//! Tells which web pages of other origins may use the server, and tells their browsers so (CORS).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::uri::Authority;
use http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// Why a list of origins is invalid.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct OriginError(String);

/// The origins whose pages may use the server; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<HeaderValue>);

/// How long a browser may remember a permission.
const PERMISSION_TIME: Duration = Duration::from_secs(3_600);

impl Origins {
    /// Whether no page of another origin may use the server.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains(&self, origin: &HeaderValue) -> bool {
        self.0.contains(origin)
    }

    /// The layer that gives the permissions; `None` when there are none to give. Cookies are never among them.
    pub fn layer(&self) -> Option<CorsLayer> {
        const SHOWN: [&str; 6] = [
            "grpc-status",
            "grpc-message",
            "grpc-status-details-bin",
            "x-request-id",
            "x-dhakira-sequence",
            "content-disposition",
        ];
        let methods = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        let shown = SHOWN.into_iter().map(HeaderName::from_static).chain([RETRY_AFTER]);
        let layer = CorsLayer::new()
            .allow_origin(AllowOrigin::list(self.0.iter().cloned()))
            .allow_methods(methods)
            .allow_headers(AllowHeaders::mirror_request())
            .allow_private_network(true)
            .expose_headers(shown.collect::<Vec<_>>())
            .max_age(PERMISSION_TIME);
        (!self.is_empty()).then_some(layer)
    }
}

impl FromStr for Origins {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(origin).collect::<Result<Vec<_>, _>>().map(Self)
    }
}

/// An origin as browsers write it.
fn origin(text: &str) -> Result<HeaderValue, OriginError> {
    let wrong = |what: &str| OriginError(format!("'{text}' {what}"));
    if text == "*" {
        return Err(wrong(
            "would let every web page in the world use this server through the browsers of those who can reach it; list the \
             origins, such as https://tm.example.org",
        ));
    }
    if text == "null" {
        return Err(wrong(
            "is the origin of local files and sandboxed frames, which every page can make; list other origins",
        ));
    }
    let shape =
        || wrong("is not an origin such as https://tm.example.org or http://localhost:3000");
    let lower = text.to_ascii_lowercase();
    let (scheme, rest) = lower.split_once("://").ok_or_else(shape)?;
    if !scheme.bytes().all(|it| it.is_ascii_alphanumeric() || b"+-.".contains(&it)) {
        return Err(shape());
    }
    if !rest.is_ascii() {
        return Err(wrong(
            "names its host in letters that browsers do not send: write it as xn--…",
        ));
    }
    if rest.contains(['/', '?', '#', '@', '*']) {
        return Err(wrong(
            "has more than scheme, host and port: an origin has no path, no `/` at its end, and no `*`",
        ));
    }
    let authority: Authority = rest.parse().map_err(|_| shape())?;
    let has_port = authority.host().len() < rest.len();
    if authority.host().is_empty() || (has_port && authority.port_u16().is_none()) {
        return Err(shape());
    }
    if let ("https", Some(443)) | ("http", Some(80)) = (scheme, authority.port_u16()) {
        return Err(wrong("has the port that browsers leave out: leave it out too"));
    }
    HeaderValue::from_str(&lower).map_err(|_| shape())
}

impl fmt::Display for Origins {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().filter_map(|it| it.to_str().ok()).collect();
        out.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_exact() {
        let origins: Origins =
            " https://TM.example.org, http://localhost:3000,,moz-extension://a-b ".parse().unwrap();
        let shown = "https://tm.example.org, http://localhost:3000, moz-extension://a-b";
        assert_eq!(origins.to_string(), shown);
        assert!("".parse::<Origins>().unwrap().layer().is_none() && origins.layer().is_some());
        for (text, said) in [
            ("*", "every web page"),
            ("https://a.example, *", "every web page"),
            ("null", "sandboxed"),
            ("tm.example.org", "such as"),
            ("https://", "such as"),
            ("https://a b", "such as"),
            ("https://a:x", "such as"),
            ("https://a:", "such as"),
            ("https://a.example/", "no path"),
            ("https://*.example", "no `*`"),
            ("https://me@a.example", "more than"),
            ("https://a.example:443", "leave it out"),
            ("http://a.example:80", "leave it out"),
            ("https://m\u{fc}ller.example", "xn--"),
        ] {
            let error = text.parse::<Origins>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
