//! Serves the description of the API and the page that shows it, which say nothing about the data and need no token.

use std::sync::OnceLock;

use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY, X_FRAME_OPTIONS};
use http::{HeaderValue, Method, Request, Response};
use http_body_util::Full;
use tonic::body::Body;

use super::errors;
use super::openapi;
use super::routes::Routes;

/// The files of the page: its path, type and content.
const FILES: [(&str, &str, &str); 3] = [
    ("/docs", "text/html; charset=utf-8", include_str!("docs/page.html")),
    ("/docs/style.css", "text/css; charset=utf-8", include_str!("docs/style.css")),
    ("/docs/script.js", "text/javascript; charset=utf-8", include_str!("docs/script.js")),
];
/// The page uses its own files and calls this server, and may do nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";
const PROTECTION: [(HeaderName, &str); 3] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
];

/// The description, made when it is asked for first.
#[derive(Default)]
pub(super) struct Pages {
    description: OnceLock<Bytes>,
}

impl Pages {
    /// The page that a request asks for; `None` when it asks for none.
    pub(super) fn answer(
        &self,
        routes: &Routes,
        request: &Request<Body>,
    ) -> Option<Response<Body>> {
        let path = request.uri().path();
        let file = FILES.iter().find(|(name, ..)| *name == path);
        let (kind, text) = match file {
            Some((_, kind, text)) => (*kind, Bytes::from_static(text.as_bytes())),
            None if path == "/openapi.json" => (errors::JSON, self.description(routes)),
            None => return None,
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Some(errors::wrong_method(&[Method::GET]));
        }
        let mut answer = Response::new(Body::new(Full::new(text)));
        errors::headers(kind, answer.headers_mut());
        for (name, value) in PROTECTION.into_iter().filter(|_| file.is_some()) {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        Some(answer)
    }

    fn description(&self, routes: &Routes) -> Bytes {
        let made = || {
            let document = openapi::document(routes.protocol(), routes.annotated());
            Bytes::from(document.map(|it| it.to_string()).unwrap_or_default())
        };
        self.description.get_or_init(made).clone()
    }
}
