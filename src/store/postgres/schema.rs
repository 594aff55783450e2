//! Creates and migrates the tables of a realm, and checks that a database is one that may be used.

use std::sync::Arc;

use uuid::Uuid;

use crate::store::{Secret, StoreError};

use super::failure::{Failure, FailureKind};
use super::options::RealmOptions;
use super::realm::{Connections, REALM, Realm, RealmIdentity};
use super::session::{NOT_SYNCHRONOUS, Parameters, Session};

/// The steps from no tables to the newest format, which is their number, each with the oldest format that a program may know which
/// uses the tables after it. Tables are expanded first and contracted a version later, so that nodes of two neighbouring versions run
/// together.
const MIGRATIONS: [(&str, i32); 1] = [(include_str!("migrations/0001.sql"), 1)];

/// The newest format that this program knows.
const FORMAT: i32 = 1;

/// The oldest supported server: 14, which PostgreSQL itself supports until November 2026.
const SERVER_VERSION_MIN: i32 = 140_000;

/// Why a realm cannot be used, before it is known where.
enum Refusal {
    Reason(String),
    Failed(Failure),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

fn because<T>(reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Reason(reason.into()))
}

impl Realm {
    /// Creates the tables of a realm in a database that has none, and begins its log.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when there is a realm already, without the permission, with a server that is too old or would lose
    /// acknowledged commits; [`StoreError::Unreachable`].
    pub fn init(options: &RealmOptions, name: &str) -> Result<RealmIdentity, StoreError> {
        let connections = Connections::new(options)?;
        let made = connections.runtime.block_on(async {
            let session = connections.connector.primary().await?;
            check_server(&session).await?;
            if format(&session).await?.is_some() {
                return because(
                    "there is a realm in this database already. Serve it with `dhakira serve --store …`, or name another database",
                );
            }
            create(&session, options, name).await
        });
        made.map_err(|refusal| connections.refused("creating the tables", refusal))
    }

    /// Brings the tables of a realm to the newest format. Returns the format before and after.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn migrate(options: &RealmOptions) -> Result<(i32, i32), StoreError> {
        let connections = Connections::new(options)?;
        let migrated = connections.runtime.block_on(async {
            let session = connections.connector.primary().await?;
            check_server(&session).await?;
            let before = known_format(&session).await?;
            let steps = MIGRATIONS.iter().skip(usize::try_from(before).unwrap_or_default());
            for (step, (sql, compatible)) in steps.enumerate() {
                let format = before + 1 + i32::try_from(step).unwrap_or_default();
                let migrate = async |session: &Session| {
                    session
                        .batch("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
                        .await?;
                    session.batch(sql).await?;
                    let update = "UPDATE dhakira.realm SET format = $2, compatible = $3 \
                        WHERE realm = $1 AND format = $2 - 1";
                    session.execute(update, &[&REALM, &format, compatible]).await
                };
                session.durably(options.unknown_after, migrate).await?;
            }
            Ok((before, before.max(FORMAT)))
        });
        migrated.map_err(|refusal| connections.refused("migrating the tables", refusal))
    }

    /// Connects to a realm.
    ///
    /// # Errors
    /// [`StoreError::Refused`] when the database has no realm, one of another format, only standbys, or would lose acknowledged
    /// commits; [`StoreError::Unreachable`].
    pub fn connect(options: RealmOptions) -> Result<Arc<Self>, StoreError> {
        let connections = Connections::new(&options)?;
        let checked = connections.runtime.block_on(async {
            let session = connections.connector.primary().await?;
            check_server(&session).await?;
            let format = known_format(&session).await?;
            if format < FORMAT {
                return because(format!(
                    "its tables have format {format}, and this program needs {FORMAT}. Run `dhakira cluster migrate`"
                ));
            }
            Ok(identity(&session).await?)
        });
        match checked {
            Ok(identity) => Self::over(connections, options, identity),
            Err(refusal) => Err(connections.refused("connecting", refusal)),
        }
    }
}

impl Connections {
    fn refused(&self, doing: &str, refusal: Refusal) -> StoreError {
        let place = self.place.clone();
        let reason = match refusal {
            Refusal::Reason(reason) => reason,
            Refusal::Failed(failure) => match failure.kind {
                FailureKind::Permission => format!(
                    "the role may not create or use the tables: {}. Connect as the owner of the database, or grant it CREATE there",
                    failure.message
                ),
                FailureKind::Access => failure.message,
                _ => return failure.store_error(doing, &place),
            },
        };
        StoreError::Refused { place, reason }
    }
}

