//! Authenticates callers by access tokens and client certificates.

mod file_stamp;
mod token_file;
mod tokens;

pub(super) use file_stamp::FileStamp;
pub(super) use token_file::fingerprint;
pub use token_file::{TokenError, TokenFile, TokenMark, TokenRecord};
pub use tokens::Tokens;
pub(super) use tokens::{AuthError, Principal};
