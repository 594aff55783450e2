//! TLS: certificates and keys from files that are read again when they change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::auth::FileStamp;

/// The files of a TLS server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and its chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Certificates of the authorities that sign client certificates, PEM. With it, clients need a certificate.
    pub client_ca: Option<PathBuf>,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {cause}")]
pub struct TlsError {
    path: PathBuf,
    cause: String,
}

impl TlsError {
    fn new(path: &Path, cause: impl ToString) -> Self {
        Self { path: path.to_owned(), cause: cause.to_string() }
    }
}

impl TlsFiles {
    fn all(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.certificate, &self.key].into_iter().chain(&self.client_ca)
    }

    fn stamps(&self) -> Vec<Option<FileStamp>> {
        self.all().map(|path| FileStamp::of(path)).collect()
    }

    /// Reads the files. Blocks.
    fn config(&self) -> Result<ServerConfig, TlsError> {
        let provider = Arc::new(default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::new(&self.certificate, error))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|error| TlsError::new(path, error))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .map_err(|error| TlsError::new(path, error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| TlsError::new(&self.key, pem_fault(&error, "private key")))?;
        let chain = certificates(&self.certificate)?;
        check_not_an_authority(&chain).map_err(|it| TlsError::new(&self.certificate, it))?;
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| TlsError::new(&self.certificate, error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| TlsError::new(path, pem_fault(&error, "certificate")))?;
    if found.is_empty() {
        return Err(TlsError::new(path, "it holds no certificate (PEM is expected)"));
    }
    Ok(found)
}

/// Refuses the certificate of an authority as that of a server, which clients would do at every connection.
fn check_not_an_authority(chain: &[CertificateDer<'_>]) -> Result<(), &'static str> {
    let Some(parsed) = chain.first().and_then(|it| ParsedCertificate::try_from(it).ok()) else {
        // Whether it can be read at all is checked with its key.
        return Ok(());
    };
    let algorithms = default_provider().signature_verification_algorithms.all;
    let (roots, now) = (RootCertStore::empty(), UnixTime::now());
    // Whoever has signed it: what it is for is checked first, and is not known by a type.
    match verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], now, algorithms) {
        Err(error) if format!("{error:?}").contains("CaUsedAsEndEntity") => Err(
            "it is the certificate of an authority (CA:TRUE), as `openssl req -x509` makes it, and clients refuse it as that of a \
             server. Have a certificate signed by it and use that one; `dhakira certs create --host NAME --output DIR` makes both \
             for trying out",
        ),
        _ => Ok(()),
    }
}

fn pem_fault(error: &rustls_pki_types::pem::Error, what: &str) -> String {
    use rustls_pki_types::pem::Error;
    match error {
        Error::NoItemsFound => format!("it holds no {what} (PEM is expected)"),
        Error::Io(cause) => cause.to_string(),
        other => format!("it cannot be read as PEM: {other:?}"),
    }
}

/// TLS of a running server.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    config: RwLock<Arc<ServerConfig>>,
    stamps: Mutex<Vec<Option<FileStamp>>>,
}

impl Tls {
    /// Reads the files. Blocks.
    ///
    /// # Errors
    /// A file is missing, holds something else, or does not match the others.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let stamps = files.stamps();
        let config = files.config()?;
        Ok(Self { files, config: RwLock::new(Arc::new(config)), stamps: Mutex::new(stamps) })
    }

    /// Whether clients need a certificate.
    pub fn requires_client_certificates(&self) -> bool {
        self.files.client_ca.is_some()
    }

    /// The configuration of new connections.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the files again if one changed; on an error the old certificates stay in use. Blocks.
    pub(super) fn reload_if_changed(&self) -> Result<bool, TlsError> {
        let now = self.files.stamps();
        {
            let mut seen = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == now {
                return Ok(false);
            }
            *seen = now;
        }
        let config = Arc::new(self.files.config()?);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(true)
    }
}
