//! Confirmation tokens: the count of a change by filter, in a form that clients cannot forge and that fits no other request.

use xxhash_rust::xxh3::xxh3_128;

use crate::engine::{Confirmation, MatchingChange, MatchingCount, UnitFilter};
use crate::limits::CONFIRMATION_MINUTES;
use crate::store::{MemoryKey, RequestKey, Secret};
use crate::unit::Timestamp;

use super::{FieldViolation, PageToken};

/// The field that holds the token.
const FIELD: &str = "confirmation_token";

/// The change that a token confirms.
pub(crate) struct Confirmable {
    secret: Secret,
    /// Memory, filter and change.
    request: String,
}

impl Confirmable {
    pub(crate) fn new(
        secret: Secret,
        memory: MemoryKey,
        filter: &UnitFilter,
        change: &MatchingChange,
    ) -> Self {
        Self { secret, request: format!("change units of {} {filter:?} {change:?}", memory.0) }
    }

    /// The token for a count at a time; empty when nothing matches.
    pub(crate) fn token(&self, counted: &MatchingCount, now: Timestamp) -> String {
        if counted.count == 0 {
            return String::new();
        }
        let expires = now.micros + CONFIRMATION_MINUTES * 60 * 1_000_000;
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&counted.count.to_be_bytes());
        bytes.extend_from_slice(&counted.hash.to_be_bytes());
        bytes.extend_from_slice(&expires.to_be_bytes());
        PageToken::new(&bytes).to_text(&self.secret, &self.request)
    }

    /// What a token confirms; `None` for an empty one. Without a request id, the token identifies the change.
    pub(crate) fn confirmation(
        &self,
        token: &str,
        request_id: Option<RequestKey>,
    ) -> Result<Option<Confirmation>, FieldViolation> {
        let wrong = || {
            let what = "not a token for this filter and change in this memory; send the request without it, and then with the token \
                        of the answer";
            FieldViolation::new(FIELD, what)
        };
        let parsed = PageToken::parse(FIELD, token, &self.secret, &self.request);
        let Some(parsed) = parsed.map_err(|_| wrong())? else { return Ok(None) };
        let (count, rest) = parsed.position().split_first_chunk().ok_or_else(wrong)?;
        let (hash, expires) = rest.split_first_chunk().ok_or_else(wrong)?;
        let expires = i64::from_be_bytes(expires.try_into().map_err(|_| wrong())?);
        // Hexadecimal digits may be written in either case.
        let token = token.to_ascii_lowercase();
        let of_token = || RequestKey(xxh3_128(token.as_bytes()).to_be_bytes());
        Ok(Some(Confirmation {
            count: u64::from_be_bytes(*count),
            hash: u128::from_be_bytes(*hash),
            expires: Timestamp { micros: expires },
            key: request_id.unwrap_or_else(of_token),
            request: xxh3_128(token.as_bytes()),
            key_field: if request_id.is_some() { "request_id" } else { FIELD },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_fits_its_request_alone() {
        let secret = Secret([7; 32]);
        let (filter, delete) = (UnitFilter::default(), MatchingChange::Delete);
        let update = MatchingChange::Update(Box::default());
        let this = Confirmable::new(secret, MemoryKey(1), &filter, &delete);
        let counted = MatchingCount { count: 3, hash: u128::MAX / 5, sample: Vec::new() };
        let token = this.token(&counted, Timestamp { micros: 5 });
        let read = this.confirmation(&token, None).unwrap().unwrap();
        assert_eq!((read.count, read.hash), (3, counted.hash));
        assert_eq!(read.expires.micros, 5 + 15 * 60 * 1_000_000);
        assert_eq!(read.key_field, FIELD);
        let shouted = this.confirmation(&token.to_ascii_uppercase(), None).unwrap().unwrap();
        assert_eq!(shouted, read);
        let id = RequestKey([9; 16]);
        assert_eq!(this.confirmation(&token, Some(id)).unwrap().unwrap().key, id);
        assert_eq!(this.confirmation("", None).unwrap(), None);
        for other in [
            Confirmable::new(Secret([8; 32]), MemoryKey(1), &filter, &delete),
            Confirmable::new(secret, MemoryKey(2), &filter, &delete),
            Confirmable::new(secret, MemoryKey(1), &filter, &update),
        ] {
            assert!(other.confirmation(&token, None).is_err());
        }
        let nothing = MatchingCount { count: 0, ..counted };
        assert_eq!(this.token(&nothing, Timestamp { micros: 5 }), "");
    }
}
