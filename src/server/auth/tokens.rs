//! Checks the token or certificate of a call, against a token file that is read again when it changes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use jiff::Timestamp;
use subtle::ConstantTimeEq as _;
use tokio_util::sync::CancellationToken;

use crate::grpc::access::{Grants, Principals, TokenState};

use super::file_stamp::FileStamp;
use super::token_file::{PREFIX, TokenError, TokenFile, TokenMark, TokenRecord, hash, hash_of_hex};

/// Why authentication failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum AuthError {
    NoToken,
    Unknown,
    Expired,
    Revoked,
}

/// Who a token or certificate stands for, and what it allows.
#[derive(Debug)]
pub(in crate::server) struct Principal {
    pub(in crate::server) record: TokenRecord,
    pub(in crate::server) grants: Arc<Grants>,
    pub(in crate::server) id: Arc<str>,
    /// The client that its calls are counted for.
    pub(in crate::server) client: Arc<str>,
    hash: [u8; 32],
    /// Cancelled when the token is revoked or changed.
    pub(in crate::server) gone: CancellationToken,
}

/// The tokens of a running server.
#[derive(Debug)]
pub struct Tokens {
    file: TokenFile,
    mark: Option<TokenMark>,
    principals: RwLock<HashMap<String, Arc<Principal>>>,
    /// Whether calls need a token: true once there was a file, also when it is removed.
    required: AtomicBool,
    stamp: Mutex<Option<FileStamp>>,
}

impl Tokens {
    /// Reads the file, if there is one. Blocks.
    ///
    /// # Errors
    /// As [`TokenFile::read`].
    pub fn open(file: TokenFile) -> Result<Self, TokenError> {
        let tokens = Self {
            file,
            mark: None,
            principals: RwLock::default(),
            required: AtomicBool::new(false),
            stamp: Mutex::default(),
        };
        tokens.reload()?;
        Ok(tokens)
    }

    /// As [`open`](Self::open), for a data directory in which tokens may have been in use before. Blocks.
    ///
    /// # Errors
    /// As [`open`](Self::open); [`TokenError::Gone`]; `without_tokens` although there are tokens.
    pub fn open_marked(
        file: TokenFile,
        mark: TokenMark,
        without_tokens: bool,
    ) -> Result<Self, TokenError> {
        let tokens = Self { mark: Some(mark), ..Self::open(file)? };
        let (file, Some(mark)) = (&tokens.file, &tokens.mark) else { return Ok(tokens) };
        if without_tokens {
            if tokens.required() {
                let what = format!(
                    "--without-tokens is for a server whose token file is missing, but {} exists; move it away first",
                    file.path().display()
                );
                return Err(TokenError::Refused(what));
            }
            mark.remove(file)?;
        } else if !tokens.required() && mark.is_set(file) {
            return Err(TokenError::Gone { path: file.path().to_owned() });
        }
        Ok(tokens)
    }

    /// Marks the data directory as one that requires tokens, if it does. Blocks.
    ///
    /// # Errors
    /// I/O.
    pub fn note(&self) -> Result<(), TokenError> {
        match &self.mark {
            Some(mark) if self.required() => mark.set(&self.file),
            _ => Ok(()),
        }
    }

    /// Whether calls need a token.
    pub fn required(&self) -> bool {
        self.required.load(Ordering::Acquire)
    }

    /// Reads the file again if it changed; on an error the tokens in use stay. Blocks.
    ///
    /// # Errors
    /// As [`TokenFile::read`]; the file was removed.
    pub(in crate::server) fn reload_if_changed(&self) -> Result<bool, TokenError> {
        let stamp = self.file.stamp();
        if stamp == *self.stamp.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(false);
        }
        self.reload()?;
        self.note()?;
        Ok(true)
    }

    fn reload(&self) -> Result<(), TokenError> {
        let stamp = self.file.stamp();
        // A version of the file is read once, whether it is valid or not.
        *self.stamp.lock().unwrap_or_else(PoisonError::into_inner) = stamp;
        let Some(records) = self.file.read()? else {
            if self.required() {
                let what = "the token file was removed; its tokens stay in use";
                return Err(TokenError::Refused(what.to_owned()));
            }
            return Ok(());
        };
        let mut principals = self.principals.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = HashMap::with_capacity(records.len());
        for record in records {
            let Some(hash) = hash_of_hex(&record.sha256) else { continue };
            let principal = match principals.remove(&record.id) {
                Some(principal) if principal.record == record => principal,
                other => {
                    if let Some(changed) = other {
                        changed.gone.cancel();
                    }
                    Arc::new(Principal {
                        grants: Arc::new(record.grants.clone()),
                        id: record.id.as_str().into(),
                        client: format!("token {}", record.id).into(),
                        hash,
                        gone: CancellationToken::new(),
                        record,
                    })
                }
            };
            next.insert(principal.record.id.clone(), principal);
        }
        for left in principals.values() {
            left.gone.cancel();
        }
        *principals = next;
        self.required.store(true, Ordering::Release);
        Ok(())
    }

    /// The principal of the token in an `authorization` header, or else of the certificate of the connection.
    pub(in crate::server) fn authenticate(
        &self,
        header: Option<&[u8]>,
        certificate: Option<&[u8; 32]>,
    ) -> Result<Arc<Principal>, AuthError> {
        let Some(header) = header else {
            let found = certificate.and_then(|it| self.by_certificate(it));
            return found.ok_or(AuthError::NoToken).and_then(check_state);
        };
        let text = std::str::from_utf8(header).map_err(|_| AuthError::Unknown)?;
        let (scheme, token) = text.split_once(' ').ok_or(AuthError::Unknown)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(AuthError::Unknown);
        }
        let token = token.trim();
        let id = token.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).map(|(id, _)| id);
        let found = {
            let principals = self.principals.read().unwrap_or_else(PoisonError::into_inner);
            id.and_then(|id| principals.get(id).cloned())
        };
        let principal = found.ok_or(AuthError::Unknown)?;
        if !bool::from(hash(token).ct_eq(&principal.hash)) {
            return Err(AuthError::Unknown);
        }
        check_state(principal)
    }

    /// The newest record of a certificate, which may have older, revoked ones.
    fn by_certificate(&self, certificate: &[u8; 32]) -> Option<Arc<Principal>> {
        let principals = self.principals.read().unwrap_or_else(PoisonError::into_inner);
        let records =
            principals.values().filter(|it| it.record.certificate && it.hash == *certificate);
        records.max_by_key(|it| (it.record.revoked.is_none(), it.record.created)).cloned()
    }
}

