//! Connects a client to the services: over the network, with TLS and a token, or in this process.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::HeaderValue;
use http::header::AUTHORIZATION;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tower::Service;
use tower::util::BoxCloneSyncService;

use super::error::ClientError;

/// A service in this process that answers calls of gRPC.
pub type LocalService = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Infallible>;

/// What a client authenticates with, and how it verifies the server.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// A bearer token.
    pub token: Option<String>,
    /// Certificates, PEM, of the authority of the server; those of the system when absent.
    pub ca: Option<Vec<u8>>,
    /// Certificate and private key of the client, PEM.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Credentials {
    /// Without what is secret.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// Where calls go.
#[derive(Clone)]
pub(super) enum Transport {
    Remote(Channel, Option<HeaderValue>),
    Local(Routes),
    Service(LocalService),
}

impl Transport {
    pub(super) async fn connect(url: &str, with: &Credentials) -> Result<Self, ClientError> {
        let secure = with.ca.is_some() || with.identity.is_some();
        let url = match (url.contains("://"), secure) {
            (true, _) => url.to_owned(),
            (false, false) => format!("http://{url}"),
            (false, true) => format!("https://{url}"),
        };
        let failed = |error: &dyn Error| {
            let mut cause = error.source().map_or_else(|| error.to_string(), deepest);
            if cause.contains("InvalidContentType") {
                cause
                    .push_str(" (the server does not speak TLS: try http:// in place of https://)");
            }
            ClientError::Connect { url: url.clone(), cause }
        };
        let refused =
            |cause: &str| ClientError::Connect { url: url.clone(), cause: cause.to_owned() };
        let mut endpoint = Endpoint::from_shared(url.clone()).map_err(|error| failed(&error))?;
        if url.starts_with("https://") {
            let mut tls = ClientTlsConfig::new();
            tls = match &with.ca {
                Some(pem) => tls.ca_certificate(Certificate::from_pem(pem)),
                None => tls.with_native_roots(),
            };
            if let Some((certificate, key)) = &with.identity {
                tls = tls.identity(Identity::from_pem(certificate, key));
            }
            endpoint = endpoint.tls_config(tls).map_err(|error| failed(&error))?;
        } else if secure {
            return Err(refused("certificates require https:// in the URL"));
        }
        let header = with.token.as_deref().map(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
                .map_err(|_| refused("the token holds invalid characters"))?;
            value.set_sensitive(true);
            Ok::<_, ClientError>(value)
        });
        let header = header.transpose()?;
        let channel = endpoint.connect().await.map_err(|error| failed(&error))?;
        Ok(Self::Remote(channel, header))
    }
}

fn deepest(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), deepest)
}

type Failure = Box<dyn Error + Send + Sync>;

impl Service<http::Request<Body>> for Transport {
    type Response = http::Response<Body>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        match self {
            Self::Remote(channel, _) => channel.poll_ready(context).map_err(Into::into),
            Self::Local(routes) => {
                <Routes as Service<http::Request<Body>>>::poll_ready(routes, context).map_err(never)
            }
            Self::Service(service) => service.poll_ready(context).map_err(never),
        }
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        match self {
            Self::Remote(channel, header) => {
                if let Some(value) = header {
                    request.headers_mut().insert(AUTHORIZATION, value.clone());
                }
                let response = channel.call(request);
                Box::pin(async move { response.await.map_err(Into::into) })
            }
            Self::Local(routes) => {
                let response = routes.call(request);
                Box::pin(async move { response.await.map_err(never) })
            }
            Self::Service(service) => {
                let response = service.call(request);
                Box::pin(async move { response.await.map_err(never) })
            }
        }
    }
}

fn never(error: Infallible) -> Failure {
    match error {}
}
