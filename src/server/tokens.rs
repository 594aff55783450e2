//! Who is calling? Bearer tokens: random, shown once, kept as hashes in a file, and looked at again when it changes.
//!
//! A token is `dhk_ID_SECRET`: the id finds the record, the secret is 256 random bits, so that a plain SHA-256 of the whole
//! token is as hard to turn round as the secret is to guess.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use jiff::Timestamp;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use tokio_util::sync::CancellationToken;

use crate::limits::{TOKEN_NAME_BYTES_MAX, TOKENS_MAX};
use crate::service::access::Grants;

/// What a token begins with, so that people and scanners know it when they see it.
const PREFIX: &str = "dhk_";
/// Version of the file.
const VERSION: u32 = 1;

/// Why the file of tokens is not what it should be.
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
    /// It says nothing that can be trusted.
    #[error("{path} is no file of tokens: {cause}; mend it, or move it away and make new tokens")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// What is asked for breaks a rule.
    #[error("{0}")]
    Refused(String),
}

/// What is known of a token: everything but the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Part of the token; no secret.
    pub id: String,
    /// Who or what has it; stands in the audit lines.
    pub name: String,
    /// SHA-256 of the token, or of the certificate (DER), in hex.
    pub sha256: String,
    /// Whether it is a client certificate, which stands for itself without a token.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub certificate: bool,
    /// What it allows.
    pub grants: Grants,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// When it was taken back.
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

/// The file of tokens. Everything here blocks.
#[derive(Debug, Clone)]
pub struct TokenFile {
    path: PathBuf,
}

impl TokenFile {
    /// The file at a path, which need not be there yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
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

    /// Makes a token; returns it, for the only time, and its record.
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

    /// Lets whoever has a client certificate (DER) do something, without a token.
    ///
    /// # Errors
    /// As of [`create`](Self::create); the certificate is known already.
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
            let what = "say what it allows, such as --grant reader:news or --grant admin:*";
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
                // Those that can never be used again make room, the oldest first.
                let Some(dead) = records.iter().position(|it| !is_active(it)) else {
                    let what =
                        format!("there are {TOKENS_MAX} active tokens, the most there may be");
                    return Err(TokenError::Refused(what));
                };
                records.remove(dead);
            }
            records.push(added);
            Ok(())
        })?;
        Ok(record)
    }

    /// Takes a token back, by its id or the name of an active one.
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
                let what = format!("there is no token '{which}'; `dhakira tokens list` shows them");
                return Err(TokenError::Refused(what));
            };
            record.revoked.get_or_insert(now);
            revoked = Some(record.clone());
            Ok(())
        })?;
        revoked.ok_or_else(|| TokenError::Refused(format!("there is no token '{which}'")))
    }

    /// Reads, changes and replaces the file under a lock: a reader sees the old one or the new one, whole, and of two
    /// writers neither loses what the other did.
    fn change(
        &self,
        change: impl FnOnce(&mut Vec<TokenRecord>) -> Result<(), TokenError>,
    ) -> Result<(), TokenError> {
        let io = |cause| self.io(cause);
        let directory = self.path.parent().filter(|it| !it.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        fs::create_dir_all(directory).map_err(io)?;
        let options = || {
            let mut options = File::options();
            options.write(true).create(true).truncate(false).mode(0o600);
            options
        };
        let lock = options().open(self.path.with_extension("lock")).map_err(io)?;
        lock.lock().map_err(io)?;
        let mut tokens = self.read()?.unwrap_or_default();
        change(&mut tokens)?;
        let text = serde_json::to_vec_pretty(&Contents { version: VERSION, tokens })
            .map_err(|error| self.io(error.into()))?;
        let temporary = self.path.with_extension("new");
        let mut file = options().truncate(true).open(&temporary).map_err(io)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(io)?;
        fs::rename(&temporary, &self.path).map_err(io)?;
        File::open(directory).and_then(|it| it.sync_all()).map_err(io)
    }

    fn io(&self, cause: io::Error) -> TokenError {
        TokenError::Io { path: self.path.clone(), cause }
    }

    /// What tells whether the file was replaced; `None` when there is none.
    fn stamp(&self) -> Option<Stamp> {
        Stamp::of(&self.path)
    }
}

/// What tells whether a file was replaced or written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(path: &Path) -> Option<Self> {
        let data = fs::metadata(path).ok()?;
        let changed = (data.mtime(), data.mtime_nsec());
        Some(Self { inode: data.ino(), bytes: data.len(), changed })
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
        .map_err(|_| TokenError::Refused("the system gives no random numbers".to_owned()))?;
    let (id, secret) = random.split_at(6);
    let id = hex(id);
    Ok((format!("{PREFIX}{id}_{}", hex(secret)), id))
}

fn hash(token: &str) -> [u8; 32] {
    fingerprint(token.as_bytes())
}

/// What a certificate is known by: the SHA-256 of its DER.
pub(super) fn fingerprint(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half & 0x0f)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

