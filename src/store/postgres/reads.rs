//! Implements the store's reads: memories, units, versions, requests.

use std::collections::HashMap;

use tokio_postgres::Row;

use crate::store::codec;
use crate::store::unit_codec::decode_unit;
use crate::store::{
    ChangeKind, LogRecord, MemoryKey, MemoryRecord, RequestKey, Secret, Store, StoreError,
};
use crate::unit::{Timestamp, Unit, UnitId};

use super::failure::Failure;
use super::realm::{REALM, Realm};

const MEMORIES: &str = "SELECT key, record, counters FROM memory WHERE realm = $1 ORDER BY key";
const UNITS: &str = "SELECT id, body FROM unit WHERE realm = $1 AND memory = $2 AND id = ANY($3)";
const PAGE: &str = "SELECT id, body FROM unit WHERE realm = $1 AND memory = $2 AND id >= $3 \
    ORDER BY id LIMIT $4";
/// The current version wins over one of the history with the same number.
const VERSIONS: &str = "SELECT wanted.place, coalesce(unit.body, history.body) \
    FROM unnest($2::int[], $3::bigint[], $4::bigint[]) WITH ORDINALITY \
    AS wanted(memory, id, revision, place) \
    LEFT JOIN unit ON unit.realm = $1 AND unit.memory = wanted.memory AND unit.id = wanted.id \
    AND unit.revision = wanted.revision \
    LEFT JOIN history ON unit.id IS NULL AND history.realm = $1 \
    AND history.memory = wanted.memory AND history.id = wanted.id \
    AND history.revision = wanted.revision ORDER BY wanted.place";
const REQUESTS_BEFORE: &str = "SELECT key FROM request WHERE realm = $1 AND time < $2 \
    ORDER BY time LIMIT $3";

/// Units in one query for versions.
const VERSIONS_MAX: usize = 8_192;
/// Units read at a time, whatever the caller asks for.
const PAGE_MAX: usize = 2_000;

impl Store for Realm {
    fn memories(&self) -> Result<Vec<MemoryRecord>, StoreError> {
        self.run("reading the memories", async |session| {
            let rows = session.query(MEMORIES, &[&REALM]).await?;
            rows.iter().map(memory).collect()
        })
    }

