//! Defines how a realm is reached: the address of the database, and what the node expects of it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::Host;
use uuid::Uuid;

use super::tls::{TlsMode, TlsSettings};

/// Port of PostgreSQL where the address names none.
const PORT: u16 = 5432;

/// Who sees to it that an acknowledged commit survives the loss of the primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Synchronous standbys of PostgreSQL; a server without any is refused.
    #[default]
    Synchronous,
    /// The storage engine below the server, as with Aurora, RDS or AlloyDB.
    Engine,
}

/// How a node uses a realm.
#[derive(Debug, Clone)]
pub struct RealmOptions {
    /// The database.
    pub url: StoreUrl,
    /// Who makes commits durable.
    pub durability: Durability,
    /// The identity of this node, which no other process has.
    pub node: Uuid,
    /// After this time without an answer, the outcome of a commit counts as unknown and its connection is closed.
    pub unknown_after: Duration,
}

/// Default of [`RealmOptions::unknown_after`].
const UNKNOWN_AFTER: Duration = Duration::from_secs(10);

impl RealmOptions {
    /// The defaults for a database.
    pub fn new(url: StoreUrl, node: Uuid) -> Self {
        Self { url, durability: Durability::default(), node, unknown_after: UNKNOWN_AFTER }
    }
}

/// The address of a database: `postgres://user:password@host:port,host:port/database?sslmode=verify-full&sslrootcert=ca.pem`.
///
/// Parameters are those of libpq that `tokio_postgres` knows, and `sslmode` (`disable`, `prefer`, `require`, `verify-ca`,
/// `verify-full`), `sslrootcert`, `sslcert`, `sslkey`.
#[derive(Clone)]
pub struct StoreUrl {
    pub(super) config: Config,
    pub(super) tls: TlsSettings,
}

/// Why an address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UrlError(String);

impl StoreUrl {
    /// Whether text is meant to be such an address.
    pub fn is_one(text: &str) -> bool {
        ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme))
    }

    /// Replaces the password, for one that should not be in the address.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.config.password(password);
        self
    }

    /// Host and port of each server, in the order in which they are given.
    pub(super) fn servers(&self) -> Vec<(Host, u16)> {
        let ports = self.config.get_ports();
        let port = |place: usize| match ports {
            [] => PORT,
            [one] => *one,
            several => several.get(place).copied().unwrap_or(PORT),
        };
        let hosts = self.config.get_hosts().iter().enumerate();
        hosts.map(|(place, host)| (host.clone(), port(place))).collect()
    }
}

/// A host and its port, as people write them.
pub(super) fn server_name((host, port): &(Host, u16)) -> String {
    match host {
        Host::Tcp(name) if name.contains(':') => format!("[{name}]:{port}"),
        Host::Tcp(name) => format!("{name}:{port}"),
        Host::Unix(path) => format!("{}:{port}", path.display()),
    }
}

impl FromStr for StoreUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if !Self::is_one(text) {
            return Err(UrlError(
                "the address of a database begins with 'postgres://', as in 'postgres://user@host/database'".to_owned(),
            ));
        }
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let mut tls = TlsSettings::default();
        let mut others = Vec::new();
        for parameter in query.split('&').filter(|it| !it.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = percent_decoded(value)
                .ok_or_else(|| UrlError(format!("the value of '{name}' is not encoded well")))?;
            match name {
                "sslmode" => tls.mode = TlsMode::named(&value).map_err(UrlError)?,
                "sslrootcert" if value == "system" => tls.roots = None,
                "sslrootcert" => tls.roots = Some(value.into()),
                "sslcert" => tls.certificate = Some(value.into()),
                "sslkey" => tls.key = Some(value.into()),
                // Writes need the primary, whatever the address says.
                "target_session_attrs" => {}
                _ => others.push(parameter),
            }
        }
        let address = match others.as_slice() {
            [] => base.to_owned(),
            others => format!("{base}?{}", others.join("&")),
        };
        let config: Config = address.parse().map_err(|error: tokio_postgres::Error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            UrlError(format!(
                "the address of the database cannot be read: {}",
                cause.unwrap_or_else(|| error.to_string())
            ))
        })?;
        if config.get_hosts().is_empty() {
            return Err(UrlError("the address of the database names no host".to_owned()));
        }
        let ports = config.get_ports().len();
        if ports > 1 && ports != config.get_hosts().len() {
            return Err(UrlError("there are more or fewer ports than hosts".to_owned()));
        }
        Ok(Self { config, tls })
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

impl fmt::Display for StoreUrl {
    /// Omits user, password and parameters.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers: Vec<String> = self.servers().iter().map(server_name).collect();
        let database = self.config.get_dbname().or(self.config.get_user()).unwrap_or_default();
        write!(out, "postgres://{}/{database}", servers.join(","))
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        let url: StoreUrl = "postgres://me:secret@one,[::1]:5433/tm?sslmode=verify-full&sslrootcert=%2Ftmp%2Fca.pem&connect_timeout=3"
            .parse()
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(url.tls.mode, TlsMode::VerifyFull);
        assert_eq!(url.tls.roots.as_deref(), Some(std::path::Path::new("/tmp/ca.pem")));
        assert!(!format!("{url} {url:?}").contains("secret"));
        let one: StoreUrl = "postgres://me@one:1,two:2/tm".parse().unwrap();
        assert_eq!(one.to_string(), "postgres://one:1,two:2/tm");
        let socket: StoreUrl = "postgresql://me@%2Ftmp%2Fsockets:7/tm".parse().unwrap();
        assert_eq!(socket.to_string(), "postgres:///tmp/sockets:7/tm");
    }

    #[test]
    fn an_address_that_cannot_be_used_says_why() {
        for (wrong, why) in [
            ("mysql://host/db", "begins with 'postgres://'"),
            ("postgres:///db", "names no host"),
            ("postgres://a:port/db", "cannot be read"),
            ("postgres://a/db?sslmode=maybe", "sslmode"),
            ("postgres://a/db?colour=blue", "cannot be read"),
            ("postgres://a/db?sslrootcert=%zz", "not encoded"),
        ] {
            let error = wrong.parse::<StoreUrl>().unwrap_err().to_string();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}
