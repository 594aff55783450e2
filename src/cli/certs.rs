//! `dhakira certs`: makes certificates for trying out TLS.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use jiff::civil::Date;
use jiff::{ToSpan as _, ZonedDateTime};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls_pki_types::DnsName;
use serde::Serialize;

use super::outcome::Outcome;
use crate::terminal::json_line;

/// Make certificates for trying out TLS.
#[derive(Debug, Clone, Subcommand)]
pub(super) enum Certs {
    /// Make an authority, and a certificate of it for a server.
    Create(Create),
}

/// Make an authority, and a certificate of it for a server: for trying out, and for machines that only your own clients call.
///
/// Writes ca.pem (the authority, for clients), cert.pem and key.pem (for the server). The key of the authority is not kept: whoever
/// trusts it trusts this one certificate.
#[derive(Debug, Clone, Args)]
pub(super) struct Create {
    /// A name or address by which clients call the server; may be repeated. `*.example.org` is all names below one.
    #[arg(long = "host", value_name = "NAME", required = true, value_parser = host)]
    hosts: Vec<String>,
    /// Directory to write the files to; created when missing.
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
    /// How long they are valid. Systems refuse certificates that are valid for more than 825 days.
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=825))]
    days: u16,
    /// Overwrite the files if they exist.
    #[arg(long)]
    force: bool,
    /// One JSON object with the names of the files on standard output.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    authority: &'a str,
    certificate: &'a str,
    key: &'a str,
    valid_until: String,
}

/// The authority, for clients.
const AUTHORITY_FILE: &str = "ca.pem";
const CERTIFICATE_FILE: &str = "cert.pem";
const KEY_FILE: &str = "key.pem";

/// The names of files, and what goes into them.
type Files = [(&'static str, String); 3];

impl Certs {
    pub(super) fn run(self) -> anyhow::Result<Outcome> {
        let Self::Create(create) = self;
        create.run()
    }
}

impl Create {
    fn run(self) -> anyhow::Result<Outcome> {
        let today = ZonedDateTime::now().date();
        let last_day = today.checked_add(i64::from(self.days).days())?;
        // A clock that is a little behind does not refuse them.
        let files = certificates(&self.hosts, today.yesterday()?, last_day)
            .context("making the certificates")?;
        let doing = || format!("writing the certificates into {}", self.output.display());
        for (name, _) in &files {
            let path = self.output.join(name);
            ensure!(
                self.force || !path.exists(),
                "{} exists; --force overwrites it",
                path.display()
            );
        }
        std::fs::create_dir_all(&self.output).with_context(doing)?;
        for (name, text) in &files {
            write(&self.output, name, text).with_context(doing)?;
        }
        let path = |name: &str| self.output.join(name).display().to_string();
        let (authority, certificate, key) =
            (path(AUTHORITY_FILE), path(CERTIFICATE_FILE), path(KEY_FILE));
        if self.json {
            let valid_until = last_day.to_string();
            let (authority, certificate, key) = (&*authority, &*certificate, &*key);
            json_line(&Line { authority, certificate, key, valid_until })?;
            return Ok(Outcome::Done);
        }
        note!("dhakira: wrote {authority}, {certificate} and {key}, valid until {last_day}");
        let host = self.hosts.first().map_or("HOST", String::as_str);
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        say!("dhakira serve --tls-cert {certificate} --tls-key {key}")?;
        say!("dhakira memories --server https://{host}:50051 --ca-file {authority}")?;
        Ok(Outcome::Done)
    }
}

/// An authority, a certificate for these hosts that it has signed, and its key.
fn certificates(hosts: &[String], first_day: Date, last_day: Date) -> anyhow::Result<Files> {
    let midnight = |date: Date| {
        let (month, day) = (date.month().try_into()?, date.day().try_into()?);
        anyhow::Ok(date_time_ymd(date.year().into(), month, day))
    };
    let params = |hosts: &[String], name: &str| {
        let mut params = CertificateParams::new(hosts)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (midnight(first_day)?, midnight(last_day)?);
        anyhow::Ok(params)
    };
    let mut authority = params(&[], "Dhakira authority for trying out")?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let mut server = params(hosts, "Dhakira server")?;
    server.is_ca = IsCa::ExplicitNoCa;
    server.use_authority_key_identifier_extension = true;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &authority)?;
    Ok([
        (KEY_FILE, key.serialize_pem()),
        (CERTIFICATE_FILE, certificate.pem()),
        (AUTHORITY_FILE, authority.pem()),
    ])
}

/// Writes a file that nobody else may read, as the key has to be.
fn write(directory: &Path, name: &str, text: &str) -> std::io::Result<()> {
    let path = directory.join(name);
    // The mode is that of a new file; an older one keeps its own.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// A name or an address, as it can stand in a certificate.
fn host(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    if text.parse::<IpAddr>().is_ok() || DnsName::try_from(name).is_ok() {
        return Ok(text.to_owned());
    }
    Err("a host is a name or an address alone, such as tm.example.org or 192.0.2.7".to_owned())
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn hosts_are_names_and_addresses_alone() {
        for good in ["localhost", "tm.example.org", "*.example.org", "192.0.2.7", "::1"] {
            assert_eq!(host(good).as_deref(), Ok(good));
        }
        for bad in ["", "https://tm.example.org", "tm.example.org:50051", "[::1]", "a b", "*"] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }
}
