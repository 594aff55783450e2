//! What the layers in front of the handlers know about a call, as an extension of its request.

use std::sync::Arc;
use std::time::Instant;

use super::access::Visible;

/// Who calls, and for how long.
#[derive(Debug, Clone)]
pub struct CallInfo {
    /// The id of the caller's token, and the memories that it may see; `None` where no tokens are in use.
    pub caller: Option<(Arc<str>, Visible)>,
    /// When the call ends, whether it was answered or not.
    pub ends: Instant,
}