impl Principals for Tokens {
    fn token_state(&self, id: &str) -> TokenState {
        if !self.required() {
            return TokenState::NotRequired;
        }
        let principals = self.principals.read().unwrap_or_else(PoisonError::into_inner);
        let found = principals.get(id).cloned();
        match found.and_then(|principal| check_state(principal).ok()) {
            Some(principal) => {
                TokenState::Active(Arc::clone(&principal.grants), principal.gone.clone())
            }
            None => TokenState::Invalid,
        }
    }
}

fn check_state(principal: Arc<Principal>) -> Result<Arc<Principal>, AuthError> {
    match principal.record.state(Timestamp::now()) {
        "active" => Ok(principal),
        "expired" => Err(AuthError::Expired),
        _ => Err(AuthError::Revoked),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    use super::super::token_file::fingerprint;
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
        let principal = tokens.authenticate(Some(&header(&token)), None).unwrap();
        assert_eq!(principal.record.name, "cat tool");
        assert_eq!(tokens.authenticate(None, None).unwrap_err(), AuthError::NoToken);
        // A token with one wrong digit is unknown.
        let last = if token.ends_with('0') { "1" } else { "0" };
        let wrong = format!("{}{last}", &token[..token.len() - 1]);
        assert_eq!(
            tokens.authenticate(Some(&header(&wrong)), None).unwrap_err(),
            AuthError::Unknown
        );
        file.revoke(&record.id).unwrap();
        tokens.reload_if_changed().unwrap();
        assert_eq!(
            tokens.authenticate(Some(&header(&token)), None).unwrap_err(),
            AuthError::Revoked
        );
        assert!(principal.gone.is_cancelled(), "calls in flight end");
    }

    #[test]
    fn a_file_that_goes_bad_or_away_opens_nothing() {
        let (_directory, file) = file();
        let (token, _) = file.create("a", grants("admin:*"), None).unwrap();
        let tokens = Tokens::open(file.clone()).unwrap();
        fs::write(file.path(), "{").unwrap();
        assert!(matches!(tokens.reload_if_changed(), Err(TokenError::Damaged { .. })));
        assert!(tokens.authenticate(Some(&header(&token)), None).is_ok());
        fs::remove_file(file.path()).unwrap();
        assert!(tokens.reload_if_changed().is_err());
        assert!(tokens.required());
        assert!(tokens.authenticate(Some(&header(&token)), None).is_ok());
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
        assert_eq!(
            tokens.authenticate(Some(&header(&token)), None).unwrap_err(),
            AuthError::Expired
        );
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
        assert_eq!(tokens.authenticate(None, Some(&known)).unwrap().record.name, "box");
        assert_eq!(tokens.authenticate(None, Some(&other)).unwrap_err(), AuthError::NoToken);
        // A token takes precedence over the certificate, even an invalid one.
        let principal = tokens.authenticate(Some(&header(&token)), Some(&known)).unwrap();
        assert_eq!(principal.record.name, "a");
        let wrong = tokens.authenticate(Some(&header("dhk_0_0")), Some(&known));
        assert_eq!(wrong.unwrap_err(), AuthError::Unknown);
        file.revoke(&record.id).unwrap();
        tokens.reload_if_changed().unwrap();
        assert_eq!(tokens.authenticate(None, Some(&known)).unwrap_err(), AuthError::Revoked);
        file.admit_certificate("box", grants("reader:*"), None, b"der").unwrap();
        tokens.reload_if_changed().unwrap();
        assert!(tokens.authenticate(None, Some(&known)).is_ok());
    }
}
