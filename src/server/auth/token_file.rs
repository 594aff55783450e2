//! The token file: hashes of access tokens, replaced as a whole under a lock, and a mark that there was such a file.
//!
//! A token is `dhk_ID_SECRET`: the id finds the record, the secret is 256 random bits, so that a plain SHA-256 of the whole
//! token is as hard to invert as the secret is to guess.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};

use super::file_stamp::FileStamp;
use crate::engine::backup::{TOKENS_REQUIRED_FILE, write_token_mark};
use crate::grpc::access::Grants;
use crate::limits::{TOKEN_NAME_BYTES_MAX, TOKENS_MAX};

/// The start of every token, so that people and secret scanners recognize it.
pub(in crate::server) const PREFIX: &str = "dhk_";
/// Version of the file.
const VERSION: u32 = 1;

/// Why the token file cannot be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read or written.
    #[error("{path}: {cause}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// It is not a valid token file.
    #[error(
        "{path} is not a valid token file: {cause}; repair it, or move it away and create new tokens"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// It is missing, although calls needed a token.
    #[error(
        "calls to these memories require a token, and the token file {path} is missing: restore it, or create new tokens with \
         `dhakira access-tokens create`; to serve without tokens from now on, start once with --without-tokens"
    )]
    Gone {
        /// Which file.
        path: PathBuf,
    },
    /// The request breaks a rule.
    #[error("{0}")]
    Refused(String),
}

/// A file in a data directory which says that calls to its memories need a token, so that losing the token file does not
/// open the server.
#[derive(Debug, Clone)]
pub struct TokenMark {
    path: PathBuf,
}

impl TokenMark {
    /// The mark of a data directory.
    pub fn of(data: &Path) -> Self {
        Self { path: data.join(TOKENS_REQUIRED_FILE) }
    }

    /// Sets it. Blocks.
    ///
    /// # Errors
    /// I/O.
    pub fn set(&self, tokens: &TokenFile) -> Result<(), TokenError> {
        if self.path.exists() {
            return Ok(());
        }
        let tokens = tokens.path.display();
        let text = format!("Calls to these memories need a token; the tokens are in {tokens}");
        write_token_mark(&self.path, &text)
            .map_err(|cause| TokenError::Io { path: self.path.clone(), cause })
    }

    /// Removes it, and whatever else says that there were tokens. Blocks.
    ///
    /// # Errors
    /// I/O.
    pub fn remove(&self, tokens: &TokenFile) -> Result<(), TokenError> {
        for path in [&self.path, &tokens.lock_path()] {
            match fs::remove_file(path) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                    return Err(TokenError::Io { path: path.clone(), cause });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether calls needed tokens: it was set, or tokens were created in that file.
    pub fn is_set(&self, tokens: &TokenFile) -> bool {
        self.path.exists() || tokens.lock_path().exists()
    }
}

/// Adds records to others. What differs between two records of a token is whether and when it was revoked.
fn add_all(records: &mut Vec<TokenRecord>, others: &[TokenRecord]) {
    let now = Timestamp::now();
    for other in others {
        let revoked = |it: &TokenRecord| it.revoked;
        if let Some(known) = records.iter_mut().find(|it| it.id == other.id) {
            known.revoked = [revoked(known), revoked(other)].into_iter().flatten().min();
        } else if records.len() < TOKENS_MAX || other.state(now) == "active" {
            records.push(other.clone());
        }
    }
}

/// Files for their owner alone.
fn private() -> fs::OpenOptions {
    let mut options = File::options();
    options.write(true).create(true).truncate(false).mode(0o600);
    options
}

/// What is stored about a token: everything but the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Part of the token; no secret.
    pub id: String,
    /// Who or what uses it; appears in the audit lines.
    pub name: String,
    /// SHA-256 of the token, or of the certificate (DER), in hex.
    pub sha256: String,
    /// Whether it is a client certificate, which authenticates without a token.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub certificate: bool,
    /// What it allows.
    pub grants: Grants,
    /// When it was created.
    pub created: Timestamp,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
}

impl TokenRecord {
    /// `active`, `expired` or `revoked`.
    pub fn state(&self, now: Timestamp) -> &'static str {
        if self.revoked.is_some() {
            "revoked"
        } else if self.expires.is_some_and(|end| end <= now) {
            "expired"
        } else {
            "active"
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    version: u32,
    tokens: Vec<TokenRecord>,
}

/// The token file. All methods block.
#[derive(Debug, Clone)]
pub struct TokenFile {
    path: PathBuf,
}

impl TokenFile {
    /// The file at a path, which need not exist.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The records; `None` when there is no file.
    ///
    /// # Errors
    /// [`TokenError::Io`], [`TokenError::Damaged`].
    pub fn read(&self) -> Result<Option<Vec<TokenRecord>>, TokenError> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(self.io(cause)),
        };
        let damaged = |cause: String| TokenError::Damaged { path: self.path.clone(), cause };
        let contents: Contents =
            serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if contents.version != VERSION {
            return Err(damaged(format!("it has version {}, not {VERSION}", contents.version)));
        }
        if let Some(bad) = contents.tokens.iter().find(|it| hash_of_hex(&it.sha256).is_none()) {
            return Err(damaged(format!("the hash of token {} is not 64 hex digits", bad.id)));
        }
        Ok(Some(contents.tokens))
    }

