//! Why a call failed, in the words of the server.

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::grpc::FieldViolation;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server could not be reached.
    #[error(
        "no Dhakira server answers at {url}: {cause}. Start one with `dhakira serve`, or leave --server out to use --data"
    )]
    Connect {
        /// Where.
        url: String,
        /// What the network said.
        cause: String,
    },
    /// The server refused the call.
    #[error("{}", .0.message())]
    Refused(Box<Status>),
    /// What the server sent could not be written.
    #[error("cannot write the output")]
    Output(#[source] std::io::Error),
}

impl ClientError {
    /// Whether what was asked for is no longer kept.
    pub fn is_out_of_range(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code() == Code::OutOfRange)
    }

    /// Whether the thing that was asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(status) if status.code() == Code::NotFound)
    }

    /// The name of the memory that does not exist, when that is why.
    pub fn missing_memory(&self) -> Option<String> {
        let Self::Refused(status) = self else { return None };
        let resource = status.get_details_resource_info()?;
        let name = resource.resource_name.strip_prefix("memories/")?;
        (resource.resource_type == "Memory").then(|| name.to_owned())
    }

    /// The cause in few words, the same for the same fault: the code, and the reason if there is one.
    pub fn cause(&self) -> String {
        match self {
            Self::Connect { .. } => "no connection".to_owned(),
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
        Self::Refused(Box::new(status))
    }
}
