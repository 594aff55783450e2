//! Writes a group of commits in one transaction of three round trips: the log first, which the primary key arbitrates; then
//! everything else; then the commit.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{CopyInSink, Statement};
use uuid::Uuid;

use crate::store::LogPosition;

use super::failure::{Failure, FailureKind};
use super::group::{Group, UnitRows};
use super::realm::REALM;
use super::session::{Parameters, Session};

/// Only if the log ends where the writer thinks: the commit before is there, with its checksum, or was the last one truncated.
const LOG: &str = "INSERT INTO log (realm, seq, chain, time, node, body) \
    SELECT $1, new.seq, new.chain, new.time, $2, new.body \
    FROM unnest($3::bigint[], $4::int[], $5::bigint[], $6::bytea[]) AS new(seq, chain, time, body) \
    WHERE EXISTS (SELECT 1 FROM log WHERE realm = $1 AND seq = $7 AND chain = $8) \
    OR EXISTS (SELECT 1 FROM log_start WHERE realm = $1 AND seq = $7 AND chain = $8)";
const CREATED: &str =
    "COPY unit (realm, memory, id, revision, seq, body) FROM STDIN (FORMAT binary)";
const REPLACED: &str = "INSERT INTO history (realm, memory, id, revision, replaced_by, body) \
    SELECT unit.realm, unit.memory, unit.id, unit.revision, new.seq, unit.body \
    FROM unnest($2::int[], $3::bigint[], $4::bigint[]) AS new(memory, id, seq) \
    JOIN unit ON unit.realm = $1 AND unit.memory = new.memory AND unit.id = new.id \
    ON CONFLICT (realm, memory, id, revision) \
    DO UPDATE SET replaced_by = excluded.replaced_by, body = excluded.body";
const PASSED: &str = "INSERT INTO history (realm, memory, id, revision, replaced_by, body) \
    SELECT $1, * FROM unnest($2::int[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[]) \
    ON CONFLICT (realm, memory, id, revision) \
    DO UPDATE SET replaced_by = excluded.replaced_by, body = excluded.body";
const STORED: &str = "INSERT INTO unit (realm, memory, id, revision, seq, body) \
    SELECT $1, * FROM unnest($2::int[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[]) \
    ON CONFLICT (realm, memory, id) \
    DO UPDATE SET revision = excluded.revision, seq = excluded.seq, body = excluded.body";
const REMOVED: &str = "DELETE FROM unit USING unnest($2::int[], $3::bigint[]) AS gone(memory, id) \
    WHERE unit.realm = $1 AND unit.memory = gone.memory AND unit.id = gone.id";
const MEMORIES: &str = "INSERT INTO memory (realm, key, seq, record, counters) \
    SELECT $1, * FROM unnest($2::int[], $3::bigint[], $4::bytea[], $5::bytea[]) \
    ON CONFLICT (realm, key) \
    DO UPDATE SET seq = excluded.seq, record = excluded.record, counters = excluded.counters";
const COUNTERS: &str = "UPDATE memory SET seq = new.seq, counters = new.counters \
    FROM unnest($2::int[], $3::bigint[], $4::bytea[]) AS new(key, seq, counters) \
    WHERE memory.realm = $1 AND memory.key = new.key";
const COLLECTED: &str = "DELETE FROM memory WHERE realm = $1 AND key = ANY($2)";
const REQUESTS: &str = "INSERT INTO request (realm, key, seq, time, record) \
    SELECT $1, * FROM unnest($2::bytea[], $3::bigint[], $4::bigint[], $5::bytea[]) \
    ON CONFLICT (realm, key) \
    DO UPDATE SET seq = excluded.seq, time = excluded.time, record = excluded.record";
const FORGOTTEN: &str = "DELETE FROM request WHERE realm = $1 AND key = ANY($2)";

/// The outcome of a transaction whose commit was answered, or that never got there.
pub(super) enum Attempt {
    Done,
    Conflict,
}

/// Why a transaction has no such outcome.
pub(super) enum Trouble {
    /// Before COMMIT was sent: nothing was written, nor will be.
    NotWritten(Failure),
    /// After it was sent.
    InDoubt(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::NotWritten(failure)
    }
}

/// Writes a group after a position of the log.
pub(super) async fn append(
    session: &Session,
    (group, after): (&Group, LogPosition),
    node: Uuid,
    limit: Duration,
) -> Result<Attempt, Trouble> {
    let written = tokio::time::timeout(limit, write(session, (group, after), node)).await;
    let written = written.unwrap_or_else(|_| {
        session.close();
        let seconds = limit.as_secs_f32();
        Err(Failure::connection(format!("no answer to a statement within {seconds} s")))
    });
    let failed = match written {
        Ok(true) => {
            return session.commit(limit).await.map(|()| Attempt::Done).map_err(Trouble::InDoubt);
        }
        Ok(false) => None,
        Err(failure) => Some(failure),
    };
    if group.created.is_empty() && !failed.as_ref().is_some_and(Failure::is_connection) {
        session.roll_back().await;
    } else {
        // The server answers once more than it is asked when a COPY was sent behind a statement that failed: what it says from then on
        // would pass for the answer to something else.
        session.close();
    }
    match failed {
        None => Ok(Attempt::Conflict),
        Some(failure) => match &failure.kind {
            FailureKind::Duplicate { table } if table == "log" => Ok(Attempt::Conflict),
            FailureKind::Conflict => Ok(Attempt::Conflict),
            _ => Err(failure.into()),
        },
    }
}

