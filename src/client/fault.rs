//! Why no call gets through to a server: the cause, and the way out.

use std::error::Error;
use std::fmt;
use std::io;

use tokio_rustls::rustls;
use tokio_rustls::rustls::{AlertDescription, CertificateError};

/// The port of a server whose settings name no other.
const DEFAULT_PORT: u16 = 50051;

/// Why no call gets through to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectFault {
    /// The address or the credentials cannot be used; in words.
    Unusable(String),
    /// No host has this name.
    UnknownHost(String),
    /// The host is there, and nothing listens on its port.
    NothingListens(u16),
    /// Nothing is answered in time.
    Silent,
    /// The address begins with `http://`, and the port speaks TLS.
    SpeaksTls,
    /// The address begins with `https://`, and the port does not speak TLS.
    SpeaksNoTls,
    /// The certificate is signed by itself, and is not among those that are trusted.
    SelfSigned,
    /// The certificate is signed by an authority that is not trusted.
    UnknownAuthority,
    /// The certificate has expired.
    Expired,
    /// The certificate is not yet valid.
    NotYetValid,
    /// The certificate is for other hosts than this one.
    OtherHost(Vec<String>),
    /// The certificate is not valid otherwise; in words.
    InvalidCertificate(String),
    /// The server requires a certificate of the client.
    NeedsClientCertificate,
    /// The server does not accept the certificate of the client.
    RefusesClientCertificate,
    /// The port of a server for health and metrics, which takes no calls.
    MetricsPort,
    /// Another program that speaks HTTP; the first line of its answer.
    OtherProgram(String),
    /// Another program that speaks neither gRPC nor HTTP.
    NotHttp,
    /// Anything else, in the words of the network.
    Other(String),
}

impl ConnectFault {
    /// The cause that a chain of errors names, if it names one.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<rustls::Error>() {
                return Some(Self::of_tls(error));
            }
            if let Some(error) = error.downcast_ref::<io::Error>() {
                // The source of an error of the system that wraps another one is what that one wraps.
                if let Some(inner) = error.get_ref().and_then(|it| it.downcast_ref()) {
                    return Some(Self::of_tls(inner));
                }
                match error.kind() {
                    io::ErrorKind::ConnectionRefused => return Some(Self::NothingListens(0)),
                    io::ErrorKind::TimedOut => return Some(Self::Silent),
                    _ => {}
                }
            }
            let words = error.to_string();
            if words.starts_with("dns error") {
                return Some(Self::UnknownHost(String::new()));
            }
            // HTTP/2 keeps the words of an error of TLS, and not its type.
            if let Some((_, alert)) = words.rsplit_once("received fatal alert: ") {
                let is_missing = alert.starts_with("CertificateRequired");
                return Some(if is_missing {
                    Self::NeedsClientCertificate
                } else {
                    Self::RefusesClientCertificate
                });
            }
            cause = error.source();
        }
        None
    }

    pub(super) fn of_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(error) => Self::of_certificate(error),
            rustls::Error::InvalidMessage(_) => Self::SpeaksNoTls,
            rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
                Self::NeedsClientCertificate
            }
            rustls::Error::AlertReceived(
                AlertDescription::UnknownCA
                | AlertDescription::BadCertificate
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateUnknown
                | AlertDescription::AccessDenied
                | AlertDescription::DecryptError,
            ) => Self::RefusesClientCertificate,
            other => Self::Other(other.to_string()),
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYetValid
            }
            CertificateError::UnknownIssuer => Self::UnknownAuthority,
            CertificateError::NotValidForName => Self::OtherHost(Vec::new()),
            CertificateError::NotValidForNameContext { presented, .. } => {
                Self::OtherHost(presented.iter().map(|name| plain_name(name)).collect())
            }
            other => Self::InvalidCertificate(format!("{other:?}")),
        }
    }
}

/// `DnsName("a.example")` of a certificate as `a.example`.
fn plain_name(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    inner.trim_matches('"').to_owned()
}