    /// Creates a token; returns it, for the only time, and its record.
    ///
    /// # Errors
    /// A name that is empty, too long or taken by an active token; no grant; too many tokens; the file.
    pub fn create(
        &self,
        name: &str,
        grants: Grants,
        expires: Option<Timestamp>,
    ) -> Result<(String, TokenRecord), TokenError> {
        let (token, id) = new_token()?;
        let record = self.add(name, grants, expires, (id, hash(&token), false))?;
        Ok((token, record))
    }

    /// Grants roles to a client certificate (DER), which needs no token.
    ///
    /// # Errors
    /// As [`create`](Self::create); the certificate has a record already.
    pub fn admit_certificate(
        &self,
        name: &str,
        grants: Grants,
        expires: Option<Timestamp>,
        certificate: &[u8],
    ) -> Result<TokenRecord, TokenError> {
        let (_, id) = new_token()?;
        self.add(name, grants, expires, (id, fingerprint(certificate), true))
    }

    fn add(
        &self,
        name: &str,
        grants: Grants,
        expires: Option<Timestamp>,
        (id, hash, certificate): (String, [u8; 32], bool),
    ) -> Result<TokenRecord, TokenError> {
        let name = check_name(name)?;
        if grants.0.is_empty() {
            let what = "a token needs a grant, such as --grant reader:news or --grant admin:*";
            return Err(TokenError::Refused(what.to_owned()));
        }
        let created = Timestamp::now();
        let sha256 = hex(&hash);
        let record =
            TokenRecord { id, name, sha256, certificate, grants, created, expires, revoked: None };
        let added = record.clone();
        self.change(move |records| {
            let is_active = |it: &TokenRecord| it.state(created) == "active";
            let active = |same: &dyn Fn(&TokenRecord) -> bool| {
                records.iter().find(|it| is_active(it) && same(it))
            };
            if let Some(known) = active(&|it| it.name == added.name || it.sha256 == added.sha256) {
                let what =
                    format!("there is an active token '{}' already; revoke it first", known.name);
                return Err(TokenError::Refused(what));
            }
            if records.len() >= TOKENS_MAX {
                // Expired and revoked tokens make room, the oldest first.
                let Some(dead) = records.iter().position(|it| !is_active(it)) else {
                    let what = format!("there are {TOKENS_MAX} active tokens, which is the limit");
                    return Err(TokenError::Refused(what));
                };
                records.remove(dead);
            }
            records.push(added);
            Ok(())
        })?;
        Ok(record)
    }

    /// Revokes a token, by its id or the name of an active one.
    ///
    /// # Errors
    /// No such token; the file.
    pub fn revoke(&self, which: &str) -> Result<TokenRecord, TokenError> {
        let now = Timestamp::now();
        let mut revoked = None;
        self.change(|records| {
            let found = records
                .iter_mut()
                .find(|it| it.id == which || (it.name == which && it.state(now) == "active"));
            let Some(record) = found else {
                let what =
                    format!("there is no token '{which}'; `dhakira access-tokens list` shows them");
                return Err(TokenError::Refused(what));
            };
            record.revoked.get_or_insert(now);
            revoked = Some(record.clone());
            Ok(())
        })?;
        revoked.ok_or_else(|| TokenError::Refused(format!("there is no token '{which}'")))
    }

