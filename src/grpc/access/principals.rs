//! What tokens allow now, for work that outlives the call that started it.

use std::fmt;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::grants::Grants;

/// The state of a token.
#[derive(Debug, Clone)]
pub enum TokenState {
    /// No tokens are in use: everything is allowed.
    NotRequired,
    /// It allows these grants, until it is revoked or changed.
    Active(Arc<Grants>, CancellationToken),
    /// It was revoked, has expired, or never existed.
    Invalid,
}

/// The tokens of a server.
pub trait Principals: fmt::Debug + Send + Sync {
    /// The state of the token with an id.
    fn token_state(&self, id: &str) -> TokenState;
}