impl fmt::Display for ConnectFault {
    /// The cause, then what to do.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const START: &str = "start one with `dhakira serve`, or leave --server out to use --data";
        match self {
            Self::Unusable(why) | Self::Other(why) => out.write_str(why),
            Self::UnknownHost(host) => write!(
                out,
                "there is no host '{host}'; correct the address (--server or DHAKIRA_SERVER)"
            ),
            Self::NothingListens(port) if *port != DEFAULT_PORT => write!(
                out,
                "nothing listens on port {port} (`dhakira serve` listens on {DEFAULT_PORT}, if its settings name no other); {START}"
            ),
            Self::NothingListens(port) => write!(out, "nothing listens on port {port}; {START}"),
            Self::Silent => out.write_str(
                "nothing is answered in time; correct host and port, or look for a firewall between here and there",
            ),
            Self::MetricsPort => out.write_str(
                "this port has health and metrics only; use the port that `listen` in its settings names",
            ),
            Self::OtherProgram(answer) => write!(
                out,
                "another program answers there ('{answer}'); correct the port ({DEFAULT_PORT}, if the settings of the server name no \
                 other)"
            ),
            Self::NotHttp => write!(
                out,
                "another program answers there, which speaks neither gRPC nor HTTP; correct the port ({DEFAULT_PORT}, if the settings \
                 of the server name no other)"
            ),
            of_tls => out.write_str(&of_tls.of_tls_in_words()),
        }
    }
}

impl ConnectFault {
    /// What is wrong with TLS, then what to do.
    fn of_tls_in_words(&self) -> String {
        let words = match self {
            Self::SpeaksTls => "this port speaks TLS; begin the address with https://",
            Self::SpeaksNoTls => {
                "this port does not speak TLS; begin the address with http://, or serve with --tls-cert and --tls-key"
            }
            Self::SelfSigned => {
                "its certificate is self-signed, and not known here (invalid peer certificate); if you trust it, name it with \
                 --ca-file"
            }
            Self::UnknownAuthority => {
                "the authority of its certificate is unknown (invalid peer certificate); name that of the authority with --ca-file"
            }
            Self::Expired => {
                "its certificate has expired; renew it on the server, which reads new files by itself"
            }
            Self::NotYetValid => {
                "its certificate is not valid yet; compare the clocks of both machines"
            }
            Self::NeedsClientCertificate => {
                "it requires a certificate of the client; name yours with --client-cert and --client-key"
            }
            Self::RefusesClientCertificate => {
                "it does not accept the certificate of --client-cert; use one of an authority that it knows"
            }
            Self::OtherHost(names) if !names.is_empty() => {
                return format!(
                    "its certificate is for {}, not for this host; call the server by such a name",
                    names.join(", ")
                );
            }
            Self::InvalidCertificate(why) => {
                return format!(
                    "its certificate cannot be used (invalid peer certificate: {why}); replace it on the server"
                );
            }
            _ => {
                "its certificate is for another host; call the server by a name that its certificate holds"
            }
        };
        words.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_tls_is_found_inside_of_one_of_the_system() {
        let inner = rustls::Error::InvalidCertificate(CertificateError::Expired);
        let error = io::Error::new(io::ErrorKind::InvalidData, inner);
        assert_eq!(ConnectFault::of(&error), Some(ConnectFault::Expired));
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(ConnectFault::of(&refused), Some(ConnectFault::NothingListens(0)));
        assert_eq!(ConnectFault::of(&io::Error::other("x")), None);
        let alert = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
        for words in [alert.to_string(), format!("{alert}; and what came of it")] {
            let error = io::Error::other(words);
            assert_eq!(ConnectFault::of(&error), Some(ConnectFault::NeedsClientCertificate));
        }
        assert_eq!(plain_name("DnsName(\"a.example\")"), "a.example");
        assert_eq!(plain_name("IpAddress(127.0.0.1)"), "127.0.0.1");
    }
}
