//! Implements the commit log: appends and their outcomes, reads, waiting, recovery.

use std::time::{Duration, Instant};

use tokio_postgres::Row;

use crate::store::codec;
use crate::store::{
    Appended, Commit, CommitLog, LogPosition, LogRecord, LogStart, RequestKey, RequestRecord,
    Sequence, StoreError,
};
use crate::unit::Timestamp;

use super::append::{Attempt, Trouble, append};
use super::failure::Failure;
use super::group::Group;
use super::outcome::{Resolved, confirm, resolve};
use super::realm::{REALM, Realm, Writer};

const READ: &str = "SELECT seq, body FROM log WHERE realm = $1 AND seq > $2 ORDER BY seq LIMIT $3";
const REQUEST: &str = "SELECT record FROM request WHERE realm = $1 AND key = $2";
const END: &str = "SELECT coalesce(last.seq, start.seq), coalesce(last.chain, start.chain) \
    FROM log_start AS start LEFT JOIN LATERAL \
    (SELECT seq, chain FROM log WHERE realm = $1 ORDER BY seq DESC LIMIT 1) AS last ON true \
    WHERE start.realm = $1";
const START: &str = "SELECT seq, chain, time FROM log_start WHERE realm = $1";

/// Records that are read at a time.
const PAGE: usize = 256;
/// First and longest wait before another attempt.
const RETRY_MIN: Duration = Duration::from_millis(50);
/// See [`RETRY_MIN`].
const RETRY_MAX: Duration = Duration::from_secs(1);
/// At most one notification in this time.
const NOTIFY_EVERY: Duration = Duration::from_millis(50);

impl CommitLog for Realm {
    fn append(&self, after: LogPosition, commits: &[Commit]) -> Appended {
        let doing = "appending to the commit log";
        let group = match Group::new(after, commits) {
            Ok(group) => group,
            Err(error) => {
                return Appended::Unknown(self.error(doing, Failure::other(error.to_string())));
            }
        };
        let mut writer = self.writer();
        if let Some(cause) = &writer.paused {
            return Appended::Unknown(StoreError::WritesPaused(cause.clone()));
        }
        let Some(end) = group.end() else {
            return match self.end() {
                Ok(end) if end == after => Appended::Done(Vec::new()),
                Ok(_) => Appended::Conflict,
                Err(error) => Appended::Unknown(error),
            };
        };
        let lost = self.tail.lost();
        let appended = self.block_on(self.append_group(&mut writer, (&group, after), end));
        match appended.and_then(|it| it.map_err(|failure| self.error(doing, failure))) {
            Ok(Attempt::Done) => {
                self.note_confirmed(lost);
                self.tail.note(end);
                self.notify(&mut writer);
                Appended::Done(group.records)
            }
            Ok(Attempt::Conflict) => Appended::Conflict,
            Err(error) => {
                writer.paused = Some(error.to_string());
                Appended::Unknown(error)
            }
        }
    }

    fn read(&self, after: Sequence, limit: usize) -> Result<Vec<LogRecord>, StoreError> {
        let mut records: Vec<LogRecord> = Vec::new();
        loop {
            let from = records.last().map_or(after, |record| record.sequence);
            let Ok(from) = i64::try_from(from.0) else { return Ok(records) };
            let page = PAGE.min(limit - records.len());
            let count = i64::try_from(page).unwrap_or(i64::MAX);
            let rows = self.run("reading the commit log", async |session| {
                let rows = session.query(READ, &[&REALM, &from, &count]).await?;
                rows.iter().map(log_record).collect::<Result<Vec<_>, _>>()
            })?;
            let is_last = rows.len() < page;
            records.extend(rows);
            if is_last || records.len() >= limit {
                return Ok(records);
            }
        }
    }

    fn request(&self, key: RequestKey) -> Result<Option<RequestRecord>, StoreError> {
        let bytes: &[u8] = &key.0;
        let doing = "reading a request";
        let found = self.run(doing, async |session| {
            let row = session.query_opt(REQUEST, &[&REALM, &bytes]).await?;
            let record = row.map(|row| codec::decode(bytes, row.get(0)));
            Ok(record.transpose()?)
        })?;
        // It answers a repetition, so it must not be lost with the primary.
        if found.is_some() && !self.is_confirmed() {
            self.confirm(doing)?;
        }
        Ok(found)
    }

    fn wait(&self, after: Sequence, timeout: Duration) -> Result<bool, StoreError> {
        self.tail.wait(after.0, timeout, || self.end())
    }

