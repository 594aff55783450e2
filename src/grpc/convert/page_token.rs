//! Page tokens: where the next page starts, in a form that clients cannot forge.
//!
//! A token is authenticated with the secret of the store (HMAC-SHA-256, half of the tag). The secret is kept with the store, so that an
//! export resumes after a restart of the server; a token of another store is refused.

use ring::hmac;
use subtle::ConstantTimeEq as _;

use crate::store::Secret;

use super::FieldViolation;

const VERSION: u8 = 2;
/// Half of a tag: 128 bits cannot be guessed.
const TAG_BYTES: usize = 16;

/// The last entry of a page, bound to the listing that it belongs to.
pub(crate) struct PageToken {
    position: Vec<u8>,
}

impl PageToken {
    /// A token for a position.
    pub(crate) fn new(position: &[u8]) -> Self {
        Self { position: position.to_vec() }
    }

    /// Where the page before ended.
    pub(crate) fn position(&self) -> &[u8] {
        &self.position
    }

    /// The text for clients, bound to one listing (call and parent) of one store.
    pub(crate) fn to_text(&self, secret: &Secret, listing: &str) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.position);
        let tag = tag(secret, &bytes, listing);
        bytes.extend_from_slice(&tag);
        bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
            text
        })
    }

    /// The token in a request; `None` for the first page.
    pub(crate) fn parse(
        field: &str,
        text: &str,
        secret: &Secret,
        listing: &str,
    ) -> Result<Option<Self>, FieldViolation> {
        if text.is_empty() {
            return Ok(None);
        }
        let token = decode_hex(text).and_then(|bytes| {
            let (body, stored) = bytes.split_last_chunk::<TAG_BYTES>()?;
            let (&version, position) = body.split_first()?;
            let is_ours = stored.ct_eq(&tag(secret, body, listing));
            (version == VERSION && bool::from(is_ours)).then(|| Self::new(position))
        });
        token.map(Some).ok_or_else(|| {
            let what = "not a token of this listing in this store; pass on what the answer before gave, or nothing to begin";
            FieldViolation::new(field, what)
        })
    }
}

fn tag(secret: &Secret, body: &[u8], listing: &str) -> [u8; TAG_BYTES] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &secret.0);
    let mut context = hmac::Context::with_key(&key);
    // The length separates the body from the listing.
    context.update(&(body.len() as u64).to_be_bytes());
    context.update(body);
    context.update(listing.as_bytes());
    let tag = context.sign();
    std::array::from_fn(|place| tag.as_ref().get(place).copied().unwrap_or_default())
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|it| u8::try_from(it).ok());
    digits.chunks_exact(2).map(|pair| Some(value(pair[0])? << 4 | value(pair[1])?)).collect()
}

/// Whether a text is a page token of a listing, and the same when it is written again: for tests that feed it anything.
#[doc(hidden)]
pub fn read_any_page_token(text: &str) -> Option<bool> {
    let secret = Secret([7; 32]);
    let token = PageToken::parse("page_token", text, &secret, "units of m").ok()??;
    Some(token.to_text(&secret, "units of m").eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_belongs_to_its_listing_and_its_store_and_cannot_be_changed() {
        let secret = Secret([7; 32]);
        let parse = |text: &str, listing| PageToken::parse("page_token", text, &secret, listing);
        let text = PageToken::new(&7_u64.to_be_bytes()).to_text(&secret, "units of news");
        let parsed = parse(&text, "units of news").unwrap().unwrap();
        assert_eq!(parsed.position(), 7_u64.to_be_bytes());
        assert!(parse(&text, "units of law").is_err());
        let other = Secret([8; 32]);
        assert!(PageToken::parse("page_token", &text, &other, "units of news").is_err());
        for position in 0..text.len() {
            let mut changed = text.clone();
            let other = if &changed[position..=position] == "0" { "1" } else { "0" };
            changed.replace_range(position..=position, other);
            assert!(parse(&changed, "units of news").is_err());
        }
        for junk in ["x", "00", "zz", "\u{0660}\u{0661}", "0"] {
            assert!(parse(junk, "units of news").is_err(), "{junk}");
        }
        assert!(parse("", "units of news").unwrap().is_none());
    }
}
