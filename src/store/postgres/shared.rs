//! Keeps what the nodes of a realm share beside its units: tokens, settings, the audit log. What the records mean is the caller's.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::store::StoreError;
use crate::unit::Timestamp;

use super::realm::{REALM, Realm};

const TOKENS: &str = "SELECT id, record FROM token WHERE realm = $1";
const PUT_TOKEN: &str = "INSERT INTO token (realm, id, record) VALUES ($1, $2, $3) \
    ON CONFLICT (realm, id) DO UPDATE SET record = excluded.record";
const REMOVE_TOKEN: &str = "DELETE FROM token WHERE realm = $1 AND id = $2";
const SETTINGS: &str = "SELECT key, value FROM setting WHERE realm = $1";
const PUT_SETTING: &str = "INSERT INTO setting (realm, key, value) VALUES ($1, $2, $3) \
    ON CONFLICT (realm, key) DO UPDATE SET value = excluded.value";
const REMOVE_SETTING: &str = "DELETE FROM setting WHERE realm = $1 AND key = $2";
/// A batch that is sent again, because its answer was lost, stores nothing twice.
const AUDIT: &str = "INSERT INTO audit (realm, at, node, id, line) \
    SELECT $1, 'epoch'::timestamptz + new.at * interval '1 microsecond', $2, new.id, new.line::jsonb \
    FROM unnest($3::bigint[], $4::uuid[], $5::text[]) AS new(at, id, line) \
    ON CONFLICT (realm, at, id) DO NOTHING";
const READ_AUDIT: &str = "SELECT (extract(epoch FROM at) * 1000000)::bigint, node, id, line::text \
    FROM audit WHERE realm = $1 AND at >= 'epoch'::timestamptz + $2::bigint * interval '1 microsecond' \
    ORDER BY at, id LIMIT $3";
const FORGET_AUDIT: &str = "DELETE FROM audit \
    WHERE realm = $1 AND at < 'epoch'::timestamptz + $2::bigint * interval '1 microsecond'";

/// A line of the audit log of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLine {
    /// When.
    pub at: Timestamp,
    /// Which one: the same line sent twice is stored once.
    pub id: Uuid,
    /// What, in JSON.
    pub line: String,
}

impl Realm {
    /// The records of all tokens, by id.
    ///
    /// # Errors
    /// The database.
    pub fn tokens(&self) -> Result<BTreeMap<String, String>, StoreError> {
        self.entries("reading the tokens", TOKENS)
    }

    /// Stores a token, or another record of it; durable when this returns.
    ///
    /// # Errors
    /// The database. The token may be stored nevertheless.
    pub fn put_token(&self, id: &str, record: &str) -> Result<(), StoreError> {
        self.put("storing a token", PUT_TOKEN, (id, record))
    }

    /// Removes a token; durable when this returns.
    ///
    /// # Errors
    /// The database. The token may be removed nevertheless.
    pub fn remove_token(&self, id: &str) -> Result<(), StoreError> {
        self.remove("removing a token", REMOVE_TOKEN, id)
    }

    /// All settings, by key.
    ///
    /// # Errors
    /// The database.
    pub fn settings(&self) -> Result<BTreeMap<String, String>, StoreError> {
        self.entries("reading the settings", SETTINGS)
    }

    /// Stores a setting; durable when this returns.
    ///
    /// # Errors
    /// The database. The setting may be stored nevertheless.
    pub fn put_setting(&self, key: &str, value: &str) -> Result<(), StoreError> {
        self.put("storing a setting", PUT_SETTING, (key, value))
    }

    /// Removes a setting; durable when this returns.
    ///
    /// # Errors
    /// The database. The setting may be removed nevertheless.
    pub fn remove_setting(&self, key: &str) -> Result<(), StoreError> {
        self.remove("removing a setting", REMOVE_SETTING, key)
    }

    /// Stores lines of this node's audit log; durable when this returns.
    ///
    /// # Errors
    /// The database; a line that is not JSON. The lines may be sent again.
    pub fn ship_audit(&self, lines: &[AuditLine]) -> Result<(), StoreError> {
        let node = self.options.node;
        let times: Vec<i64> = lines.iter().map(|line| line.at.micros).collect();
        let ids: Vec<Uuid> = lines.iter().map(|line| line.id).collect();
        let texts: Vec<&str> = lines.iter().map(|line| line.line.as_str()).collect();
        self.write("storing audit lines", async |session| {
            session.execute(AUDIT, &[&REALM, &node, &times, &ids, &texts]).await.map(|_| ())
        })
    }

    /// Audit lines of all nodes from a time on, each with its node, at most `limit`.
    ///
    /// # Errors
    /// The database.
    pub fn audit(
        &self,
        from: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Uuid, AuditLine)>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.run("reading audit lines", async |session| {
            let rows = session.query(READ_AUDIT, &[&REALM, &from.micros, &limit]).await?;
            let line = |row: &tokio_postgres::Row| {
                let at = Timestamp { micros: row.get(0) };
                (row.get(1), AuditLine { at, id: row.get(2), line: row.get(3) })
            };
            Ok(rows.iter().map(line).collect())
        })
    }

    /// Removes audit lines before a time; returns how many.
    ///
    /// # Errors
    /// The database.
    pub fn forget_audit(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.write("removing audit lines", async |session| {
            session.execute(FORGET_AUDIT, &[&REALM, &before.micros]).await
        })
    }

    fn entries(
        &self,
        doing: &str,
        sql: &'static str,
    ) -> Result<BTreeMap<String, String>, StoreError> {
        self.run(doing, async |session| {
            let rows = session.query(sql, &[&REALM]).await?;
            Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
        })
    }

    fn put(
        &self,
        doing: &str,
        sql: &'static str,
        (key, value): (&str, &str),
    ) -> Result<(), StoreError> {
        self.write(doing, async |session| {
            session.execute(sql, &[&REALM, &key, &value]).await.map(|_| ())
        })
    }

    fn remove(&self, doing: &str, sql: &'static str, key: &str) -> Result<(), StoreError> {
        self.write(doing, async |session| session.execute(sql, &[&REALM, &key]).await.map(|_| ()))
    }
}