/// Checks the server itself.
async fn check_server(session: &Session) -> Result<(), Refusal> {
    let query =
        "SELECT current_setting('server_version_num')::int, current_setting('server_version')";
    let row = session.client().query_typed_one(query, &[]).await.map_err(Failure::from)?;
    let (number, version): (i32, String) = (row.get(0), row.get(1));
    if number < SERVER_VERSION_MIN {
        let oldest = SERVER_VERSION_MIN / 10_000;
        return because(format!(
            "it runs PostgreSQL {version}, and {oldest} is the oldest that is supported"
        ));
    }
    match session.check_replication().await {
        Err(failure) if failure.message == NOT_SYNCHRONOUS => because(format!(
            "{NOT_SYNCHRONOUS}. Set them up, or give `--durability engine` if the storage below the server sees to it (Aurora, \
             RDS, AlloyDB)"
        )),
        checked => Ok(checked?),
    }
}

/// A format, and the oldest one that a program may know which uses its tables.
struct Format {
    number: i32,
    compatible: i32,
}

/// The format of the tables; `None` without any.
async fn format(session: &Session) -> Result<Option<Format>, Failure> {
    let query = "SELECT 1 FROM information_schema.tables WHERE table_schema = 'dhakira' AND table_name = 'realm'";
    if session.client().query_typed_opt(query, &[]).await?.is_none() {
        return Ok(None);
    }
    let query = "SELECT format, compatible FROM dhakira.realm WHERE realm = $1";
    let row = session.query_opt(query, &[&REALM]).await?;
    Ok(row.map(|row| Format { number: row.get(0), compatible: row.get(1) }))
}

/// The format of a realm that this program can use or migrate.
async fn known_format(session: &Session) -> Result<i32, Refusal> {
    match format(session).await? {
        Some(Format { number, compatible }) if compatible <= FORMAT => Ok(number),
        Some(Format { number, .. }) => because(format!(
            "its tables have format {number}, and this program knows up to {FORMAT}. Use a newer version of dhakira"
        )),
        None => because(
            "there is no realm in this database. Create one with `dhakira cluster init --store …`",
        ),
    }
}

async fn create(
    session: &Session,
    options: &RealmOptions,
    name: &str,
) -> Result<RealmIdentity, Refusal> {
    let (secret, lineage) = (Secret::random(), Uuid::new_v4());
    let create = async |session: &Session| {
        for (sql, _) in MIGRATIONS {
            session.batch(sql).await?;
        }
        let realm = "INSERT INTO dhakira.realm (realm, lineage, format, name, secret, compatible) \
            VALUES ($1, $2, $3, $4, $5, $6)";
        let compatible = MIGRATIONS.last().map_or(FORMAT, |(_, compatible)| *compatible);
        let secret: &[u8] = &secret.0;
        let values: Parameters<'_> = &[&REALM, &lineage, &FORMAT, &name, &secret, &compatible];
        session.execute(realm, values).await?;
        let start = "INSERT INTO dhakira.log_start (realm, seq, chain, time) VALUES ($1, 0, 0, 0)";
        session.execute(start, &[&REALM]).await
    };
    session.durably(options.unknown_after, create).await?;
    Ok(RealmIdentity { name: name.to_owned(), lineage, format: FORMAT })
}

async fn identity(session: &Session) -> Result<(RealmIdentity, Secret), Failure> {
    let query = "SELECT name, lineage, format, secret FROM dhakira.realm WHERE realm = $1";
    let row = session.query_opt(query, &[&REALM]).await?;
    let row = row.ok_or_else(|| Failure::other("the realm is gone"))?;
    let secret: &[u8] = row.get(3);
    let secret = secret.try_into().map_err(|_| Failure::other("the secret is damaged"))?;
    Ok((
        RealmIdentity { name: row.get(0), lineage: row.get(1), format: row.get(2) },
        Secret(secret),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_number_of_the_last_migration() {
        assert_eq!(usize::try_from(FORMAT), Ok(MIGRATIONS.len()));
    }
}