fn hash_of_hex(text: &str) -> Option<[u8; 32]> {
    let digits: Option<Vec<u8>> = (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect();
    digits?.try_into().ok()
}

/// Why a caller is nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stranger {
    NoToken,
    Unknown,
    Expired,
    Revoked,
}

/// A token in use.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) record: TokenRecord,
    pub(super) grants: Arc<Grants>,
    /// What its calls are counted under.
    pub(super) client: Arc<str>,
    hash: [u8; 32],
    /// Cancelled when the token is revoked or changed.
    pub(super) gone: CancellationToken,
}

/// The tokens of a running server.
#[derive(Debug)]
pub struct Tokens {
    file: TokenFile,
    callers: RwLock<HashMap<String, Arc<Caller>>>,
    /// Whether calls need a token: since there was a file. It stays so when the file goes away.
    required: AtomicBool,
    stamp: Mutex<Option<Stamp>>,
}

impl Tokens {
    /// Reads the file, if there is one. Blocks.
    ///
    /// # Errors
    /// As [`TokenFile::read`].
    pub fn open(file: TokenFile) -> Result<Self, TokenError> {
        let tokens = Self {
            file,
            callers: RwLock::default(),
            required: AtomicBool::new(false),
            stamp: Mutex::default(),
        };
        tokens.reload()?;
        Ok(tokens)
    }

    /// Whether calls need a token.
    pub fn required(&self) -> bool {
        self.required.load(Ordering::Acquire)
    }

    /// Reads the file again if it changed; on an error everything stays as it is. Blocks.
    ///
    /// # Errors
    /// As [`TokenFile::read`]; the file was there and is gone.
    pub(super) fn reload_if_changed(&self) -> Result<bool, TokenError> {
        let stamp = self.file.stamp();
        if stamp == *self.stamp.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(false);
        }
        self.reload().map(|()| true)
    }

    fn reload(&self) -> Result<(), TokenError> {
        let stamp = self.file.stamp();
        // What was looked at is not looked at again before it changes, whether it was good or not.
        *self.stamp.lock().unwrap_or_else(PoisonError::into_inner) = stamp;
        let Some(records) = self.file.read()? else {
            if self.required() {
                let what = "the file of tokens is gone; the tokens that were in it go on, and are asked for";
                return Err(TokenError::Refused(what.to_owned()));
            }
            return Ok(());
        };
        let mut callers = self.callers.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = HashMap::with_capacity(records.len());
        for record in records {
            let Some(hash) = hash_of_hex(&record.sha256) else { continue };
            let caller = match callers.remove(&record.id) {
                Some(caller) if caller.record == record => caller,
                other => {
                    if let Some(changed) = other {
                        changed.gone.cancel();
                    }
                    Arc::new(Caller {
                        grants: Arc::new(record.grants.clone()),
                        client: format!("token {}", record.id).into(),
                        hash,
                        gone: CancellationToken::new(),
                        record,
                    })
                }
            };
            next.insert(caller.record.id.clone(), caller);
        }
        for left in callers.values() {
            left.gone.cancel();
        }
        *callers = next;
        self.required.store(true, Ordering::Release);
        Ok(())
    }

    /// Whose token an `authorization` header carries; without one, whose certificate the connection was made with.
    pub(super) fn caller(
        &self,
        header: Option<&[u8]>,
        certificate: Option<&[u8; 32]>,
    ) -> Result<Arc<Caller>, Stranger> {
        let Some(header) = header else {
            let found = certificate.and_then(|it| self.of_certificate(it));
            return found.ok_or(Stranger::NoToken).and_then(still_good);
        };
        let text = std::str::from_utf8(header).map_err(|_| Stranger::Unknown)?;
        let (scheme, token) = text.split_once(' ').ok_or(Stranger::Unknown)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Stranger::Unknown);
        }
        let token = token.trim();
        let id = token.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).map(|(id, _)| id);
        let found = {
            let callers = self.callers.read().unwrap_or_else(PoisonError::into_inner);
            id.and_then(|id| callers.get(id).cloned())
        };
        let caller = found.ok_or(Stranger::Unknown)?;
        if !bool::from(hash(token).ct_eq(&caller.hash)) {
            return Err(Stranger::Unknown);
        }
        still_good(caller)
    }

    /// The newest record of a certificate: there may be revoked ones before it.
    fn of_certificate(&self, certificate: &[u8; 32]) -> Option<Arc<Caller>> {
        let callers = self.callers.read().unwrap_or_else(PoisonError::into_inner);
        let of_it = callers.values().filter(|it| it.record.certificate && it.hash == *certificate);
        of_it.max_by_key(|it| (it.record.revoked.is_none(), it.record.created)).cloned()
    }
}