    fn units(&self, memory: MemoryKey, ids: &[UnitId]) -> Result<Vec<Option<Unit>>, StoreError> {
        // A number that no column can hold is no unit's.
        let wanted: Vec<i64> = ids.iter().filter_map(|id| i64::try_from(id.0).ok()).collect();
        let Ok(key) = i32::try_from(memory.0) else { return Ok(vec![None; ids.len()]) };
        let found = self.run("reading units", async |session| {
            let rows = session.query(UNITS, &[&REALM, &key, &wanted]).await?;
            let unit = |row: &Row| unit(memory, row).map(|unit| (unit.id, unit));
            rows.iter().map(unit).collect::<Result<HashMap<_, _>, _>>()
        })?;
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    fn page(
        &self,
        memory: MemoryKey,
        after: Option<UnitId>,
        limit: usize,
    ) -> Result<Vec<Unit>, StoreError> {
        let mut units: Vec<Unit> = Vec::new();
        let Ok(key) = i32::try_from(memory.0) else { return Ok(units) };
        loop {
            let after = units.last().map(|unit| unit.id).or(after);
            let from = after.map_or(Some(0), |id| i64::try_from(id.0).ok()?.checked_add(1));
            let Some(from) = from else { return Ok(units) };
            let page = PAGE_MAX.min(limit - units.len());
            let count = i64::try_from(page).unwrap_or(i64::MAX);
            let found = self.run("reading units", async |session| {
                let rows = session.query(PAGE, &[&REALM, &key, &from, &count]).await?;
                rows.iter().map(|row| unit(memory, row)).collect::<Result<Vec<_>, _>>()
            })?;
            let is_last = found.len() < page;
            units.extend(found);
            if is_last || units.len() >= limit {
                return Ok(units);
            }
        }
    }

    fn version(
        &self,
        memory: MemoryKey,
        id: UnitId,
        revision: u64,
    ) -> Result<Option<Unit>, StoreError> {
        Ok(self.versions(&[(memory, id, revision)])?.pop().flatten())
    }

    fn stored_units(&self, record: &LogRecord) -> Result<Vec<Option<Unit>>, StoreError> {
        let units = self.stored_units_of(std::slice::from_ref(record))?;
        Ok(units.into_iter().next().unwrap_or_default())
    }

    fn stored_units_of(&self, records: &[LogRecord]) -> Result<Vec<Vec<Option<Unit>>>, StoreError> {
        let stored = |record: &LogRecord| {
            let changes = record.changes.iter();
            changes.filter(|change| change.kind != ChangeKind::Deleted).count()
        };
        let wanted: Vec<_> = records
            .iter()
            .flat_map(|record| &record.changes)
            .filter(|change| change.kind != ChangeKind::Deleted)
            .map(|change| (change.memory, change.unit, change.revision))
            .collect();
        let mut units = Vec::with_capacity(wanted.len());
        for some in wanted.chunks(VERSIONS_MAX) {
            units.extend(self.versions(some)?);
        }
        let mut units = units.into_iter();
        Ok(records.iter().map(|record| units.by_ref().take(stored(record)).collect()).collect())
    }

    fn requests_before(
        &self,
        time: Timestamp,
        limit: usize,
    ) -> Result<Vec<RequestKey>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.run("reading requests", async |session| {
            let rows = session.query(REQUESTS_BEFORE, &[&REALM, &time.micros, &limit]).await?;
            rows.iter().map(|row| request_key(row.get(0))).collect()
        })
    }

    fn secret(&self) -> Secret {
        self.secret
    }
}

impl Realm {
    /// Units at revisions, in order; `None` for one that is not held.
    fn versions(
        &self,
        wanted: &[(MemoryKey, UnitId, u64)],
    ) -> Result<Vec<Option<Unit>>, StoreError> {
        // No row holds -1, which stands for a number that no column can hold.
        let signed = |number: u64| i64::try_from(number).unwrap_or(-1);
        let memories: Vec<i32> =
            wanted.iter().map(|it| i32::try_from(it.0.0).unwrap_or(-1)).collect();
        let ids: Vec<i64> = wanted.iter().map(|it| signed(it.1.0)).collect();
        let revisions: Vec<i64> = wanted.iter().map(|it| signed(it.2)).collect();
        self.run("reading versions of units", async |session| {
            let rows = session.query(VERSIONS, &[&REALM, &memories, &ids, &revisions]).await?;
            let decode = |(row, (memory, id, _)): (&Row, &(MemoryKey, UnitId, u64))| {
                let body: Option<&[u8]> = row.get(1);
                Ok(body.map(|body| decode_unit(*memory, *id, body)).transpose()?)
            };
            rows.iter().zip(wanted).map(decode).collect()
        })
    }
}

fn memory(row: &Row) -> Result<MemoryRecord, Failure> {
    let key = MemoryKey(row.get::<_, i32>(0).cast_unsigned());
    let mut record = codec::decode_memory(&key.0.to_be_bytes(), row.get(1))?;
    record.set_counters(&codec::decode_counters(&codec::counters_key(key), row.get(2))?);
    Ok(record)
}

fn unit(memory: MemoryKey, row: &Row) -> Result<Unit, Failure> {
    let id = UnitId(row.get::<_, i64>(0).cast_unsigned());
    Ok(decode_unit(memory, id, row.get(1))?)
}

/// The key of a request from its column.
pub(super) fn request_key(bytes: &[u8]) -> Result<RequestKey, Failure> {
    let damaged = |_| Failure::other("a request has a key of the wrong length");
    bytes.try_into().map(RequestKey).map_err(damaged)
}
