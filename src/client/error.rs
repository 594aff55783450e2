//! Why a call failed, in the words of the server.

use std::error::Error;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::fault::ConnectFault;
use crate::grpc::FieldViolation;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server could not be reached.
    #[error("no Dhakira server answers at {url}: {fault}")]
    Connect {
        /// Where.
        url: String,
        /// Why, and the way out.
        fault: ConnectFault,
    },
    /// The connection broke off during a call, or never carried one.
    #[error("the connection to the server was lost ({})", deepest(&**.0))]
    Lost(Box<Status>),
    /// The server refused the call.
    #[error("{}", .0.message())]
    Refused(Box<Status>),
    /// What the server sent could not be written.
    #[error("cannot write the output")]
    Output(#[source] std::io::Error),
}

impl ClientError {
    /// Whether no answer came, so that the call may or may not have had its effect.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost(_))
    }

    /// The code of a refusal.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused(status) => Some(status.code()),
            _ => None,
        }
    }

    /// Whether the server takes no calls now, and will again.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code() == Code::Unavailable)
    }

    /// Whether what was asked for is no longer kept.
    pub fn is_out_of_range(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code() == Code::OutOfRange)
    }

    /// Whether the thing that was asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code() == Code::NotFound)
    }

    /// Whether a memory was not deleted because it holds units.
    pub fn is_memory_not_empty(&self) -> bool {
        let Self::Refused(status) = self else { return false };
        status.get_details_error_info().is_some_and(|info| info.reason == "MEMORY_NOT_EMPTY")
    }

    /// The name of the memory that does not exist, when that is why.
    pub fn missing_memory(&self) -> Option<String> {
        let Self::Refused(status) = self else { return None };
        if status.code() != Code::NotFound {
            return None;
        }
        let resource = status.get_details_resource_info()?;
        let name = resource.resource_name.strip_prefix("memories/")?;
        (resource.resource_type == "Memory").then(|| name.to_owned())
    }

    /// The cause in few words, the same for the same fault: the code, and the reason if there is one.
    pub fn cause(&self) -> String {
        match self {
            Self::Connect { .. } | Self::Lost(_) => "no connection".to_owned(),
            Self::Output(_) => "output".to_owned(),
            Self::Refused(status) => {
                let reason = status.get_details_error_info().map(|info| info.reason);
                reason.map_or_else(
                    || format!("{:?}", status.code()),
                    |reason| format!("{:?} {reason}", status.code()),
                )
            }
        }
    }
}

impl From<FieldViolation> for ClientError {
    fn from(violation: FieldViolation) -> Self {
        Status::from(violation).into()
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        // What a server answers has no source, except for a call that it resets.
        let is_reset = || deepest(&status).starts_with("stream error");
        if status.source().is_some() && !is_reset() {
            return Self::Lost(Box::new(status));
        }
        Self::Refused(Box::new(status))
    }
}

/// What an error comes from.
pub(super) fn deepest(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), deepest)
}
