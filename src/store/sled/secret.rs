//! Keeps the secret of a store in a file beside the database.
//!
//! The secret authenticates the opaque tokens that clients hand back. Deleting the file invalidates those tokens and nothing else.

use std::io;
use std::path::Path;

use super::watermark;
use crate::store::Secret;

const FILE: &str = "secret";

impl Secret {
    /// Reads the secret of a data directory, or creates it. In a directory that cannot be written to, the new secret lasts only as
    /// long as the process.
    pub(super) fn of_directory(directory: &Path) -> Self {
        if let Some(secret) = Self::read(directory) {
            return secret;
        }
        let secret = Self::random();
        let [first, second] = secret.halves();
        let hex = format!("{first:032x}{second:032x}");
        if let Err(error) = watermark::write_line(directory, FILE, &hex) {
            tracing::warn!(
                "cannot write the secret of the store, so page tokens become invalid when this process ends: {error}"
            );
        }
        secret
    }

    fn halves(&self) -> [u128; 2] {
        let half =
            |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte));
        let (first, second) = self.0.split_at(16);
        [half(first), half(second)]
    }

    fn read(directory: &Path) -> Option<Self> {
        let hex = match watermark::read_line(directory, FILE) {
            Ok(found) => found?,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return None,
            Err(error) => {
                tracing::warn!("cannot read the secret of the store: {error}");
                return None;
            }
        };
        let byte = |place: usize| u8::from_str_radix(hex.get(2 * place..2 * place + 2)?, 16).ok();
        let bytes: Vec<u8> = (0..32).map(byte).collect::<Option<_>>()?;
        bytes.try_into().ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_lasts_and_a_damaged_one_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let secret = Secret::of_directory(directory.path());
        assert_eq!(Secret::of_directory(directory.path()), secret);
        assert_ne!(secret, Secret::random());
        std::fs::write(directory.path().join(FILE), "junk").unwrap();
        let other = Secret::of_directory(directory.path());
        assert_ne!(other, secret);
        assert_eq!(Secret::of_directory(directory.path()), other);
        assert_eq!(format!("{other:?}"), "Secret { .. }");
    }
}