fn still_good(caller: Arc<Caller>) -> Result<Arc<Caller>, Stranger> {
    match caller.record.state(Timestamp::now()) {
        "active" => Ok(caller),
        "expired" => Err(Stranger::Expired),
        _ => Err(Stranger::Revoked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> (tempfile::TempDir, TokenFile) {
        let directory = tempfile::tempdir().unwrap();
        let file = TokenFile::new(directory.path().join("access/tokens.json"));
        (directory, file)
    }

    fn grants(text: &str) -> Grants {
        Grants(vec![text.parse().unwrap()])
    }

    fn header(token: &str) -> Vec<u8> {
        format!("Bearer {token}").into_bytes()
    }

    #[test]
    fn a_token_is_known_until_it_is_revoked_and_never_stored() {
        let (_directory, file) = file();
        let tokens = Tokens::open(file.clone()).unwrap();
        assert!(!tokens.required());
        let (token, record) = file.create("cat tool", grants("reader:news"), None).unwrap();
        assert!(!fs::read_to_string(file.path()).unwrap().contains(&token));
        assert_eq!(fs::metadata(file.path()).unwrap().mode() & 0o777, 0o600);
        assert!(tokens.reload_if_changed().unwrap() && tokens.required());
        let caller = tokens.caller(Some(&header(&token)), None).unwrap();
        assert_eq!(caller.record.name, "cat tool");
        assert_eq!(tokens.caller(None, None).unwrap_err(), Stranger::NoToken);
        // One digit of the secret changed: nobody, not somebody with a wrong password.
        let last = if token.ends_with('0') { "1" } else { "0" };
        let wrong = format!("{}{last}", &token[..token.len() - 1]);
        assert_eq!(tokens.caller(Some(&header(&wrong)), None).unwrap_err(), Stranger::Unknown);
        file.revoke(&record.id).unwrap();
        tokens.reload_if_changed().unwrap();
        assert_eq!(tokens.caller(Some(&header(&token)), None).unwrap_err(), Stranger::Revoked);
        assert!(caller.gone.is_cancelled(), "calls under way end");
    }

    #[test]
    fn a_file_that_goes_bad_or_away_opens_nothing() {
        let (_directory, file) = file();
        let (token, _) = file.create("a", grants("admin:*"), None).unwrap();
        let tokens = Tokens::open(file.clone()).unwrap();
        fs::write(file.path(), "{").unwrap();
        assert!(matches!(tokens.reload_if_changed(), Err(TokenError::Damaged { .. })));
        assert!(tokens.caller(Some(&header(&token)), None).is_ok());
        fs::remove_file(file.path()).unwrap();
        assert!(tokens.reload_if_changed().is_err());
        assert!(tokens.required());
        assert!(tokens.caller(Some(&header(&token)), None).is_ok());
    }

    #[test]
    fn writers_do_not_lose_each_others_tokens() {
        let (_directory, file) = file();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let file = &file;
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

    #[test]
    fn names_are_unique_among_active_tokens_and_grants_are_needed() {
        let (_directory, file) = file();
        file.create("a", grants("reader:*"), None).unwrap();
        assert!(file.create("a", grants("reader:*"), None).is_err());
        assert!(file.create("b", Grants::default(), None).is_err());
        file.revoke("a").unwrap();
        assert!(file.revoke("a").is_err(), "by name only while it is active");
        file.create("a", grants("reader:*"), None).unwrap();
        let ended = Some(Timestamp::UNIX_EPOCH);
        let (token, _) = file.create("old", grants("reader:*"), ended).unwrap();
        let tokens = Tokens::open(file).unwrap();
        assert_eq!(tokens.caller(Some(&header(&token)), None).unwrap_err(), Stranger::Expired);
    }

    #[test]
    fn a_certificate_stands_for_itself_until_it_is_revoked() {
        let (_directory, file) = file();
        let (token, _) = file.create("a", grants("admin:*"), None).unwrap();
        let record = file.admit_certificate("box", grants("reader:news"), None, b"der").unwrap();
        let again = file.admit_certificate("box 2", grants("admin:*"), None, b"der");
        assert!(again.is_err(), "one certificate, one identity");
        let tokens = Tokens::open(file.clone()).unwrap();
        let (known, other) = (fingerprint(b"der"), fingerprint(b"other"));
        assert_eq!(tokens.caller(None, Some(&known)).unwrap().record.name, "box");
        assert_eq!(tokens.caller(None, Some(&other)).unwrap_err(), Stranger::NoToken);
        // A token goes before the certificate, also one that is no good.
        let caller = tokens.caller(Some(&header(&token)), Some(&known)).unwrap();
        assert_eq!(caller.record.name, "a");
        let wrong = tokens.caller(Some(&header("dhk_0_0")), Some(&known));
        assert_eq!(wrong.unwrap_err(), Stranger::Unknown);
        file.revoke(&record.id).unwrap();
        tokens.reload_if_changed().unwrap();
        assert_eq!(tokens.caller(None, Some(&known)).unwrap_err(), Stranger::Revoked);
        file.admit_certificate("box", grants("reader:*"), None, b"der").unwrap();
        tokens.reload_if_changed().unwrap();
        assert!(tokens.caller(None, Some(&known)).is_ok());
    }
}
