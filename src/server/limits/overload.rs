//! The limits that a call can exceed, and the answers to its client.

use std::time::Duration;

/// The limit that a call exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum Overload {
    Calls,
    ClientCalls,
    HeavyCalls,
    AnonymousCalls,
    Memory,
    Queue,
}

impl Overload {
    /// The reason of the `ErrorInfo`.
    pub(in crate::server) fn reason(self) -> &'static str {
        match self {
            Self::Calls => "TOO_MANY_CALLS",
            Self::ClientCalls => "TOO_MANY_CALLS_OF_CLIENT",
            Self::HeavyCalls => "TOO_MANY_HEAVY_CALLS",
            Self::AnonymousCalls => "TOO_MANY_CALLS_WITHOUT_TOKEN",
            Self::Memory => "TOO_MUCH_MEMORY",
            Self::Queue => "OVERLOADED",
        }
    }

    pub(in crate::server) fn message(self) -> &'static str {
        match self {
            Self::Calls => "the server has as many calls in flight as it accepts",
            Self::ClientCalls => "this client has as many calls in flight as it may have",
            Self::HeavyCalls => "the server has as many long calls in flight as it accepts",
            Self::AnonymousCalls => {
                "the server has as many calls without a token in flight as it accepts; calls with a token have a limit of their own"
            }
            Self::Memory => "the messages of the calls in flight fill the memory reserved for them",
            Self::Queue => "the server is overloaded",
        }
    }

    pub(in crate::server) fn retry_after(self) -> Duration {
        match self {
            Self::HeavyCalls => Duration::from_secs(5),
            Self::Queue => Duration::from_secs(1),
            _ => Duration::from_millis(250),
        }
    }
}