    fn end(&self) -> Result<LogPosition, StoreError> {
        self.run("reading the end of the commit log", async |session| {
            let row = session.query_opt(END, &[&REALM]).await?;
            let row = row.ok_or_else(|| Failure::other("the realm is gone"))?;
            Ok(position(row.get(0), row.get(1)))
        })
    }

    fn start(&self) -> Result<LogStart, StoreError> {
        self.run("reading the start of the commit log", async |session| {
            let row = session.query_opt(START, &[&REALM]).await?;
            let row = row.ok_or_else(|| Failure::other("the realm is gone"))?;
            let LogPosition { sequence, checksum } = position(row.get(0), row.get(1));
            Ok(LogStart { sequence, checksum, time: Timestamp { micros: row.get(2) } })
        })
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn recover(&self) -> Result<(), StoreError> {
        let mut writer = self.writer();
        if writer.paused.is_none() {
            return Ok(());
        }
        self.confirm("recovering the commit log")?;
        writer.paused = None;
        Ok(())
    }
}

impl Realm {
    /// Appends a group, once more where nothing was written, and finds out what became of it where that is in doubt: until then the
    /// caller waits, but no longer than twice the time after which an outcome is unknown.
    async fn append_group(
        &self,
        writer: &mut Writer,
        group: (&Group, LogPosition),
        end: LogPosition,
    ) -> Result<Attempt, Failure> {
        let (node, limit) = (self.options.node, self.options.unknown_after);
        let deadline = Instant::now() + 2 * limit;
        let mut pause = RETRY_MIN;
        let mut in_doubt = false;
        loop {
            let failure = if in_doubt {
                match resolve(&self.connector, end, (node, limit)).await {
                    Ok(Resolved::Ours(session)) => {
                        writer.session = Some(session);
                        return Ok(Attempt::Done);
                    }
                    Ok(Resolved::NotOurs(session)) => {
                        writer.session = Some(session);
                        return Ok(Attempt::Conflict);
                    }
                    Err(failure) => failure,
                }
            } else {
                match self.try_append(writer, group).await {
                    Ok(attempt) => return Ok(attempt),
                    Err(Trouble::NotWritten(failure)) if failure.is_connection() => failure,
                    Err(Trouble::NotWritten(failure)) => return Err(failure),
                    Err(Trouble::InDoubt(failure)) => {
                        in_doubt = true;
                        failure
                    }
                }
            };
            if Instant::now() + pause > deadline {
                return Err(failure);
            }
            tracing::info!(cause = failure.message, in_doubt, "an append is tried again");
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(RETRY_MAX);
        }
    }

    async fn try_append(
        &self,
        writer: &mut Writer,
        group: (&Group, LogPosition),
    ) -> Result<Attempt, Trouble> {
        let session = match writer.session.take() {
            Some(session) if !session.is_closed() => session,
            _ => self.connector.primary().await?,
        };
        let appended = append(&session, group, self.options.node, self.options.unknown_after).await;
        match (&appended, session.is_closed()) {
            (_, false) => writer.session = Some(session),
            // Because of what was sent, not of the server.
            (Ok(Attempt::Conflict), true) => {}
            (_, true) => self.connector.avoid(session.server),
        }
        appended
    }

    /// Commits one small write, after which everything that was visible before is durable.
    fn confirm(&self, doing: &str) -> Result<(), StoreError> {
        let (node, limit) = (self.options.node, self.options.unknown_after);
        let lost = self.tail.lost();
        self.run(doing, async |session| confirm(session, node, limit).await)?;
        self.note_confirmed(lost);
        Ok(())
    }

    /// Hurries the other nodes, which would see the commit at their next poll. In a transaction of its own that waits for nothing.
    fn notify(&self, writer: &mut Writer) {
        if writer.notified.is_some_and(|it| it.elapsed() < NOTIFY_EVERY) {
            return;
        }
        writer.notified = Some(Instant::now());
        let pool = self.pool();
        self.spawn(async move {
            if let Ok(session) = pool.get().await {
                let notify = "BEGIN; SET LOCAL synchronous_commit = off; NOTIFY dhakira; COMMIT";
                if session.batch(notify).await.is_err() {
                    session.close();
                }
            }
        });
    }
}

fn position(sequence: i64, chain: i32) -> LogPosition {
    LogPosition { sequence: Sequence(sequence.cast_unsigned()), checksum: chain.cast_unsigned() }
}

fn log_record(row: &Row) -> Result<LogRecord, Failure> {
    let sequence: i64 = row.get(0);
    Ok(codec::decode_log(&sequence.to_be_bytes(), row.get(1))?)
}
