//! Serves clients over HTTP: streamable HTTP without sessions, each request by itself.

use std::sync::Arc;

use http::header::{AUTHORIZATION, HOST, HeaderValue, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use http_body_util::Full;
use rmcp::ErrorData;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tonic::body::Body;

use super::super::answers;
use super::super::refusal::Refusal;
use super::super::settings::FacadeSettings;
use super::super::visit::Visit;
use super::server::{ClientOf, Server};
use crate::client::Client;
use crate::limits::MCP_MESSAGE_BYTES_MAX;

/// Answers a request.
pub(in crate::facades) async fn answer(visit: Visit, settings: &FacadeSettings) -> Response<Body> {
    answer_or_refuse(visit, settings).await.unwrap_or_else(|refusal| {
        let mut answer = answers::plain(&refusal);
        if refusal.status == StatusCode::UNAUTHORIZED {
            // What clients of the protocol expect; they do not ask for names and passwords.
            let bearer = HeaderValue::from_static("Bearer realm=\"dhakira\"");
            answer.headers_mut().insert(WWW_AUTHENTICATE, bearer);
        }
        answer
    })
}

async fn answer_or_refuse(
    mut visit: Visit,
    settings: &FacadeSettings,
) -> Result<Response<Body>, Refusal> {
    if !["", "/"].contains(&visit.path.as_str()) {
        return Err(Refusal::not_found("the Model Context Protocol is answered at /mcp"));
    }
    // The protocol has answers that make no call, such as the list of tools: who may call is asked before any of them.
    visit.client.check_access().await?;
    let received = visit.receive().await?;
    if received.bytes.len() > MCP_MESSAGE_BYTES_MAX {
        let message = format!("the message is longer than {MCP_MESSAGE_BYTES_MAX} bytes");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, &message));
    }
    let mut request = http::Request::new(Full::new(received.bytes.clone()));
    *request.method_mut() = visit.method;
    *request.headers_mut() = visit.headers;
    let headers = request.headers_mut();
    // The client has the token; nothing else needs it.
    headers.remove(AUTHORIZATION);
    // Hosts and origins were checked in front of all facades. There must be a host, which HTTP/2 has elsewhere.
    headers.insert(HOST, HeaderValue::from_static("localhost"));
    request.extensions_mut().insert(visit.client);
    let server = Server::new(Arc::new(settings.clone()), CLIENT_OF_REQUEST.clone());
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .disable_allowed_hosts()
        .with_max_request_body_bytes(MCP_MESSAGE_BYTES_MAX);
    let sessions = Arc::new(NeverSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(server.clone()), sessions, config);
    Ok(service.handle(request).await.map(Body::new))
}

/// The client that makes calls on behalf of whoever sent the request.
static CLIENT_OF_REQUEST: std::sync::LazyLock<Arc<ClientOf>> = std::sync::LazyLock::new(|| {
    Arc::new(|context| {
        let parts = context.extensions.get::<http::request::Parts>();
        let client = parts.and_then(|parts| parts.extensions.get::<Client>());
        client.cloned().ok_or_else(|| ErrorData::internal_error("the request has no caller", None))
    })
});
