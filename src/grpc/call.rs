//! What the layers in front of the handlers know about a call, as extensions of its request.

use std::sync::Arc;
use std::time::Instant;

/// The id of the caller's token; absent where no tokens are in use.
#[derive(Debug, Clone)]
pub struct TokenId(pub Arc<str>);

/// When the call ends, whether it was answered or not; absent where nobody ends it.
#[derive(Debug, Clone, Copy)]
pub struct CallDeadline(pub Instant);
