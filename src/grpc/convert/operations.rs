//! Operations: their names and states.

use prost::Message as _;
use tonic::Status;
use uuid::Uuid;

use crate::operations::{Operation, Outcome, Progress, State};

use super::super::proto::operation::Result as WireResult;
use super::super::proto::{self, OperationResponse, WorkProgress};
use super::super::status;
use super::FieldViolation;

const PREFIX: &str = "operations/";

/// The id in the name of an operation.
pub(crate) fn operation_id(field: &str, name: &str) -> Result<Uuid, FieldViolation> {
    let id = name.strip_prefix(PREFIX).and_then(|id| Uuid::parse_str(id).ok());
    id.ok_or_else(|| {
        let what = format!(
            "'{name}' is not the name of an operation, such as \
             operations/6f1c1b9e-51a9-4b44-9a5e-0c1de3b4c003"
        );
        FieldViolation::new(field, what)
    })
}

/// An operation in one of its states.
pub(crate) fn operation_to_wire(operation: &Operation, state: &State) -> proto::Operation {
    let end = state.end.as_deref();
    proto::Operation {
        name: format!("{PREFIX}{}", operation.id),
        kind: operation.header.kind,
        create_time: Some(operation.header.created.into()),
        end_time: end.map(|end| end.time.into()),
        progress: state.progress.map(Into::into),
        done: end.is_some(),
        result: end.map(|end| (&end.outcome).into()),
    }
}

/// The end of an operation that failed.
pub(crate) fn failed(error: Status) -> Outcome {
    Outcome::Error(status::to_message(error).encode_to_vec())
}

impl From<Progress> for WorkProgress {
    fn from(progress: Progress) -> Self {
        Self { stage: progress.stage, fraction: progress.fraction }
    }
}

/// Both were encoded by this program, and came with a checksum.
impl From<&Outcome> for WireResult {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Response(bytes) => {
                Self::Response(OperationResponse::decode(&bytes[..]).unwrap_or_default())
            }
            Outcome::Error(bytes) => {
                Self::Error(tonic_types::Status::decode(&bytes[..]).unwrap_or_default())
            }
        }
    }
}
