//! Finds out what listens at an address that takes no calls.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Uri;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme,
};

use super::fault::ConnectFault;

/// How long each step may take.
const STEP_TIME: Duration = Duration::from_secs(3);
/// How long a server may take to refuse a client after the handshake.
const ALERT_TIME: Duration = Duration::from_secs(1);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 2_048;
/// Characters of an answer that are shown.
const ANSWER_CHARS_MAX: usize = 60;
/// What HTTP/2 begins with, and an empty frame of settings.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The place of the type of a frame, and the type of settings.
const FRAME_TYPE: usize = 3;
const SETTINGS: u8 = 4;
const ALIVE: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Where to call.
struct Place {
    host: String,
    port: u16,
    is_https: bool,
}

impl Place {
    fn of(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let is_https = uri.scheme_str() == Some("https");
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some(Self {
            host,
            port: uri.port_u16().unwrap_or(if is_https { 443 } else { 80 }),
            is_https,
        })
    }
}

/// What is wrong with a server, as far as it can be seen without a call; nothing when it would take calls now.
pub(super) async fn probe(url: &str) -> Option<ConnectFault> {
    let place = Place::of(url)?;
    match listening(&place).await {
        Err(fault) => return Some(fault),
        Ok(stream) => drop(stream),
    }
    match (shown(&place).await, place.is_https) {
        (Some(shown), true) => return shown.refused,
        (None, true) => return Some(ConnectFault::SpeaksNoTls),
        (Some(_), false) => return Some(ConnectFault::SpeaksTls),
        (None, false) => {}
    }
    let settings = answer(&place, HTTP2).await;
    if settings.get(FRAME_TYPE) == Some(&SETTINGS) && !settings.starts_with(b"HTTP/") {
        return None;
    }
    let answer = String::from_utf8_lossy(&answer(&place, ALIVE.as_bytes()).await).into_owned();
    let first = answer.lines().next().unwrap_or_default();
    // A server that was just killed takes connections, and says nothing on them, until the system has closed its port.
    if answer.is_empty()
        && let Err(fault) = listening(&place).await
    {
        return Some(fault);
    }
    Some(if !first.starts_with("HTTP/") {
        ConnectFault::NotHttp
    } else if answer.ends_with("\r\n\r\nalive\n") {
        ConnectFault::MetricsPort
    } else {
        let printed = first.chars().filter(|it| !it.is_control()).take(ANSWER_CHARS_MAX);
        ConnectFault::OtherProgram(printed.collect())
    })
}

/// Names the host and the port in a fault whose error does not, and tells a self-signed certificate from one of an unknown authority.
pub(super) async fn complete(url: &str, fault: ConnectFault) -> ConnectFault {
    let Some(place) = Place::of(url) else { return fault };
    match fault {
        ConnectFault::UnknownHost(_) => ConnectFault::UnknownHost(place.host),
        ConnectFault::NothingListens(_) => ConnectFault::NothingListens(place.port),
        ConnectFault::UnknownAuthority => match shown(&place).await {
            Some(Shown { self_signed: true, .. }) => ConnectFault::SelfSigned,
            _ => ConnectFault::UnknownAuthority,
        },
        fault => fault,
    }
}

async fn listening(place: &Place) -> Result<TcpStream, ConnectFault> {
    let connecting = TcpStream::connect((place.host.as_str(), place.port));
    match tokio::time::timeout(STEP_TIME, connecting).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Err(ConnectFault::NothingListens(place.port))
        }
        Ok(Err(error)) if error.raw_os_error().is_none() => {
            Err(ConnectFault::UnknownHost(place.host.clone()))
        }
        Ok(Err(error)) => Err(ConnectFault::Other(error.to_string())),
        Err(_) => Err(ConnectFault::Silent),
    }
}

/// What is answered to these bytes; nothing when the connection fails.
async fn answer(place: &Place, bytes: &[u8]) -> Vec<u8> {
    let Ok(mut stream) = listening(place).await else { return Vec::new() };
    exchange(&mut stream, bytes).await
}

async fn exchange(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), bytes: &[u8]) -> Vec<u8> {
    let mut read = Vec::new();
    let exchanged = async {
        stream.write_all(bytes).await?;
        let mut stream = stream.take(ANSWER_BYTES_MAX);
        // A server that keeps the connection open has said what matters.
        while stream.read_buf(&mut read).await? > 0 && bytes != HTTP2 {}
        io::Result::Ok(())
    };
    // What came before an error or the end of the time is what is looked at.
    let _ = tokio::time::timeout(STEP_TIME, exchanged).await;
    read
}

/// What a port with TLS shows.
struct Shown {
    /// Whether its certificate is signed by itself.
    self_signed: bool,
    /// What it refuses after the handshake, as a certificate of the client that is missing.
    refused: Option<ConnectFault>,
}

/// Shakes hands with a port; nothing when it does not speak TLS.
async fn shown(place: &Place) -> Option<Shown> {
    let stream = listening(place).await.ok()?;
    let provider = Arc::new(ring::default_provider());
    let seen = Arc::new(Seen { provider: provider.clone(), self_signed: Mutex::default() });
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.ok()?.dangerous().with_custom_certificate_verifier(seen.clone());
    let connector = TlsConnector::from(Arc::new(config.with_no_client_auth()));
    let name = ServerName::try_from(place.host.clone()).ok()?;
    let connected = tokio::time::timeout(STEP_TIME, connector.connect(name, stream)).await.ok()?;
    let self_signed = *seen.self_signed.lock().unwrap_or_else(PoisonError::into_inner);
    let error = match connected {
        Ok(mut stream) => {
            let first = tokio::time::timeout(ALERT_TIME, stream.read_u8()).await;
            first.ok().and_then(Result::err)
        }
        Err(error) => Some(error),
    };
    let error = error.as_ref().and_then(|error| error.get_ref()?.downcast_ref::<TlsError>());
    let refused = error.map(ConnectFault::of_tls).filter(|fault| {
        use ConnectFault::{NeedsClientCertificate, RefusesClientCertificate};
        matches!(fault, NeedsClientCertificate | RefusesClientCertificate)
    });
    let is_tls = self_signed.is_some() || matches!(error, Some(TlsError::AlertReceived(_)));
    is_tls.then_some(Shown { self_signed: self_signed.unwrap_or_default(), refused })
}

/// Keeps what there is to know of the certificate of a server. It accepts every one: nothing is sent to that server but a handshake.
#[derive(Debug)]
struct Seen {
    provider: Arc<CryptoProvider>,
    self_signed: Mutex<Option<bool>>,
}

impl ServerCertVerifier for Seen {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let parsed = webpki::EndEntityCert::try_from(certificate);
        let self_signed = parsed.is_ok_and(|it| it.issuer() == it.subject());
        *self.self_signed.lock().unwrap_or_else(PoisonError::into_inner) = Some(self_signed);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
