//! Where does the next page begin? A token that clients pass on unread and cannot make up.

use tonic::Status;
use xxhash_rust::xxh3::xxh3_64;

use super::status::invalid;

const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 8;

/// The last entry of a page, bound to the listing that it belongs to.
pub(super) struct PageToken {
    position: Vec<u8>,
}

impl PageToken {
    /// A token for a listing (call and parent) at a position.
    pub(super) fn new(position: &[u8]) -> Self {
        Self { position: position.to_vec() }
    }

    /// Where the page before ended.
    pub(super) fn position(&self) -> &[u8] {
        &self.position
    }

    /// As clients see it.
    pub(super) fn to_text(&self, listing: &str) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.position);
        let checksum = checksum(&bytes, listing);
        bytes.extend_from_slice(&checksum);
        bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
            text
        })
    }

    /// The token in a request; `None` for the first page.
    pub(super) fn parse(field: &str, text: &str, listing: &str) -> Result<Option<Self>, Status> {
        if text.is_empty() {
            return Ok(None);
        }
        let token = decode_hex(text).and_then(|bytes| {
            let (body, stored) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
            let (&version, position) = body.split_first()?;
            (version == VERSION && *stored == checksum(body, listing)).then(|| Self::new(position))
        });
        token.map(Some).ok_or_else(|| {
            invalid(
                field,
                "not a token of this listing; pass on what the answer before gave, or nothing to begin",
            )
        })
    }
}

fn checksum(body: &[u8], listing: &str) -> [u8; CHECKSUM_BYTES] {
    xxh3_64(&[body, listing.as_bytes()].concat()).to_be_bytes()
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|it| u8::try_from(it).ok());
    digits.chunks_exact(2).map(|pair| Some(value(pair[0])? << 4 | value(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_belongs_to_its_listing_and_cannot_be_changed() {
        let text = PageToken::new(&7_u64.to_be_bytes()).to_text("units of news");
        let parsed = PageToken::parse("page_token", &text, "units of news").unwrap().unwrap();
        assert_eq!(parsed.position(), 7_u64.to_be_bytes());
        assert!(PageToken::parse("page_token", &text, "units of law").is_err());
        for position in 0..text.len() {
            let mut changed = text.clone();
            let other = if &changed[position..=position] == "0" { "1" } else { "0" };
            changed.replace_range(position..=position, other);
            assert!(PageToken::parse("page_token", &changed, "units of news").is_err());
        }
        for junk in ["x", "00", "zz", "\u{0660}\u{0661}", "0"] {
            assert!(PageToken::parse("page_token", junk, "units of news").is_err(), "{junk}");
        }
        assert!(PageToken::parse("page_token", "", "units of news").unwrap().is_none());
    }
}
