//! Truncates the commit log, and reads what only a full backup needs.

use std::time::Duration;

use tokio_postgres::Row;
use uuid::Uuid;

use crate::limits::LOG_TRUNCATION_COMMITS;
use crate::store::codec;
use crate::store::{
    BackupSource, Compacted, LogStart, Maintenance, RequestKey, RequestRecord, Retention,
    StoreError,
};

use super::failure::Failure;
use super::reads::request_key;
use super::realm::{REALM, Realm};
use super::session::Session;

/// Held until the end of the transaction, so that two nodes do not truncate at once.
const START: &str = "SELECT seq FROM log_start WHERE realm = $1 FOR UPDATE";
const OLDEST: &str = "SELECT seq, chain, time FROM log WHERE realm = $1 AND seq > $2 \
    ORDER BY seq LIMIT $3";
const SET_START: &str = "UPDATE log_start SET seq = $2, chain = $3, time = $4 WHERE realm = $1";
const REMOVE_LOG: &str = "DELETE FROM log WHERE realm = $1 AND seq <= $2";
const REMOVE_HISTORY: &str = "DELETE FROM history WHERE realm = $1 AND replaced_by <= $2";
const SET_LINEAGE: &str = "UPDATE realm SET lineage = $2 WHERE realm = $1";
/// Longest time for removing the log that built a realm.
const BEGIN: Duration = Duration::from_secs(600);
const REQUESTS: &str = "SELECT key, record FROM request WHERE realm = $1 AND key > $2 \
    ORDER BY key LIMIT $3";

impl Maintenance for Realm {
    fn compact(
        &self,
        _: Retention,
        _: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<Compacted, StoreError> {
        Err(StoreError::Unsupported("compaction: PostgreSQL vacuums its tables by itself"))
    }

    /// Never beyond what every node that was seen in the last hour has applied.
    fn truncate_log(&self, retention: Retention) -> Result<bool, StoreError> {
        let keep_from = retention.keep_from.micros;
        self.write("truncating the commit log", async |session| truncate(session, keep_from).await)
    }
}

/// Removes some commits before a time; returns whether there are more.
async fn truncate(session: &Session, keep_from: i64) -> Result<bool, Failure> {
    let gone = || Failure::other("the realm is gone");
    let start = session.query_opt(START, &[&REALM]).await?.ok_or_else(gone)?;
    let start: i64 = start.get(0);
    let limit = Realm::applied_by_all(session).await?.unwrap_or(i64::MAX);
    let count = i64::try_from(LOG_TRUNCATION_COMMITS).unwrap_or(i64::MAX);
    let oldest = session.query(OLDEST, &[&REALM, &start, &count]).await?;
    let is_expired = |row: &&Row| row.get::<_, i64>(2) < keep_from && row.get::<_, i64>(0) <= limit;
    let expired: Vec<_> = oldest.iter().take_while(is_expired).collect();
    let Some(last) = expired.last() else { return Ok(false) };
    let (sequence, chain, time): (i64, i32, i64) = (last.get(0), last.get(1), last.get(2));
    session.execute(SET_START, &[&REALM, &sequence, &chain, &time]).await?;
    session.execute(REMOVE_LOG, &[&REALM, &sequence]).await?;
    session.execute(REMOVE_HISTORY, &[&REALM, &sequence]).await?;
    Ok(expired.len() == LOG_TRUNCATION_COMMITS)
}

impl Realm {
    /// Replaces the log by one that begins after a commit, of which the tables hold the content, and gives it a new lineage. For a
    /// restored realm that no node serves yet.
    ///
    /// # Errors
    /// The database.
    pub fn begin_log_at(&self, start: LogStart) -> Result<(), StoreError> {
        let lineage = Uuid::new_v4();
        let sequence = start.sequence.0.cast_signed();
        let (chain, time) = (start.checksum.cast_signed(), start.time.micros);
        // Appends wait, and those that come later find another end.
        let _writer = self.writer();
        self.write_within(("beginning the commit log", BEGIN), async |session| {
            session.batch("SET LOCAL statement_timeout = 0").await?;
            session.query_opt(START, &[&REALM]).await?;
            session.execute(REMOVE_LOG, &[&REALM, &i64::MAX]).await?;
            session.execute(REMOVE_HISTORY, &[&REALM, &i64::MAX]).await?;
            session.execute(SET_START, &[&REALM, &sequence, &chain, &time]).await?;
            session.execute(SET_LINEAGE, &[&REALM, &lineage]).await
        })?;
        self.tail.note(start.into());
        self.set_lineage(lineage);
        Ok(())
    }
}

impl BackupSource for Realm {
    fn requests(
        &self,
        after: Option<RequestKey>,
        limit: usize,
    ) -> Result<Vec<(RequestKey, RequestRecord)>, StoreError> {
        // The empty key is below all others.
        let after: &[u8] = after.as_ref().map_or(&[], |key| &key.0);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.run("reading requests", async |session| {
            let rows = session.query(REQUESTS, &[&REALM, &after, &limit]).await?;
            let request = |row: &Row| {
                let key = request_key(row.get(0))?;
                Ok((key, codec::decode(&key.0, row.get(1))?))
            };
            rows.iter().map(request).collect()
        })
    }
}
