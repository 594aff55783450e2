//! Maps errors to gRPC statuses, exhaustively, with machine-readable details.

use std::collections::HashMap;
use std::time::Duration;

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::engine::EngineError;
use crate::store::StoreError;

/// The `domain` of every `ErrorInfo`.
pub const ERROR_DOMAIN: &str = "dhakira.v1";

/// The answer to an error of the engine.
pub(super) fn from_engine(error: EngineError) -> Status {
    let message = error.to_string();
    match error {
        EngineError::InvalidArgument { field, message: what } => invalid(&field, &what),
        EngineError::NoMemory(name) => missing("Memory", &name.resource(), &message),
        EngineError::NoUnit(memory, id) | EngineError::NoRevision(memory, id, _) => {
            missing("Unit", &format!("{}/units/{id}", memory.resource()), &message)
        }
        EngineError::MemoryExists(name) => {
            let mut details = info("MEMORY_EXISTS", &[("name", &name.resource())]);
            details.set_resource_info("Memory", name.resource(), "", message.clone());
            Status::with_error_details(Code::AlreadyExists, message, details)
        }
        EngineError::RequestReused(field) => {
            let mut details = info("REQUEST_ID_REUSED", &[("field", field)]);
            details.add_bad_request_violation(field, message.clone());
            Status::with_error_details(Code::AlreadyExists, message, details)
        }
        EngineError::RequestDone(field) => {
            let mut details = info("REQUEST_ALREADY_DONE", &[("field", field)]);
            details.add_bad_request_violation(field, message.clone());
            Status::with_error_details(Code::AlreadyExists, message, details)
        }
        EngineError::BatchReused(number) => {
            let mut details = info("REQUEST_ID_REUSED", &[("batch", &number.to_string())]);
            details.add_bad_request_violation("import_id", message.clone());
            Status::with_error_details(Code::AlreadyExists, message, details)
        }
        EngineError::MemoryNotEmpty(name, _) => {
            let mut details = info("MEMORY_NOT_EMPTY", &[("name", &name.resource())]);
            details.add_precondition_failure_violation("UNITS", name.resource(), message.clone());
            Status::with_error_details(Code::FailedPrecondition, message, details)
        }
        EngineError::MatchesChanged { counted, found } => {
            let (counted, found) = (counted.to_string(), found.to_string());
            let details = info("MATCHES_CHANGED", &[("counted", &counted), ("found", &found)]);
            Status::with_error_details(Code::Aborted, message, details)
        }
        EngineError::EtagMismatch { what, expected, current } => {
            let details = info(
                "ETAG_MISMATCH",
                &[("name", &what), ("expected", &expected), ("current", &current)],
            );
            Status::with_error_details(Code::Aborted, message, details)
        }
        EngineError::Cancelled => {
            Status::with_error_details(Code::Cancelled, message, info("CANCELLED", &[]))
        }
        EngineError::LogTruncated { oldest, .. } => {
            let details = info("LOG_TRUNCATED", &[("oldest_sequence", &oldest.0.to_string())]);
            Status::with_error_details(Code::OutOfRange, message, details)
        }
        EngineError::TooMuch(_) => {
            let mut details = info("TOO_MUCH", &[]);
            details.set_retry_info(Some(Duration::from_millis(200)));
            Status::with_error_details(Code::ResourceExhausted, message, details)
        }
        EngineError::Store(error) => from_store(&error),
        EngineError::Internal(_) => internal(&message),
    }
}

/// The answer to an error of the store, whose own message may name files of this machine and goes to the log only.
fn from_store(error: &StoreError) -> Status {
    match error {
        StoreError::WritesPaused(_) => {
            let mut details = info("WRITES_PAUSED", &[]);
            details.set_retry_info(Some(Duration::from_secs(1)));
            Status::with_error_details(Code::Unavailable, WRITES_PAUSED, details)
        }
        StoreError::Unreachable { .. } => {
            tracing::warn!(%error, "the database of the cluster does not answer");
            let mut details = info("DATABASE_UNREACHABLE", &[]);
            details.set_retry_info(Some(Duration::from_secs(1)));
            Status::with_error_details(Code::Unavailable, DATABASE_UNREACHABLE, details)
        }
        StoreError::InUse { .. } | StoreError::Behind { .. } | StoreError::Refused { .. } => {
            tracing::error!(%error, "the store is not open");
            unavailable("STORE_NOT_OPEN", "the store is not open; the log of the server says why")
        }
        StoreError::Damaged { .. } => {
            tracing::error!(%error, "damaged store");
            let message = "the store is damaged; the log of the server says where. Bring it back with `dhakira restore` from a backup";
            Status::with_error_details(Code::DataLoss, message, info("STORE_DAMAGED", &[]))
        }
        StoreError::Cancelled => {
            Status::with_error_details(Code::Cancelled, error.to_string(), info("CANCELLED", &[]))
        }
        StoreError::Unsupported(_) => Status::unimplemented(error.to_string()),
        StoreError::Io { .. } => internal(&error.to_string()),
    }
}

/// Answer to writes while they are paused; the cause may name files of this machine.
pub(super) const WRITES_PAUSED: &str = "writes are paused since one failed; the log of the server says why. They resume by themselves when the \
    cause is gone";

/// Answer while the database that nodes share does not answer; the cause names hosts.
const DATABASE_UNREACHABLE: &str = "the database of the cluster does not answer; the log of the server says why. Try again in a moment";

