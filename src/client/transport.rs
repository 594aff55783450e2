//! Connects a client to the services: over the network, with TLS and a token, or in this process.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::HeaderValue;
use http::header::AUTHORIZATION;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tower::Service;
use tower::util::BoxCloneSyncService;

use super::error::{ClientError, deepest};
use super::fault::ConnectFault;
use super::probe::{complete, probe};

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

/// How long connecting may take.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// During a call, a server that does not answer a ping for so long is gone.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIME: Duration = Duration::from_secs(30);

impl Transport {
    pub(super) async fn connect(url: &str, with: &Credentials) -> Result<Self, ClientError> {
        let secure = with.ca.is_some() || with.identity.is_some();
        let url = address(url, secure);
        let failed = |fault| ClientError::Connect { url: url.clone(), fault };
        let unusable = |why: &str| failed(ConnectFault::Unusable(why.to_owned()));
        let endpoint = Endpoint::from_shared(url.clone())
            .map_err(|_| unusable("this is not an address such as http://127.0.0.1:50051"))?;
        let mut endpoint = endpoint
            .connect_timeout(CONNECT_TIME)
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIME);
        match endpoint.uri().scheme_str() {
            Some("https") => {
                let holds_one = |pem: &Vec<u8>| CertificateDer::from_pem_slice(pem).is_ok();
                if !with.ca.as_ref().is_none_or(holds_one) {
                    return Err(unusable(
                        "the file of --ca-file holds no certificate (PEM is expected); name that of the authority of the server",
                    ));
                }
                let mut tls = ClientTlsConfig::new();
                tls = match &with.ca {
                    Some(pem) => tls.ca_certificate(Certificate::from_pem(pem)),
                    None => tls.with_native_roots(),
                };
                if let Some((certificate, key)) = &with.identity {
                    tls = tls.identity(Identity::from_pem(certificate, key));
                }
                endpoint = endpoint.tls_config(tls).map_err(|error| {
                    unusable(&format!(
                        "the certificates of this client cannot be used ({}); they and the key have to be PEM, and belong together",
                        deepest(&error)
                    ))
                })?;
            }
            Some("http") if secure => {
                return Err(unusable(
                    "certificates are for TLS; begin the address with https://, or leave --ca-file, --client-cert and --client-key out",
                ));
            }
            Some("http") => {}
            _ => return Err(unusable("an address begins with http:// or https://")),
        }
        let header = with.token.as_deref().map(|token| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim())).map_err(|_| {
                unusable("the token holds characters that no token has; copy it again, or name its file with --token-file")
            })?;
            value.set_sensitive(true);
            Ok::<_, ClientError>(value)
        });
        let header = header.transpose()?;
        match endpoint.connect().await {
            Ok(channel) => Ok(Self::Remote(channel, header)),
            Err(error) => {
                let (said, words) = (ConnectFault::of(&error), deepest(&error));
                let seen = fault(&url, said).await;
                Err(failed(seen.unwrap_or(ConnectFault::Other(words))))
            }
        }
    }
}

/// A complete address: with certificates, one without a scheme is of TLS.
pub(super) fn address(url: &str, secure: bool) -> String {
    match (url.contains("://"), secure) {
        (true, _) => url.to_owned(),
        (false, false) => format!("http://{url}"),
        (false, true) => format!("https://{url}"),
    }
}

/// Why a server takes no call, from what the network says, else from what is seen there; nothing when it would take one now.
pub(super) async fn fault(url: &str, said: Option<ConnectFault>) -> Option<ConnectFault> {
    match said {
        Some(said) => Some(complete(url, said).await),
        None => probe(url).await,
    }
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