/// Everything but the commit; returns whether the log ended at the position.
async fn write(
    session: &Session,
    (group, after): (&Group, LogPosition),
    node: Uuid,
) -> Result<bool, Failure> {
    let log = session.prepared(LOG).await?;
    let created =
        if group.created.is_empty() { None } else { Some(session.prepared(CREATED).await?) };
    let statements = statements(session, group).await?;
    let after_sequence = i64::try_from(after.sequence.0).map_err(too_large)?;
    let after_chain = after.checksum.cast_signed();
    let rows = &group.log;
    let values: Parameters<'_> = &[
        &REALM,
        &node,
        &rows.sequences,
        &rows.chains,
        &rows.times,
        &rows.bodies,
        &after_sequence,
        &after_chain,
    ];
    let client = session.client();
    let copy = async {
        match &created {
            Some(statement) => client.copy_in(statement).await.map(Some),
            None => Ok(None),
        }
    };
    // Each is sent when it is polled first, so they are sent in order.
    let (begun, replicates, inserted, copy) = tokio::join!(
        client.batch_execute("BEGIN"),
        session.check_replication(),
        client.execute(&log, values),
        copy,
    );
    begun?;
    replicates?;
    if inserted? == 0 {
        return Ok(false);
    }
    let (copied, executed) =
        tokio::join!(copy_units(copy?, &group.created), statements.run(session));
    copied?;
    executed?;
    Ok(true)
}

fn too_large(_: std::num::TryFromIntError) -> Failure {
    Failure::other("a number is too large for the database")
}

async fn copy_units(sink: Option<CopyInSink<Bytes>>, rows: &UnitRows) -> Result<(), Failure> {
    let Some(sink) = sink else { return Ok(()) };
    let types = [Type::INT4, Type::INT4, Type::INT8, Type::INT8, Type::INT8, Type::BYTEA];
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
    let columns = rows.memories.iter().zip(&rows.ids).zip(&rows.revisions);
    let columns = columns.zip(&rows.sequences).zip(&rows.bodies);
    for ((((memory, id), revision), sequence), body) in columns {
        writer.as_mut().write(&[&REALM, memory, id, revision, sequence, body]).await?;
    }
    writer.finish().await?;
    Ok(())
}

/// The statements of a group beside those of the log and of new units, in the order in which they have to run.
struct Statements<'a>(Vec<(Statement, Columns<'a>)>);

type Columns<'a> = Vec<&'a (dyn ToSql + Sync)>;

async fn statements<'a>(session: &Session, group: &'a Group) -> Result<Statements<'a>, Failure> {
    let Group { stored, replaced, removed, passed, memories, counters, requests, .. } = group;
    let mut all: Vec<(&'static str, Columns<'a>)> = Vec::new();
    if !replaced.is_empty() {
        all.push((REPLACED, vec![&replaced.memories, &replaced.ids, &replaced.sequences]));
    }
    let versions = |rows: &'a UnitRows| -> Columns<'a> {
        vec![&rows.memories, &rows.ids, &rows.revisions, &rows.sequences, &rows.bodies]
    };
    if !passed.is_empty() {
        all.push((PASSED, versions(passed)));
    }
    if !stored.is_empty() {
        all.push((STORED, versions(stored)));
    }
    if !removed.is_empty() {
        all.push((REMOVED, vec![&removed.memories, &removed.ids]));
    }
    if !memories.is_empty() {
        let columns: Columns<'a> =
            vec![&memories.keys, &memories.sequences, &memories.records, &memories.counters];
        all.push((MEMORIES, columns));
    }
    if !counters.is_empty() {
        all.push((COUNTERS, vec![&counters.keys, &counters.sequences, &counters.counters]));
    }
    if !group.collected.is_empty() {
        all.push((COLLECTED, vec![&group.collected]));
    }
    if !requests.keys.is_empty() {
        let columns: Columns<'a> =
            vec![&requests.keys, &requests.sequences, &requests.times, &requests.records];
        all.push((REQUESTS, columns));
    }
    if !group.forgotten.is_empty() {
        all.push((FORGOTTEN, vec![&group.forgotten]));
    }
    let mut prepared = Vec::with_capacity(all.len());
    for (sql, mut parameters) in all {
        parameters.insert(0, &REALM);
        prepared.push((session.prepared(sql).await?, parameters));
    }
    Ok(Statements(prepared))
}

impl Statements<'_> {
    /// Sends them all, then waits for their answers.
    async fn run(&self, session: &Session) -> Result<(), Failure> {
        let client = session.client();
        let mut running: Vec<_> = self
            .0
            .iter()
            .map(|(statement, parameters)| Box::pin(client.execute(statement, parameters)))
            .collect();
        let mut results: Vec<Option<Result<u64, tokio_postgres::Error>>> =
            running.iter().map(|_| None).collect();
        // Each is sent when it is polled first, so they are sent in order.
        poll_fn(|context| {
            let mut is_pending = false;
            for (future, result) in running.iter_mut().zip(&mut results) {
                if result.is_none() {
                    match future.as_mut().poll(context) {
                        Poll::Ready(ended) => *result = Some(ended),
                        Poll::Pending => is_pending = true,
                    }
                }
            }
            if is_pending { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        for result in results.into_iter().flatten() {
            result?;
        }
        Ok(())
    }
}