    /// Adds the records of another file of the same server, or of another node; returns all of them. A token that is revoked in either
    /// is revoked. Without any record, no file is created.
    ///
    /// # Errors
    /// The file.
    pub fn merge(&self, others: &[TokenRecord]) -> Result<Vec<TokenRecord>, TokenError> {
        let known = self.read()?;
        let mut all = known.clone().unwrap_or_default();
        add_all(&mut all, others);
        if all.is_empty() || known.as_ref() == Some(&all) {
            return Ok(all);
        }
        self.change(|records| {
            add_all(records, others);
            all.clone_from(records);
            Ok(())
        })?;
        Ok(all)
    }

    /// Reads, changes and replaces the file under a lock: a reader sees the old or the new content, and no writer loses the
    /// change of another.
    fn change(
        &self,
        change: impl FnOnce(&mut Vec<TokenRecord>) -> Result<(), TokenError>,
    ) -> Result<(), TokenError> {
        let io = |cause| self.io(cause);
        let directory = self.path.parent().filter(|it| !it.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io)?;
        let lock = private().open(self.lock_path()).map_err(io)?;
        lock.lock().map_err(io)?;
        let mut tokens = self.read()?.unwrap_or_default();
        change(&mut tokens)?;
        let text = serde_json::to_vec_pretty(&Contents { version: VERSION, tokens })
            .map_err(|error| self.io(error.into()))?;
        let temporary = self.path.with_extension("new");
        let mut file = private().truncate(true).open(&temporary).map_err(io)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(io)?;
        fs::rename(&temporary, &self.path).map_err(io)?;
        File::open(directory).and_then(|it| it.sync_all()).map_err(io)
    }

    /// The lock file that writers hold.
    fn lock_path(&self) -> PathBuf {
        self.path.with_extension("lock")
    }

    fn io(&self, cause: io::Error) -> TokenError {
        TokenError::Io { path: self.path.clone(), cause }
    }

    /// What tells whether the file was replaced; `None` when there is none.
    pub(in crate::server) fn stamp(&self) -> Option<FileStamp> {
        FileStamp::of(&self.path)
    }
}

fn check_name(name: &str) -> Result<String, TokenError> {
    let name = name.trim();
    if name.is_empty() || name.len() > TOKEN_NAME_BYTES_MAX || name.chars().any(char::is_control) {
        let what = format!("a name has 1 to {TOKEN_NAME_BYTES_MAX} bytes, no control characters");
        return Err(TokenError::Refused(what));
    }
    Ok(name.to_owned())
}

fn new_token() -> Result<(String, String), TokenError> {
    let mut random = [0_u8; 38];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_| TokenError::Refused("the system provides no random numbers".to_owned()))?;
    let (id, secret) = random.split_at(6);
    let id = hex(id);
    Ok((format!("{PREFIX}{id}_{}", hex(secret)), id))
}

pub(in crate::server) fn hash(token: &str) -> [u8; 32] {
    fingerprint(token.as_bytes())
}

/// Identifies a certificate: the SHA-256 of its DER.
pub(in crate::server) fn fingerprint(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half & 0x0f)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

pub(in crate::server) fn hash_of_hex(text: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u8>> = (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect();
    digits?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_do_not_lose_each_others_tokens() {
        let directory = tempfile::tempdir().unwrap();
        let file = TokenFile::new(directory.path().join("access/tokens.json"));
        let grants = |text: &str| Grants(vec![text.parse().unwrap()]);
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (file, grants) = (&file, &grants);
                scope.spawn(move || {
                    for round in 0..5 {
                        let name = format!("{number}-{round}");
                        file.create(&name, grants("reader:*"), None).unwrap();
                    }
                });
            }
        });
        assert_eq!(file.read().unwrap().unwrap().len(), 40);
    }
}
