//! Classifies failures of the database by what they mean for the caller.

use std::error::Error as _;

use tokio_postgres::error::SqlState;

use crate::store::StoreError;
use crate::store::codec::CodecError;

/// A failed statement or connection.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) kind: FailureKind,
    pub(super) message: String,
}

/// What a failure means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FailureKind {
    /// The server is gone, starts, ends, or is no longer the primary: another connection may help.
    Connection,
    /// Another writer was first.
    Conflict,
    /// Something that a table must hold once is there already.
    Duplicate {
        table: String,
    },
    /// The server has no such table, schema or column.
    Undefined,
    /// The role may not do it.
    Permission,
    /// The database does not exist, or the role or its password is wrong.
    Access,
    /// What is stored cannot be read.
    Damaged,
    Other,
}

impl Failure {
    pub(super) fn connection(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Connection, message: message.into() }
    }

    pub(super) fn other(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Other, message: message.into() }
    }

    pub(super) fn is_connection(&self) -> bool {
        self.kind == FailureKind::Connection
    }

    /// The error for the caller.
    pub(super) fn store_error(self, doing: &str, place: &str) -> StoreError {
        match self.kind {
            FailureKind::Connection => StoreError::Unreachable {
                place: place.to_owned(),
                doing: doing.to_owned(),
                cause: self.message,
            },
            _ => StoreError::Io { doing: format!("{doing} in {place}"), cause: self.message },
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(database) = error.as_db_error() else {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            let is_ours = error.source().is_some_and(|it| {
                // Values that do not fit their type; everything else comes from the connection.
                it.downcast_ref::<tokio_postgres::types::WrongType>().is_some()
            });
            let kind = if is_ours { FailureKind::Other } else { FailureKind::Connection };
            return Self { kind, message: format!("{error}{cause}") };
        };
        let kind = match database.code() {
            code if is_of_connection(code) => FailureKind::Connection,
            &SqlState::UNIQUE_VIOLATION => {
                FailureKind::Duplicate { table: database.table().unwrap_or_default().to_owned() }
            }
            &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED => {
                FailureKind::Conflict
            }
            &SqlState::UNDEFINED_TABLE
            | &SqlState::UNDEFINED_COLUMN
            | &SqlState::INVALID_SCHEMA_NAME => FailureKind::Undefined,
            &SqlState::INSUFFICIENT_PRIVILEGE => FailureKind::Permission,
            &SqlState::INVALID_PASSWORD
            | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION
            | &SqlState::INVALID_CATALOG_NAME => FailureKind::Access,
            _ => FailureKind::Other,
        };
        let detail = database.detail().map(|it| format!(" ({it})")).unwrap_or_default();
        let message = format!("{}{detail} [{}]", database.message(), database.code().code());
        Self { kind, message }
    }
}

impl From<CodecError> for Failure {
    fn from(error: CodecError) -> Self {
        Self { kind: FailureKind::Damaged, message: error.to_string() }
    }
}

/// Whether a code says that this server does not serve this session any more: a lost connection (08), the end or start of the server
/// (57P), too many sessions (53300), or that it has become a standby (25006).
fn is_of_connection(code: &SqlState) -> bool {
    let code = code.code();
    code.starts_with("08") || code.starts_with("57P") || code == "53300" || code == "25006"
}
