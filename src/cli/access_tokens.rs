//! `dhakira access-tokens`: creates, lists and revokes the access tokens of a server.
//!
//! Works on the token file, not on the memories: a running server sees a change within a second.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use jiff::{Span, Timestamp, ZonedDateTime};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Serialize;

use crate::grpc::access::{Grant, Grants};
use crate::server::{TokenFile, TokenMark, TokenRecord};

use super::outcome::Outcome;
use super::place::DATA_DEFAULT;
use crate::terminal::{json_line, table};

/// The token file of a data directory.
pub(super) fn tokens_path(data: &std::path::Path) -> PathBuf {
    data.join("access").join("tokens.json")
}

#[derive(Debug, Clone, Args)]
pub(super) struct TokenPlace {
    /// Directory that holds the memories.
    #[arg(long, value_name = "DIR", env = "DHAKIRA_DATA", default_value = DATA_DEFAULT)]
    data: PathBuf,
    /// Token file, when it is not DIR/access/tokens.json.
    #[arg(long, value_name = "FILE", env = "DHAKIRA_TOKENS_FILE")]
    tokens_file: Option<PathBuf>,
    /// One JSON object a token, one a line.
    #[arg(long)]
    json: bool,
}

impl TokenPlace {
    fn file(&self) -> TokenFile {
        TokenFile::new(self.tokens_file.clone().unwrap_or_else(|| tokens_path(&self.data)))
    }
}

/// Create, list and revoke access tokens.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum AccessTokens {
    /// Create an access token and show it, once. From the first one on, a server of these memories requires tokens.
    Create {
        /// Who or what uses it, such as `anna` or `cat-tool`; appears in the audit lines.
        name: String,
        /// What it allows: reader, translator, manager or admin, and a memory: `reader:news`, `manager:client-*`,
        /// `admin:*`. Several times for several memories.
        #[arg(long, value_name = "ROLE:MEMORY", required = true)]
        grant: Vec<Grant>,
        /// How long it is valid, such as `90d`, `12h`, `2w`, or `never`.
        #[arg(long, value_name = "TIME", default_value = "365d")]
        expires_in: String,
        /// Grant the role to a client certificate (PEM) instead of a token. Requires a server with --tls-client-ca of its
        /// authority.
        #[arg(long, value_name = "FILE")]
        certificate: Option<PathBuf>,
        #[command(flatten)]
        place: TokenPlace,
    },
    /// Show the access tokens: never the tokens themselves, which are not stored.
    List {
        #[command(flatten)]
        place: TokenPlace,
    },
    /// Revoke an access token; calls in flight with it end.
    Revoke {
        /// Its id, or its name.
        token: String,
        #[command(flatten)]
        place: TokenPlace,
    },
}

#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    name: &'a str,
    state: &'static str,
    grants: Vec<String>,
    created: Timestamp,
    expires: Option<Timestamp>,
    revoked: Option<Timestamp>,
    /// SHA-256 of the client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_sha256: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

fn shown<'a>(record: &'a TokenRecord, token: Option<&'a str>) -> Shown<'a> {
    Shown {
        id: &record.id,
        name: &record.name,
        state: record.state(Timestamp::now()),
        grants: record.grants.0.iter().map(ToString::to_string).collect(),
        created: record.created,
        expires: record.expires,
        revoked: record.revoked,
        certificate_sha256: record.certificate.then_some(record.sha256.as_str()),
        token,
    }
}

impl AccessTokens {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        match self {
            Self::Create { name, grant, expires_in, certificate, place } => {
                let file = place.file();
                let first = file.read()?.is_none();
                let (grants, expires) = (Grants(grant), expiry(&expires_in)?);
                let certificate = certificate.map(|it| first_certificate(&it)).transpose()?;
                let (token, record) = match certificate {
                    None => {
                        let (token, record) = file.create(&name, grants, expires)?;
                        (Some(token), record)
                    }
                    Some(der) => (None, file.admit_certificate(&name, grants, expires, &der)?),
                };
                if place.data.is_dir() {
                    TokenMark::of(&place.data).set(&file)?;
                }
                if place.json {
                    json_line(&shown(&record, token.as_deref()))?;
                } else if let Some(token) = &token {
                    say!("{token}")?;
                }
                let (id, name) = (&record.id, &record.name);
                if token.is_some() {
                    note!(
                        "dhakira: token {id} for {name}; it is not shown again, and a running server takes it within a second"
                    );
                } else {
                    note!(
                        "dhakira: the certificate authenticates {name} ({id} in `access-tokens list`) within a second"
                    );
                }
                if first {
                    note!(
                        "dhakira: from now on a server of these memories requires a token for every call"
                    );
                }
            }
            Self::List { place } => list(&place)?,
            Self::Revoke { token, place } => {
                let record = place.file().revoke(&token)?;
                if place.json {
                    json_line(&shown(&record, None))?;
                } else {
                    note!(
                        "dhakira: token {} of {} is revoked; a running server refuses it within a second",
                        record.id,
                        record.name
                    );
                }
            }
        }
        Ok(Outcome::Done)
    }
}

fn list(place: &TokenPlace) -> anyhow::Result<()> {
    let file = place.file();
    let Some(records) = file.read()? else {
        note!(
            "dhakira: there are no tokens in {}: a server of these memories requires no authentication",
            file.path().display()
        );
        return Ok(());
    };
    if place.json {
        return records.iter().try_for_each(|record| json_line(&shown(record, None)));
    }
    let text = |time: Option<Timestamp>| {
        time.map_or_else(|| "never".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M").to_string())
    };
    let head =
        ["id", "name", "kind", "state", "allows", "created", "expires"].map(str::to_owned).to_vec();
    let rows = records.iter().map(|record| {
        let it = shown(record, None);
        let (created, expires) = (text(Some(it.created)), text(it.expires));
        let kind = if record.certificate { "certificate" } else { "token" };
        let texts = [it.id, it.name, kind, it.state].map(str::to_owned);
        texts.into_iter().chain([it.grants.join(" "), created, expires]).collect()
    });
    show!("{}", table(&std::iter::once(head).chain(rows).collect::<Vec<_>>()))?;
    Ok(())
}

/// The certificate of a file, which is the first one in it, as DER.
fn first_certificate(path: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    let read = CertificateDer::from_pem_file(path);
    let der = read.with_context(|| format!("{}: no certificate (PEM)", path.display()))?;
    Ok(der.to_vec())
}

/// When a token expires that is valid for so long from now.
fn expiry(text: &str) -> anyhow::Result<Option<Timestamp>> {
    if text == "never" {
        return Ok(None);
    }
    let wrong = || format!("'{text}' is not a duration such as 90d, 12h, 2w, or never");
    // What its parser says is about a grammar that nobody has to know.
    let span: Span = text.parse().map_err(|_| anyhow::anyhow!(wrong()))?;
    anyhow::ensure!(span.is_positive(), wrong());
    Ok(Some(ZonedDateTime::now().checked_add(span).with_context(wrong)?.timestamp()))
}
