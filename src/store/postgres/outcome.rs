//! Finds out what became of an append whose answer was lost, and makes sure that what can be read is durable.

use std::time::Duration;

use uuid::Uuid;

use crate::store::LogPosition;

use super::connector::Connector;
use super::failure::Failure;
use super::realm::REALM;
use super::session::{Parameters, Session};

const AT: &str = "SELECT chain, node FROM log WHERE realm = $1 AND seq = $2";
const CONFIRM: &str = "INSERT INTO confirmation (realm, node, at) VALUES ($1, $2, clock_timestamp()) \
    ON CONFLICT (realm, node) DO UPDATE SET at = excluded.at";

/// What became of an append.
pub(super) enum Resolved {
    /// It is in the log, and durable.
    Ours(Session),
    /// It is not in the log. If it comes later, it is there before anything else of this number can be.
    NotOurs(Session),
}

/// Reads the log at the number of the last commit of an append. The checksum and the node decide: a row may be visible before it
/// is replicated, so one small write is committed before it counts.
pub(super) async fn resolve(
    connector: &Connector,
    end: LogPosition,
    (node, limit): (Uuid, Duration),
) -> Result<Resolved, Failure> {
    let session = connector.primary().await?;
    let sequence =
        i64::try_from(end.sequence.0).map_err(|error| Failure::other(error.to_string()))?;
    let key: Parameters<'_> = &[&REALM, &sequence];
    let found = tokio::time::timeout(limit, session.query_opt(AT, key)).await;
    let found = found.unwrap_or_else(|_| {
        session.close();
        Err(Failure::connection("no answer to a read of the log"))
    })?;
    let is_ours = found.is_some_and(|row| {
        row.get::<_, i32>(0) == end.checksum.cast_signed() && row.get::<_, Uuid>(1) == node
    });
    if !is_ours {
        return Ok(Resolved::NotOurs(session));
    }
    confirm(&session, node, limit).await?;
    Ok(Resolved::Ours(session))
}

/// Commits one small write: when it is durable, so is everything that was visible before.
pub(super) async fn confirm(session: &Session, node: Uuid, limit: Duration) -> Result<(), Failure> {
    let write = async |session: &Session| session.execute(CONFIRM, &[&REALM, &node]).await;
    let confirmed = tokio::time::timeout(2 * limit, session.durably(limit, write)).await;
    confirmed
        .unwrap_or_else(|_| {
            session.close();
            Err(Failure::connection("no answer to a small write"))
        })
        .map(|_| ())
}
