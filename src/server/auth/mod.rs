//! Authenticates callers: access tokens and client certificates, and the file that holds them.

mod token_file;
mod tokens;

pub(super) use token_file::{Stamp, fingerprint};
pub use token_file::{TokenError, TokenFile, TokenMark, TokenRecord};
pub use tokens::Tokens;
pub(super) use tokens::{Caller, Stranger};
