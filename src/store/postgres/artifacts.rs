//! Keeps what one node makes for all: index checkpoints and lexicons, in parts, each of which is one row.
//!
//! An artifact is listed once all of its parts are there. Parts that an interrupted upload left behind are removed by a later one.

use std::io::{Read, Write};

use tokio_postgres::Row;
use uuid::Uuid;

use crate::store::{LogPosition, MemoryKey, Sequence, StoreError};

use super::failure::Failure;
use super::realm::{REALM, Realm};
use super::session::Parameters;

/// Bytes in a part.
const PART_BYTES: usize = 4 * 1024 * 1024;

const LIST: &str = "SELECT kind, memory, seq, chain, text_version, score_version, bytes, upload \
    FROM artifact WHERE realm = $1 AND kind = $2 ORDER BY memory, seq DESC";
const FIND: &str = "SELECT upload, bytes FROM artifact \
    WHERE realm = $1 AND kind = $2 AND memory = $3 AND seq = $4";
const PUT_PART: &str = "INSERT INTO artifact_part (realm, upload, part, started, body) \
    VALUES ($1, $2, $3, clock_timestamp(), $4) ON CONFLICT (realm, upload, part) DO NOTHING";
const PART: &str = "SELECT body FROM artifact_part WHERE realm = $1 AND upload = $2 AND part = $3";
const PUT: &str = "INSERT INTO artifact (realm, kind, memory, seq, chain, text_version, \
    score_version, upload, url, bytes, created) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, $9, clock_timestamp()) \
    ON CONFLICT (realm, kind, memory, seq) DO UPDATE SET chain = excluded.chain, \
    text_version = excluded.text_version, score_version = excluded.score_version, \
    upload = excluded.upload, bytes = excluded.bytes, created = excluded.created";
const REMOVE: &str =
    "DELETE FROM artifact WHERE realm = $1 AND kind = $2 AND memory = $3 AND seq = $4";
/// An upload takes less than an hour, or it was interrupted.
const CLEAN: &str = "DELETE FROM artifact_part WHERE realm = $1 \
    AND NOT EXISTS (SELECT 1 FROM artifact \
    WHERE artifact.realm = $1 AND artifact.upload = artifact_part.upload) \
    AND ($2 = artifact_part.upload OR artifact_part.started < clock_timestamp() - interval '1 hour')";

/// Names an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactKey {
    /// What it is, such as `checkpoint`.
    pub kind: String,
    /// Of which memory.
    pub memory: MemoryKey,
    /// The position of the log that it was made at.
    pub position: LogPosition,
}

/// An artifact that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactInfo {
    /// Its name.
    pub key: ArtifactKey,
    /// The version of the text analysis that it was made with.
    pub text_version: u32,
    /// The version of the scores that it was made with.
    pub score_version: u32,
    /// Its size.
    pub bytes: u64,
}

impl Realm {
    /// Every artifact of a kind, by memory, the newest first.
    ///
    /// # Errors
    /// The database.
    pub fn artifacts(&self, kind: &str) -> Result<Vec<ArtifactInfo>, StoreError> {
        self.run("listing artifacts", async |session| {
            let rows = session.query(LIST, &[&REALM, &kind]).await?;
            Ok(rows.iter().map(info).collect())
        })
    }

    /// Uploads an artifact; it replaces one of the same name. `info.bytes` is not read.
    ///
    /// # Errors
    /// The database; reading the content. The artifact is not there then.
    pub fn put_artifact(
        &self,
        info: &ArtifactInfo,
        content: &mut dyn Read,
    ) -> Result<(), StoreError> {
        let doing = "uploading an artifact";
        let upload = Uuid::new_v4();
        let mut bytes = 0_u64;
        for part in 0_i32.. {
            let mut body = Vec::new();
            let read = content.take(PART_BYTES as u64).read_to_end(&mut body);
            read.map_err(|error| self.error(doing, Failure::other(error.to_string())))?;
            if body.is_empty() {
                break;
            }
            bytes += body.len() as u64;
            self.run(doing, async |session| {
                session.execute(PUT_PART, &[&REALM, &upload, &part, &body]).await
            })?;
        }
        let ArtifactInfo { key, text_version, score_version, .. } = info;
        let (memory, sequence, chain) = columns(key);
        let (text, score) = (text_version.cast_signed(), score_version.cast_signed());
        let size = bytes.cast_signed();
        self.write(doing, async |session| {
            let old = session.query_opt(FIND, &[&REALM, &key.kind, &memory, &sequence]).await?;
            let old: Uuid = old.map_or(Uuid::nil(), |row| row.get(0));
            let values: Parameters<'_> =
                &[&REALM, &key.kind, &memory, &sequence, &chain, &text, &score, &upload, &size];
            session.execute(PUT, values).await?;
            session.execute(CLEAN, &[&REALM, &old]).await
        })?;
        Ok(())
    }

    /// Downloads an artifact; returns its size, or `None` where there is none of this name.
    ///
    /// # Errors
    /// The database; writing the content.
    pub fn get_artifact(
        &self,
        key: &ArtifactKey,
        content: &mut dyn Write,
    ) -> Result<Option<u64>, StoreError> {
        let doing = "downloading an artifact";
        let failed = |message: String| self.error(doing, Failure::other(message));
        let (memory, sequence, _) = columns(key);
        let found = self.run(doing, async |session| {
            session.query_opt(FIND, &[&REALM, &key.kind, &memory, &sequence]).await
        })?;
        let Some(found) = found else { return Ok(None) };
        let (upload, bytes): (Uuid, i64) = (found.get(0), found.get(1));
        let bytes = bytes.cast_unsigned();
        let mut written = 0;
        for part in 0_i32.. {
            if written >= bytes {
                break;
            }
            let row = self.run(doing, async |session| {
                session.query_opt(PART, &[&REALM, &upload, &part]).await
            })?;
            let row =
                row.ok_or_else(|| failed("it was replaced or removed meanwhile".to_owned()))?;
            let body: &[u8] = row.get(0);
            content.write_all(body).map_err(|error| failed(error.to_string()))?;
            written += body.len() as u64;
        }
        Ok(Some(written))
    }

    /// Removes an artifact, if it is there.
    ///
    /// # Errors
    /// The database.
    pub fn remove_artifact(&self, key: &ArtifactKey) -> Result<(), StoreError> {
        let (memory, sequence, _) = columns(key);
        self.write("removing an artifact", async |session| {
            let names: Parameters<'_> = &[&REALM, &key.kind, &memory, &sequence];
            let Some(found) = session.query_opt(FIND, names).await? else { return Ok(()) };
            session.execute(REMOVE, names).await?;
            session.execute(CLEAN, &[&REALM, &found.get::<_, Uuid>(0)]).await.map(|_| ())
        })
    }
}

fn columns(key: &ArtifactKey) -> (i32, i64, i32) {
    let LogPosition { sequence, checksum } = key.position;
    (key.memory.0.cast_signed(), sequence.0.cast_signed(), checksum.cast_signed())
}

fn info(row: &Row) -> ArtifactInfo {
    let position = LogPosition {
        sequence: Sequence(row.get::<_, i64>(2).cast_unsigned()),
        checksum: row.get::<_, i32>(3).cast_unsigned(),
    };
    let memory = MemoryKey(row.get::<_, i32>(1).cast_unsigned());
    ArtifactInfo {
        key: ArtifactKey { kind: row.get(0), memory, position },
        text_version: row.get::<_, i32>(4).cast_unsigned(),
        score_version: row.get::<_, i32>(5).cast_unsigned(),
        bytes: row.get::<_, i64>(6).cast_unsigned(),
    }
}
