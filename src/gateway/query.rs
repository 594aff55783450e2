//! Query strings.

use tonic::Status;

use super::fields::malformed;
use super::path::percent_decoded;

/// The pairs of a query string, in order.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn pairs(query: &str) -> Result<Vec<(String, String)>, String> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((percent_decoded(key, true)?, percent_decoded(value, true)?))
        })
        .collect()
}

/// The same, with the refusal of a query that cannot be read.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub(super) fn parsed(query: &str) -> Result<Vec<(String, String)>, Status> {
    pairs(query).map_err(|what| malformed(&format!("the query: {what}")))
}