/// INVALID_ARGUMENT that names the field.
pub(crate) fn invalid(field: &str, what: &str) -> Status {
    let message = format!("{field}: {what}");
    let mut details = info("INVALID_FIELD", &[("field", field)]);
    details.add_bad_request_violation(field, what);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// `RESOURCE_EXHAUSTED` for a message that would take more memory than its length allows; names the field that made it so.
pub(super) fn oversized(field: &str, length: usize, bytes_max: usize) -> Status {
    let message = format!(
        "{field}: the elements of this message of {length} bytes would take more than {bytes_max} bytes of memory; send fewer \
         at a time"
    );
    let most = bytes_max.to_string();
    let details = info("MESSAGE_TOO_LARGE", &[("field", field), ("decoded_bytes_max", &most)]);
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// INVALID_ARGUMENT for bytes that are not a valid message; prost names message and field in its text.
pub fn undecodable(cause: &str) -> Status {
    let path = cause
        .split(": ")
        .find(|part| part.contains('.') && !part.contains(' '))
        .map_or("message", |part| part.rsplit('.').next().unwrap_or(part));
    invalid(path, &format!("the message cannot be decoded: {cause}"))
}

/// UNAVAILABLE while the memories are being loaded.
pub(super) fn loading() -> Status {
    let mut details = info("LOADING", &[]);
    details.set_retry_info(Some(Duration::from_secs(1)));
    Status::with_error_details(Code::Unavailable, "the memories are still being loaded", details)
}

/// `FAILED_PRECONDITION` where operations are not kept.
pub(super) fn no_operations() -> Status {
    let message = "operations need a server with a data directory (`dhakira serve`); here, call the method itself";
    refusal(Code::FailedPrecondition, "NO_OPERATIONS", message, None)
}

/// A status as a message.
pub(super) fn to_message(status: Status) -> tonic_types::Status {
    let status = with_info(status);
    // The details of a status are this very message.
    tonic_types::Status::decode(status.details()).unwrap_or_else(|_| tonic_types::Status {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: Vec::new(),
    })
}

/// The status in a message.
pub(super) fn from_message(message: &tonic_types::Status) -> Status {
    let details = message.encode_to_vec().into();
    Status::with_details(Code::from_i32(message.code), message.message.clone(), details)
}

/// UNAVAILABLE because the server is shutting down.
pub(super) fn stopping() -> Status {
    unavailable("STOPPING", "the server is shutting down")
}

/// The refusal of a call: a stable reason, and when to retry, if that helps.
pub fn refusal(code: Code, reason: &str, message: &str, retry: Option<Duration>) -> Status {
    let mut details = info(reason, &[]);
    if retry.is_some() {
        details.set_retry_info(retry);
    }
    Status::with_error_details(code, message, details)
}

/// Adds an `ErrorInfo` to a status that has none: those of the gRPC machinery (an unknown method, a truncated message, a
/// compression), whose code may blame the server wrongly.
pub fn with_info(status: Status) -> Status {
    if status.get_details_error_info().is_some() {
        return status;
    }
    let message = status.message();
    let broken =
        ["Missing request message", "Unexpected EOF", "protocol error", "Missing response"];
    let (code, reason) = match status.code() {
        Code::Internal if broken.iter().any(|it| message.starts_with(it)) => {
            (Code::InvalidArgument, "MALFORMED_REQUEST")
        }
        Code::Unimplemented if status.metadata().contains_key("grpc-accept-encoding") => {
            (Code::Unimplemented, "COMPRESSION_NOT_SUPPORTED")
        }
        Code::Unimplemented => (Code::Unimplemented, "UNKNOWN_METHOD"),
        Code::OutOfRange => (Code::OutOfRange, "ANSWER_TOO_LARGE"),
        Code::NotFound => (Code::NotFound, "NOT_FOUND"),
        Code::InvalidArgument => (Code::InvalidArgument, "INVALID_FIELD"),
        Code::Cancelled => (Code::Cancelled, "CANCELLED"),
        Code::DeadlineExceeded => (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
        Code::Unavailable => (Code::Unavailable, "UNAVAILABLE"),
        code => (code, "INTERNAL"),
    };
    let message = match (reason, message) {
        ("UNKNOWN_METHOD", "") => "there is no such method",
        _ => message,
    };
    let metadata = status.metadata().clone();
    Status::with_error_details_and_metadata(code, message, info(reason, &[]), metadata)
}

/// UNAVAILABLE because a stream ended before its last message.
pub(crate) fn truncated_stream() -> Status {
    unavailable("CUT_OFF", "the server ended the call before it was done")
}

fn unavailable(reason: &str, message: &str) -> Status {
    Status::with_error_details(Code::Unavailable, message, info(reason, &[]))
}

/// `RESOURCE_EXHAUSTED` because too much is requested at once.
pub(super) fn too_much(what: &str) -> Status {
    from_engine(EngineError::TooMuch(what.to_owned()))
}

/// INTERNAL. The cause is logged here and not sent: it may name files of this machine.
pub(super) fn internal(message: &str) -> Status {
    tracing::error!(message, "internal error");
    let message = "internal error; the log of the server says more";
    Status::with_error_details(Code::Internal, message, info("INTERNAL", &[]))
}

pub(super) fn missing(kind: &str, name: &str, message: &str) -> Status {
    let mut details = info("NOT_FOUND", &[("name", name)]);
    details.set_resource_info(kind, name, "", message);
    Status::with_error_details(Code::NotFound, message, details)
}

fn info(reason: &str, metadata: &[(&str, &str)]) -> ErrorDetails {
    let metadata: HashMap<String, String> =
        metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, ERROR_DOMAIN, metadata);
    details
}
