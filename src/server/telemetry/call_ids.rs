//! The ids that name a call in the logs of client and server: request id and W3C trace.

use http::{HeaderMap, HeaderValue};
use uuid::Uuid;

use crate::limits::REQUEST_ID_BYTES_MAX;

/// What names a call in the logs of client and server.
#[derive(Debug, Clone)]
pub(in crate::server) struct CallIds {
    pub(in crate::server) request: String,
    /// A W3C `traceparent` of the client: version, trace, span, flags.
    parent: Option<String>,
}

impl CallIds {
    /// The ids that the client sent, where they can be written to a log; a new request id otherwise.
    pub(in crate::server) fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let request = text("x-request-id")
            .filter(|id| (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()))
            .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
        let parent = text("traceparent").filter(|text| is_traceparent(text)).map(str::to_owned);
        Self { request, parent }
    }

    pub(in crate::server) fn trace(&self) -> Option<&str> {
        self.parent.as_deref().and_then(|parent| parent.get(3..35))
    }

    /// Adds the ids to the headers of the answer; the trace continues with a span of this server.
    pub(in crate::server) fn add_to(&self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::from_str(&self.request) {
            headers.insert("x-request-id", value);
        }
        if let (Some(trace), Some(parent)) = (self.trace(), &self.parent) {
            let span = Uuid::new_v4().as_u64_pair().0;
            let flags = parent.get(53..55).unwrap_or("00");
            if let Ok(value) = HeaderValue::from_str(&format!("00-{trace}-{span:016x}-{flags}")) {
                headers.insert("traceparent", value);
            }
        }
    }
}

/// `00-` 32 digits `-` 16 digits `-` 2 digits, in lower-case hex, neither number zero.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_hex = |part: &str| part.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
    let is_zero = |part: &str| part.bytes().all(|it| it == b'0');
    match parts[..] {
        ["00", trace, span, flags] => {
            (trace.len(), span.len(), flags.len()) == (32, 16, 2)
                && [trace, span, flags].into_iter().all(is_hex)
                && !is_zero(trace)
                && !is_zero(span)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_clients_are_kept_when_they_are_fit() {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", HeaderValue::from_static("r-1"));
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.insert("traceparent", HeaderValue::from_static(parent));
        let ids = CallIds::of(&headers);
        assert_eq!(ids.request, "r-1");
        let mut answered = HeaderMap::new();
        ids.add_to(&mut answered);
        let told = answered["traceparent"].to_str().unwrap().to_owned();
        assert!(is_traceparent(&told) && told[..35] == parent[..35] && told != parent);
        let long = "x".repeat(REQUEST_ID_BYTES_MAX + 1);
        headers.insert("x-request-id", HeaderValue::from_str(&long).unwrap());
        headers.insert("traceparent", HeaderValue::from_static("00-0-0-0"));
        let ids = CallIds::of(&headers);
        assert!(Uuid::parse_str(&ids.request).is_ok() && ids.trace().is_none());
    }
}
